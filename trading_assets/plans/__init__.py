"""Strategies and sizing: theses become plans with entry, stop, target and quantity."""
