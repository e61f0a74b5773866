"""The parts of a trading day: what each session asks for, from when, until when it still makes sense, and when again.

Everything here is computed from the calendar and the settings. A half-day is an entry of the calendar: every part of its
session moves with it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

from trading_assets.core.calendar import NEW_YORK, REGULAR_CLOSE, REGULAR_OPEN, Calendar, Session
from trading_assets.core.operations import OperationsSettings
from trading_assets.core.settings import Decisions
from trading_assets.core.slots import slots_of

PartName = Literal[
    "facts", "opinions", "slot", "look", "review", "flatness", "postclose", "report", "weekly", "evolve", "housekeep"
]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)
# Weeks are counted from a Monday that never moves: a desk that is started anew works in the same weeks.
WEEK_ONE = date(2000, 1, 3)
FLAT_AFTER = timedelta(minutes=1)
POSTCLOSE_AGAIN = (timedelta(minutes=30), timedelta(minutes=90))
_WEEK = timedelta(days=7)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a session's day.

    Args:
        session: Whose day it belongs to.
        at: When it is due, UTC.
        until: When it makes no sense any more: not asked for from then on, and recorded as missed.
        label: Which one, where a session has several: New York HH:MM.
        again: Later instants at which it is asked for once more if it is not done by then, ascending.
    """

    name: PartName
    session: Session
    at: datetime
    until: datetime
    label: str = ""
    again: tuple[datetime, ...] = ()

    @property
    def key(self) -> str:
        """What names it in ledger, tags and journal."""
        return "/".join(part for part in (self.name, self.session.key, self.label) if part)

    def tick(self, as_of: datetime) -> datetime | None:
        """The newest instant at which it was to be asked for; None before it is due."""
        return max((tick for tick in (self.at, *self.again) if tick <= as_of), default=None)


@dataclass(frozen=True, slots=True)
class Outline:
    """What the parts of a day depend on.

    Args:
        names: Parts that somebody can run: those that have a job.
        dispatches: Whether orders rest at a broker: then the book is proven flat right after the close.
    """

    calendar: Calendar
    operations: OperationsSettings
    decisions: Decisions
    names: Collection[PartName]
    dispatches: bool

    def parts_of(self, session: Session) -> tuple[Part, ...]:
        """Every part of one session, in order of time."""
        every = (*self._morning(session), *self._session(session), *self._evening(session))
        return tuple(sorted((part for part in every if part.name in self.names), key=lambda part: part.at))

    def is_weekly(self, session: Session) -> bool:
        """Whether the weekly desk works after this session: a run day, or the last session before one that is closed."""
        weekly = self.operations.weekly
        if not weekly.enabled:
            return False
        following = self.calendar.next(session.day).day
        days = (session.day + timedelta(days=n) for n in range((following - session.day).days))
        return any(
            day.weekday() < len(_WEEKDAYS)
            and _WEEKDAYS[day.weekday()] in weekly.run_days
            and (day - WEEK_ONE).days // 7 % weekly.every_weeks == 0
            for day in days
        )

    def is_last_of_week(self, session: Session) -> bool:
        """Whether the next session lies in another week."""
        return _week_of(self.calendar.next(session.day).day) != _week_of(session.day)

    def is_first_of_month(self, session: Session) -> bool:
        """Whether the session before lies in another month."""
        return self.calendar.previous(session.day).day.month != session.day.month

    def postclose_at(self, session: Session) -> datetime:
        """When a session's post-close is due."""
        return session.close + timedelta(minutes=self.operations.day.postclose_minutes)

    def _morning(self, session: Session) -> Iterator[Part]:
        """Asked for every few minutes until the open, while something is missing or refused."""
        day = self.operations.day
        begins = _at(session, time.fromisoformat(day.premarket_from))
        step = timedelta(minutes=day.premarket_every_minutes)
        ticks = [begins + n * step for n in range(max(0, -((begins - session.open) // step)))]
        if ticks:
            yield Part("facts", session, ticks[0], session.open, again=tuple(ticks[1:]))
            yield Part("opinions", session, ticks[0], session.open, again=tuple(ticks[1:]))

    def _session(self, session: Session) -> Iterator[Part]:
        slots, grace = slots_of(session, self.decisions.slots), self.decisions.grace
        ends = [*(slot.at for slot in slots[1:]), session.close]
        for slot, end in zip(slots, ends, strict=False):
            yield Part("slot", session, slot.at, min(slot.at + grace, end), slot.label)
        adaptor = self.operations.adaptor
        hours = range(adaptor.first_hour, adaptor.last_hour + 1) if adaptor.enabled else ()
        for at in (_at(session, time(hour, adaptor.minute)) for hour in hours):
            if session.open <= at < session.close:
                yield Part("review", session, at, min(at + grace, session.close), _label(at))

    def _evening(self, session: Session) -> Iterator[Part]:
        """Late is right for these, until the next of the kind takes their place."""
        at, following = self.postclose_at(session), self.calendar.next(session.day)
        replaced = self.postclose_at(following)
        if self.dispatches:
            yield Part("flatness", session, session.close + FLAT_AFTER, following.open)
        yield Part("postclose", session, at, replaced, again=tuple(at + later for later in POSTCLOSE_AGAIN))
        yield Part("report", session, at, replaced)
        if self.is_weekly(session):
            yield Part("weekly", session, at, at + self.operations.weekly.every_weeks * _WEEK)
        if self.operations.evolution.enabled and self.is_first_of_month(session):
            yield Part("evolve", session, at, at + 3 * _WEEK)
        if self.is_last_of_week(session):
            yield Part("housekeep", session, at, at + _WEEK)


def sessions_looked_at(calendar: Calendar, *, as_of: datetime, begun: date, back: int) -> tuple[Session, ...]:
    """Sessions whose parts are looked after: today's and the `back` before it, but none before the desk's first."""
    today = as_of.astimezone(NEW_YORK).date()
    newest = calendar.session(today) if calendar.is_session(today) else calendar.previous(today)
    first = max(calendar.previous(newest.day, back).day, begun)
    return calendar.sessions(first, newest.day) if first <= newest.day else ()


def crons(name: PartName, outline: Outline) -> list[str]:
    """When a part can become due, as cron lines in New York, over every kind of hours that the calendar knows."""
    kinds = {(REGULAR_OPEN, REGULAR_CLOSE), *outline.calendar.hours.values()}
    example = outline.calendar.days[-30]
    ticks: set[time] = set()
    for opens, closes in kinds:
        session = Session(example, _on(example, opens), _on(example, closes))
        parts = (*outline._morning(session), *outline._session(session), *outline._evening(session))
        ticks |= {
            instant.astimezone(NEW_YORK).time()
            for part in parts
            if part.name == name
            for instant in (part.at, *part.again)
        }
    return [f"{tick.minute} {tick.hour} * * 1-5" for tick in sorted(ticks)]


def _at(session: Session, local: time) -> datetime:
    return _on(session.day, local)


def _on(day: date, local: time) -> datetime:
    return datetime.combine(day, local, NEW_YORK).astimezone(UTC)


def _label(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M}"


def _week_of(day: date) -> tuple[int, int]:
    year, week, _ = day.isocalendar()
    return year, week
