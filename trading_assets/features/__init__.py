"""Indicators and breadth: pure functions of bars up to a session's close."""
