"""Simulated returns of several symbols over the same horizon, drawn together.

The stationary bootstrap (Politis and Romano 1994) of each symbol's own closes over the close before, as in the watch-list. All
symbols of a session share one stream of random numbers, so that they draw the same place of their windows: windows without a
gap move as they moved together, and a symbol's own numbers do not depend on which others are asked. A window that lacks a
session is out of step by it. Random numbers are SplitMix64 by counter (Steele, Lea, Flood 2014), so that they are the same in
every process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from trading_assets.core.errors import PermanentFailure
from trading_assets.features.windows import Floats
from trading_assets.watchlist.montecarlo import Design, stream_keys
from trading_assets.watchlist.paths import CLOSE
from trading_assets.weekly.model import PLACES, QUANTILES

_GAMMA, _MIX_1, _MIX_2 = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_S11, _S27, _S30, _S31 = (np.uint64(n) for n in (11, 27, 30, 31))
_UNIT = 2.0**-53
_STREAM = "weekly portfolio"


@dataclass(frozen=True, slots=True)
class Draws:
    """[paths, sessions] where each path stands: whether a new block begins there, and where in the window, 0 to below 1."""

    begins: npt.NDArray[np.bool_]
    place: Floats


def draws_of(seed: int, session: date, design: Design) -> Draws:
    """The draws that all symbols of a session share."""
    key = stream_keys(seed, [session], [_STREAM], "bootstrap")
    shape = (design.paths, design.horizon_sessions, 2)
    units = uniform(key, np.arange(np.prod(shape), dtype=np.uint64)).reshape(shape)
    begins = units[:, :, 0] < 1 / design.block_sessions
    begins[:, 0] = True
    return Draws(begins, units[:, :, 1])


def uniform(key: npt.NDArray[np.uint64], counters: npt.NDArray[np.uint64]) -> Floats:
    """[n] numbers in [0, 1): the counter-th of SplitMix64 seeded with the key."""
    mixed = key + (counters + np.uint64(1)) * _GAMMA
    mixed = (mixed ^ (mixed >> _S30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _S27)) * _MIX_2
    mixed ^= mixed >> _S31
    return np.asarray((mixed >> _S11).astype(np.float64) * _UNIT)


def ends_of(relatives: Floats, draws: Draws) -> Floats:
    """[paths] the return of each path at its end, a fraction; PermanentFailure below two past sessions.

    Args:
        relatives: [n, 4] open, high, low and close of past sessions over the close before, oldest first.
        draws: Where paths begin their blocks.
    """
    closes = relatives[:, CLOSE]
    if closes.size < 2:
        raise PermanentFailure("a simulation needs at least two past returns", value=int(closes.size), bound=2)
    price, place = np.ones(len(draws.place)), np.zeros(len(draws.place), dtype=np.int64)
    for step in range(draws.place.shape[1]):
        fresh = (draws.place[:, step] * closes.size).astype(np.int64)
        place = np.where(draws.begins[:, step], fresh, (place + 1) % closes.size)
        price = price * closes[place]
    return price - 1.0


def measured(ends: Floats) -> Mapping[str, float]:
    """What the ends of the paths show: columns of WEEKLY_PORTFOLIO, rounded to 6 places."""
    p_loss, count = float((ends < 0).mean()), ends.size
    values = {
        "p_loss": p_loss,
        "p_loss_se": float(np.sqrt(p_loss * (1 - p_loss) / count)),
        "expected_return": float(ends.mean()),
        "expected_return_se": float(ends.std() / np.sqrt(count)),
        **dict(zip(QUANTILES, map(float, np.quantile(ends, list(QUANTILES.values()))), strict=True)),
    }
    return {name: round(value, PLACES) for name, value in values.items()}
