"""The watchdog and the agents write what is theirs, and the database refuses everything else, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.ledger.dispatch_changes import Applying
from resources.ledger.dispatch_reductions import add_reduction
from resources.ledger.dispatch_states import Work, add_halt
from resources.ledger.engine import open_ledger, reading, transaction
from resources.ledger.roles import RIGHTS, Role, make_roles, open_ledger_as, statements
from resources.ledger.schema import APP_STATE, HEAD, LEGS, METADATA, PAGES
from resources.ledger.state import Heartbeats
from resources.ledger.verify import verify_ledger
from tests.postgres import Server
from tests.resources.ledger.dispatching import NOW, Desk, executed
from tests.resources.ledger.entries import PROJECT
from tests.resources.ledger.rows import fill_table, row_of
from trading_assets.core.errors import PermanentFailure

DENIED = "may not do this|permission denied"
WHOLE_SCHEMA = [table.name for table in METADATA.sorted_tables]


@pytest.fixture
def owner(ledger_where: Path | str) -> Iterator[sa.Engine]:
    """The ledger as the desk opens it, with roles where a server keeps them."""
    engine = open_ledger(ledger_where, durability="FULL")
    if engine.dialect.name == "postgresql":
        make_roles(engine)
    yield engine
    engine.dispose()


@contextmanager
def opened(where: Path | str, role: Role) -> Iterator[sa.Engine]:
    engine = open_ledger_as(where, role)
    yield engine
    engine.dispose()


def tries(engine: sa.Engine, table: sa.Table) -> dict[str, str]:
    """Which rights the database grants on a table: each is tried, and taken back."""
    first = next(iter(table.columns))
    statements = {
        "INSERT": table.insert().values(row_of(table, 3, "desk", 1)),
        "UPDATE": table.update().values({first: first}).where(sa.false()),
        "DELETE": table.delete().where(sa.false()),
    }
    return {right: _try(engine, statement) for right, statement in statements.items()}


class TakenBack(Exception):
    """The right is there."""


def _take_back(connection: sa.Connection, statement: sa.Executable) -> None:
    connection.execute(statement)
    raise TakenBack


def _try(engine: sa.Engine, statement: sa.Executable) -> str:
    """A row that breaks a rule of the table was allowed to be written."""
    try:
        with transaction(engine) as connection:
            _take_back(connection, statement)
    except PermanentFailure as refused:
        return "refused" if "may not" in refused.what or "denied" in refused.what else str(refused)
    except (TakenBack, sa.exc.IntegrityError):
        return "granted"
    return "nothing"


@pytest.mark.parametrize("role", ["watchdog", "agents"])
def test_each_role_writes_what_is_its_own_and_nothing_else(
    owner: sa.Engine, ledger_where: Path | str, role: Role
) -> None:
    with transaction(owner) as connection:
        for table in METADATA.sorted_tables:
            fill_table(connection, table, ("desk",))
    with opened(ledger_where, role) as engine:
        for table in METADATA.sorted_tables:
            mine = RIGHTS[role].get(table.name, ())
            told = tries(engine, table)
            assert [right for right, answer in told.items() if answer == "granted"] == list(mine), table.name


@pytest.mark.parametrize("role", ["watchdog", "agents"])
def test_every_role_reads_everything(owner: sa.Engine, ledger_where: Path | str, role: Role) -> None:
    with opened(ledger_where, role) as engine, reading(engine) as connection:
        counts = [connection.scalar(sa.select(sa.func.count()).select_from(t)) for t in METADATA.sorted_tables]
    assert counts == [0] * len(WHOLE_SCHEMA)
    assert owner is not None


@pytest.mark.parametrize("role", ["watchdog", "agents"])
@pytest.mark.parametrize(
    "statement", ["drop table legs", "create table mine (a integer)", "alter table halts add column mine integer"]
)
def test_no_role_changes_the_schema(owner: sa.Engine, ledger_where: Path | str, role: Role, statement: str) -> None:
    refusal = pytest.raises((PermanentFailure, sa.exc.ProgrammingError))
    with opened(ledger_where, role) as engine, refusal as refused, transaction(engine) as connection:
        connection.exec_driver_sql(statement)
    assert any(word in str(refused.value) for word in ("may not", "denied", "must be owner"))
    assert sorted(sa.inspect(owner).get_table_names()) == sorted([*WHOLE_SCHEMA, "alembic_version"])


def test_a_file_cannot_be_talked_into_another_file_or_weaker_rules(path: Path) -> None:
    open_ledger(path, durability="FULL").dispose()
    with opened(path, "watchdog") as engine:
        for statement in (
            f"attach database '{path}' as other",
            "PRAGMA writable_schema = ON",
            "PRAGMA recursive_triggers = OFF",
            "PRAGMA foreign_keys = OFF",
            "PRAGMA ignore_check_constraints = ON",
        ):
            with pytest.raises(PermanentFailure, match=DENIED), transaction(engine) as connection:
                connection.exec_driver_sql(statement)


@pytest.mark.control("W4")
def test_the_watchdog_halts_pages_lives_and_writes_its_own_orders_down(
    owner: sa.Engine, ledger_where: Path | str
) -> None:
    """Everything that it needs, in its own role; and the whole ledger is proven afterwards."""
    desk = Desk(owner)
    wanted = desk.submitted()
    desk.apply(executed(wanted))
    with opened(ledger_where, "watchdog") as engine:
        Heartbeats(engine).beat("watchdog", pid=1, state="ACTIVE", as_of=NOW, version="1", limits_hash="f" * 64)
        with transaction(engine) as connection:
            work = Work(connection, "desk")
            assert add_halt(work, "W4 kill", as_of=NOW)
            made = add_reduction(
                work,
                key="kill/1/AAA",
                symbol="AAA",
                role="flatten",
                quantity=7,
                is_short=False,
                cause="W4 kill",
                token=0,
                as_of=NOW,
            )
            page = {
                "book": "desk",
                "severity": "critical",
                "code": "W4",
                "sentence": "halted",
                "raised_at": "",
                "sends": 0,
            }
            connection.execute(PAGES.insert(), {**page, "answer": ""})
            assert Applying(work, 0, NOW, []).run() == ()
            work.store()
    assert made is not None
    beat = Heartbeats(owner).ages(as_of=NOW)["watchdog"]
    assert (beat.version, beat.limits_hash) == ("1", "f" * 64)
    assert [halt.cause for halt in desk.store.halts()] == ["W4 kill"]
    assert desk.store.waiting()[0].intent.id == made
    assert verify_ledger(owner, head=None).problems == ()


@pytest.mark.control("W6")
@pytest.mark.parametrize("role", ["watchdog", "agents"])
def test_no_role_but_the_operators_answers_a_halt(owner: sa.Engine, ledger_where: Path | str, role: Role) -> None:
    desk = Desk(owner)
    desk.store.halt("a reason", as_of=NOW)
    answer = {"halt_id": desk.store.halts()[0].id, "reason": "I may", "at": "now"}
    with opened(ledger_where, role) as engine:
        for statement in (
            METADATA.tables["acknowledgements"].insert().values(answer),
            METADATA.tables["halts"].delete(),
            METADATA.tables["halts"].update().values(cause="none"),
            APP_STATE.insert().values(key="k", value="v", at=""),
            METADATA.tables["seals"].insert().values(row_of(METADATA.tables["seals"], 1, "desk")),
        ):
            assert _try(engine, statement) == "refused"
    assert len(desk.store.halts()) == 1


def test_a_role_opens_no_ledger_that_is_missing_or_of_another_version(ledger_where: Path | str, tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="there is no ledger"):
        open_ledger_as(tmp_path / "none.sqlite", "watchdog")
    engine = open_ledger(ledger_where, durability="FULL")
    if engine.dialect.name == "postgresql":
        make_roles(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '0003'"))
    with pytest.raises(PermanentFailure, match=f"another version.*0003.*{HEAD}"):
        open_ledger_as(ledger_where, "watchdog")
    engine.dispose()


def test_a_server_without_the_role_refuses_whoever_asks_for_it(server: Server, migrated: str) -> None:
    server.run("drop role if exists desk_watchdog_gone")
    server.run("create role plain_user login")
    url = server.url(migrated).replace("desk@", "plain_user@")
    with pytest.raises((PermanentFailure, sa.exc.ProgrammingError), match="permission denied|does not exist"):
        open_ledger_as(url, "watchdog")
    server.drop(url)


def test_the_page_for_operators_is_what_the_code_makes() -> None:
    page = (PROJECT / "deploy" / "postgres_roles.sql").read_text()
    lines = [line for line in page.splitlines() if not line.startswith("--")]
    assert lines == [f"{statement};" for statement in statements()]
    assert LEGS.name in page
