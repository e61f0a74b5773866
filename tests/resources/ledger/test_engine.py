"""Opening a ledger and working with it: durability, one writer, snapshots, connections that are kept, forks and lanes."""

import shutil
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from resources.ledger import engine as engine_module
from resources.ledger import postgres, sqlite
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.schema import APP_STATE, DECISIONS
from resources.ledger.store import SqlLedger
from tests.postgres import CAREFUL_USER, Server, running
from tests.resources.ledger.entries import DAYS, PROJECT, at, decided, said
from trading_assets.core.errors import ConfigurationError, DeskError, PermanentFailure, TransientFailure

IMPATIENT_MS = 50
Durability = Literal["FULL", "NORMAL"]


def pragmas(engine: sa.Engine) -> dict[str, object]:
    """What a connection of the engine runs with."""
    names = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "busy_timeout")
    with engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def level_in_a_transaction(engine: sa.Engine) -> object:
    """SQLite's `synchronous` or PostgreSQL's `synchronous_commit` while something could be committed."""
    ask = "PRAGMA synchronous" if engine.dialect.name == "sqlite" else "show synchronous_commit"
    with transaction(engine) as connection:
        return connection.exec_driver_sql(ask).scalar()


def note(connection: sa.Connection, key: str, value: str = "") -> None:
    """Writes a row that a test can look for."""
    connection.execute(APP_STATE.insert(), {"key": key, "value": value, "at": ""})


def notes(connection: sa.Connection) -> list[str]:
    """The keys of such rows."""
    return list(connection.execute(sa.select(APP_STATE.c.key).order_by(APP_STATE.c.key)).scalars())


# Durability


@pytest.mark.fault(28)
@pytest.mark.parametrize(("durability", "level"), [("FULL", 2), ("NORMAL", 1)])
def test_every_connection_has_its_pragmas(path: Path, durability: Durability, level: int) -> None:
    """A lower `synchronous` would lose booked money in a power cut; it is set on each connection, not once."""
    engine = open_ledger(path, durability=durability)
    expected = {
        "journal_mode": "wal",
        "synchronous": level,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "busy_timeout": 5_000,
    }
    assert pragmas(engine) == expected
    with reading(engine):
        assert pragmas(engine) == expected, "a second connection"


@pytest.mark.fault(28)
@pytest.mark.parametrize(("durability", "levels"), [("FULL", (2, "on")), ("NORMAL", (1, "off"))])
def test_a_commit_is_synced_as_the_ledger_was_opened(
    ledger_where: Path | str, durability: Durability, levels: tuple[int, str]
) -> None:
    engine = open_ledger(ledger_where, durability=durability)
    assert level_in_a_transaction(engine) in levels
    engine.dispose()


@pytest.mark.fault(28)
def test_a_library_that_lowers_the_level_lowers_it_for_no_later_transaction(engine: sa.Engine) -> None:
    lower = "PRAGMA synchronous = OFF" if engine.dialect.name == "sqlite" else "set synchronous_commit = off"
    expected = level_in_a_transaction(engine)
    raw = engine.raw_connection()
    raw.cursor().execute(lower)
    raw.commit()
    raw.close()
    assert level_in_a_transaction(engine) == expected


@pytest.mark.fault(28)
def test_a_database_whose_default_is_lowered_still_syncs_money(server: Server, url: str) -> None:
    server.run(f'alter database "{url.rpartition("/")[2]}" set synchronous_commit = off')
    engine = open_ledger(url, durability="FULL")
    assert level_in_a_transaction(engine) == "on"
    engine.dispose()


@pytest.mark.fault(28)
def test_a_server_that_does_not_sync_is_no_place_for_money() -> None:
    with running({"fsync": "off", "full_page_writes": "off"}) as careless:
        url = careless.url()
        with pytest.raises(PermanentFailure, match=r"power cut: fsync and full_page_writes is off.*postgresql\.conf"):
            open_ledger(url, durability="FULL")
        open_ledger(url, durability="NORMAL").dispose()


def test_one_file_carries_both_durabilities(path: Path) -> None:
    """Money is synced at once, the rest with the next money; each sees what the other committed."""
    money, rest = open_ledger(path, durability="FULL"), open_ledger(path, durability="NORMAL")
    for engine, name in ((money, "a"), (rest, "b"), (money, "c")):
        with transaction(engine) as connection:
            note(connection, name)
    assert (level_in_a_transaction(money), level_in_a_transaction(rest)) == (2, 1)
    for engine in (money, rest):
        with reading(engine) as connection:
            assert notes(connection) == ["a", "b", "c"]


# One writer


def test_what_a_transaction_reads_stays_true_until_it_commits(ledger_where: Path | str, engine: sa.Engine) -> None:
    """Read, add one, write, from several threads and engines: no count is lost."""
    with transaction(engine) as connection:
        note(connection, "count", "0")
    engines = [engine, open_ledger(ledger_where, durability="NORMAL")]

    def count(engine: sa.Engine) -> None:
        for _ in range(15):
            with transaction(engine) as connection:
                before: str = connection.execute(sa.select(APP_STATE.c.value)).scalar_one()
                connection.execute(APP_STATE.update().values(value=str(int(before) + 1)))

    threads = [threading.Thread(target=count, args=(engines[number % 2],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert connection.execute(sa.select(APP_STATE.c.value)).scalar_one() == "60"
    engines[1].dispose()


@pytest.mark.fault(15)
def test_a_second_writer_waits_for_the_busy_time_out_and_no_longer(ledger_where: Path | str, engine: sa.Engine) -> None:
    impatient = open_ledger(ledger_where, durability="FULL", busy_timeout_ms=IMPATIENT_MS)
    with transaction(engine) as held:
        note(held, "held")
        with pytest.raises(TransientFailure, match="lock.*another process holds it"), transaction(impatient):
            pass
    with transaction(impatient) as connection:
        assert notes(connection) == ["held"]
    impatient.dispose()


def test_what_is_raised_in_the_block_takes_everything_back(engine: sa.Engine) -> None:
    def stumble() -> None:
        with transaction(engine) as connection:
            note(connection, "gone")
            raise KeyError("a bug after the ledger was written")

    with pytest.raises(KeyError):
        stumble()
    with reading(engine) as connection:
        assert notes(connection) == []


# Reading


def test_a_snapshot_waits_for_no_writer_and_sees_nothing_unfinished(engine: sa.Engine) -> None:
    with transaction(engine) as writer:
        note(writer, "unfinished")
        with reading(engine) as connection:
            assert notes(connection) == []
    with reading(engine) as connection:
        assert notes(connection) == ["unfinished"]


def test_a_snapshot_stays_as_it_was(engine: sa.Engine) -> None:
    with reading(engine) as connection:
        assert notes(connection) == []
        with transaction(engine) as writer:
            note(writer, "later")
        assert notes(connection) == []


def test_a_snapshot_refuses_to_write_and_its_connection_can_write_again_afterwards(engine: sa.Engine) -> None:
    with pytest.raises(PermanentFailure, match="read-?only"), reading(engine) as connection:
        note(connection, "refused")
    with transaction(engine) as connection:
        note(connection, "kept")
    with reading(engine) as connection:
        assert notes(connection) == ["kept"]


def test_the_books_own_snapshot_reads_and_refuses_to_write(book: SqlLedger) -> None:
    wanted, _, _ = decided(book, DAYS[0])
    with book.session() as writing, book.reading() as ledger:
        assert ledger.intents(DAYS[0]) == [wanted]
        assert writing.intents(DAYS[0]) == [wanted]
    with pytest.raises(PermanentFailure, match="read-?only"), book.reading() as ledger:
        ledger.add_halt("never", as_of=at(DAYS[0]))


# Connections


def used_connection(engine: sa.Engine) -> object:
    """The driver's connection of a transaction."""
    with transaction(engine) as connection:
        return connection.connection.dbapi_connection


def test_a_connection_is_kept_for_the_next_transaction(engine: sa.Engine) -> None:
    assert used_connection(engine) is used_connection(engine)


@pytest.mark.fault(25)
def test_when_every_connection_is_in_use_the_next_fails_in_passing(
    ledger_where: Path | str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails closed within the time-out, which is at most 5 s; a connection that comes back is used again."""
    database = sqlite if engine.dialect.name == "sqlite" else postgres
    assert database.CONNECTION_TIMEOUT_S <= 5
    monkeypatch.setattr(database, "CONNECTION_TIMEOUT_S", 0.1)
    hasty = open_ledger(ledger_where, durability="FULL")
    with ExitStack() as held:
        for _ in range(database.CONNECTIONS + database.MORE_CONNECTIONS):
            held.enter_context(reading(hasty))
        with pytest.raises(TransientFailure, match="every connection to the ledger is in use"), transaction(hasty):
            pass
        with pytest.raises(TransientFailure, match="every connection to the ledger is in use"), reading(hasty):
            pass
    decided(SqlLedger(hasty, "desk"), DAYS[0])
    hasty.dispose()


def test_a_process_that_opens_ledgers_again_and_again_keeps_few_connections(path: Path) -> None:
    engines = [open_ledger(path, durability="NORMAL") for _ in range(20)]
    idle = [engine.pool.checkedin() for engine in engines]  # type: ignore[attr-defined]
    assert sum(idle) <= engine_module.ENGINES_WITH_IDLE_CONNECTIONS_MAX
    assert idle[-1] == 1
    decided(SqlLedger(engines[0], "desk"), DAYS[0])


FORKED = """
import sqlalchemy as sa
from resources.ledger.engine import open_ledger, transaction
engine = open_ledger(place(sys.argv[1]), durability="FULL")
book = SqlLedger(engine, "desk")

def mine():
    with transaction(engine) as connection:
        return connection.connection.dbapi_connection

kept = mine()
child = os.fork()
if not child:
    same = mine() is kept
    decided(book, DAYS[0])
    say(f"child: {same}")
    os._exit(0)
os.waitpid(child, 0)
say(f"parent: {mine() is kept}")
decided(book, DAYS[1])
with book.reading() as ledger:
    say(len(ledger.decisions(*EVER)))
"""


def test_a_forked_child_never_uses_its_parents_connections(ledger_where: Path | str) -> None:
    """Its own work is stored, and the parent goes on with the connection that it had."""
    assert said(FORKED, ledger_where) == ["child: False", "parent: True", "2"]


def test_a_process_that_ends_leaves_no_log_beside_the_file(path: Path) -> None:
    """Whoever copies the file of a desk that stopped has everything, also where a thread still held the ledger."""
    code = "import threading; book = ledger_at(sys.argv[1]); decided(book, DAYS[0]);"
    said(
        f"{code} threading.Thread(target=lambda kept: threading.Event().wait(), args=(book,), daemon=True).start()",
        path,
    )
    assert [file.name for file in path.parent.iterdir()] == [path.name]


# Places


def test_a_path_with_marks_is_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "a ?b #c %20 é" / "desk.sqlite"
    decided(SqlLedger(open_ledger(odd, durability="FULL"), "desk"), DAYS[0])
    assert odd.is_file()


def test_opening_again_keeps_what_is_there(ledger_where: Path | str) -> None:
    for position in range(3):
        engine = open_ledger(ledger_where, durability="FULL")
        decided(SqlLedger(engine, "desk"), DAYS[position])
        engine.dispose()
    engine = open_ledger(ledger_where, durability="FULL")
    with SqlLedger(engine, "desk").reading() as ledger:
        assert len(ledger.intents(DAYS[9])) == 3
    engine.dispose()


def test_each_lane_of_a_database_has_its_own_tables_and_its_own_writer(url: str) -> None:
    desk, backtest = (open_ledger(url, durability="FULL", lane=lane) for lane in ("desk", "backtest"))
    with transaction(desk) as connection:
        note(connection, "desk")
        decided(SqlLedger(backtest, "backtest"), DAYS[0])
    with reading(backtest) as connection:
        assert notes(connection) == []
    with reading(desk) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(DECISIONS)).scalar_one() == 0
    for engine in (desk, backtest):
        engine.dispose()


@pytest.mark.parametrize("lane", ["", "Desk", "1desk", 'a"b', "a b", "x" * 64])
def test_a_lane_that_names_no_schema_is_refused(lane: str) -> None:
    with pytest.raises(ConfigurationError, match="a lane names a schema"):
        open_ledger("postgresql://127.0.0.1/desk", durability="FULL", lane=lane)


@pytest.mark.parametrize(
    "address",
    ["", "desk.sqlite", "sqlite:///desk.sqlite", "mysql://u:hunter2@h/d", "postgresql://u:hunter2@h", "://hunter2"],
)
def test_an_address_that_is_not_postgresqls_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="not one of PostgreSQL.*LEDGER_URL") as refused:
        open_ledger(address, durability="FULL")
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


@given(st.text(max_size=40))
def test_any_text_that_is_no_address_is_refused_in_the_desks_words(text: str) -> None:
    with pytest.raises(ConfigurationError):
        open_ledger(f"sqlite:{text}", durability="FULL")


def test_no_failure_shows_the_password(server: Server, url: str) -> None:
    """Neither in its sentence nor in the failures that led to it."""
    database, secret = url.rpartition("/")[2], "hunter" + "2"
    server.run(f"create role {CAREFUL_USER} login password 'right'")
    careful = server.address(database, f"{CAREFUL_USER}:{secret}")
    failures = [
        raised(lambda: open_ledger(careful, durability="FULL")),
        raised(lambda: open_ledger(server.address("absent", f"desk:{secret}"), durability="FULL")),
        raised(lambda: open_ledger(f"postgresql://desk:{secret}@127.0.0.1:1/desk", durability="FULL")),
        raised(lambda: open_ledger(f"{url}?password={secret}&port=1", durability="FULL")),
        raised(lambda: open_ledger(f"{url}?unheard={secret}", durability="FULL")),
    ]
    assert all(secret not in "".join(traceback.format_exception(failure)) for failure in failures)
    assert [type(failure) for failure in failures] == [
        PermanentFailure,
        PermanentFailure,
        TransientFailure,
        TransientFailure,
        PermanentFailure,
    ]
    assert all("LEDGER_URL" in str(failure) or "start the server" in str(failure) for failure in failures)


def raised(action: Callable[[], object]) -> DeskError:
    """The failure that the action raises."""
    with pytest.raises(DeskError) as refused:
        action()
    return refused.value


def test_a_file_needs_neither_the_servers_driver_nor_the_migration_tool_once_it_is_at_head(path: Path) -> None:
    """A slot's run opens the ledger; it must not pay for what it does not use."""
    code = "ledger_at(sys.argv[1]); say([name in sys.modules for name in ('alembic', 'psycopg')])"
    assert said(code, path) == ["[True, False]"]
    assert said(code, path) == ["[False, False]"]


SYNCS = """
import sys
from resources.ledger.schema import APP_STATE
from resources.ledger.engine import open_ledger, transaction
from tests.resources.ledger.entries import *
full, normal = (open_ledger(Path(sys.argv[1]), durability=level) for level in ("FULL", "NORMAL"))
def note(engine, key):
    with transaction(engine) as connection: connection.execute(APP_STATE.insert(), {"key": key, "value": "", "at": ""})
note(full, "first"), note(normal, "second"), say("begin")
[note(full, f"full {n}") for n in range(10)], say("full")
[note(normal, f"normal {n}") for n in range(10)], say("normal")
[note(normal, f"more {n}") for n in range(10)], note(full, "last"), say("both")
os._exit(0)
"""


def test_a_full_commit_is_one_sync_that_covers_every_commit_before_it(path: Path, tmp_path: Path) -> None:
    """What a power cut can take away is what was not synced; counted at the system calls of another process."""
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,write", sys.executable, "-c"]
    if not shutil.which("strace") or subprocess.run([*command, ""], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let the tests watch a process with strace")
    subprocess.run([*command, SYNCS, str(path)], cwd=PROJECT, check=True, capture_output=True)
    counted, syncs = {}, 0
    for line in trace.read_text().splitlines():
        syncs += "sync(" in line
        for name in ("begin", "full", "normal", "both"):
            if f'"{name}\\n"' in line:
                counted[name], syncs = syncs, 0
    assert {name: counted[name] for name in ("full", "normal", "both")} == {"full": 10, "normal": 0, "both": 1}
