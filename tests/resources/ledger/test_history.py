"""History cannot be changed, whoever tries: the database itself refuses, and allows exactly what a rewind and the archive need.

Every table must be named here: one that is added without a decision fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import pytest
import sqlalchemy as sa

from resources.ledger.engine import transaction
from resources.ledger.schema import (
    APP_STATE,
    DECISIONS,
    GATES,
    HALTS,
    INTENTS,
    JOURNAL,
    LESSONS,
    MESSAGES,
    METADATA,
    MINDS,
    POSITIONS,
    PROPOSALS,
    SIGNATURES,
)
from resources.ledger.store import SqlLedger
from tests.resources.ledger.rows import fill_table

# Which rows of a table may be deleted; none may be changed.
NEVER, OF_A_BACKTEST, OF_A_BACKTEST_OR_ARCHIVED = "never", "of a backtest", "of a backtest or archived"
HISTORY = {
    "acknowledgements": OF_A_BACKTEST,
    "adoptions": NEVER,
    "answers": NEVER,
    "closes": OF_A_BACKTEST,
    "decisions": OF_A_BACKTEST,
    "dividends": OF_A_BACKTEST,
    "evaluations": NEVER,
    "execution_fees": NEVER,
    "executions": NEVER,
    "experiment_designs": NEVER,
    "experiment_ends": NEVER,
    "experiments": NEVER,
    "fills": OF_A_BACKTEST,
    "gates": NEVER,
    "halts": OF_A_BACKTEST,
    "intent_history": NEVER,
    "intents": OF_A_BACKTEST,
    "journal": OF_A_BACKTEST,
    "lessons": OF_A_BACKTEST,
    "messages": OF_A_BACKTEST_OR_ARCHIVED,
    "minds": OF_A_BACKTEST,
    "model_calls": NEVER,
    "orders": OF_A_BACKTEST,
    "parameter_changes": NEVER,
    "parameter_proposals": NEVER,
    "permits": NEVER,
    "proposal_answers": NEVER,
    "proposals": OF_A_BACKTEST,
    "seals": NEVER,
    "signatures": OF_A_BACKTEST,
}
# What is true now, and may be otherwise later.
STATE = {
    "agent_health",
    "app_state",
    "batches",
    "breakers",
    "contracts",
    "cursors",
    "foreign_orders",
    "health_checks",
    "heartbeats",
    "leases",
    "listeners",
    "pages",
    "pockets",
    "positions",
    "reservations",
    "snapshots",
}
# What is true now and stays as a row: what was handed to a broker is never forgotten.
KEPT = {"intent_states", "legs", "perm_ids"}
DESK, BACKTEST = 1, 2
MARK = "messages_archived_through"

CHILDREN_FIRST = [table for table in reversed(METADATA.sorted_tables) if table.name in HISTORY]


@pytest.fixture
def full(engine: sa.Engine) -> sa.Engine:
    """A ledger with one row of the desk and one of a backtest in every table."""
    with transaction(engine) as connection:
        for table in METADATA.sorted_tables:
            fill_table(connection, table)
    return engine


def rows(engine: sa.Engine, table: sa.Table) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]


def key(table: sa.Table, number: int) -> sa.ColumnElement[bool]:
    """The row of the desk or of the backtest."""
    column = next(iter(table.primary_key.columns))
    return column == (f"text {number}" if isinstance(column.type, sa.Text) else number)


@contextmanager
def refused(engine: sa.Engine, sentence: str = "append-only") -> Iterator[sa.Connection]:
    """A transaction that the database must refuse, in words that name the rule."""
    with pytest.raises(sa.exc.IntegrityError, match=sentence), transaction(engine) as connection:
        yield connection


def test_every_table_is_history_or_state() -> None:
    assert HISTORY.keys() | STATE | KEPT == METADATA.tables.keys()
    assert len(HISTORY) + len(STATE) + len(KEPT) == len(METADATA.tables)


def test_no_row_of_history_is_changed(full: sa.Engine) -> None:
    for table in CHILDREN_FIRST:
        before = rows(full, table)
        for column in table.columns:
            with refused(full, f"{table.name} is append-only") as connection:
                connection.execute(table.update().where(key(table, BACKTEST)).values({column: column}))
        with refused(full) as connection:
            connection.execute(table.update().values({next(iter(table.columns)): next(iter(table.columns))}))
        assert rows(full, table) == before


def test_no_row_of_history_is_replaced(full: sa.Engine) -> None:
    """SQLite's REPLACE deletes the old row in silence, and PostgreSQL's upsert is an update."""
    for table in CHILDREN_FIRST:
        before = rows(full, table)
        with refused(full) as connection:
            connection.exec_driver_sql(_replacing(table, full.dialect.name))
        assert rows(full, table) == before


def _replacing(table: sa.Table, database: str) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    if database == "sqlite":
        return f"insert or replace into {table.name} ({columns}) select {columns} from {table.name}"
    first = next(iter(table.primary_key.columns)).name
    return (
        f"insert into {table.name} ({columns}) select {columns} from {table.name}"
        f" on conflict ({first}) do update set {first} = excluded.{first}"
    )


def test_no_row_of_the_desks_history_is_deleted(full: sa.Engine) -> None:
    for table in CHILDREN_FIRST:
        before = rows(full, table)
        for delete in (table.delete().where(key(table, DESK)), table.delete()):
            with refused(full, f"{table.name} is append-only") as connection:
                connection.execute(delete)
        assert rows(full, table) == before


def test_a_backtests_rows_are_deleted_where_a_rewind_needs_it_and_nowhere_else(full: sa.Engine) -> None:
    for table in CHILDREN_FIRST:
        delete = table.delete().where(key(table, BACKTEST))
        if HISTORY[table.name] == NEVER:
            with refused(full) as connection:
                connection.execute(delete)
        else:
            with transaction(full) as connection:
                connection.execute(delete)
        assert len(rows(full, table)) == (2 if HISTORY[table.name] == NEVER else 1)


@pytest.mark.parametrize("ledger_where", ["postgresql"], indirect=True)
def test_no_history_is_truncated(full: sa.Engine) -> None:
    for table in CHILDREN_FIRST:
        with refused(full) as connection:
            connection.exec_driver_sql(f"truncate {table.name} cascade")
        assert len(rows(full, table)) == 2


def test_state_changes_and_goes(full: sa.Engine) -> None:
    for name in sorted(STATE):
        table = METADATA.tables[name]
        with transaction(full) as connection:
            connection.execute(table.update().values({next(iter(table.columns)): next(iter(table.columns))}))
            connection.execute(table.delete())
        assert rows(full, table) == []


def test_what_was_handed_to_a_broker_changes_and_does_not_go(full: sa.Engine) -> None:
    for name in sorted(KEPT):
        table = METADATA.tables[name]
        before = rows(full, table)
        with transaction(full) as connection:
            connection.execute(table.update().values(at="later"))
        with refused(full, "not deleted") as connection:
            connection.execute(table.delete())
        assert len(rows(full, table)) == len(before) == 1


# Messages and the archive


def mark(connection: sa.Connection, value: str) -> None:
    connection.execute(APP_STATE.insert(), {"key": MARK, "value": value, "at": ""})


def test_messages_are_deleted_up_to_the_archives_mark(full: sa.Engine) -> None:
    with transaction(full) as connection:
        fill_table(connection, MESSAGES, ("desk", "desk", "desk"))
        mark(connection, "4")
    with transaction(full) as connection:
        connection.execute(MESSAGES.delete().where(MESSAGES.c.id <= 4))
    with refused(full) as connection:
        connection.execute(MESSAGES.delete().where(MESSAGES.c.id == 5))
    assert [row[0] for row in rows(full, MESSAGES)] == [5]


def test_a_row_that_was_not_archived_stops_the_whole_deletion(full: sa.Engine) -> None:
    with transaction(full) as connection:
        fill_table(connection, MESSAGES, ("desk", "desk"))
        mark(connection, "3")
    with refused(full) as connection:
        connection.execute(MESSAGES.delete())
    assert len(rows(full, MESSAGES)) == 4


def test_the_archives_mark_is_a_number(full: sa.Engine) -> None:
    values = ("", "-1", "1.5", "many", "1 ", "0x10", "1e3")
    for value in values:
        with refused(full, "only grows") as connection:
            mark(connection, value)
    with transaction(full) as connection:
        mark(connection, "1")
    for value in values:
        with refused(full, "only grows") as connection:
            connection.execute(APP_STATE.update().where(APP_STATE.c.key == MARK).values(value=value))


def test_the_archives_mark_only_grows(full: sa.Engine) -> None:
    mine = APP_STATE.update().where(APP_STATE.c.key == MARK)
    with transaction(full) as connection:
        mark(connection, "9")
        connection.execute(mine.values(value="10"))
        connection.execute(mine.values(value="10"))
    for change in (
        mine.values(value="9"),
        mine.values(key="another"),
        APP_STATE.delete().where(APP_STATE.c.key == MARK),
    ):
        with refused(full, "only grows") as connection:
            connection.execute(change)
    with refused(full, "only grows") as connection:
        connection.execute(APP_STATE.update().where(APP_STATE.c.key == "text 1").values(key=MARK, value="none"))
    with transaction(full) as connection:
        assert connection.scalar(sa.select(APP_STATE.c.value).where(APP_STATE.c.key == MARK)) == "10"


# What a rewind needs


def test_a_rewind_forgets_a_backtests_messages_verdicts_and_journal_and_nothing_else(full: sa.Engine) -> None:
    with SqlLedger(full, "backtest").session() as ledger:
        ledger.rewind(date(2000, 1, 1))
    for table in (DECISIONS, INTENTS, SIGNATURES, MESSAGES, JOURNAL, POSITIONS, MINDS, LESSONS, PROPOSALS):
        assert [row.book for row in _all(full, table)] == ["desk"], table.name
    assert len(_all(full, GATES)) == 2
    assert len(_all(full, HALTS)) == 1


def _all(engine: sa.Engine, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(table)))
