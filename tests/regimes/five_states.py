"""A made market whose regimes are known: segments of 40 to 159 sessions, each drawn from one of five processes."""

from datetime import date

import numpy as np
import polars as pl

from tests.features.frames import bars_of, days_from
from trading_assets.features.windows import Floats
from trading_assets.regimes.model import Regime

DRIFT_AND_DEVIATION: dict[Regime, tuple[float, float]] = {
    "trending_up": (0.0022, 0.009),
    "trending_down": (-0.0026, 0.012),
    "high_volatility": (0.0, 0.030),
    "low_volatility": (0.0002, 0.004),
}
RANGING_PULL, RANGING_DEVIATION = 0.93, 0.011
NAMES: tuple[Regime, ...] = (*DRIFT_AND_DEVIATION, "ranging")


def five_states(
    seed: int, *, segments: int = 60, symbol: str = "AAA", first: date = date(1990, 1, 2)
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of DAILY_BARS of one symbol, and its truth: session, symbol, regime."""
    random = np.random.default_rng(seed)
    regimes: list[Regime] = []
    returns: list[Floats] = []
    for _ in range(segments):
        choices = [name for name in NAMES if not regimes or name != regimes[-1]]
        name = choices[random.integers(len(choices))]
        noise = random.standard_normal(int(random.integers(40, 160)))
        regimes += [name] * noise.size
        returns.append(_moves(name, noise))
    bars = _bars(symbol, np.concatenate(returns), random, first)
    truth = bars.select("session", "symbol").with_columns(pl.Series("regime", regimes))
    return bars, truth


def _moves(name: Regime, noise: Floats) -> Floats:
    if name in DRIFT_AND_DEVIATION:
        drift, deviation = DRIFT_AND_DEVIATION[name]
        return drift + deviation * noise
    level, levels = 0.0, [0.0]
    for shock in noise:
        level = RANGING_PULL * level + RANGING_DEVIATION * shock
        levels.append(level)
    return np.diff(levels)


def _bars(symbol: str, returns: Floats, random: np.random.Generator, first: date) -> pl.DataFrame:
    close = 100.0 * np.exp(np.cumsum(returns))
    before = np.concatenate([[100.0], close[:-1]])
    usual = np.convolve(np.abs(returns), np.ones(3) / 3)[: returns.size]
    above, below = np.exp(0.3 * usual * np.abs(random.standard_normal((2, returns.size))))
    days = days_from(returns.size, first)
    high, low = np.maximum(before, close) * above, np.minimum(before, close) / below
    return bars_of(symbol, days, high, low, close, np.full(returns.size, 1e6))
