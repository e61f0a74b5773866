"""One decision run for each due slot.

Problem: Dagster's run key is not exactly-once when two daemons run, a retried run asks again, and the schedule asks at the same
moment. Decision: whoever asks claims the slot in the ledger first, and only while it has no decision; the unique index on
(book, session, slot) makes a second decision impossible whoever starts one. A slot whose run failed is not asked for again.
Remaining gap: a claim whose run was lost on the way is noticed after 45 seconds; two runs may then start, and the later one
fails on the index.

Each look is also the daemon's sign of life, where somebody watches for it: a sensor that is looked at proves that the daemon
runs.
"""

import hashlib
import importlib.metadata
import logging
import os
from datetime import datetime

import dagster as dg

from resources.day.looking import DayLook, outline_of
from resources.desk import DESK, DeskResource
from resources.telemetry.ticking import begun, tick
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.settings import config_folder
from trading_assets.core.slots import NoSlot, due_slot
from trading_assets.jobs import DECIDE, request_of

DAEMON = "daemon"
_LOG = logging.getLogger("desk.sensors")


@dg.sensor(
    job_name=DECIDE,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    tags={"desk/role": "asks"},
    description="Asks for one decision run for each due slot of the session; out of hours it says why it waits.",
)
def decision_slots(context: dg.SensorEvaluationContext, desk: DeskResource) -> dg.RunRequest | dg.SkipReason:
    """The shell: the due slot is claimed and asked for, unless it is decided or somebody asked before."""
    begun_ns, now = begun(), desk.clock().now()
    beat(desk, now)
    decisions = desk.settings().decisions
    due = due_slot(XNYS, decisions.slots, as_of=now, grace=decisions.grace)
    if isinstance(due, NoSlot):
        return dg.SkipReason(due.reason)
    look = DayLook(desk, outline_of(desk, {"slot"}), context.instance).look(as_of=now, asks={"slot"}, records=False)
    if not look.asked:
        return dg.SkipReason(look.why)
    [one] = look.asked
    tick(DESK, one.part.session.day, one.part.label, begun_ns)
    return request_of(one.part, one.claim, one.span)


def beat(desk: DeskResource, now: datetime) -> None:
    """Says that the daemon lives, under which program and limits; nothing where no order of the desk rests at a broker.

    A ledger that cannot be written is no reason to skip a slot: a sign that is missing is what the watchdog looks for.
    """
    if not desk.execution().dispatches:
        return
    from resources.ledger.state import Heartbeats

    try:
        Heartbeats(desk.engine(DESK)).beat(
            DAEMON,
            pid=os.getpid(),
            state="looking for slots",
            as_of=now,
            version=importlib.metadata.version("dagster-trading-desk"),
            limits_hash=hashlib.sha256((config_folder() / "preferences.yaml").read_bytes()).hexdigest(),
        )
    except DeskError as refused:
        _LOG.warning("the daemon could not say that it lives: %s", refused)
