"""A seeded market: bars, quotes, corporate actions and news whose true regimes are known."""

from simulation.market.market import SimulatedMarket

__all__ = ["SimulatedMarket"]
