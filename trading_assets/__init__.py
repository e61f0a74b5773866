"""The Dagster code location: one folder per room of the desk, in the order in which facts flow."""
