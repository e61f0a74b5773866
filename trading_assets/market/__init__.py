"""Market facts: bars as traded, corporate actions, and the quality gate that every decision asks."""
