"""The outside world: adapters that implement the ports of the rooms."""
