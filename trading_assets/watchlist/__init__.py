"""Candidates for the day: screened, then filtered by simulated price paths."""
