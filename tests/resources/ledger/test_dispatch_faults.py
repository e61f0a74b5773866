"""Databases that fail while an order is on its way out: what is not committed is not sent, and what is unknown is read again."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import OutcomeUnknown, open_ledger
from resources.ledger.halt_file import HaltFile
from tests.postgres import Server
from tests.resources.ledger import test_faults
from tests.resources.ledger.dispatching import CLIENT, NOW, Desk, executed, legs_of
from tests.resources.ledger.entries import said
from tests.resources.ledger.proxy import Proxy, Wire
from tests.resources.ledger.test_faults import IMPATIENT_MS, locked
from tests.resources.ledger.test_server_faults import COMMIT, committed_unheard, never_arrived, through
from trading_assets.core.errors import DeskError, PermanentFailure, TradingHalted, TransientFailure
from trading_assets.execution.ports import Intent

small_disk = test_faults.small_disk


def ready(where: Path | str) -> tuple[Desk, Intent]:
    """A desk with one intent that only needs to be submitted."""
    desk = Desk(open_ledger(where, durability="FULL", busy_timeout_ms=IMPATIENT_MS))
    wanted = desk.signed()
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    return desk, wanted


def submit(desk: Desk, wanted: Intent, first_id: int = 1) -> None:
    legs = legs_of(wanted, first_id)
    desk.store.submit(wanted.id, legs, token=desk.token, as_of=NOW)


def sent_unless_refused(desk: Desk, wanted: Intent, placed: list[str], first_id: int = 1) -> DeskError | None:
    """What a sender does: nothing goes on the wire unless the commit came back."""
    try:
        submit(desk, wanted, first_id)
    except DeskError as refused:
        return refused
    placed.append(wanted.id)
    return None


@pytest.mark.fault(15)
def test_a_locked_ledger_sends_nothing_and_the_order_can_go_when_the_lock_is_gone(path: Path) -> None:
    desk, wanted = ready(path)
    placed: list[str] = []
    with locked(path):
        assert isinstance(sent_unless_refused(desk, wanted, placed), TransientFailure)
        with pytest.raises(TransientFailure, match="locked"):
            desk.apply(executed(wanted))
    assert (placed, desk.state(wanted)) == ([], "INTENT")
    assert sent_unless_refused(desk, wanted, placed) is None
    assert desk.past(wanted).count("SUBMITTING") == 1


@pytest.mark.fault(16)
def test_a_full_ledger_sends_nothing_and_the_halt_file_still_halts(path: Path, tmp_path: Path) -> None:
    desk, wanted = ready(path)
    limit = [0]

    def narrow(raw: sqlite3.Connection, *_: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {limit[0] or 1_000_000}")

    sa.event.listen(desk.engine, "checkout", narrow)
    limit[0] = 1
    refused: list[DeskError] = []
    placed: list[str] = []
    while not refused:
        told = sent_unless_refused(desk, wanted, placed, 3 * len(placed) + 1)
        if told is None:
            wanted = _another(desk, limit)
        else:
            refused.append(told)
    assert isinstance(refused[0], TransientFailure)
    assert "make room" in str(refused[0])
    assert wanted.id not in placed
    assert HaltFile(tmp_path).write(str(refused[0].what), by="gateway", as_of=NOW).by == "gateway"
    limit[0] = 0
    assert sent_unless_refused(desk, wanted, placed, 3 * len(placed) + 1) is None
    assert desk.problems() == ()


def _another(desk: Desk, limit: list[int]) -> Intent:
    """The next intent, made while there is room."""
    before, limit[0] = limit[0], 0
    number = desk.store.newest_order_id(CLIENT)
    wanted = desk.signed(f"S{number}", slot=f"10:{number % 60:02}")
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    limit[0] = before
    return wanted


@pytest.mark.fault(16)
def test_a_real_full_disk_sends_nothing_and_takes_no_harm(small_disk: list[str], tmp_path: Path) -> None:
    code = (
        "from tests.resources.ledger.test_dispatch_faults import *\n"
        "root = Path(sys.argv[1]); desk, wanted = ready(root / 'desk.sqlite')\n"
        "blocks = open(root / 'filler', 'wb', buffering=0)\n"
        "try:\n    while True: blocks.write(bytes(4096))\n"
        "except OSError: pass\n"
        "placed = []; refused = sent_unless_refused(desk, wanted, placed)\n"
        "say(type(refused).__name__); say(placed)\n"
        "say(HaltFile(root).write('full', by='gateway', as_of=NOW) == HaltFile(root).read())\n"
        "blocks.close(); (root / 'filler').unlink(); say(desk.state(wanted))\n"
        "say(sent_unless_refused(desk, wanted, placed)); say(desk.state(wanted)); say(desk.problems())"
    )
    heard = said(code, tmp_path / "disk", prefix=small_disk)
    assert heard == ["TransientFailure", "[]", "True", "INTENT", "None", "SUBMITTING", "()"]


@pytest.mark.fault(20)
def test_a_ledger_that_is_deleted_while_the_gateway_runs_sends_nothing(path: Path) -> None:
    desk, wanted = ready(path)
    path.unlink()
    placed: list[str] = []
    assert isinstance(sent_unless_refused(desk, wanted, placed), PermanentFailure)
    with pytest.raises(PermanentFailure, match="deleted or replaced|unable to open"):
        desk.store.known()
    assert placed == []


@pytest.mark.fault(28)
def test_what_may_be_sent_is_synced_whatever_a_library_lowers(path: Path) -> None:
    desk, wanted = ready(path)
    levels: list[int] = []

    def at_commit(connection: sa.Connection) -> None:
        levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar() or 0)

    raw = desk.engine.raw_connection()
    raw.cursor().execute("PRAGMA synchronous = OFF")
    raw.close()
    sa.event.listen(desk.engine, "commit", at_commit)
    submit(desk, wanted)
    desk.apply(executed(wanted))
    assert levels == [2, 2]


# A server


@pytest.fixture
def wire(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.mark.fault(23)
@pytest.mark.parametrize(("fate", "stored"), [(committed_unheard, True), (never_arrived, False)])
def test_a_submission_without_an_answer_is_not_sent_and_read_again(
    wire: Proxy, url: str, fate: Callable[[Wire, bytes], None], stored: bool
) -> None:
    """Not known to be committed means not sent; once read again, either it may be tried once more, or its absence is proven."""
    desk, wanted = ready(through(wire, url))
    placed: list[str] = []
    wire.when(COMMIT, fate)
    assert isinstance(sent_unless_refused(desk, wanted, placed), OutcomeUnknown)
    assert (wire.heard, placed) == (1, [])
    assert desk.state(wanted) == ("SUBMITTING" if stored else "INTENT")
    again = sent_unless_refused(desk, wanted, placed)
    assert isinstance(again, TradingHalted) if stored else again is None
    assert (len(placed), len(desk.tracked(wanted).legs)) == (0 if stored else 1, 3)
    assert desk.past(wanted).count("SUBMITTING") == 1
    desk.engine.dispose()


@pytest.mark.fault(23)
@pytest.mark.parametrize(("fate", "stored"), [(committed_unheard, True), (never_arrived, False)])
def test_a_fill_without_an_answer_is_told_again_and_booked_once(
    wire: Proxy, url: str, fate: Callable[[Wire, bytes], None], stored: bool
) -> None:
    desk, wanted = ready(through(wire, url))
    submit(desk, wanted)
    wire.when(COMMIT, fate)
    with pytest.raises(OutcomeUnknown):
        desk.apply(executed(wanted))
    assert len(desk.apply(executed(wanted))) == (0 if stored else 1)
    assert list(desk.store.known().executions) == ["0001.01"]
    assert len(desk.heard("execution")) == 1
    assert desk.problems() == ()
    desk.engine.dispose()
