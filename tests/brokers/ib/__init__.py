"""Interactive Brokers' member of the broker port, over the real wire against the loopback Gateway."""
