"""Exchange sessions of XNYS from a frozen table, so that no run pays the import of a calendar library.

The table (`xnys.csv`) lists every weekday without a session and every session with unusual hours, from `XNYS.first`
to `XNYS.last`; tests compare it with exchange_calendars and with the official tables. Weekends are never sessions.
"""

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from trading_assets.core.errors import NotASession, OutOfCalendar

NEW_YORK = ZoneInfo("America/New_York")
REGULAR_OPEN = time(9, 30)
REGULAR_CLOSE = time(16, 0)
_SATURDAY = 5


@dataclass(frozen=True, slots=True, order=True)
class Session:
    """One trading day. `open` and `close` are UTC instants; bars and decisions belong to exactly one session."""

    day: date
    open: datetime
    close: datetime

    @property
    def key(self) -> str:
        """The partition key, YYYY-MM-DD."""
        return self.day.isoformat()

    @property
    def is_early_close(self) -> bool:
        """True when the exchange closes before 16:00 New York."""
        return self.close.astimezone(NEW_YORK).time() < REGULAR_CLOSE


@dataclass(frozen=True)
class Calendar:
    """Sessions between two days. Every method refuses days outside them instead of guessing."""

    first: date
    last: date
    closed: frozenset[date]
    hours: Mapping[date, tuple[time, time]]

    @cached_property
    def days(self) -> tuple[date, ...]:
        """All session days, ascending."""
        span = (self.last - self.first).days + 1
        every = (self.first + timedelta(days=n) for n in range(span))
        return tuple(day for day in every if day.weekday() < _SATURDAY and day not in self.closed)

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on `day`."""
        self._bounded(day)
        return day.weekday() < _SATURDAY and day not in self.closed

    def session(self, day: date) -> Session:
        """The session of `day`, or NotASession that names its neighbours."""
        if not self.is_session(day):
            near = f"{self.previous(day).day} or {self.next(day).day}"
            raise NotASession(f"{day} ({day:%A}) is not a session of XNYS", value=day, hint=f"use {near}")
        return self._session(day)

    def sessions(self, first: date, last: date) -> tuple[Session, ...]:
        """All sessions with first <= day <= last; empty when there is none."""
        self._bounded(first)
        self._bounded(last)
        days = self.days[bisect_left(self.days, first) : bisect_right(self.days, last)]
        return tuple(self._session(day) for day in days)

    def previous(self, day: date, count: int = 1) -> Session:
        """The count-th session strictly before `day`, which need not be a session itself."""
        return self._nth(bisect_left(self.days, day) - count, day)

    def next(self, day: date, count: int = 1) -> Session:
        """The count-th session strictly after `day`, which need not be a session itself."""
        return self._nth(bisect_right(self.days, day) + count - 1, day)

    def today(self, now: datetime) -> Session | None:
        """The session of the New York date of `now`, or None on a closed day."""
        day = now.astimezone(NEW_YORK).date()
        return self._session(day) if self.is_session(day) else None

    def last_closed(self, now: datetime) -> Session:
        """The newest session whose close is at or before `now`."""
        day = now.astimezone(NEW_YORK).date()
        if self.is_session(day) and self._session(day).close <= now:
            return self._session(day)
        return self.previous(day)

    def _nth(self, position: int, day: date) -> Session:
        if not 0 <= position < len(self.days):
            raise self._out_of_calendar(day)
        return self._session(self.days[position])

    def _session(self, day: date) -> Session:
        opens, closes = self.hours.get(day, (REGULAR_OPEN, REGULAR_CLOSE))
        return Session(day, _instant(day, opens), _instant(day, closes))

    def _bounded(self, day: date) -> None:
        if not self.first <= day <= self.last:
            raise self._out_of_calendar(day)

    def _out_of_calendar(self, day: date) -> OutOfCalendar:
        return OutOfCalendar(
            "the day is outside the frozen exchange calendar",
            value=day,
            bound=f"{self.first} to {self.last}",
            hint="python -m tests.core.make_xnys rebuilds trading_assets/core/xnys.csv",
        )


def days_of(sessions: Sequence[Session]) -> tuple[date, ...]:
    """The days of some sessions, in their order."""
    return tuple(session.day for session in sessions)


def _instant(day: date, local: time) -> datetime:
    return datetime.combine(day, local, NEW_YORK).astimezone(UTC)


def _load(path: Path) -> Calendar:
    with path.open(newline="") as file:
        rows = [(date.fromisoformat(row["day"]), row) for row in csv.DictReader(file)]
    bounds = {row["kind"]: day for day, row in rows if row["kind"] in {"first", "last"}}
    hours = {
        day: (time.fromisoformat(row["open"]), time.fromisoformat(row["close"]))
        for day, row in rows
        if row["kind"] == "hours"
    }
    closed = frozenset(day for day, row in rows if row["kind"] == "closed")
    return Calendar(bounds["first"], bounds["last"], closed, hours)


XNYS = _load(Path(__file__).with_name("xnys.csv"))
