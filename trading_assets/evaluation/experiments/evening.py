"""What an evening does with experiments: where each stands after a session, and which are over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from trading_assets.core.calendar import Calendar
from trading_assets.core.journal import Json
from trading_assets.core.parameters import Tuned
from trading_assets.evaluation.experiments.judging import Standing, moved_from, standings, verdict_of
from trading_assets.evaluation.experiments.measures import Record, measured
from trading_assets.evaluation.experiments.model import Ended, Registered

BROKEN = "a parameter under test was changed by something else"


@dataclass(frozen=True, slots=True)
class Evening:
    """Standings in order of session, experiment and arm, and the experiments that they end."""

    standings: tuple[Standing, ...]
    endings: tuple[Ended, ...]


def judged(
    registered: Sequence[Registered],
    record_of: Callable[[date], Record],
    tuned: Tuned,
    sessions: Sequence[date],
    *,
    now: datetime,
    calendar: Calendar,
) -> Evening:
    """Where every experiment stood after each of the sessions.

    An ended experiment has a standing up to its last session. One that ends now keeps its arms for the session in course: that one
    has begun under them.

    Args:
        record_of: The book's record as of a session's close.
        tuned: The book's parameters over time.
        now: Decides which session is in course.
    """
    live: dict[str, Registered] = {each.design.id: each for each in registered}
    told: list[Standing] = []
    endings: list[Ended] = []
    for session in sessions:
        due = [each for _, each in sorted(live.items()) if _in_time(each, session)]
        record = record_of(session) if due else None
        for each in due:
            found = _standings(each, record, tuned, session, calendar) if record is not None else ()
            told.extend(found)
            over = verdict_of(found) if each.running else None
            if over is not None:
                verdict, decided, sentence = over
                last = decided if verdict == "broken" else max(session, in_course(now, calendar))
                endings.append(Ended(each.design.id, last, verdict, BROKEN if verdict == "broken" else sentence))
                live[each.design.id] = replace(each, ended=endings[-1])
    return Evening(tuple(told), tuple(endings))


def in_course(now: datetime, calendar: Calendar) -> date:
    """The newest session that has opened."""
    today = calendar.today(now)
    return today.day if today is not None and today.open <= now else calendar.last_closed(now).day


def result_of(found: Sequence[Standing]) -> dict[str, Json]:
    """The numbers that an end is stored with, by arm."""
    kept = ("observations", "observations_control", "look", "estimate", "low", "high", "level", "verdict")
    return {each.arm: {name: each.row[name] for name in kept} for each in found}


def _in_time(registered: Registered, session: date) -> bool:
    ended = registered.ended
    return registered.design.first <= session and (ended is None or session <= ended.session)


def _standings(
    registered: Registered, record: Record, tuned: Tuned, session: date, calendar: Calendar
) -> tuple[Standing, ...]:
    design = registered.design
    broken = moved_from(design, tuned, session, calendar=calendar)
    found = measured(design.draft.measure, record)
    return standings(registered, found, session, calendar=calendar, broken=broken)
