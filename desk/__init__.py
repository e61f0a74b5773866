"""The operator's command line: it starts the same jobs that the Dagster UI shows, and reads what they left behind."""
