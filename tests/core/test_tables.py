"""A frame is what its table declares, or it is refused with the difference."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.errors import TableMismatch
from trading_assets.core.tables import KNOWABLE_AT, SESSION, SYMBOL, Column, Table

TABLE = Table(
    "prices",
    "A price.",
    ("session", "symbol"),
    (
        SESSION,
        SYMBOL,
        Column("price", "number", "USD."),
        Column("note", "text", "Free text.", nullable=True),
        KNOWABLE_AT,
    ),
)
ROW = {
    "session": date(2024, 7, 5),
    "symbol": "AAPL",
    "price": 1.5,
    "note": None,
    "knowable_at": datetime(2024, 7, 5, 20, tzinfo=UTC),
}


def test_rows_become_a_frame_in_declared_order_sorted_by_key() -> None:
    frame = TABLE.frame([{**ROW, "symbol": "B"}, {**ROW, "symbol": "A"}])
    assert frame.columns == ["session", "symbol", "price", "note", "knowable_at"]
    assert frame["symbol"].to_list() == ["A", "B"]


def test_no_rows_become_an_empty_frame_with_the_declared_types() -> None:
    assert dict(TABLE.frame([]).schema) == dict(TABLE.polars_schema())


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableMismatch, match="price.*missing"):
        TABLE.conform(TABLE.frame([ROW]).drop("price"))


def test_a_column_that_is_not_declared_is_named() -> None:
    with pytest.raises(TableMismatch, match="extra.*not declared"):
        TABLE.conform(TABLE.frame([ROW]).with_columns(extra=pl.lit(1)))


def test_a_column_of_the_wrong_type_is_named_with_both_types() -> None:
    with pytest.raises(TableMismatch, match="'price': 'String'.*'price': 'Float64'"):
        TABLE.conform(TABLE.frame([ROW]).with_columns(price=pl.lit("1.5")))


def test_an_empty_value_in_a_required_column_is_refused_and_in_a_nullable_one_is_not() -> None:
    with pytest.raises(TableMismatch, match="symbol"):
        TABLE.frame([{**ROW, "symbol": None}])
    assert TABLE.frame([ROW]).height == 1


def test_the_same_key_twice_is_refused_and_shown() -> None:
    with pytest.raises(TableMismatch, match="same key twice.*AAPL"):
        TABLE.frame([ROW, ROW])


def rows_of(*keys: tuple[int, str]) -> pl.DataFrame:
    rows = [{**ROW, "session": date(2024, 7, day), "symbol": symbol} for day, symbol in keys]
    return pl.DataFrame(rows, schema=dict(TABLE.polars_schema()))


keys = st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["A", "AB", "B", "a", "Ä", "A" * 14])), max_size=12)


@given(keys)
@settings(deadline=None)
def test_rows_in_any_order_are_sorted_or_refused_for_a_key_that_is_there_twice(keys: list[tuple[int, str]]) -> None:
    if len(set(keys)) < len(keys):
        with pytest.raises(TableMismatch, match="same key twice"):
            TABLE.conform(rows_of(*keys))
    else:
        conforming = TABLE.conform(rows_of(*keys))
        assert conforming.equals(rows_of(*keys).sort("session", "symbol"))
        assert conforming.height == len(keys)


def test_the_first_key_that_stands_twice_in_the_given_order_is_shown() -> None:
    with pytest.raises(TableMismatch) as refused:
        TABLE.conform(rows_of((3, "B"), (1, "A"), (3, "B"), (1, "A")))
    assert refused.value.value == {"session": date(2024, 7, 3), "symbol": "B"}


def test_a_frame_that_conforms_already_is_not_copied() -> None:
    frame = rows_of((1, "A"), (1, "B"), (2, "A"))
    assert TABLE.conform(frame)["price"].to_numpy().ctypes.data == frame["price"].to_numpy().ctypes.data


def test_a_key_may_be_empty_where_its_column_may_and_still_stands_once() -> None:
    table = Table("notes", "A note.", ("session", "note"), TABLE.columns)
    noted = rows_of((2, "A"), (1, "B"), (1, "C")).with_columns(note=pl.Series(["x", None, "y"]))
    assert table.conform(noted)["note"].to_list() == [None, "y", "x"]
    with pytest.raises(TableMismatch, match="same key twice"):
        table.conform(rows_of((1, "A"), (1, "B")))
