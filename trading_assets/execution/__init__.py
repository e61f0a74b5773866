"""Orders, fills and the book: matching, accounting and the decision cycle."""
