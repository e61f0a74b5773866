"""Shares with exact intervals: what so many hits in so many trials allow one to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log

CONFIDENCE = 0.95
_HALVINGS = 50
_NOTHING = 1e-18


@dataclass(frozen=True, slots=True)
class Share:
    """Hits in trials, with the exact two-sided 95 % interval of Clopper and Pearson (Biometrika 26, 1934)."""

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        """The share; None without a trial."""
        return self.hits / self.count if self.count else None

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return bounds(self.hits, self.count)[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return bounds(self.hits, self.count)[1]


@dataclass(frozen=True, slots=True)
class Gap:
    """How much more often the first of two answers to a case is right, with a 95 % interval that is at least that sure.

    `gained` cases are right only in the first, `lost` only in the second; each of their shares has an exact 97.5 % interval, and
    the gap lies between the worst and the best that both allow together (Bonferroni).
    """

    gained: int
    lost: int
    count: int

    @property
    def value(self) -> float | None:
        """The difference of the two accuracies; None without a case."""
        return (self.gained - self.lost) / self.count if self.count else None

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self._bounds(self.gained)[0] - self._bounds(self.lost)[1]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self._bounds(self.gained)[1] - self._bounds(self.lost)[0]

    def _bounds(self, hits: int) -> tuple[float, float]:
        return bounds(hits, self.count, confidence=(1 + CONFIDENCE) / 2)


@lru_cache(maxsize=4096)
def bounds(hits: int, count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a share; (0, 1) without a trial."""
    if count == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else _root(lambda chance: at_least(hits, count, chance) - tail)
    high = 1.0 if hits == count else _root(lambda chance: tail - (1 - at_least(hits + 1, count, chance)))
    return low, high


def at_least(hits: int, count: int, chance: float) -> float:
    """The probability of so many hits or more in `count` trials of this chance."""
    if hits <= 0:
        return 1.0
    if chance <= 0:
        return 0.0
    if chance >= 1:
        return float(hits <= count)
    if hits > count * chance:
        return _far_tail(hits, count, chance)
    return 1.0 - _far_tail(count - hits + 1, count, 1 - chance)


def _far_tail(hits: int, count: int, chance: float) -> float:
    """So many hits or more, where they are more than expected: the terms only fall."""
    if hits > count:
        return 0.0
    term, total = exp(_log_probability(hits, count, chance)), 0.0
    while hits <= count and term > total * _NOTHING:
        total += term
        term *= (count - hits) / (hits + 1) * chance / (1 - chance)
        hits += 1
    return total


def _log_probability(hits: int, count: int, chance: float) -> float:
    ways = lgamma(count + 1) - lgamma(hits + 1) - lgamma(count - hits + 1)
    return ways + hits * log(chance) + (count - hits) * log(1 - chance)


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of 0 to 1 changes its sign."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2
