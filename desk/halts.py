"""`desk halt` and `desk resume`: the operator's hand on a book.

A halt must work when nothing else does: where the ledger cannot be written it stands in a file, and that file halts as well. Only a
row has a number, so the file becomes a row before anybody can lift it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from desk.output import say
from desk.runner import prepare_home
from resources.clock import desk_clock
from resources.ledger.halt_file import FileHalt, HaltFile
from resources.notify.model import plain
from trading_assets.core.errors import DeskError, PermanentFailure
from trading_assets.core.settings import desk_home
from trading_assets.execution.ports import Halt

if TYPE_CHECKING:
    from resources.desk import DeskResource
    from resources.ledger.store import SqlLedger

DESK = "desk"
LEDGER_URL = "LEDGER_URL"
WAIT_MS = 500
OPERATOR = "operator"
_FROM_FILE = "halt file: "


def run_halt(lane: str, reason: str) -> None:
    """Halts a book; from now on it only closes positions.

    A ledger that does not answer within `WAIT_MS` does not stop a halt: it is left in a file. Dagster is not imported: whoever
    halts is in a hurry.
    """
    home, now, cause = prepare_home(), desk_clock().now(), f"{OPERATOR}: {reason}"
    try:
        with _hasty_ledger(lane) as ledger:
            halt = _added(ledger, cause, now)
    except DeskError as refused:
        if lane != DESK:
            raise
        file = HaltFile(home.root)
        standing = file.write(cause, OPERATOR, now)
        say(f"the ledger cannot be written: {refused}")
        say(plain(f"the desk is halted by the file {file.path}: {standing.cause}"))
        say("desk status gives it a number as soon as the ledger can be written; desk resume lifts it by that number")
        return
    say(f'book {lane} is halted; desk resume {halt.id} "reason" lifts it')


def run_resume(lane: str, halt_id: int, reason: str) -> None:
    """Lifts the oldest open halt, by its number and with a reason; with the last one goes the halt file."""
    from resources.desk import DeskResource
    from resources.notify.notifier import HALT_FILE
    from resources.notify.pages import LedgerPages

    home, desk = prepare_home(), DeskResource()
    now, file = desk.clock().now(), HaltFile(home.root)
    if not reason.strip():
        raise PermanentFailure("a halt is lifted for a reason", hint=f'desk resume {halt_id} "why trading may go on"')
    standing = adopt_halt_file(lane)
    with desk.ledger(lane).session() as ledger:
        halt = ledger.open_halt()
        ledger.acknowledge(halt_id, reason, as_of=now)
        left = ledger.open_halt()
    pages = LedgerPages(desk.engine(lane), lane)
    pages.follow_halts(as_of=now)
    if halt is not None:
        say(plain(f"halt {halt.id} since {halt.at.isoformat()}: {halt.cause}"))
    if left is not None:
        say(plain(f"halt {halt_id} is lifted; halt {left.id} is still open: {left.cause}"))
        return
    if standing is not None and file.read() == standing:
        file.clear()
        pages.answer_all(HALT_FILE, f"resumed: {reason}", as_of=now)
        say(f"the file {file.path} is taken away")
    say(f"halt {halt_id} is lifted; no halt is open, and trading may go on")


def adopt_halt_file(lane: str) -> FileHalt | None:
    """The halt that stands in the file; it becomes a row, and so gets a number, unless it is an open one already.

    Raises:
        DeskError: There is a file, and the ledger cannot be written.
    """
    standing = HaltFile(desk_home().root).read() if lane == DESK else None
    if standing is None:
        return None
    cause = f"{_FROM_FILE}{standing.cause}" + (f" (by {standing.by})" if standing.by else "")
    from resources.desk import DeskResource

    if not any(halt.cause == cause for halt in open_halts(DeskResource(), lane)):
        with _hasty_ledger(lane) as ledger:
            _added(ledger, cause, desk_clock().now())
    return standing


def open_halts(desk: "DeskResource", lane: str) -> tuple[Halt, ...]:
    """Halts that nobody has lifted, the oldest first."""
    from resources.ledger.dispatch import SqlDispatch

    return tuple(SqlDispatch(desk.engine(lane), lane).halts())


def halts_shown(desk: "DeskResource", lane: str) -> list[str]:
    """Every open halt with its number and cause; a file that cannot become a row is shown as what it is."""
    try:
        adopt_halt_file(lane)
    except DeskError as refused:
        standing = HaltFile(desk_home().root).read()
        cause = standing.cause if standing is not None else "none"
        return [plain(f"file: {cause} (the ledger cannot be written: {refused.what})")]
    return [plain(f"{halt.id}: {halt.cause}") for halt in open_halts(desk, lane)]


def _added(ledger: "SqlLedger", cause: str, now: datetime) -> Halt:
    with ledger.session() as session:
        session.add_halt(cause, as_of=now)
    with ledger.reading() as session:
        halt = session.open_halt()
    if halt is None:
        raise PermanentFailure("the halt is not in the ledger", value=cause, hint="desk doctor --verify-ledger")
    return halt


@contextmanager
def _hasty_ledger(lane: str) -> Iterator["SqlLedger"]:
    """The ledger for somebody who cannot wait as long as the desk does."""
    from resources.ledger.engine import open_ledger
    from resources.ledger.journal_files import JournalFiles
    from resources.ledger.store import SqlLedger

    home = desk_home()
    where = os.environ.get(LEDGER_URL) or home.ledger(lane)
    engine = open_ledger(where, durability="FULL", lane=lane, busy_timeout_ms=WAIT_MS)
    try:
        yield SqlLedger(engine, lane, JournalFiles(home.journal(lane)) if lane == DESK else None)
    finally:
        engine.dispose()
