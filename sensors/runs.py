"""Runs that end badly, or not at all.

Problem: a decision that fails at ten leaves the desk without one, and a run that hangs keeps the next slot from starting.
Decision: a failed run is journaled with its slot and told on the bus, once; nothing that can lead to an order is ever started
again by a sensor. A run that works longer than `runs.hang_minutes`, or a decision that is still at it when the grace of its
slot has passed twice or the next slot begins, is ended and told. Remaining gap: a run whose process cannot be reached is marked
as failed; should the process wake up, the ledger's index on the slot, the age of its signatures and the gateway's clock stand
in its way.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from resources.clock import RealClock
from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.settings import Decisions
from trading_assets.core.slots import slots_of

_SLOT, _PART = "desk/slot", "desk/part"
_LOG = logging.getLogger("desk.sensors")
_SENTENCE_MAX = 400
_IN_PROGRESS = (dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as the history tells of it. `started` is the machine's instant; `session` and `slot` are what it works on."""

    run_id: str
    job: str
    started: datetime
    session: date | None = None
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Hanging:
    """A run that is to be ended, and why."""

    run: Seen
    why: str


def hanging(
    runs: Sequence[Seen], *, as_of: datetime, machine: datetime, longest: timedelta, decisions: Decisions
) -> tuple[Hanging, ...]:
    """Runs that took too long by the machine's clock, or decide a slot whose time is over by the desk's."""
    found = []
    for run in runs:
        took = machine - run.started
        ends = _slot_ends(run, decisions)
        if took > longest:
            why = f"it has worked for {took.total_seconds() / 60:.1f} minutes, bound {longest.total_seconds() / 60:g}"
            found.append(Hanging(run, why))
        elif ends is not None and as_of >= ends:
            found.append(Hanging(run, f"its slot ended at {ends.astimezone(NEW_YORK):%H:%M:%S} New York"))
    return tuple(found)


def failure_of(job: str, slot: str, session: str, errors: Sequence[str]) -> tuple[str, str]:
    """Code and sentence of a failed run, for a person."""
    what = f"slot {slot} of {session}" if slot else session
    said = "; ".join(errors)[:_SENTENCE_MAX] or "no step said why"
    return f"{job} failed", f"{job} for {what or 'no session'} failed and is not started again by itself: {said}"


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "watches"},
    description="Tells of each run that failed: in the journal with its slot, on the bus, and so to the operator.",
)
def failed_runs(context: dg.RunFailureSensorContext, desk: DeskResource) -> None:
    """The shell around `failure_of`."""
    tell_failure(context, desk)


def tell_failure(context: dg.RunFailureSensorContext, desk: DeskResource) -> None:
    """Tells of one failed run; a second time changes nothing."""
    from resources.day.telling import Notice, tell

    run, now = context.dagster_run, desk.clock().now()
    session = session_of(run)
    errors = [_sentence(event) for event in context.get_step_failure_events()]
    errors = errors or [context.failure_event.message or ""]
    code, sentence = failure_of(run.job_name, run.tags.get(_SLOT, ""), session, errors)
    severe = run.job_name == "decide"
    notice = Notice(
        occasion=f"run/{run.run_id}",
        session=_day_of(session, now),
        severity="critical" if severe else "warning",
        code=code,
        sentence=sentence,
        body={"run": run.run_id, "slot": run.tags.get(_SLOT, ""), "part": run.tags.get(_PART, "")},
    )
    tell(desk.engine(DESK), DESK, [notice], as_of=now, files=desk.journal_files(DESK))


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "watches"},
    description="Ends runs that hang: too long by the clock, or deciding a slot whose time is over.",
)
def hanging_runs(context: dg.SensorEvaluationContext, desk: DeskResource) -> dg.SkipReason:
    """The shell around `hanging`."""
    ended = end_hanging(desk, context.instance, machine=RealClock().now())
    return dg.SkipReason("; ".join(ended) or "no run hangs")


def end_hanging(desk: DeskResource, instance: dg.DagsterInstance, *, machine: datetime) -> list[str]:
    """Ends what hangs, tells of it, and returns what was ended."""
    from resources.day.telling import Notice, tell

    now, operations = desk.clock().now(), desk.operations()
    longest = timedelta(minutes=operations.runs.hang_minutes)
    found = hanging(
        _in_progress(instance), as_of=now, machine=machine, longest=longest, decisions=desk.settings().decisions
    )
    notices = []
    for one in found:
        how = end_run(instance, one.run.run_id, one.why)
        what = f"slot {one.run.slot} of {one.run.session}" if one.run.slot else str(one.run.session or "no session")
        notices.append(
            Notice(
                occasion=f"hang/{one.run.run_id}",
                session=one.run.session or now.astimezone(NEW_YORK).date(),
                severity="critical",
                code=f"{one.run.job} hung",
                sentence=f"{one.run.job} for {what} was ended: {one.why}; {how}",
                body={"run": one.run.run_id, "slot": one.run.slot},
            )
        )
    tell(desk.engine(DESK), DESK, notices, as_of=now, files=desk.journal_files(DESK))
    return [notice.sentence for notice in notices]


def end_run(instance: dg.DagsterInstance, run_id: str, why: str) -> str:
    """Asks the run's process to end, and marks the run as failed where nobody can be asked; says which."""
    try:
        reached = instance.run_launcher.terminate(run_id)
    except Exception as refused:  # noqa: BLE001 - whatever a launcher raises, the run must not stay
        _LOG.warning("the launcher could not end run %s: %s", run_id, refused)
        reached = False
    run = instance.get_run_by_id(run_id)
    if reached or run is None or run.is_finished:
        return "its process was told to end"
    instance.report_run_failed(run, f"ended by the desk: {why}")
    return "its process could not be reached, the run is marked as failed"


def session_of(run: dg.DagsterRun) -> str:
    """The session that a run works on, the last one of a range; empty where it names none."""
    return run.tags.get("dagster/partition") or run.tags.get("dagster/asset_partition_range_end") or ""


def _in_progress(instance: dg.DagsterInstance) -> list[Seen]:
    """Runs that work. Walks over the past may take as long as they need."""
    records = instance.get_run_records(dg.RunsFilter(statuses=list(_IN_PROGRESS)))
    return [_seen(record) for record in records if record.dagster_run.job_name != "backtest"]


def _seen(record: dg.RunRecord) -> Seen:
    run = record.dagster_run
    begun = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else record.create_timestamp
    named = session_of(run)
    session = date.fromisoformat(named) if named else None
    return Seen(run.run_id, run.job_name, begun.replace(tzinfo=begun.tzinfo or UTC), session, run.tags.get(_SLOT, ""))


def _slot_ends(run: Seen, decisions: Decisions) -> datetime | None:
    """When the decision of a scheduled slot is too old: after twice its grace, or when the next slot begins, or at the close."""
    if not run.slot or run.session is None or not XNYS.is_session(run.session):
        return None
    session = XNYS.session(run.session)
    slots = slots_of(session, decisions.slots)
    at = next((slot.at for slot in slots if slot.label == run.slot), None)
    if at is None:
        return None
    following = next((slot.at for slot in slots if slot.at > at), session.close)
    return min(at + 2 * decisions.grace, following)


def _sentence(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error if event.is_step_failure else None
    while error is not None and error.cause is not None and str(error.cls_name).startswith("Dagster"):
        error = error.cause
    return " ".join(str(error.message).split()) if error is not None else (event.message or "")


def _day_of(session: str, now: datetime) -> date:
    return date.fromisoformat(session) if session else now.astimezone(NEW_YORK).date()
