"""Opening a ledger: pragmas of every connection, and the one schema that code and migrations agree on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from resources.ledger import engine as engine_module
from resources.ledger.engine import open_ledger
from resources.ledger.schema import HEAD, METADATA
from resources.ledger.store import SqlLedger
from tests.resources.ledger.entries import DAYS, decided, python, said
from trading_assets.core.errors import PermanentFailure

MIGRATIONS = Path(engine_module.__file__).with_name("migrations")


def pragmas(engine: sa.Engine) -> dict[str, object]:
    """What a fresh connection of the engine runs with."""
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    with engine.connect() as connection:
        return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


@pytest.mark.parametrize(("durability", "level"), [("FULL", 2), ("NORMAL", 1)])
def test_every_connection_has_its_pragmas(path: Path, durability: Literal["FULL", "NORMAL"], level: int) -> None:
    """F28: a lower `synchronous` would lose booked money in a power cut; it is set on each connection, not once."""
    engine = open_ledger(path, durability=durability)
    expected = {"journal_mode": "wal", "synchronous": level, "foreign_keys": 1, "busy_timeout": 5_000}
    assert [pragmas(engine) for _ in range(3)] == [expected] * 3


def test_the_pragmas_hold_inside_a_transaction_of_the_store(engine: sa.Engine) -> None:
    """F28, where it matters: the level in force while the decision is committed."""
    seen: list[object] = []
    sa.event.listen(
        engine, "commit", lambda connection: seen.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    )
    decided(SqlLedger(engine, "desk"), DAYS[0])
    assert seen == [2]


def test_a_path_with_marks_is_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "a ?b #c %20 é" / "desk.sqlite"
    decided(SqlLedger(open_ledger(odd, durability="FULL"), "desk"), DAYS[0])
    assert odd.is_file()


def test_opening_again_keeps_what_is_there(path: Path) -> None:
    for position in range(3):
        decided(SqlLedger(open_ledger(path, durability="FULL"), "desk"), DAYS[position])
    with SqlLedger(open_ledger(path, durability="FULL"), "desk").session() as ledger:
        assert len(ledger.intents(DAYS[9])) == 3


# Schema


def test_the_migrations_build_exactly_the_declared_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_the_migrations_build_the_declared_constraints(engine: sa.Engine) -> None:
    """Alembic's comparison on SQLite misses some of these, and they carry the ledger's promises."""
    declared = sa.create_engine("sqlite://")
    METADATA.create_all(declared)
    assert dict(_constraints(engine)) == dict(_constraints(declared))


def _constraints(engine: sa.Engine) -> Iterator[tuple[str, object]]:
    inspector = sa.inspect(engine)
    for table in METADATA.tables:
        unique = sorted(str(sorted(each["column_names"])) for each in inspector.get_unique_constraints(table))
        foreign = sorted(
            f"{each['constrained_columns']} {each['referred_table']}" for each in inspector.get_foreign_keys(table)
        )
        indexes = sorted(str(each["column_names"]) for each in inspector.get_indexes(table))
        empty = sorted(column["name"] for column in inspector.get_columns(table) if column["nullable"])
        yield table, (unique, foreign, indexes, empty, inspector.get_pk_constraint(table)["constrained_columns"])


def test_head_is_the_newest_migration(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD
    with engine.connect() as connection:
        assert connection.execute(sa.text("select version_num from alembic_version")).scalars().all() == [HEAD]


def test_a_ledger_of_a_newer_version_is_refused_with_both_versions(engine: sa.Engine, path: Path) -> None:
    """F22: nothing is started on a schema that this version does not know."""
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    with pytest.raises(PermanentFailure, match=f"newer version.*9999.*{HEAD}") as refused:
        open_ledger(path, durability="FULL")
    assert (refused.value.value, refused.value.bound) == ("9999", HEAD)


def test_two_processes_migrate_once(path: Path) -> None:
    """F21: one wins, the other waits and finds the work done."""
    code = "say('ready'); sys.stdin.readline(); ledger_at(sys.argv[1]); say('opened')"
    for round_ in range(3):
        target = path.with_name(f"{round_}.sqlite")
        openers = [python(code, target) for _ in range(3)]
        for opener in openers:
            assert opener.stdout is not None
            opener.stdout.readline()
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        assert [opener.communicate()[0] for opener in openers] == ["opened\n"] * 3
        with open_ledger(target, durability="FULL").connect() as connection:
            assert connection.execute(sa.text("select count(*) from alembic_version")).scalar() == 1


def test_alembic_is_not_imported_when_the_schema_is_at_head(path: Path) -> None:
    """A slot's run opens the ledger; it must not pay for a migration tool that has nothing to do."""
    code = "ledger_at(sys.argv[1]); say('alembic' in sys.modules)"
    assert said(code, path) == ["True"]
    assert said(code, path) == ["False"]
