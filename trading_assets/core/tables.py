"""Declared tables: the one description of columns, types and key that lake, checks, docs and the Dagster UI share.

Types are named by words so that declaring a table imports no data library; `polars_schema` translates when rows exist.
Every table has `session` (the exchange session that the row is from) and `knowable_at` (the UTC instant from which a decision may
see it): the lake cuts by both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from trading_assets.core.errors import TableMismatch

if TYPE_CHECKING:
    import polars as pl

ColumnType = Literal["text", "day", "instant", "number", "count", "flag", "usd"]
FACTS = "facts"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its unit or meaning is part of `doc`."""

    name: str
    type: ColumnType
    doc: str
    nullable: bool = False


SESSION = Column("session", "day", "Exchange session (New York date) that the row is from.")
KNOWABLE_AT = Column("knowable_at", "instant", "UTC instant from which a decision may see the row.")
SYMBOL = Column("symbol", "text", "Ticker as traded in that session.")


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Args:
        name: The last part of the asset key and the folder in the lake.
        doc: What one row is.
        key: Columns that identify a row; duplicates are refused.
        columns: All columns, `session` and `knowable_at` among them.
    """

    name: str
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def polars_schema(self) -> Mapping[str, Any]:
        """Column name to polars data type, in order."""
        return {column.name: _polars_type(column.type) for column in self.columns}

    def empty(self) -> pl.DataFrame:
        """A frame with this table's columns and no row."""
        import polars as pl

        return pl.DataFrame(schema=dict(self.polars_schema()))

    def frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows given as mappings, as a conforming frame; empty for no row."""
        import polars as pl

        return self.conform(pl.DataFrame(rows, schema=dict(self.polars_schema()))) if rows else self.empty()

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame in declared column order, sorted by key; TableMismatch when anything differs from the declaration."""
        self._refuse_wrong_columns(frame)
        ordered = frame.select(list(self.polars_schema()))
        self._refuse_nulls(ordered)
        if self._ascends(ordered):
            return ordered
        in_order = ordered.sort(*self.key)
        if not self._ascends(in_order):
            self._refuse_duplicates(ordered)
        return in_order

    def _ascends(self, frame: pl.DataFrame) -> bool:
        """Whether each row's key is greater than that of the row before: sorted, and no key twice."""
        import polars as pl

        columns = [frame[name] for name in self.key]
        if any(column.null_count() for column in columns):
            return False
        ascending = pl.repeat(value=False, n=max(frame.height - 1, 0), dtype=pl.Boolean(), eager=True)
        for column in reversed(columns):
            here, before = column[1:], column[:-1]
            ascending = (here > before) | ((here == before) & ascending)
        return bool(ascending.all())

    def _refuse_wrong_columns(self, frame: pl.DataFrame) -> None:
        declared, actual = dict(self.polars_schema()), dict(frame.schema)
        if declared != actual:
            wrong = sorted(n for n in declared.keys() | actual.keys() if declared.get(n) != actual.get(n))
            raise TableMismatch(
                f"a frame does not fit table {self.name}",
                value={name: str(actual.get(name, "missing")) for name in wrong},
                bound={name: str(declared.get(name, "not declared")) for name in wrong},
            )

    def _refuse_nulls(self, frame: pl.DataFrame) -> None:
        required = [column.name for column in self.columns if not column.nullable]
        empty = [name for name in required if frame[name].null_count()]
        if empty:
            raise TableMismatch(f"table {self.name} has empty values in required columns", value=empty)

    def _refuse_duplicates(self, frame: pl.DataFrame) -> None:
        twice = frame.select(self.key).is_duplicated()
        if twice.any():
            row = frame.select(self.key).filter(twice).row(0, named=True)
            raise TableMismatch(
                f"table {self.name} has the same key twice", value=row, bound=f"unique {'+'.join(self.key)}"
            )


def _polars_type(kind: ColumnType) -> Any:
    import polars as pl

    types: dict[ColumnType, Any] = {
        "text": pl.String(),
        "day": pl.Date(),
        "instant": pl.Datetime("us", "UTC"),
        "number": pl.Float64(),
        "count": pl.Int64(),
        "flag": pl.Boolean(),
        "usd": pl.Decimal(18, 4),
    }
    return types[kind]
