"""After which sessions the weekly desk works: what the day's plan says, asked over ranges."""

from datetime import date

from trading_assets.core.calendar import XNYS
from trading_assets.core.day import Outline
from trading_assets.core.errors import OutOfCalendar
from trading_assets.core.operations import OperationsSettings
from trading_assets.core.ports import Span
from trading_assets.core.settings import Decisions

_LONGEST = 80
"""Sessions: thirteen weeks have 65, and a closed week more does not reach it."""


def outline_of(operations: OperationsSettings, decisions: Decisions) -> Outline:
    """The plan of the day, asked about run days only."""
    return Outline(XNYS, operations, decisions, names=(), dispatches=False)


def runs_in(outline: Outline, span: Span) -> tuple[date, ...]:
    """The sessions of a span after which the weekly desk works; none while it is switched off."""
    return tuple(s.day for s in outline.calendar.sessions(span.first, span.last) if _works(outline, s.day))


def next_run(outline: Outline, day: date) -> date:
    """The first run session after a day; the session after it where none comes, so that nothing stays valid for ever."""
    following = day
    for _ in range(_LONGEST):
        try:
            following = outline.calendar.next(following).day
        except OutOfCalendar:
            return following
        if _works(outline, following):
            return following
    return outline.calendar.next(day).day


def run_before(outline: Outline, day: date) -> date:
    """The last run session before a day, or the one so long ago that no portfolio before it is still waited for."""
    earlier = day
    for _ in range(_LONGEST):
        try:
            earlier = outline.calendar.previous(earlier).day
        except OutOfCalendar:
            return earlier
        if _works(outline, earlier):
            return earlier
    return earlier


def ends_on(made: date, horizon_sessions: int) -> date | None:
    """The session so many after another; None beyond the calendar."""
    place = XNYS.days.index(made) + horizon_sessions
    return XNYS.days[place] if place < len(XNYS.days) else None


def _works(outline: Outline, day: date) -> bool:
    try:
        return outline.is_weekly(outline.calendar.session(day))
    except OutOfCalendar:
        return False
