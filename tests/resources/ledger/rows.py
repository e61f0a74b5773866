"""Rows for any table of the ledger, made from its columns alone: for tests that must hold for every table."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

DAY = date(2024, 1, 2)
BOOKS = ("desk", "backtest")
# A backtest hands nothing to a broker: what refers to an intent or an order there refers to one of the desk.
DISPATCHED = ("intent_states", "intent_history", "seals", "legs", "perm_ids")
# One of them for each intent or order.
_ONCE = ("intent_states", "legs", "perm_ids")
_BEGINS = {("intent_states", "state"): "PROPOSED"}


def fill_table(connection: sa.Connection, table: sa.Table, books: Sequence[str] = BOOKS) -> None:
    """One row for each book; the parents of a row stand under the same number, or are the desk's where a broker has them."""
    at_broker = table.name in DISPATCHED
    for number, book in enumerate(books[:1] if table.name in _ONCE else books, start=1):
        connection.execute(table.insert(), row_of(table, number, book, 1 if at_broker else number))


def row_of(table: sa.Table, number: int, book: str, parent: int | None = None) -> dict[str, Any]:
    """A row whose values are made from its number; where the database counts, it counts."""
    counted = table.autoincrement_column
    numbers = {column.name: parent or number for column in table.columns if column.foreign_keys}
    made = {
        column.name: _value(column, numbers.get(column.name, number), book)
        for column in table.columns
        if column is not counted
    }
    return made | {name: begins for (of, name), begins in _BEGINS.items() if of == table.name}


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
