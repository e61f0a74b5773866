"""One-minute bars that add up to the daily bar exactly: a bridge through its open, high, low and close, in whole cents."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.market.daily import Life
from simulation.market.regimes import Floats
from simulation.market.streams import dice
from simulation.market.timeline import timeline

Cents = NDArray[np.int64]

_RANGE_OF_A_WALK = 1.6
_WICK = 0.6
_PAUSE_MIN, _PAUSE_END = 5, 11
_FIRST_JUMP_MINUTE, _LAST_JUMP_BEFORE_END = 20, 40
_OPENING, _OPENING_MINUTES = 2.2, 20.0
_CLOSING, _CLOSING_MINUTES = 1.4, 15.0
_RUSH, _RUSH_BARS = 6.0, 10
_VOLUME_NOISE = 0.4


@dataclass(frozen=True, slots=True)
class Minutes:
    """The minute bars of some sessions of one symbol, in order of time.

    Args:
        numbers: Session number of each bar.
        places: Minute within the session, from 0.
        prices: Shape (4, bars): open, high, low, close in cents.
        volume: Whole shares, at least 1.
    """

    numbers: Cents
    places: Cents
    prices: Cents
    volume: Cents

    def merged(self, length: int) -> "Minutes":
        """Bars of `length` minutes, counted from the session's open; a stretch without a minute bar has none."""
        buckets = self.places // length
        begins = np.flatnonzero(np.diff(self.numbers * 1000 + buckets, prepend=-1))
        ends = np.append(begins[1:], buckets.size) - 1
        opened, high, low, closed = self.prices
        prices = np.stack(
            [opened[begins], np.maximum.reduceat(high, begins), np.minimum.reduceat(low, begins), closed[ends]]
        )
        volume = np.add.reduceat(self.volume, begins)
        return Minutes(self.numbers[begins], buckets[begins] * length, prices, volume)


def minutes_of(seed: int, symbol: str, life: Life, numbers: Sequence[int]) -> Minutes:
    """The minute bars of the given sessions, in all of which the symbol trades."""
    days = [_day(seed, symbol, life, number) for number in numbers]
    return Minutes(
        np.repeat(np.array(numbers, dtype=np.int64), [day.places.size for day in days]),
        np.concatenate([day.places for day in days]),
        np.concatenate([day.prices for day in days], axis=1),
        np.concatenate([day.volume for day in days]),
    )


def pause_after_jump(seed: int, symbol: str, number: int) -> range:
    """The minutes of a session that a pause takes after its jump; the jump is in the minute before them."""
    die = dice(seed, "pause", symbol, number)
    jump = int(die.integers(_FIRST_JUMP_MINUTE, timeline().minutes[number] - _LAST_JUMP_BEFORE_END))
    return range(jump + 1, jump + 1 + int(die.integers(_PAUSE_MIN, _PAUSE_END)))


@dataclass(frozen=True, slots=True)
class _Bar:
    """The daily bar that the minutes must add up to, and the place of its jump among the bars, if it has one."""

    open: int
    high: int
    low: int
    close: int
    jump: float
    jump_bar: int


@dataclass(frozen=True, slots=True)
class _Day:
    places: Cents
    prices: Cents
    volume: Cents


def _day(seed: int, symbol: str, life: Life, number: int) -> _Day:
    place, count = number - life.first, int(timeline().minutes[number])
    jump = float(life.jumps[place])
    pause = pause_after_jump(seed, symbol, number) if jump else range(0)
    places = np.concatenate([np.arange(pause.start), np.arange(pause.stop, count)]) if jump else np.arange(count)
    opened, high, low, closed = life.prices[:, place].tolist()
    bar = _Bar(opened, high, low, closed, jump, pause.start - 1 if jump else -1)
    die = dice(seed, "minutes", symbol, number)
    noise = die.standard_normal((4, places.size))
    prices = _bars(bar, _points(bar, noise[0], die.random(2)), noise[1:3])
    return _Day(places, prices, _shares(int(life.volume[place]), places, count, noise[3], bar.jump_bar))


def _points(bar: _Bar, noise: Floats, luck: Floats) -> Cents:
    """Prices at the minutes' borders: a walk pinned to open, high, low, close and jump, folded back into the day's range."""
    anchors = _with_jump(bar, noise.size, luck) if bar.jump else _without_jump(bar, noise.size, luck)
    at = np.array(sorted(anchors))
    pinned = np.array([anchors[place] for place in at.tolist()], dtype=np.float64)
    walk = np.concatenate(([0.0], np.cumsum(noise))) * _step(bar, noise.size)
    path = walk + np.interp(np.arange(noise.size + 1), at, pinned - walk[at])
    path = np.where(path > bar.high, 2 * bar.high - path, path)
    path = np.where(path < bar.low, 2 * bar.low - path, path)
    whole: Cents = np.clip(np.rint(path), bar.low, bar.high).astype(np.int64)
    return whole


def _step(bar: _Bar, count: int) -> float:
    """Deviation of one minute, cents: a walk of n steps spans about 1.6 × sqrt(n) of them."""
    return float((bar.high - bar.low) / (_RANGE_OF_A_WALK * np.sqrt(count)))


def _without_jump(bar: _Bar, count: int, luck: Floats) -> dict[int, int]:
    """Border to price. Extremes are near the ends more often than in the middle, and near the end that is closer in price."""
    early = np.sin(luck * np.pi / 4) ** 2
    top, bottom = (1 + (early * (count - 2))).astype(np.int64).tolist()
    top = top if bar.high - bar.open < bar.high - bar.close else count - top
    bottom = bottom if bar.open - bar.low <= bar.close - bar.low else count - bottom
    if top == bottom:
        bottom = bottom + 1 if bottom < count - 1 else bottom - 1
    return {0: bar.open, top: bar.high, bottom: bar.low, count: bar.close}


def _with_jump(bar: _Bar, count: int, luck: Floats) -> dict[int, int]:
    """Border to price: what the jump leaves of the day's move is spread evenly; one extreme before it and the other after it."""
    drift = np.log(bar.close / bar.open) - bar.jump
    before = bar.open * np.exp(drift * bar.jump_bar / count)
    after = before * np.exp(bar.jump)
    start, end = np.clip(np.rint([before, after]), bar.low, bar.high).astype(int).tolist()
    earlier = 1 + int(luck[0] * (bar.jump_bar - 1))
    later = bar.jump_bar + 2 + int(luck[1] * (count - bar.jump_bar - 2))
    bottom, top = (earlier, later) if bar.jump > 0 else (later, earlier)
    return {0: bar.open, bar.jump_bar: start, bar.jump_bar + 1: end, top: bar.high, bottom: bar.low, count: bar.close}


def _bars(bar: _Bar, points: Cents, noise: Floats) -> Cents:
    opened, closed = points[:-1], points[1:]
    wicks = np.rint(np.abs(noise) * _WICK * _step(bar, closed.size)).astype(np.int64)
    high = np.minimum(np.maximum(opened, closed) + wicks[0], bar.high)
    low = np.maximum(np.minimum(opened, closed) - wicks[1], bar.low)
    return np.stack([opened, high, low, closed])


def _shares(total: int, places: Cents, count: int, noise: Floats, jump_bar: int) -> Cents:
    """The day's volume over its minutes: much at both ends, most after a jump; whole shares that add up."""
    opening = _OPENING * np.exp(-places / _OPENING_MINUTES)
    closing = _CLOSING * np.exp(-(count - 1 - places) / _CLOSING_MINUTES)
    weights = (1 + opening + closing) * np.exp(_VOLUME_NOISE * np.clip(noise, -2.5, 2.5))
    if jump_bar >= 0:
        weights[jump_bar : jump_bar + _RUSH_BARS] *= _RUSH
    filled = np.cumsum(weights)
    edges: Cents = np.rint(total * (filled / filled[-1])).astype(np.int64)
    return np.diff(edges, prepend=0)
