"""Migrations: they build what the code declares, once, whole or not at all, and keep every row that was there."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from resources.ledger import engine as engine_module
from resources.ledger.engine import open_ledger, reading
from resources.ledger.schema import HEAD, METADATA
from resources.ledger.store import SqlLedger
from tests.postgres import Server
from tests.resources.ledger.entries import DAYS, EVER, decided, python
from tests.resources.ledger.rows import fill_table
from trading_assets.core.errors import PermanentFailure

MIGRATIONS = Path(engine_module.__file__).with_name("migrations")
ADDED = {("decisions", "mind_digest"), ("heartbeats", "version"), ("heartbeats", "limits_hash")}


@pytest.fixture(params=["sqlite", "postgresql"])
def nothing(request: pytest.FixtureRequest) -> Iterator[Path | str]:
    """A place without any ledger."""
    if request.param == "sqlite":
        yield request.getfixturevalue("path")
        return
    server: Server = request.getfixturevalue("server")
    url = server.url()
    yield url
    server.drop(url)


@pytest.fixture
def declared(request: pytest.FixtureRequest, ledger_where: Path | str) -> Iterator[sa.Engine]:
    """The tables as the code declares them, made without any migration."""
    if isinstance(ledger_where, Path):
        engine, url = sa.create_engine("sqlite://"), None
    else:
        url = request.getfixturevalue("server").url()
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    METADATA.create_all(engine)
    yield engine
    engine.dispose()
    if url:
        request.getfixturevalue("server").drop(url)


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    return made


# What they build


def test_the_migrations_build_exactly_the_declared_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_the_migrations_build_the_declared_columns_and_constraints(engine: sa.Engine, declared: sa.Engine) -> None:
    """Alembic's comparison misses some of these, and they carry the ledger's promises."""
    assert dict(_constraints(engine)) == dict(_constraints(declared))


def _constraints(engine: sa.Engine) -> Iterator[tuple[str, object]]:
    inspector = sa.inspect(engine)
    for table in METADATA.tables:
        unique = sorted(f"{each['name']} {each['column_names']}" for each in inspector.get_unique_constraints(table))
        foreign = sorted(
            f"{each['constrained_columns']} {each['referred_table']}" for each in inspector.get_foreign_keys(table)
        )
        indexes = sorted(f"{each['name']} {each['column_names']}" for each in inspector.get_indexes(table))
        columns = [
            (each["name"], str(each["type"]), getattr(each["type"], "collation", None), each["nullable"])
            for each in inspector.get_columns(table)
        ]
        yield table, (unique, foreign, indexes, columns, inspector.get_pk_constraint(table)["constrained_columns"])


def test_text_sorts_by_code_point_on_every_database(engine: sa.Engine) -> None:
    """Instants are compared as text: "+" is before ".", "." before digits, digits before "T"; a dictionary would skip the marks."""
    words = ["b", "B", "a b", "a.b", "a+b", "a1", "aT", "Z", "é"]
    table = METADATA.tables["app_state"]
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"key": word, "value": "", "at": ""} for word in words])
        assert connection.execute(sa.select(table.c.key).order_by(table.c.key)).scalars().all() == sorted(words)


def test_head_is_the_newest_migration(engine: sa.Engine) -> None:
    assert ScriptDirectory.from_config(config()).get_current_head() == HEAD
    with engine.connect() as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalars().all() == [HEAD]


def test_a_ledger_is_never_downgraded(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        told = config()
        told.attributes["connection"] = connection
        with pytest.raises(RuntimeError, match="never downgraded; restore the backup"):
            command.downgrade(told, "0001")


# From where


@pytest.mark.fault(22)
def test_a_ledger_of_a_newer_version_is_refused_with_both_versions(ledger_where: Path | str, engine: sa.Engine) -> None:
    """Nothing is started on a schema that this version does not know, and nothing of it is changed."""
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(PermanentFailure, match=f"newer version.*9999.*{HEAD}.*install the version") as refused:
        open_ledger(ledger_where, durability="FULL")
    assert (refused.value.value, refused.value.bound) == ("9999", HEAD)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalar() == "9999"


def of_the_first_version(where: Path | str) -> dict[str, list[str]]:
    """Makes a ledger of the first version with rows of two books in every table, as that version left it; returns the rows."""
    if isinstance(where, Path):
        where.parent.mkdir(parents=True, exist_ok=True)
        plain = sa.create_engine(f"sqlite:///{where}")
    else:
        plain = sa.create_engine(where.replace("postgresql:", "postgresql+psycopg:"))
    with plain.begin() as connection:
        if not isinstance(where, Path):
            connection.exec_driver_sql("create schema desk")
            connection.exec_driver_sql("set local search_path to desk")
        told = config()
        told.attributes["connection"] = connection
        command.upgrade(told, "0001")
        for table in tables_of(connection):
            fill_table(connection, table, ("desk", "backtest"))
        rows = contents(connection)
    plain.dispose()
    return rows


def tables_of(connection: sa.Connection) -> list[sa.Table]:
    """What stands in the database, parents first."""
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in {"alembic_version", "sqlite_sequence"}]


def contents(connection: sa.Connection) -> dict[str, list[str]]:
    """Every row of every table, as text; a later version's column with nothing in it is left out."""
    return {
        table.name: sorted(
            json.dumps({name: str(value) for name, value in row.items() if (table.name, name) not in ADDED or value})
            for row in connection.execute(sa.select(table)).mappings()
        )
        for table in tables_of(connection)
    }


def test_a_ledger_of_the_first_version_keeps_every_row(nothing: Path | str) -> None:
    before = of_the_first_version(nothing)
    assert all(len(rows) == 2 for rows in before.values())
    engine = open_ledger(nothing, durability="FULL")
    with reading(engine) as connection:
        after = contents(connection)
    assert {name: after[name] for name in before} == before
    assert all(not rows for name, rows in after.items() if name not in before)
    decided(SqlLedger(engine, "other"), DAYS[0])
    engine.dispose()


@pytest.mark.fault(22)
def test_a_migrated_ledger_is_guarded_like_a_new_one(nothing: Path | str) -> None:
    of_the_first_version(nothing)
    engine = open_ledger(nothing, durability="FULL")
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("update decisions set reason = 'another'"))
    engine.dispose()


# Killed, and at once


def migrate_and_die_at(where: str, statement: int) -> None:
    """Opens a ledger and dies by SIGKILL before the given statement after the first; for another process."""
    import os

    from tests.resources.ledger.entries import place

    seen = 0

    def before(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", before)
    open_ledger(place(where), durability="FULL")


@pytest.mark.fault(21)
@pytest.mark.parametrize("old", [False, True], ids=["new", "first version"])
@pytest.mark.parametrize("statement", [15, 60, 85])
def test_a_migration_that_is_killed_halfway_leaves_what_was_there(
    nothing: Path | str, statement: int, old: bool
) -> None:
    """The schema changes in one transaction: the next start finds the old one, and makes the new one whole."""
    before = of_the_first_version(nothing) if old else {}
    code = "from tests.resources.ledger.test_migrations import *; migrate_and_die_at(sys.argv[1], int(sys.argv[2]))"
    process = python(code, nothing, statement)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    engine = open_ledger(nothing, durability="FULL")
    with reading(engine) as connection:
        after = contents(connection)
        assert connection.execute(sa.text("select version_num from alembic_version")).scalars().all() == [HEAD]
    assert {name: after[name] for name in before} == before
    decided(SqlLedger(engine, "other"), DAYS[0])
    with SqlLedger(engine, "other").reading() as ledger:
        assert len(ledger.decisions(*EVER)) == 1
    engine.dispose()


@pytest.mark.fault(21)
def test_processes_that_open_a_new_ledger_at_once_migrate_it_once(nothing: Path | str) -> None:
    """One wins, the others wait and find the work done."""
    code = "say('ready'); sys.stdin.readline(); ledger_at(sys.argv[1]); say('opened')"
    openers = [python(code, nothing) for _ in range(4)]
    for opener in openers:
        assert opener.stdout is not None
        opener.stdout.readline()
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    assert [opener.communicate() for opener in openers] == [("opened\n", "")] * 4
    engine = open_ledger(nothing, durability="FULL")
    with reading(engine) as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalars().all() == [HEAD]
    engine.dispose()
