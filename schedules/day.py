"""The schedules of a trading day: pre-market and post-close, on sessions only.

The pre-market schedule ticks four times from 08:30 on: while yesterday's facts are missing or refused it asks for them again, and
when they are there it asks for the morning's documents and the briefs. Post-close ticks at 16:20 New York; a session that ended
early is simply older by then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.catalog import key_of
from trading_assets.core.calendar import NEW_YORK, XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.jobs import DOCUMENTS, FACTS, POSTCLOSE, PREMARKET
from trading_assets.regimes.model import REGIME_LABELS
from trading_assets.theses.model import OPINIONS, STANCES

AFTER_CLOSE = timedelta(minutes=20)
PREMARKET_TICKS = ["30 8 * * 1-5", "45 8 * * 1-5", "0 9 * * 1-5", "15 9 * * 1-5"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Partitions to make: the session, and whether its facts or its briefs."""

    session: Session
    what: str


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """Why a tick asks for nothing."""

    reason: str


def plan_premarket(*, as_of: datetime, facts_problem: str | None, briefs_exist: bool) -> Wanted | NothingToDo:
    """What a pre-market tick asks for; `facts_problem` says what is wrong with the facts of the session before."""
    session = XNYS.today(as_of)
    if session is None:
        return NothingToDo(f"{as_of.astimezone(NEW_YORK):%Y-%m-%d} is not a session")
    if facts_problem:
        return Wanted(XNYS.previous(session.day), "facts")
    if briefs_exist:
        return NothingToDo(f"the briefs for {session.day} exist")
    return Wanted(session, "briefs")


def plan_postclose(*, as_of: datetime) -> Wanted | NothingToDo:
    """The session whose close is at least twenty minutes old today."""
    session = XNYS.today(as_of)
    if session is None:
        return NothingToDo(f"{as_of.astimezone(NEW_YORK):%Y-%m-%d} is not a session")
    if as_of < session.close + AFTER_CLOSE:
        return NothingToDo(f"the session of {session.day} has not been closed for twenty minutes")
    return Wanted(session, "day")


@dg.schedule(
    job_name=PREMARKET,
    cron_schedule=PREMARKET_TICKS,
    execution_timezone="America/New_York",
    description="Prepares the session before the open: missing facts first, then the briefs.",
)
def premarket_schedule(context: dg.ScheduleEvaluationContext, desk: DeskResource) -> dg.RunRequest | dg.SkipReason:
    """The shell around `plan_premarket`."""
    now = context.scheduled_execution_time
    session = XNYS.today(now)
    problem = _facts_problem(desk, XNYS.previous(session.day)) if session else None
    plan = plan_premarket(as_of=now, facts_problem=problem, briefs_exist=bool(session and _briefed(desk, session)))
    if isinstance(plan, NothingToDo):
        return dg.SkipReason(plan.reason)
    keys = FACTS if plan.what == "facts" else [*DOCUMENTS, *(key_of(table, DESK) for table in OPINIONS)]
    return dg.RunRequest(
        run_key=f"{plan.session.key}|{plan.what}|{now:%H:%M}", partition_key=plan.session.key, asset_selection=keys
    )


@dg.schedule(
    job_name=POSTCLOSE,
    cron_schedule="20 16 * * 1-5",
    execution_timezone="America/New_York",
    description="Facts, fills and metrics of the session, twenty minutes after its close.",
)
def postclose_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """The shell around `plan_postclose`."""
    plan = plan_postclose(as_of=context.scheduled_execution_time)
    if isinstance(plan, NothingToDo):
        return dg.SkipReason(plan.reason)
    return dg.RunRequest(run_key=plan.session.key, partition_key=plan.session.key)


def _facts_problem(desk: DeskResource, session: Session) -> str | None:
    from trading_assets.signatures.gates import FactGate

    span, lake = Span(session.day, session.day), desk.lake()
    if session.day not in lake.versions(REGIME_LABELS, span):
        return f"there are no regime labels of {session.day}"
    return FactGate.load(lake, desk.gates(), span).problem(session.day)


def _briefed(desk: DeskResource, session: Session) -> bool:
    return session.day in desk.lake().versions(STANCES, Span(session.day, session.day), lane=DESK)
