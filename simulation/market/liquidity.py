"""Liquidity: the usual spread, episodes of stress and of a leaning book, and the quotes of each minute."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from simulation.market.daily import Life
from simulation.market.minutes import Minutes
from simulation.market.model import Instrument
from simulation.market.regimes import Codes, Floats
from simulation.market.streams import dice
from simulation.market.timeline import timeline

NORMAL, STRESSED, BUYERS, SELLERS = range(4)
STRESS = 5.0
STRESSED_ABOVE = 2.0
NORM_SESSIONS = 20
_OF_REGIME = np.array([1.0, 1.0, 1.35, 0.85, 1.0])
_TICK = 0.01
_OPENING, _OPENING_MINUTES = 1.5, 15.0
_SPREAD_NOISE = 0.1
_GAP, _GAP_END = 40, 110
_LENGTH, _LENGTH_END = 2, 7
_LEAN = {NORMAL: (0.42, 0.58), STRESSED: (0.42, 0.58), BUYERS: (0.75, 0.85), SELLERS: (0.15, 0.25)}
_LEAN_NOISE = 0.05
_DEPTH_NOISE = 0.3
_THIN = 0.4
_DEPTH_OF_TURNOVER = 2e-4


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotes of minutes, in the order of the minute bars: prices in USD, depths in shares."""

    bid: Floats
    ask: Floats
    bid_depth: Floats
    ask_depth: Floats


def planted(seed: int, symbol: str) -> Codes:
    """The planted episode of each session: one of 2 to 6 sessions every 40 to 109, each kind as likely; normal between them."""
    die, length = dice(seed, "liquidity", symbol), timeline().length
    codes, number = np.zeros(length, dtype=np.int64), 0
    while number < length:
        number += int(die.integers(_GAP, _GAP_END))
        end = number + int(die.integers(_LENGTH, _LENGTH_END))
        codes[number:end] = int(die.integers(STRESSED, SELLERS + 1))
        number = end
    return codes


def liquidity_codes(one: Instrument, life: Life, episodes: Codes) -> Codes:
    """The liquidity regime of each session of a life.

    A session is stressed when its spread relative to the price, before noise, is more than twice the median of the 20
    sessions before: stress is planted, and a price that falls fast onto the one-cent tick has the same effect. In the first
    20 sessions there is no norm and no stress. Otherwise the planted side counts.
    """
    numbers = np.array(life.numbers)
    relative = _level(one, life, episodes) / (life.prices[0] / 100) * _mean_shapes()[timeline().minutes[numbers]]
    norm = np.full(relative.size, np.inf)
    if relative.size > NORM_SESSIONS:
        windows = np.lib.stride_tricks.sliding_window_view(relative, NORM_SESSIONS)[:-1]
        norm[NORM_SESSIONS:] = np.median(windows, axis=1)
    sides = np.where(episodes[numbers] == STRESSED, NORMAL, episodes[numbers])
    return np.where(relative > STRESSED_ABOVE * norm, STRESSED, sides)


def quotes_of(seed: int, one: Instrument, life: Life, episodes: Codes, minutes: Minutes) -> Quotes:
    """The quotes of the given minute bars, around the middle of each bar's open and close."""
    middle = (minutes.prices[0] + minutes.prices[3]) / 200
    numbers, begins = np.unique(minutes.numbers, return_index=True)
    counts = np.diff(np.append(begins, middle.size))
    drawn = [_drawn(seed, one, episodes, number, count) for number, count in zip(numbers, counts, strict=True)]
    noise, lean, crowd = (np.concatenate(part) for part in zip(*drawn, strict=True))
    spread = np.repeat(_level(one, life, episodes)[numbers - life.first], counts) * _shape(minutes.places) * noise
    spread = np.maximum(spread, _TICK)
    depth = _usual_depth(one, life)[minutes.numbers - life.first] * crowd
    return Quotes(
        np.round(middle - spread / 2, 4),
        np.round(middle + spread / 2, 4),
        np.maximum(np.rint(depth * lean), 1.0),
        np.maximum(np.rint(depth * (1 - lean)), 1.0),
    )


def _level(one: Instrument, life: Life, episodes: Codes) -> Floats:
    """The spread of each session of a life away from its opening, USD, before noise."""
    numbers = np.array(life.numbers)
    usual = np.maximum(_TICK, one.spread_bp * 1e-4 * life.prices[0] / 100)
    level: Floats = usual * _OF_REGIME[life.states] * np.where(episodes[numbers] == STRESSED, STRESS, 1.0)
    return np.maximum(level, _TICK)


def _shape(places: Codes) -> Floats:
    """The spread by minute of the session, in units of the usual one: 2.5 at the open, 1 later."""
    shape: Floats = 1 + _OPENING * np.exp(-places / _OPENING_MINUTES)
    return shape


@cache
def _mean_shapes() -> Floats:
    """The mean of the shape over a session of so many minutes, by that number."""
    shape = _shape(np.arange(int(timeline().minutes.max())))
    return np.cumsum(np.append(0.0, shape)) / np.maximum(1, np.arange(shape.size + 1))


def _usual_depth(one: Instrument, life: Life) -> Floats:
    shares: Floats = np.maximum(100.0, _DEPTH_OF_TURNOVER * one.turnover / (life.prices[0] / 100))
    return shares


def _drawn(seed: int, one: Instrument, episodes: Codes, number: int, count: int) -> tuple[Floats, Floats, Floats]:
    """Of one session's minutes: factors on the spread, shares of the depth on the bid side, factors on the depth."""
    die, episode = dice(seed, "quotes", one.symbol, int(number)), int(episodes[number])
    noise = np.clip(die.standard_normal((3, count)), -3, 3)
    lean = float(die.uniform(*_LEAN[episode])) + _LEAN_NOISE * noise[1]
    thin = _THIN if episode == STRESSED else 1.0
    return np.exp(_SPREAD_NOISE * noise[0]), np.clip(lean, 0.02, 0.98), thin * np.exp(_DEPTH_NOISE * noise[2])
