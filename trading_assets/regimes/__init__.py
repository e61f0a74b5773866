"""Market and symbol regimes by causal rules."""
