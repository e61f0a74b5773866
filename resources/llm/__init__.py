"""Adapters that ask models: routes, failures, prices, batches, and the reasoner that uses them."""
