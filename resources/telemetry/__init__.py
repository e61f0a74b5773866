"""Traces and logs: what the processes of the desk did, when, and for which decision."""
