"""A whole trading day in minutes: the real processes on a replayed clock, what they did, and whether every invariant held."""
