"""Which instruments exist, who belonged to which list when, and which of them a strategy may look at in a session."""
