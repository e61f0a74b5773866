"""The catch-up of the day: what is due, not done and not asked for is asked for, whatever its schedule did.

Problem: a schedule does not tick while the machine sleeps or the daemon is dead, and never on a replayed clock. Decision: one
sensor looks at every part of the day through the same pure functions as the schedules. On the machine's own clock it leaves
each part to its schedule for `day.late_minutes`; on a replay it asks at once. A claim in the ledger makes one run of whatever
asks at the same moment. A slot or a review whose time is over is recorded as missed, in the journal and on the bus, and never
runs late; facts, post-close, report and weekly work are made up for. Remaining gap: a claim whose run was lost on the way is
noticed after 45 seconds.
"""

from datetime import timedelta

import dagster as dg

from resources.clock import RealClock
from resources.day.looking import DayLook, Look, outline_of
from resources.desk import DeskResource
from trading_assets.core.day import PART_NAMES
from trading_assets.jobs import JOBS, PART_JOBS, request_of

# Slots have a sensor of their own, which is also the daemon's sign of life.
ASKED_HERE = tuple(name for name in PART_NAMES if name in PART_JOBS and name != "slot")
_NAMES = {PART_JOBS[name] for name in ASKED_HERE}


@dg.sensor(
    jobs=[job for job in JOBS if job.name in _NAMES],
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "asks"},
    description="Asks for every part of the day that is due and that nobody asked for; records what was missed.",
)
def day_parts(context: dg.SensorEvaluationContext, desk: DeskResource) -> dg.SensorResult | dg.SkipReason:
    """The shell around `DayLook`."""
    look = look_for_all(desk, context.instance)
    if not look.asked:
        return dg.SkipReason(look.why)
    return dg.SensorResult(run_requests=[request_of(one.part, one.claim, one.span) for one in look.asked])


def look_for_all(desk: DeskResource, instance: dg.DagsterInstance) -> Look:
    """One look at the whole day."""
    clock, outline = desk.clock(), outline_of(desk, PART_JOBS)
    late = outline.operations.late if isinstance(clock, RealClock) else timedelta(0)
    return DayLook(desk, outline, instance).look(as_of=clock.now(), asks=ASKED_HERE, records=True, patience=late)
