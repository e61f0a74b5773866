"""The same odds in plain numpy with other random numbers: the second opinion that the check and the tests ask."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trading_assets.features.windows import Floats
from trading_assets.watchlist.model import Method
from trading_assets.watchlist.montecarlo import Design, Odds
from trading_assets.watchlist.paths import CLOSE, HIGH, LOW, OPEN

Flags = npt.NDArray[np.bool_]


class _Day(NamedTuple):
    """[paths] one session: which touched the stop, at which price they left there, which touched the target, and the close."""

    falls: Flags
    left_at: Floats
    climbs: Flags
    close: Floats


_Next = Callable[[Floats], _Day]


def plain_odds(
    past: Floats, *, stop: float, target: float, design: Design, method: Method, dice: np.random.Generator
) -> Odds:
    """The odds of one symbol.

    Args:
        past: [n, 4] open, high, low and close of past sessions over the close before, oldest first.
        stop: Fraction of the entry, below 1.
        target: Fraction of the entry, above 1.
        design: How paths are made.
        method: See `montecarlo.probabilities`.
        dice: Where the random numbers come from.
    """
    made = _resampled if method == "bootstrap" else _diffused
    price = np.ones(design.paths)
    stopped, reached = np.zeros((2, design.paths), dtype=bool)
    for following in made(past, stop, target, design, dice):
        day = following(price)
        falls = ~(stopped | reached) & day.falls
        climbs = ~(stopped | reached) & ~day.falls & day.climbs
        stopped, reached = stopped | falls, reached | climbs
        moved = np.where(falls, day.left_at, np.where(climbs, target, day.close))
        price = np.where((stopped | reached) & ~(falls | climbs), price, moved)
    return _measured(price - 1, stopped, reached)


def _resampled(past: Floats, stop: float, target: float, design: Design, dice: np.random.Generator) -> Iterator[_Next]:
    place = dice.integers(len(past), size=design.paths)

    def following(price: Floats) -> _Day:
        opened, high, low, close = (price * past[place, column] for column in (OPEN, HIGH, LOW, CLOSE))
        return _Day(low <= stop, np.minimum(stop, opened), high >= target, close)

    for _ in range(design.horizon_sessions):
        yield following
        fresh = dice.random(design.paths) < 1 / design.block_sessions
        place = np.where(fresh, dice.integers(len(past), size=design.paths), (place + 1) % len(past))


def _diffused(past: Floats, stop: float, target: float, design: Design, dice: np.random.Generator) -> Iterator[_Next]:
    returns = np.log(past[:, CLOSE])
    drift, deviation = returns.mean(), returns.std(ddof=1)
    variance = max(deviation**2, np.finfo(float).tiny)

    def following(price: Floats) -> _Day:
        close = price * np.exp(drift + deviation * dice.standard_normal(design.paths))
        below, above = (2 * np.log(price / level) * np.log(close / level) / variance for level in (stop, target))
        falls = (close <= stop) | (dice.random(design.paths) < np.exp(-np.maximum(below, 0)))
        climbs = (close >= target) | (dice.random(design.paths) < np.exp(-np.maximum(above, 0)))
        return _Day(falls, np.full(design.paths, stop), climbs, close)

    for _ in range(design.horizon_sessions):
        yield following


def _measured(returns: Floats, stopped: Flags, reached: Flags) -> Odds:
    paths = len(returns)
    p_target, p_stop = float(reached.mean()), float(stopped.mean())
    return Odds(
        p_target=p_target,
        p_stop=p_stop,
        p_neither=float((~(stopped | reached)).mean()),
        p_target_se=math.sqrt(p_target * (1 - p_target) / paths),
        p_stop_se=math.sqrt(p_stop * (1 - p_stop) / paths),
        expected_return=float(returns.mean()),
        expected_return_se=float(returns.std()) / math.sqrt(paths),
    )
