"""The process: what refuses the start, what goes on whatever fails, and what is loaded for it."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.ledger.engine import open_ledger
from tests.gateway.exchange import ScriptedBroker
from tests.warden.desk import Desk, Note
from trading_assets.broker.ports import ClientIdInUse
from trading_assets.broker.settings import ExecutionSettings, InteractiveBrokers, Watch
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure, TransientFailure
from warden.core import Means
from warden.opening import LateLedger, refuse_damaged, refuse_unwatchable
from warden.opening import Note as FileNote
from warden.process import Shell, run_watchdog

QUICK = Watch(every_seconds=0.02, gateway_seconds=0.2)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def means_of(desk: Desk, **changed: Any) -> Means:
    settings = desk.world.settings.model_copy(update={"watch": QUICK})
    return replace(desk.watchdog.means, settings=settings, **changed)


def watched(shell: Shell, until: Callable[[], bool]) -> int:
    """Runs it until something holds, some seconds at most."""

    async def work() -> int:
        async def stop() -> None:
            for _ in range(500):
                if until():
                    break
                await asyncio.sleep(0.01)
            shell.stop()

        stopping = asyncio.create_task(stop())
        try:
            return await shell.run()
        finally:
            stopping.cancel()

    return asyncio.run(work())


def nothing() -> None:
    """A ledger that opens."""


def test_it_looks_again_and_again_until_it_is_stopped(desk: Desk) -> None:
    shell = Shell(means_of(desk), opens=nothing)
    assert watched(shell, lambda: desk.broker.snapshots >= 3) == 0
    assert not desk.broker.is_connected


@pytest.mark.fault(41)
def test_a_second_watchdog_does_not_start(desk: Desk) -> None:
    desk.broker.in_use = True
    with pytest.raises(ClientIdInUse):
        watched(Shell(means_of(desk), opens=nothing), lambda: False)


def test_a_broker_that_does_not_answer_is_asked_at_each_look(desk: Desk) -> None:
    desk.broker.refuses_connections = True
    shell = Shell(means_of(desk), opens=nothing)

    def answered() -> bool:
        desk.broker.refuses_connections = False
        return desk.broker.snapshots >= 2

    assert watched(shell, answered) == 0


@pytest.mark.fault(14)
def test_a_look_that_fails_for_no_foreseen_reason_halts_once_and_the_next_one_comes(desk: Desk) -> None:
    failures = []

    def fails() -> None:
        failures.append(1)
        if len(failures) <= 3:
            raise KeyError(f"number {len(failures)}")

    desk.broker.during_snapshot = fails
    watched(Shell(means_of(desk), opens=nothing), lambda: len(failures) > 5)
    (halt,) = desk.world.halts()
    assert "a look failed: KeyError" in halt


def test_a_look_that_the_outside_world_fails_is_followed_by_the_next_and_halts_nobody(desk: Desk) -> None:
    failures = []

    def fails() -> None:
        failures.append(1)
        raise TransientFailure("in passing")

    desk.broker.during_snapshot = fails
    watched(Shell(means_of(desk), opens=nothing), lambda: len(failures) > 3)
    assert desk.world.halts() == []


def test_a_ledger_that_cannot_be_opened_refuses_a_start_with_nothing_to_guard(desk: Desk) -> None:
    def refuses() -> None:
        raise PermanentFailure("the ledger is damaged")

    with pytest.raises(PermanentFailure, match="damaged"):
        watched(Shell(means_of(desk), opens=refuses), lambda: False)
    desk.broker.refuses_connections = True
    with pytest.raises(PermanentFailure, match="damaged"):
        watched(Shell(means_of(desk), opens=refuses), lambda: False)
    assert desk.note.causes == []


@pytest.mark.fault(18)
def test_a_ledger_that_cannot_be_opened_halts_and_what_the_desk_holds_is_sold_and_nothing_else(desk: Desk) -> None:
    """What a stop of the desk covers is the desk's; whose the other shares are, only the ledger could say."""

    def refuses() -> None:
        raise PermanentFailure("the ledger is damaged")

    asyncio.run(desk.holding(MSFT=7))
    missing = LateLedger(desk.folder / "nowhere.sqlite")
    shell = Shell(means_of(desk, ledger=missing), opens=refuses)
    watched(shell, lambda: desk.world.exchange.held["AAPL"] == 0)
    assert desk.world.exchange.held == {"AAPL": 0, "MSFT": 7}
    assert "cannot be opened" in desk.note.causes[0]
    assert desk.broker.placed[0].ref.startswith("D1:watchdog-AAPL")


def test_a_ledger_that_is_brought_up_to_date_meanwhile_is_waited_for(desk: Desk) -> None:
    asyncio.run(desk.holding())
    tries = []

    def opens_late() -> None:
        tries.append(1)
        if len(tries) < 4:
            raise TransientFailure("another process writes")

    watched(Shell(means_of(desk), opens=opens_late), lambda: desk.broker.snapshots >= 3)
    assert desk.note.causes == []
    assert desk.world.exchange.held == {"AAPL": 40}


def test_another_account_is_never_sold_and_only_told(desk: Desk) -> None:
    asyncio.run(desk.holding())
    desk.world.hand.move(8)
    desk.world.store.halt("a cause", as_of=desk.world.hand.at)
    desk.broker.accounts = ("U7654321",)
    watched(Shell(means_of(desk), opens=nothing), lambda: desk.broker.snapshots >= 3)
    assert desk.broker.placed == []
    assert ("critical", "C29 account") in desk.pages()


@pytest.mark.parametrize(
    ("accounts", "expected", "mode", "ours"),
    [
        (("DU1234567",), "DU1234567", "paper", True),
        (("DU1234567",), "", "paper", True),
        (("DU1234567",), "DU1", "paper", False),
        (("U1234567",), "U1234567", "paper", False),
        (("U1234567",), "", "paper", False),
        (("U1234567",), "U1234567", "live", True),
        (("DU1234567",), "DU1234567", "live", False),
        (("U1234567", "U7654321"), "U1234567", "live", False),
        ((), "", "paper", False),
    ],
)
def test_only_the_one_expected_account_of_the_mode_may_be_sold(
    desk: Desk, accounts: tuple[str, ...], expected: str, mode: Any, ours: bool
) -> None:
    settings = desk.world.settings.model_copy(update={"mode": mode, "watch": QUICK})
    broker = ScriptedBroker(desk.world.exchange, 12)
    broker.accounts = accounts
    means = replace(desk.watchdog.means, settings=settings, account=expected, broker=broker)
    shell = Shell(means, opens=nothing)
    asyncio.run(shell.watchdog.connect())
    assert (shell.watchdog._stranger == "") is ours


IB = InteractiveBrokers(account="U1234567")


@pytest.mark.parametrize(
    ("settings", "typed", "why"),
    [
        (ExecutionSettings(broker="bars"), "", "nothing to watch"),
        (ExecutionSettings(broker="ib"), "", "no account"),
        (ExecutionSettings(broker="ib", mode="live", ib=IB), "", "to be typed"),
        (ExecutionSettings(broker="ib", mode="live", ib=IB), "U123456", "to be typed"),
    ],
)
def test_what_cannot_be_watched_is_refused(settings: ExecutionSettings, typed: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        refuse_unwatchable(settings, typed)


def test_what_can_be_watched_is_not_refused() -> None:
    refuse_unwatchable(ExecutionSettings(broker="paper"), "")
    refuse_unwatchable(ExecutionSettings(broker="ib", mode="live", ib=IB), "U1234567")


def test_the_desk_that_fills_after_the_close_has_no_watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="nothing to watch"):
        run_watchdog()


def test_a_ledger_is_opened_as_soon_as_it_is_there(tmp_path: Path) -> None:
    late = LateLedger(tmp_path / "late.sqlite")
    with pytest.raises(PermanentFailure, match="no ledger"):
        late.newest_order_id(12)
    open_ledger(tmp_path / "late.sqlite", durability="FULL").dispose()
    assert late.newest_order_id(12) == 0


@pytest.mark.fault(18)
def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    open_ledger(path, durability="FULL").dispose()
    refuse_damaged(path)
    with path.open("r+b") as file:
        file.seek(8_192)
        file.write(b"\xff" * 4_096)
    with pytest.raises(PermanentFailure, match="damaged"):
        refuse_damaged(path)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(PermanentFailure, match="damaged"):
        refuse_damaged(path)


def test_the_halt_file_is_read_as_a_note_and_an_empty_one_halts_too(tmp_path: Path) -> None:
    note = FileNote(tmp_path)
    assert note.read() == ""
    note.write("a cause", by="watchdog", as_of=datetime.fromisoformat("2024-03-25T14:00:00+00:00"))
    assert note.read() == "a cause"
    (tmp_path / "HALT").write_text("")
    assert note.read()


@pytest.mark.control("W6")
def test_a_note_halts_and_is_told_to_the_ledger_once(desk: Desk) -> None:
    desk.note.causes.append("written while the ledger was away")

    async def work() -> None:
        gateway = await desk.holding()
        rulings = await desk.watch(3, gateway=gateway)
        assert {ruling.state for ruling in rulings} == {"HALTED"}

    asyncio.run(work())
    assert desk.world.halts() == ["halt file: written while the ledger was away"]
    assert isinstance(desk.note, Note)
    assert desk.world.exchange.cash > Decimal(0)


def test_neither_dagster_nor_a_stage_nor_a_data_frame_is_loaded_with_the_watchdog() -> None:
    code = (
        "import sys, warden.core, warden.ledger, warden.opening, warden.process\n"
        "heavy = {'dagster', 'polars', 'pandas', 'numpy', 'matplotlib', 'networkx', 'pydantic_ai', 'anthropic', 'gateway'}\n"
        "tops = {name.partition('.')[0] for name in sys.modules}\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('trading_assets.')}\n"
        "print(sorted(heavy & tops), sorted(rooms - {'core', 'broker'}))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[] []\n"


def test_what_the_port_of_a_ledger_has_a_late_one_has_too(desk: Desk) -> None:
    late = LateLedger(desk.folder / "desk.sqlite")
    now = desk.world.hand.at
    late.beat("{}", desk.watchdog.means.identity, as_of=now)
    late.halt("a cause", as_of=now)
    late.page("warning", "W1 AAPL", "naked", as_of=now)
    assert late.look(None).halts.keys() == {1}
    assert late.signs(as_of=now) == {}
    assert late.holder() is None
    late.book(12, (), (), (), as_of=now)
    with pytest.raises(DeskError):
        late.protect_ahead("AAPL", 1, 0, Decimal(90), 1, 12, "none", as_of=now)
