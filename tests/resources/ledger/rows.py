"""Rows for any table of the ledger, made from its columns alone: for tests that must hold for every table."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

DAY = date(2024, 1, 2)
BOOKS = ("desk", "backtest")


def fill_table(connection: sa.Connection, table: sa.Table, books: Sequence[str] = BOOKS) -> None:
    """One row for each book; the parents of a row stand under the same number."""
    for number, book in enumerate(books, start=1):
        connection.execute(table.insert(), row_of(table, number, book))


def row_of(table: sa.Table, number: int, book: str) -> dict[str, Any]:
    """A row whose values are made from its number; where the database counts, it counts."""
    counted = table.autoincrement_column
    return {column.name: _value(column, number, book) for column in table.columns if column is not counted}


def _value(column: sa.Column[Any], number: int, book: str) -> Any:
    if column.name == "book":
        return book
    if isinstance(column.type, sa.Date):
        return DAY
    if isinstance(column.type, sa.Boolean):
        return True
    if isinstance(column.type, sa.Integer | sa.Float):
        return number
    if isinstance(column.type, sa.types.TypeDecorator):
        return Decimal(number)
    # A text that a foreign key points to is the id of the parent with the same number.
    return f"text {number}"
