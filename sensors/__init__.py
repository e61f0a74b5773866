"""What happens when something happens: pure decisions, each with a thin Dagster shell."""
