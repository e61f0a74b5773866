"""Gateways that die by SIGKILL at every statement and every commit between the seals and the fill, and in their recovery.

The wire is a file: what is in it, the broker has. After each death another process finds out what became of the intent from ledger
and wire alone: nothing is lost, nothing is sent that was not committed, and nothing is booked or told twice.
"""

import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import open_ledger, reading
from resources.ledger.schema import EXECUTION_FEES, EXECUTIONS, LEGS, MESSAGES, SEALS
from tests.resources.ledger.dispatching import NOW, Desk, executed, leg_changed, legs_of, proposed, seals_on
from tests.resources.ledger.test_dispatch_changes import fee
from trading_assets.broker.lifecycle import WAYS, Change, IntentChanged
from trading_assets.execution.ports import Intent

pytestmark = pytest.mark.slow

ROLES = ("entry", "target", "stop")


class Wire:
    """A file that outlives whoever writes to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def place(self, wanted: Intent) -> None:
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(handle, f"{wanted.id}\n".encode())
        os.close(handle)

    def dies(self) -> "Wire":
        """The same wire for a process that dies at its end of it."""
        dying = Wire(self._path)
        dying.place = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign,assignment]
        return dying

    @property
    def orders(self) -> Counter[str]:
        """How often each intent was placed."""
        return Counter(self._path.read_text().split()) if self._path.exists() else Counter()


def said_of(wanted: Intent, first_id: int) -> tuple[list[Change], list[Change]]:
    """What the broker says of a bracket that works, and of its fill."""
    works: list[Change] = [leg_changed(wanted, role, "working", 1000 * first_id + n) for n, role in enumerate(ROLES)]
    done: list[Change] = [
        executed(wanted, f"{wanted.id}.01"),
        leg_changed(wanted, "entry", "filled"),
        fee(f"{wanted.id}.01"),
    ]
    return [*works, IntentChanged(wanted.id, "WORKING")], [*done, IntentChanged(wanted.id, "FILLED")]


def play(desk: Desk, wanted: Intent, first_id: int, wire: Wire) -> None:
    """All that happens to one intent."""
    desk.store.seal(seals_on(wanted), as_of=NOW)
    desk.store.accept(wanted.id, token=desk.token, as_of=NOW)
    desk.store.submit(wanted.id, legs_of(wanted, first_id), token=desk.token, as_of=NOW)
    wire.place(wanted)
    desk.store.sent(wanted.id, 900, as_of=NOW)
    for changes in said_of(wanted, first_id):
        desk.apply(*changes)


def recover(desk: Desk, wanted: Intent, first_id: int, wire: Wire) -> None:
    """What another process makes of it: evidence alone decides, and nothing is sent again."""
    state = desk.state(wanted)
    if state in {"PROPOSED", "SIGNED", "INTENT"}:
        desk.store.expire(wanted.id, "the gateway began anew", as_of=NOW)
    elif wanted.id in wire.orders:
        for changes in said_of(wanted, first_id):
            desk.apply(*changes)
    else:
        desk.apply(IntentChanged(wanted.id, "UNKNOWN"))
        absent = [leg_changed(wanted, role, "absent") for role in ROLES]
        desk.apply(*absent, IntentChanged(wanted.id, "ABANDONED"))


def dies_at(step: int, where: Path | str, act: Callable[[Desk], None]) -> bool:
    """Whether a child that acts on the ledger dies at the step; False when it came to its end before."""
    child = os.fork()
    if not child:
        _act_and_die_at(step, where, act)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def _act_and_die_at(step: int, where: Path | str, act: Callable[[Desk], None]) -> None:
    seen = 0

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        engine = open_ledger(where, durability="FULL")
        desk = Desk(engine)
        sa.event.listen(engine, "before_cursor_execute", count)
        sa.event.listen(engine, "commit", count)
        act(desk)
    except BaseException:  # noqa: BLE001 - a child of the test process must never come back into it
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
    os._exit(0)


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    return Wire(tmp_path / "wire")


@pytest.fixture
def watcher(ledger_where: Path | str) -> Iterator[Desk]:
    """A process that stays."""
    engine = open_ledger(ledger_where, durability="FULL")
    yield Desk(engine)
    engine.dispose()


def steps(where: Path | str) -> int:
    """Every step when DESK_PROVE is set; else every fourth in a file and every seventh on a server, which takes longer."""
    if os.environ.get("DESK_PROVE"):
        return 1
    return 4 if isinstance(where, Path) else 7


def next_intent(watcher: Desk, number: int) -> tuple[Intent, int]:
    (wanted,) = proposed(watcher.engine, f"K{number}", slot=f"{number // 60:02}:{number % 60:02}")
    return wanted, 10 * number + 1


def require_whole(watcher: Desk, wanted: Intent, wire: Wire) -> str:
    """Nothing lost, nothing twice, and no order on the wire that was not committed; where the intent ended."""
    past = watcher.past(wanted)
    assert all(after in WAYS[before] for before, after in pairwise(past)), past
    assert wire.orders[wanted.id] <= 1
    was_sent = wanted.id in wire.orders
    assert past[-1] == ("FILLED" if was_sent else "ABANDONED" if "SUBMITTING" in past else "EXPIRED"), past
    with reading(watcher.engine) as connection:

        def count(table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
            return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0

        executed_once = count(EXECUTIONS, EXECUTIONS.c.intent_id == wanted.id)
        assert executed_once == count(EXECUTION_FEES, EXECUTION_FEES.c.exec_id == f"{wanted.id}.01") == int(was_sent)
        assert count(LEGS, LEGS.c.intent_id == wanted.id) == (3 if "SUBMITTING" in past else 0)
        assert count(SEALS, SEALS.c.intent_id == wanted.id) == (3 if "SIGNED" in past else 0)
        told = count(MESSAGES, MESSAGES.c.topic == "state", MESSAGES.c.payload.contains(wanted.id))
        assert told == len(past)
    return past[-1]


@pytest.mark.fault(2)
@pytest.mark.fault(3)
@pytest.mark.fault(4)
@pytest.mark.fault(6)
@pytest.mark.fault(7)
@pytest.mark.fault(8)
@pytest.mark.fault(10)
def test_a_gateway_killed_anywhere_loses_nothing_and_sends_nothing_twice(
    ledger_where: Path | str, watcher: Desk, wire: Wire
) -> None:
    ends: Counter[str] = Counter()
    wanted, first_id = next_intent(watcher, 500)
    assert dies_at(0, ledger_where, lambda desk: play(desk, wanted, first_id, wire.dies()))
    watcher.token = watcher.grant()
    recover(watcher, wanted, first_id, wire)
    ends[require_whole(watcher, wanted, wire)] += 1
    step, number, alive = 1, 0, False
    while not alive:
        wanted, first_id = next_intent(watcher, number)

        def act(desk: Desk, wanted: Intent = wanted, first_id: int = first_id) -> None:
            play(desk, wanted, first_id, wire)

        alive = not dies_at(step, ledger_where, act)
        watcher.token = watcher.grant()
        if not alive:
            recover(watcher, wanted, first_id, wire)
        ends[require_whole(watcher, wanted, wire)] += 1
        step, number = step + steps(ledger_where), number + 1
    assert ends.keys() == {"EXPIRED", "ABANDONED", "FILLED"}
    assert sum(ends.values()) > 60 // steps(ledger_where)
    assert watcher.problems() == ()
    assert watcher.store.known() == Desk(watcher.engine).store.known()


@pytest.mark.fault(9)
@pytest.mark.parametrize("placed", [True, False], ids=["on the wire", "not on the wire"])
def test_a_recovery_killed_anywhere_is_done_by_the_next_one(
    ledger_where: Path | str, watcher: Desk, wire: Wire, placed: bool
) -> None:
    step, number, alive = 1, 0, False
    while not alive:
        wanted, first_id = next_intent(watcher, number)
        watcher.store.seal(seals_on(wanted), as_of=NOW)
        watcher.store.accept(wanted.id, token=watcher.token, as_of=NOW)
        watcher.store.submit(wanted.id, legs_of(wanted, first_id), token=watcher.token, as_of=NOW)
        if placed:
            wire.place(wanted)

        def act(desk: Desk, wanted: Intent = wanted, first_id: int = first_id) -> None:
            recover(desk, wanted, first_id, wire)

        alive = not dies_at(step, ledger_where, act)
        watcher.token = watcher.grant()
        if not alive:
            recover(watcher, wanted, first_id, wire)
        require_whole(watcher, wanted, wire)
        step, number = step + 2 * steps(ledger_where), number + 1
    assert number > 12 // steps(ledger_where)
    assert watcher.problems() == ()
    assert [s.state for s in watcher.store.states(date.min, date.max)] == ["FILLED" if placed else "ABANDONED"] * number
