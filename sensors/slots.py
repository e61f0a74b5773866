"""One decision run for each due slot.

Problem: Dagster's run key is not exactly-once when two daemons run, and a retried run asks again. Decision: the sensor asks for
a run only while the ledger has no decision for the slot, and the ledger's unique index on (book, session, slot) makes a second
one impossible whoever starts it. Remaining gap: two runs may start; the later one fails on the index and changes nothing.

Each look is also the daemon's sign of life, where somebody watches for it: a sensor that is looked at proves that the daemon runs.
"""

import hashlib
import importlib.metadata
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.settings import Decisions, config_folder
from trading_assets.core.slots import NoSlot, Slot, due_slot
from trading_assets.jobs import DECIDE

DAEMON = "daemon"
_LOG = logging.getLogger("desk.sensors")


@dataclass(frozen=True, slots=True)
class AskForRun:
    """The slot to run, and the key that names it."""

    slot: Slot
    run_key: str


@dataclass(frozen=True, slots=True)
class Skip:
    """Why no run is asked for."""

    reason: str


def decide(decisions: Decisions, *, as_of: datetime, is_decided: Callable[[Slot], bool]) -> AskForRun | Skip:
    """Whether a run should start at `as_of`: the due slot, unless the ledger has its decision."""
    due = due_slot(XNYS, decisions.slots, as_of=as_of, grace=decisions.grace)
    if isinstance(due, NoSlot):
        return Skip(due.reason)
    if is_decided(due):
        return Skip(f"slot {due.label} of {due.session.day} is decided already")
    return AskForRun(due, f"{DESK}|{due.session.key}|{due.label}")


@dg.sensor(
    job_name=DECIDE,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Asks for one decision run for each due slot of the session; out of hours it says why it waits.",
)
def decision_slots(desk: DeskResource) -> dg.RunRequest | dg.SkipReason:
    """The shell around `decide`."""
    now = desk.clock().now()
    beat(desk, now)
    answer = decide(desk.settings().decisions, as_of=now, is_decided=lambda slot: _is_decided(desk, slot))
    if isinstance(answer, Skip):
        return dg.SkipReason(answer.reason)
    slot = answer.slot
    return dg.RunRequest(
        run_key=answer.run_key,
        partition_key=slot.session.key,
        run_config={"ops": {"desk_decisions": {"config": {"slot": slot.label}}}},
        tags={"desk/book": DESK, "desk/slot": slot.label},
    )


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


def _is_decided(desk: DeskResource, slot: Slot) -> bool:
    day = slot.session.day
    with desk.ledger(DESK).reading() as ledger:
        return any(decision.slot == slot.label for decision in ledger.decisions(day, day))
