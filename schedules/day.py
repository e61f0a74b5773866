"""The schedules of a trading day: to the second on the machine's own clock, for every kind of hours that the calendar knows.

Each tick looks at the day as `day_parts` does and claims what it asks for, so the two never ask for the same run. A tick that
Dagster makes up for after a sleep is not the moment that it was for: it asks for nothing, and neither does one while the desk's
clock replays another day. The catch-up sensor does both.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from resources.day.looking import DayLook, outline_of
from resources.desk import DESK, DeskResource
from resources.telemetry.ticking import begun, tick
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.day import Outline, PartName, crons
from trading_assets.core.operations import load_operations
from trading_assets.core.settings import config_folder, load_settings
from trading_assets.jobs import ADAPT, DECIDE, PART_JOBS, POSTCLOSE, PREMARKET, request_of


def lateness(scheduled: datetime, now: datetime, bound: timedelta) -> str:
    """Why a tick may not ask for anything: it is not now that it was made for. Empty when it is."""
    apart = now - scheduled
    if abs(apart) <= bound:
        return ""
    shown = f"{now.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}"
    return f"the desk's clock shows {shown}, the tick is for {scheduled.astimezone(NEW_YORK):%Y-%m-%d %H:%M}: day_parts asks"


def ask_at(
    desk: DeskResource, instance: dg.DagsterInstance, scheduled: datetime, parts: Sequence[PartName]
) -> list[dg.RunRequest] | dg.SkipReason:
    """What a tick asks for, each part claimed."""
    begun_ns, now, outline = begun(), desk.clock().now(), outline_of(desk, PART_JOBS)
    late = lateness(scheduled, now, outline.operations.late)
    if late:
        return dg.SkipReason(late)
    look = DayLook(desk, outline, instance).look(as_of=max(now, scheduled), asks=parts, records=False)
    for one in look.asked:
        if one.part.name == "slot":
            tick(DESK, one.part.session.day, one.part.label, begun_ns)
    return [request_of(one.part, one.claim, one.span) for one in look.asked] or dg.SkipReason(look.why)


# Dagster wants a line even for reviews that are switched off: on New Year's Day the exchange is closed.
_NEVER = ["0 0 1 1 *"]


def _ticks(*names: PartName) -> list[str]:
    """Cron lines from the configuration at the time of loading; the sensor knows newer ones."""
    folder = config_folder()
    outline = Outline(XNYS, load_operations(folder), load_settings(folder).decisions, names, dispatches=False)
    return sorted({line for name in names for line in crons(name, outline)}, key=_time_of) or _NEVER


def _time_of(line: str) -> tuple[int, int]:
    minute, hour, *_ = line.split()
    return int(hour), int(minute)


@dg.schedule(
    job_name=PREMARKET,
    cron_schedule=_ticks("facts", "opinions"),
    execution_timezone="America/New_York",
    tags={"desk/role": "asks"},
    description="Prepares the session before the open: missing facts first, then documents, briefs and debate.",
)
def premarket_schedule(
    context: dg.ScheduleEvaluationContext, desk: DeskResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Facts of the session before, then opinions, every few minutes until they are there."""
    return ask_at(desk, context.instance, context.scheduled_execution_time, ("facts", "opinions"))


@dg.schedule(
    job_name=DECIDE,
    cron_schedule=_ticks("slot"),
    execution_timezone="America/New_York",
    tags={"desk/role": "asks"},
    description="Asks for each decision slot at its minute; decision_slots stands behind it.",
)
def slot_schedule(context: dg.ScheduleEvaluationContext, desk: DeskResource) -> list[dg.RunRequest] | dg.SkipReason:
    """The slot of this minute."""
    return ask_at(desk, context.instance, context.scheduled_execution_time, ("slot",))


@dg.schedule(
    job_name=POSTCLOSE,
    cron_schedule=_ticks("postclose"),
    execution_timezone="America/New_York",
    tags={"desk/role": "asks"},
    description="Facts, fills and metrics of the session after its close, an early one as well; again where that failed.",
)
def postclose_schedule(
    context: dg.ScheduleEvaluationContext, desk: DeskResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """The session that closed, with those before it that nobody closed."""
    return ask_at(desk, context.instance, context.scheduled_execution_time, ("postclose",))


@dg.schedule(
    job_name=ADAPT,
    cron_schedule=_ticks("review"),
    execution_timezone="America/New_York",
    tags={"desk/role": "asks"},
    description="Asks for the hourly review while the exchange is open.",
)
def review_schedule(context: dg.ScheduleEvaluationContext, desk: DeskResource) -> list[dg.RunRequest] | dg.SkipReason:
    """The review of this hour."""
    return ask_at(desk, context.instance, context.scheduled_execution_time, ("review",))


SCHEDULES = (premarket_schedule, slot_schedule, review_schedule, postclose_schedule)
