"""Which lessons come to mind: the newest, the most unusual and the nearest to what is being decided.

A lesson's score is the sum of three numbers between 0 and 1. Recency halves every half-life of the lesson's layer, and the layer is
how unusual its return is among the lessons known by then: an ordinary trade fades in weeks, an extreme one in a year. Importance is
the same unusualness, relevance what the lesson has in common with the decision. Nothing that became knowable later has any part in
it, and a lesson that has nothing in common is never recalled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trading_assets.theses.memory.model import Lesson

LIMIT = 3
# Half-lives in days by the least |z| of the layer: shallow, intermediate and deep, as in FinMem (Yu et al., 2023).
LAYERS: tuple[tuple[float, float], ...] = ((2.0, 365.0), (1.0, 90.0), (0.0, 14.0))
Z_MAX = 3.0
SAME_SYMBOL, SAME_STRATEGY, SAME_REGIME, SAME_SECTOR = 0.4, 0.3, 0.2, 0.1
# Returns that differ by less do not differ: the rest is what adding floats leaves behind.
ROUNDING = 1e-12
_DAY_S = 86_400.0
_PLACES = 9


@dataclass(frozen=True, slots=True)
class Recalled:
    """A lesson with the reasons why it came to mind, each 0 to 1."""

    lesson: Lesson
    recency: float
    importance: float
    relevance: float

    @property
    def score(self) -> float:
        """Their sum."""
        return round(self.recency + self.importance + self.relevance, _PLACES)


def recall(
    lessons: Sequence[Lesson],
    *,
    symbol: str,
    strategy: str,
    regime: str,
    as_of: datetime,
    limit: int = LIMIT,
    sectors: Mapping[str, str] | None = None,
) -> tuple[Lesson, ...]:
    """The lessons that matter most to a decision, the most important first; equal scores by age, then by id.

    Args:
        lessons: In any order; those that were not knowable at `as_of` are invisible, whatever they say.
        symbol: What is being decided; "" for none, as are strategy and regime.
        sectors: Symbol to sector, where the sector is to count.
    """
    found = weighed(lessons, symbol=symbol, strategy=strategy, regime=regime, as_of=as_of, sectors=sectors)
    return tuple(each.lesson for each in found[:limit])


def weighed(
    lessons: Sequence[Lesson],
    *,
    symbol: str,
    strategy: str,
    regime: str,
    as_of: datetime,
    sectors: Mapping[str, str] | None = None,
) -> tuple[Recalled, ...]:
    """All lessons that have something in common with the decision, with their scores; see `recall`."""
    known = known_by(lessons, as_of)
    unusual = _unusualness(known)
    recalled = []
    for lesson in known:
        relevance = _relevance(lesson, symbol, strategy, regime, sectors or {})
        if relevance > 0:
            z = unusual[lesson.id]
            recalled.append(Recalled(lesson, _recency(lesson, z, as_of), min(z, Z_MAX) / Z_MAX, relevance))
    return tuple(sorted(recalled, key=lambda each: (-each.score, -each.lesson.resolved_at.timestamp(), each.lesson.id)))


def known_by(lessons: Sequence[Lesson], as_of: datetime) -> tuple[Lesson, ...]:
    """What was knowable at an instant, oldest first; a trade's lesson counts once."""
    known = {lesson.id: lesson for lesson in lessons if lesson.resolved_at <= as_of}
    return tuple(sorted(known.values(), key=lambda lesson: (lesson.resolved_at, lesson.id)))


def short_term(lessons: Sequence[Lesson], *, symbol: str, as_of: datetime, limit: int = LIMIT) -> tuple[Lesson, ...]:
    """The last trades of one symbol, the newest first."""
    mine = [lesson for lesson in known_by(lessons, as_of) if lesson.symbol == symbol]
    return tuple(reversed(mine[-limit:] if limit else []))


def _unusualness(known: Sequence[Lesson]) -> Mapping[str, float]:
    """|z| of each lesson's return among the lessons; 0 for all where they do not differ."""
    if not known:
        return {}
    mean = math.fsum(lesson.return_fraction for lesson in known) / len(known)
    deviation = math.sqrt(math.fsum((lesson.return_fraction - mean) ** 2 for lesson in known) / len(known))
    return {
        lesson.id: abs(lesson.return_fraction - mean) / deviation if deviation > ROUNDING else 0.0 for lesson in known
    }


def _recency(lesson: Lesson, z: float, as_of: datetime) -> float:
    half_life = next(days for least, days in LAYERS if z >= least)
    age = (as_of - lesson.resolved_at).total_seconds() / _DAY_S
    return float(2.0 ** (-age / half_life))


def _relevance(lesson: Lesson, symbol: str, strategy: str, regime: str, sectors: Mapping[str, str]) -> float:
    sector = sectors.get(symbol)
    parts = (
        (SAME_SYMBOL, lesson.symbol == symbol),
        (SAME_STRATEGY, lesson.strategy == strategy),
        (SAME_REGIME, lesson.regime == regime),
        (SAME_SECTOR, sector is not None and sectors.get(lesson.symbol) == sector),
    )
    return math.fsum(weight for weight, same in parts if same)
