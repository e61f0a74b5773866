"""Whether the desk may open anything now, as far as its other processes are concerned: they must live, and say so themselves."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from resources.ledger.dispatch_reading import read_snapshot
from resources.ledger.engine import reading
from resources.ledger.halt_file import HaltFile
from resources.ledger.state import Heartbeat, Heartbeats
from trading_assets.broker.settings import ExecutionSettings

BOOK = "desk"


def standing_of(engine: sa.Engine, home: Path, settings: ExecutionSettings, *, now: datetime) -> str:
    """Every reason why nothing may be opened, in one line; empty when there is none."""
    return "; ".join(_reasons(engine, home, settings, now))


def _reasons(engine: sa.Engine, home: Path, settings: ExecutionSettings, now: datetime) -> Iterator[str]:
    noted = HaltFile(home).read()
    if noted is not None:
        yield f"the halt file says: {noted.cause}"
    beats = Heartbeats(engine).ages(as_of=now)
    watch = settings.watch
    bounds = {"gateway": watch.gateway_seconds, "watchdog": watch.watchdog_seconds}
    for process, seconds in bounds.items():
        yield from _silent(process, beats.get(process), timedelta(seconds=seconds))
    with reading(engine) as connection:
        told = read_snapshot(connection, BOOK)
    if told is None or not told.agrees:
        yield "no complete snapshot of the broker" if told is None else "ledger and broker disagree"


def _silent(process: str, beat: Heartbeat | None, bound: timedelta) -> Iterator[str]:
    """A process that lives may still say that nothing is to be opened."""
    if beat is None:
        yield f"{process} has never given a sign of life: desk {process} starts it"
    elif not beat.is_fresh(bound):
        yield f"{process} gave its last sign of life {beat.age.total_seconds():.0f} s ago, bound {bound.total_seconds():.0f} s"
    elif (ruling := _ruling(beat.state)) != "ACTIVE":
        yield f"{process} says {ruling}"


def _ruling(state: str) -> str:
    """The first word of what a process says of the desk; one that says nothing readable allows nothing."""
    try:
        told = json.loads(state)
    except ValueError:
        return state or "nothing"
    return str(told.get("state", "nothing")) if isinstance(told, dict) else "nothing"
