"""Whether a database can still read what it holds: pages and indexes against each other, references against what they refer to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from resources.ledger.schema import METADATA

_INDEXES = ("enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan")
_TABLE = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


def damage(connection: sa.Connection) -> Iterator[str]:
    """What the database itself finds wrong, in the open snapshot."""
    yield from _IN[connection.dialect.name](connection)


def _in_sqlite(connection: sa.Connection) -> Iterator[str]:
    said: Iterable[str] = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
    yield from (f"database: {found}" for found in said if found != "ok")
    for table, rowid, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"database: row {rowid} of {table} refers to a row of {parent} that does not exist"


def _in_postgresql(connection: sa.Connection) -> Iterator[str]:
    """Every row is read and decoded, each index must lead to as many rows as the table has, and references must lead somewhere.

    The server checks pages by their checksums where it keeps them; an index that it marks as invalid is named.
    """
    invalid = sa.text(
        "select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid "
        "join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = current_schema() and not (i.indisvalid and i.indisready)"
    )
    names: Iterable[str] = connection.execute(invalid).scalars()
    yield from (f"database: index {name} is not valid" for name in names)
    with _without(connection, _INDEXES):
        rows = {table: _counts(connection, [_whole_rows(table)])[0] for table in METADATA.sorted_tables}
    with _without(connection, _TABLE):
        for table, count in rows.items():
            indexes = _indexes(table)
            found = _counts(connection, [_by_index(index) for index in indexes])
            for index, led in zip(indexes, found, strict=True):
                if led != count:
                    name = index.name or "of the key"
                    yield f"database: {table.name} has {count} rows, its index {name} leads to {led}"
    for table in METADATA.sorted_tables:
        yield from _orphans(connection, table)


_Index = sa.PrimaryKeyConstraint | sa.UniqueConstraint | sa.Index


def _indexes(table: sa.Table) -> Sequence[_Index]:
    unique = (each for each in table.constraints if isinstance(each, sa.UniqueConstraint))
    return (table.primary_key, *unique, *table.indexes)


def _whole_rows(table: sa.Table) -> sa.Select[Any]:
    """Counts rows by decoding all of each."""
    return sa.select(sa.func.count(sa.cast(sa.literal_column(table.name), sa.Text))).select_from(table)


def _by_index(index: _Index) -> sa.Select[Any]:
    """Counts rows in the order of an index, for which the server, left without a sort, walks it."""
    return sa.select(sa.func.count()).select_from(sa.select(*index.columns).order_by(*index.columns).subquery())


def _counts(connection: sa.Connection, queries: Sequence[sa.Select[Any]]) -> Sequence[int]:
    counted: sa.Row[Any] = connection.execute(sa.select(*(query.scalar_subquery() for query in queries))).one()
    return [int(count) for count in counted]


def _orphans(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    for key in table.foreign_keys:
        parent = sa.select(sa.literal(1)).where(key.column == key.parent).correlate(table)
        values: Iterable[Any] = connection.execute(sa.select(key.parent).where(~sa.exists(parent))).scalars()
        for value in values:
            yield f"database: {table.name} refers to {key.column.table.name} {value}, which does not exist"


@contextmanager
def _without(connection: sa.Connection, roads: Sequence[str]) -> Iterator[None]:
    """Closes some of the server's ways of reading."""
    for state in ("off", "on"):
        connection.execute(sa.select(*(sa.func.set_config(road, state, True) for road in roads)))
        if state == "off":
            yield


_IN = {"sqlite": _in_sqlite, "postgresql": _in_postgresql}
