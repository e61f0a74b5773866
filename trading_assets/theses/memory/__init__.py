"""What the desk learned: one lesson for each closed trade, found again by recency, importance and relevance."""
