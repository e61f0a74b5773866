"""What the observer reads is what account, ledger and Dagster's history really hold, read while others hold them open."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from desk.rehearsing.reading import Account, Ledger, process_of, runs_of, tag_of
from resources.ledger import schema as t
from resources.ledger.dispatch import SqlDispatch
from resources.ledger.engine import open_ledger, transaction
from resources.ledger.state import AppState
from resources.ledger.store import SqlLedger
from tests.brokers.paper.processes import CASH, legs, opened
from tests.brokers.paper.stage import truth_of
from tests.gateway.parts import BOOK, DAY, OPEN, plan_of, propose_in, seals_of
from trading_assets.signatures.model import SIGNERS


def test_the_account_is_read_while_it_trades_and_no_share_is_naked_under_its_stop(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    assert Account(path).sample(1.0) is None

    async def trade() -> None:
        broker = opened(path, 11)
        welcome = await broker.connect()
        (contract,) = await broker.resolve("AAPL")
        broker.place(legs(contract, welcome.next_order_id, 100))
        await broker.drain()
        seen, truth = Account(path).sample(2.0), truth_of(path)
        assert seen is not None
        (symbol,) = seen.held
        assert seen.held == {name: quantity for name, quantity in truth.positions.items() if quantity}
        assert seen.naked(symbol) == 0
        assert {order.kind for order in seen.orders} == {"limit", "stop"}
        assert [fill.quantity for fill in Account(path).fills()] == [seen.held[symbol]]
        (fill,) = Account(path).fills()
        assert seen.cash == CASH - fill.quantity * fill.price - fill.fee
        assert abs(seen.equity - CASH) < 10
        entry = Account(path).orders()[0]
        assert (entry.ref, entry.parent, entry.filled, entry.is_open) == (fill.ref, 0, fill.quantity, False)
        await broker.close()

    asyncio.run(trade())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = open_ledger(tmp_path / "desk.sqlite", durability="FULL")
    yield made
    made.dispose()


def test_the_ledger_is_read_with_its_decisions_intents_seals_and_halts(engine: sa.Engine, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "desk.sqlite", DAY)
    assert (ledger.decisions(), ledger.intents(), ledger.halts(), ledger.close()) == ((), (), (), None)
    store = SqlDispatch(engine, BOOK, client_id=11)
    intent = propose_in(engine, plan_of(as_of=OPEN), OPEN)
    store.seal(seals_of(intent, SIGNERS, OPEN), as_of=OPEN)
    store.halt("W4 the day is lost", as_of=OPEN + timedelta(minutes=1))
    (decision,), (seen,), (halt,) = ledger.decisions(), ledger.intents(), ledger.halts()
    assert (decision.slot, decision.state) == (intent.plan.slot, "ACTIVE")
    assert (seen.id, seen.symbol, seen.quantity, seen.digest) == (
        intent.id,
        intent.plan.symbol,
        intent.quantity,
        intent.plan.digest,
    )
    assert seen.seals.keys() == set(SIGNERS)
    assert seen.sealed_digests == {intent.plan.digest}
    assert (seen.opens, seen.states[-1], seen.states[0]) == (True, seen.state, "PROPOSED")
    assert (halt.cause, halt.lifted) == ("W4 the day is lost", None)
    with SqlLedger(engine, BOOK).session() as book:
        book.acknowledge(halt.id, "looked at", as_of=OPEN + timedelta(minutes=2))
    assert ledger.halts()[0].lifted == OPEN + timedelta(minutes=2)
    assert ledger.state_now() == (seen.state,)


def test_new_lines_are_told_once(engine: sa.Engine, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "desk.sqlite", DAY)
    SqlDispatch(engine, BOOK, client_id=11).halt("C1 first start", as_of=OPEN)
    lines = ledger.told("journal", 0)
    assert [told.what for _, told in lines] == ["halt"]
    assert ledger.told("journal", lines[-1][0]) == ()
    assert ledger.told("pages", 0) == ()


def test_claims_of_the_day_and_of_no_other_are_read(engine: sa.Engine, tmp_path: Path) -> None:
    state = AppState(engine)
    told = '{"state":"missed","attempt":0,"tick":"","at":"","by":"","why":"nobody asked"}'
    for key in (f"day/part/slot/{DAY}/09:30", "day/part/slot/2001-01-02/09:30", "day/begun"):
        state.set(key, told, as_of=OPEN)
    (claim,) = Ledger(tmp_path / "desk.sqlite", DAY).claims()
    assert (claim.key, claim.state, claim.why) == (f"slot/{DAY}/09:30", "missed", "nobody asked")


def test_the_observer_can_write_nothing(engine: sa.Engine, tmp_path: Path) -> None:
    from desk.rehearsing.reading import _reading

    with _reading(tmp_path / "desk.sqlite") as raw, pytest.raises(sqlite3.OperationalError, match="readonly"):
        raw.execute("DELETE FROM halts")


def test_a_ledger_that_somebody_locked_can_still_be_read(engine: sa.Engine, tmp_path: Path) -> None:
    SqlDispatch(engine, BOOK, client_id=11).halt("C1 first start", as_of=OPEN)
    with closing(sqlite3.connect(tmp_path / "desk.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(Ledger(tmp_path / "desk.sqlite", DAY).halts()) == 1


def test_runs_carry_their_part_their_slot_and_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    @dg.op
    def nothing() -> None:
        """Does nothing."""

    @dg.job(name="decide")
    def decide() -> None:
        nothing()

    history = tmp_path / "history" / "runs.db"
    assert runs_of(history) == ()
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        tags = {"desk/part": "slot/2024-03-25/09:30", "desk/slot": "09:30", "dagster/partition": "2024-03-25"}
        done = decide.execute_in_process(instance=instance, tags=tags)
    (run,) = runs_of(history)
    assert (run.id, run.job, run.status, run.slot, run.part) == (
        done.run_id,
        "decide",
        "SUCCESS",
        "09:30",
        tags["desk/part"],
    )
    assert run.asked - 1 <= run.started <= run.ended
    assert tag_of(history, run.id, "desk/slot") == "09:30"
    assert tag_of(history, run.id, "desk/worker") is None


def test_a_run_is_found_by_what_it_said_of_its_process_and_not_by_anything_else(tmp_path: Path) -> None:
    """As Dagster's run worker writes it."""
    events = tmp_path / "a run.db"
    assert process_of(events) == 0
    with closing(sqlite3.connect(events)) as raw:
        raw.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT)")
        raw.execute(
            "INSERT INTO event_logs (event) VALUES (?)", ('{"message": "Executing steps in process (pid: 1)"}',)
        )
        raw.commit()
        assert process_of(events) == 0
        said = [(f'{{"message": "Started process for run (pid: {pid})."}}',) for pid in (4711, 99)]
        raw.executemany("INSERT INTO event_logs (event) VALUES (?)", said)
        raw.commit()
    assert process_of(events) == 4711


def test_money_of_the_ledger_is_read_to_its_last_place(engine: sa.Engine, tmp_path: Path) -> None:
    from desk.rehearsing.reading import _usd
    from trading_assets.core.money import PLACES, usd

    assert _usd(12_345_678) == usd("1234.5678") == Decimal(12_345_678).scaleb(-PLACES)


def test_a_gate_counts_from_the_first_time_that_it_was_passed(engine: sa.Engine, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "desk.sqlite", DAY)
    for minutes, passed in ((0, False), (5, True), (9, True)):
        at = (OPEN + timedelta(minutes=minutes)).astimezone(UTC).isoformat()
        row = {"table_name": "daily_bars", "session": DAY, "version": "v", "passed": passed, "failures": "[]", "at": at}
        with transaction(engine) as connection:
            connection.execute(t.GATES.insert(), row)
    assert ledger.gate_at("daily_bars", DAY) == OPEN + timedelta(minutes=5)
    assert ledger.gate_at("news", DAY) is None
