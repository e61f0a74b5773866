"""A seeded market: bars, quotes, corporate actions and news whose true regimes are known."""
