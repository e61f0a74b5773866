"""The sessions in which the simulated market lives, as arrays: a session is a number from 0."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span

LIFE_FIRST = date(2004, 1, 2)
MINUTE_US = 60_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All sessions from 2004-01-02 to the end of the exchange calendar.

    Args:
        days: Session dates, ascending.
        dates: The same as datetime64[D].
        opens: UTC opens in microseconds since 1970, int64.
        closes: UTC closes, likewise.
        minutes: Trading minutes of each session: 390, or 210 on an early close.
    """

    days: tuple[date, ...]
    dates: NDArray[np.datetime64]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    minutes: NDArray[np.int64]

    @property
    def length(self) -> int:
        """Number of sessions."""
        return len(self.days)

    def numbers(self, span: Span) -> range:
        """The session numbers within a span; empty when it holds no session of this market's life."""
        return range(bisect_left(self.days, span.first), bisect_right(self.days, span.last))

    def number(self, day: date) -> int:
        """The number of the first session on or after `day`."""
        return bisect_left(self.days, day)


@cache
def timeline() -> Timeline:
    """The one timeline of every simulated market."""
    sessions = XNYS.sessions(LIFE_FIRST, XNYS.last)
    opens = np.array([_microseconds(session.open) for session in sessions], dtype=np.int64)
    closes = np.array([_microseconds(session.close) for session in sessions], dtype=np.int64)
    days = tuple(session.day for session in sessions)
    return Timeline(days, np.array(days, dtype="datetime64[D]"), opens, closes, (closes - opens) // MINUTE_US)


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)
