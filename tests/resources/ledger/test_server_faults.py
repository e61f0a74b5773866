"""A PostgreSQL server that restarts, dies in the commit, refuses or disappears: faults of the desk's catalogue on real servers."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.engine import OutcomeUnknown, open_ledger, reading, transaction
from resources.ledger.schema import DECISIONS, INTENTS, ORDERS, SIGNATURES
from resources.ledger.store import SqlLedger
from tests.postgres import Server, running
from tests.resources.ledger.entries import DAYS, EVER, decided
from tests.resources.ledger.proxy import Proxy, Wire
from trading_assets.core.errors import DuplicateDecision, PermanentFailure, TransientFailure


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that the tests of this file may kill."""
    with running() as server:
        yield server


@pytest.fixture
def wire(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


def through(proxy: Proxy, url: str) -> str:
    """The address of the database by way of the proxy."""
    return f"{url.rpartition(':')[0]}:{proxy.port}/{url.rpartition('/')[2]}"


def counts(engine: sa.Engine) -> list[int]:
    """Decisions, verdicts, intents and orders that are stored."""
    with reading(engine) as connection:
        tables = (DECISIONS, SIGNATURES, INTENTS, ORDERS)
        return [connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]


WHOLE = [1, 1, 1, 2]
# As it goes over the wire; "READ COMMITTED" is another word.
COMMIT = b"COMMIT\0"


def decided_after_all(book: SqlLedger) -> bool:
    """What a caller does who does not know: reads by the slot, and decides only what is not decided. True when it was."""
    with book.reading() as ledger:
        if ledger.decisions(DAYS[0], DAYS[0]):
            return True
    decided(book, DAYS[0])
    return False


# The commit


def committed_unheard(wire: Wire, commit: bytes) -> None:
    """The server commits, and the connection dies before the client hears of it."""
    wire.drop_answers()
    wire.to_server(commit)
    wire.wait_for_an_answer()
    wire.cut()


def never_arrived(wire: Wire, _: bytes) -> None:
    """The connection dies before the server hears of the commit."""
    wire.cut()


@pytest.mark.fault(23)
@pytest.mark.parametrize(("fate", "stored"), [(committed_unheard, True), (never_arrived, False)])
def test_a_commit_without_an_answer_is_read_again_and_never_doubled(
    wire: Proxy, url: str, fate: Callable[[Wire, bytes], None], stored: bool
) -> None:
    """The client cannot tell the two apart; reading by key can."""
    engine = open_ledger(through(wire, url), durability="FULL")
    book = SqlLedger(engine, "desk")
    wire.when(COMMIT, fate)
    with pytest.raises(OutcomeUnknown, match="read again by its key"):
        decided(book, DAYS[0])
    assert wire.heard == 1
    assert decided_after_all(book) == stored
    assert counts(engine) == WHOLE
    engine.dispose()


@pytest.mark.fault(23)
def test_whoever_decides_again_without_reading_is_refused(wire: Proxy, url: str) -> None:
    engine = open_ledger(through(wire, url), durability="FULL")
    book = SqlLedger(engine, "desk")
    wire.when(COMMIT, committed_unheard)
    with pytest.raises(OutcomeUnknown):
        decided(book, DAYS[0])
    with pytest.raises(DuplicateDecision):
        decided(book, DAYS[0])
    assert counts(engine) == WHOLE
    engine.dispose()


@pytest.mark.fault(23)
@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
@pytest.mark.parametrize("first", ["commit", "kill"])
def test_a_server_that_dies_in_the_commit_leaves_the_decision_whole_or_absent(
    mortal: Server, how: signal.Signals, first: str
) -> None:
    """Killed right after the commit was sent, and right before; after the restart the slot is decided once, by either attempt."""
    dead = threading.Event()

    def die(wire: Wire, commit: bytes) -> None:
        if first == "commit":
            wire.to_server(commit)
        mortal.crash(how)
        dead.set()

    url = mortal.url()
    with Proxy(mortal.port) as proxy:
        engine = open_ledger(through(proxy, url), durability="FULL")
        book = SqlLedger(engine, "desk")
        proxy.when(COMMIT, die)
        try:
            decided(book, DAYS[0])
            heard = True
        except OutcomeUnknown:
            heard = False
        dead.wait()
        mortal.start()
        stored = decided_after_all(book)
        assert stored or not heard, "what was acknowledged survives"
        assert counts(engine) == WHOLE
        engine.dispose()


# Before the commit, and between transactions


@pytest.mark.fault(23)
def test_a_server_that_dies_before_the_commit_has_stored_nothing(mortal: Server) -> None:
    """Nothing is unknown here: the failure passes, and the slot is free."""
    engine = open_ledger(mortal.url(), durability="FULL")
    book = SqlLedger(engine, "desk")

    def interrupted() -> None:
        with book.session() as ledger:
            assert ledger.decisions(*EVER) == []
            mortal.crash()
            ledger.decisions(*EVER)

    with pytest.raises(TransientFailure, match="start the server") as refused:
        interrupted()
    assert not isinstance(refused.value, OutcomeUnknown)
    with pytest.raises(TransientFailure, match="start the server"), book.reading():
        pass
    mortal.start()
    decided(book, DAYS[0])
    assert counts(engine) == WHOLE
    engine.dispose()


def test_a_restart_between_two_transactions_is_not_noticed(mortal: Server) -> None:
    engine = open_ledger(mortal.url(), durability="FULL")
    book = SqlLedger(engine, "desk")
    decided(book, DAYS[0])
    mortal.crash()
    mortal.start()
    decided(book, DAYS[1])
    with book.reading() as ledger:
        assert len(ledger.decisions(*EVER)) == 2
    engine.dispose()


@pytest.mark.fault(13)
def test_a_server_that_crashes_keeps_every_decision_that_was_acknowledged(mortal: Server) -> None:
    engine = open_ledger(mortal.url(), durability="FULL")
    for day in DAYS[:5]:
        decided(SqlLedger(engine, "desk"), day)
    mortal.crash(signal.SIGKILL)
    mortal.start()
    assert counts(engine) == [5, 5, 5, 10]
    engine.dispose()


# Refused


@pytest.mark.fault(17)
def test_a_server_that_may_not_be_written_is_refused_at_the_start(server: Server, url: str) -> None:
    name = url.rpartition("/")[2]
    engine = open_ledger(url, durability="FULL")
    decided(SqlLedger(engine, "desk"), DAYS[0])
    engine.dispose()
    server.run(f'alter database "{name}" set default_transaction_read_only = on')
    with pytest.raises(PermanentFailure, match="read-only transaction.*may be written in LEDGER_URL"):
        decided(SqlLedger(engine, "desk"), DAYS[1])
    fresh = server.url()
    server.run(f'alter database "{fresh.rpartition("/")[2]}" set default_transaction_read_only = on')
    with pytest.raises(PermanentFailure, match="read-only transaction"):
        open_ledger(fresh, durability="FULL")
    engine.dispose()
    server.drop(fresh)


def test_a_user_without_rights_is_told_which_are_missing(server: Server) -> None:
    server.run("create role guest login")
    fresh = server.url()
    with pytest.raises(PermanentFailure, match="permission denied.*grant the user of LEDGER_URL"):
        open_ledger(fresh.replace("desk@", "guest@"), durability="FULL")
    server.drop(fresh)


@pytest.mark.fault(20)
def test_a_database_that_is_dropped_while_the_desk_runs_stops_it(server: Server, migrated: str) -> None:
    url = server.url(migrated)
    engine = open_ledger(url, durability="FULL")
    decided(SqlLedger(engine, "desk"), DAYS[0])
    server.drop(url)
    with pytest.raises(PermanentFailure, match="does not exist.*LEDGER_URL"):
        decided(SqlLedger(engine, "desk"), DAYS[1])


@pytest.mark.fault(20)
def test_a_schema_that_is_dropped_while_the_desk_runs_stores_nothing(server: Server, url: str) -> None:
    engine = open_ledger(url, durability="FULL")
    server.run("drop schema desk cascade", url.rpartition("/")[2])
    with pytest.raises(sa.exc.ProgrammingError, match="decisions.*does not exist"):
        decided(SqlLedger(engine, "desk"), DAYS[0])
    engine.dispose()


@pytest.mark.fault(25)
def test_a_server_without_free_connections_is_a_passing_failure() -> None:
    with running({"max_connections": "4", "superuser_reserved_connections": "1"}) as small:
        url = small.url()
        small.run("create role plain login")
        small.run("grant all on database desk_1 to plain")
        plain = url.replace("desk@", "plain@")
        holders = [open_ledger(plain, durability="FULL") for _ in range(3)]
        assert [counts(holder) for holder in holders] == [[0, 0, 0, 0]] * 3
        with pytest.raises(TransientFailure, match="connection"):
            open_ledger(plain, durability="FULL")
        holders[0].dispose()
        decided(SqlLedger(holders[1], "desk"), DAYS[0])
        for holder in holders:
            holder.dispose()


def test_a_port_where_nobody_listens_is_a_passing_failure(tmp_path: Path) -> None:
    with pytest.raises(TransientFailure, match="start the server or wait"):
        open_ledger("postgresql://desk@127.0.0.1:1/desk", durability="FULL")


def test_a_transaction_whose_connection_is_ended_by_the_operator_stores_nothing(server: Server, url: str) -> None:
    """pg_terminate_backend, as an operator does with a stuck session."""
    engine = open_ledger(url, durability="FULL")

    def interrupted() -> None:
        with transaction(engine) as connection:
            pid = connection.scalar(sa.text("select pg_backend_pid()"))
            server.run(f"select pg_terminate_backend({pid})")
            connection.execute(sa.select(DECISIONS)).all()

    with pytest.raises(TransientFailure, match="terminat|closed"):
        interrupted()
    decided(SqlLedger(engine, "desk"), DAYS[0])
    assert counts(engine) == WHOLE
    engine.dispose()
