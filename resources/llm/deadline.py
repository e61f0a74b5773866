"""How long a question may take, from the moment at which it has a place among those in flight."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

# A loop's timers may run this little too early.
_TICK_S = 0.001


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the event loop's clock (seconds); `at` is None where a question may take as long as its routes do."""

    at: float | None = None
    within: timedelta = timedelta(0)

    @classmethod
    def after(cls, within: timedelta | None) -> Deadline:
        """The deadline of a question that begins now."""
        return cls() if within is None else cls(asyncio.get_running_loop().time() + within.total_seconds(), within)

    @property
    def passed(self) -> bool:
        """Whether it is too late."""
        return self.at is not None and asyncio.get_running_loop().time() >= self.at - _TICK_S

    @property
    def sentence(self) -> str:
        """What is said of who did not keep it."""
        return f"no answer within {self.within.total_seconds():g} s"

    def mostly_spent_since(self, begun: float) -> bool:
        """Whether who began at that moment of the loop's clock had at least half of the time for itself."""
        return 2 * (asyncio.get_running_loop().time() - begun) >= self.within.total_seconds()
