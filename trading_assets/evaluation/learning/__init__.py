"""Parameters that learn inside their bounds: the record read for the monitor, the nightly proposals and the monthly study."""
