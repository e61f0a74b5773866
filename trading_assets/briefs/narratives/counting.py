"""What can be counted of a story without understanding it: how fast it is told, by how many, and how far it has gone.

The ladder of sources: one publisher tells it (nascent), several do (emerging), many or very often (peak), fewer than before
(declining), nobody any more (dead).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from trading_assets.briefs.narratives.model import Stage

STAGES: tuple[Stage, ...] = ("nascent", "emerging", "peak", "declining", "dead")
RECENT_SESSIONS, EARLIER_SESSIONS = 3, 7
_DEAD_AGE = 6
_FEW_ITEMS, _MANY_ITEMS, _MANY_PUBLISHERS = 2, 6, 4
_FADING = -0.25


@dataclass(frozen=True, slots=True)
class Counts:
    """Headlines of the last three sessions and of the seven before, the age of the newest in sessions, and the publishers."""

    recent: int
    earlier: int
    newest_age: int
    publishers: int
    source_diversity: float

    @property
    def items(self) -> int:
        """All headlines."""
        return self.recent + self.earlier

    @property
    def velocity(self) -> float:
        """Headlines a session now against before: (now - before) / (now + before), -1 to 1."""
        now, before = self.recent / RECENT_SESSIONS, self.earlier / EARLIER_SESSIONS
        return round((now - before) / (now + before), 6)

    @property
    def stage(self) -> Stage:
        """How far the story has gone."""
        if self.recent == 0:
            return "dead" if self.newest_age >= _DEAD_AGE else "declining"
        if self.publishers >= _MANY_PUBLISHERS or self.recent >= _MANY_ITEMS:
            return "peak" if self.velocity > _FADING else "declining"
        if self.velocity <= 0:
            return "declining"
        return "nascent" if self.publishers == 1 and self.items <= _FEW_ITEMS else "emerging"


def counted(ages: Sequence[int], publishers: Sequence[int]) -> Counts:
    """The counts of at least one headline: its age in sessions, 0 for the session at hand, and the number of its publisher."""
    recent = sum(age < RECENT_SESSIONS for age in ages)
    return Counts(
        recent=recent,
        earlier=len(ages) - recent,
        newest_age=min(ages),
        publishers=len(set(publishers)),
        source_diversity=diversity(publishers),
    )


def diversity(publishers: Sequence[int]) -> float:
    """Shannon's entropy of the publishers over its maximum: 0 for one publisher, 1 when every item has another one."""
    if len(publishers) < 2:
        return 0.0
    shares = [count / len(publishers) for count in Counter(publishers).values()]
    entropy = -sum(share * log(share) for share in sorted(shares))
    return min(1.0, max(0.0, round(entropy / log(len(publishers)), 6)))


def near(one: Stage, other: Stage) -> bool:
    """Whether two stages are the same or follow each other."""
    return abs(STAGES.index(one) - STAGES.index(other)) <= 1
