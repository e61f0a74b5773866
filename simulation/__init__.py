"""Seeded worlds with known truth: what tests, benchmarks and rehearsals run on."""
