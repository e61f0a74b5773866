"""How Dagster's runs start: forks of one process that has everything imported, instead of an interpreter for each."""
