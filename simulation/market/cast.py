"""The cast: 600 instruments and the pairs among them, drawn from the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from simulation.market.model import Instrument, Pair
from simulation.market.streams import dice
from simulation.market.timeline import timeline

SIZE = 600
STEADY = 50
_SECTORS = (
    "Technology",
    "Financials",
    "Health Care",
    "Industrials",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Utilities",
    "Materials",
    "Real Estate",
    "Communication Services",
)
_PAIRED = range(10, STEADY)
_PAIRS, _BREAKING_PAIRS = 10, 5
_LATE, _LEAVES, _FAILS, _PAYS, _SPLITS, _HALTS = 0.25, 0.15, 0.5, 0.6, 0.9, 0.03
_LIFE_MIN = 500
_USUAL_TURNOVER = 80e6


@dataclass(frozen=True, slots=True)
class Cast:
    """Instruments by symbol, in order, and the pairs by their second leg."""

    instruments: Mapping[str, Instrument]
    pairs: Mapping[str, Pair]


def draw_cast(seed: int) -> Cast:
    """The cast of a seed. SIM000 to SIM049 live from the first session to the last; pairs are among SIM010 to SIM049.

    The second leg of a pair has its sector from the first.
    """
    alone = {symbol_of(number): _instrument(seed, number) for number in range(SIZE)}
    pairs = _pairs(seed)
    for pair in pairs:
        first, second = alone[pair.first], alone[pair.second]
        scale = first.scale * pair.hedge_ratio
        alone[pair.first] = replace(first, quiet=True, dividend=0.0)
        alone[pair.second] = replace(
            second, sector=first.sector, scale=scale, market_share=first.market_share, quiet=True, dividend=0.0
        )
    return Cast(MappingProxyType(alone), MappingProxyType({pair.second: pair for pair in pairs}))


def symbol_of(number: int) -> str:
    """SIM000 for 0."""
    return f"SIM{number:03}"


def _instrument(seed: int, number: int) -> Instrument:
    symbol = symbol_of(number)
    die = dice(seed, "cast", symbol)
    price = float(np.clip(np.exp(die.normal(np.log(60), 0.6)), 15, 180))
    turnover = float(np.exp(die.normal(np.log(_USUAL_TURNOVER), 1.0)))
    late, leaves, fails, pays, splits, halts = (
        die.random(6) < (_LATE, _LEAVES, _FAILS, _PAYS, _SPLITS, _HALTS)
    ).tolist()
    steady = number < STEADY
    first, last = _life(die.random(2), late=late and not steady, leaves=leaves and not steady)
    days = timeline().days
    return Instrument(
        symbol=symbol,
        sector=_SECTORS[int(die.integers(len(_SECTORS)))],
        scale=float(die.uniform(0.7, 1.4)),
        market_share=float(die.uniform(0.45, 0.75)),
        sector_share=float(die.uniform(0.2, 0.4)),
        first_price=round(price, 2),
        turnover=turnover,
        spread_bp=float(np.clip(4 * (_USUAL_TURNOVER / turnover) ** 0.3, 1.5, 20)),
        first=days[first],
        last=days[last],
        fails=fails and leaves and not steady,
        dividend=float(die.uniform(0.002, 0.008)) * pays,
        split_above=float(die.uniform(90, 200)) if splits else float("inf"),
        halts=halts and not steady,
        quiet=False,
    )


def _life(places: NDArray[np.float64], *, late: bool, leaves: bool) -> tuple[int, int]:
    """Numbers of the first and last session; at least 500 sessions lie between."""
    end = timeline().length - 1
    first = int(places[0] * (end - 2 * _LIFE_MIN)) if late else 0
    last = first + _LIFE_MIN + int(places[1] * (end - first - _LIFE_MIN)) if leaves else end
    return first, last


def _pairs(seed: int) -> tuple[Pair, ...]:
    die = dice(seed, "pairs")
    names = [symbol_of(number) for number in die.permutation(np.array(_PAIRED)).tolist()]
    ratios = die.uniform(0.8, 1.2, _PAIRS).tolist() + [1.0] * _BREAKING_PAIRS
    legs = zip(names[::2], names[1::2], ratios, strict=False)
    return tuple(Pair(first, second, ratio, n >= _PAIRS) for n, (first, second, ratio) in enumerate(legs))
