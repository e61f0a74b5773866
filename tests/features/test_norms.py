"""Norms of the rows before a row: against sorting and adding by hand, compiled and not."""

import math
from statistics import median

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.features import norms
from trading_assets.features.norms import cell_sums, mean_before, median_before, over
from trading_assets.features.windows import Floats

values = st.lists(
    st.lists(st.one_of(st.floats(0.1, 1e6), st.just(math.nan)), min_size=3, max_size=3), min_size=1, max_size=40
)


def matrix(rows: list[list[float]]) -> Floats:
    return np.array(rows, dtype=np.float64)


def finite_before(table: Floats, row: int, column: int, length: int) -> list[float]:
    return [float(v) for v in table[max(row - length, 0) : row, column] if math.isfinite(v)]


@given(values, st.integers(1, 6), st.integers(1, 25))
@settings(deadline=None, max_examples=25)
def test_a_norm_is_the_mean_or_median_of_the_finite_rows_before(
    rows: list[list[float]], least: int, length: int
) -> None:
    table = matrix(rows)
    means, medians = mean_before(table, least=least, length=length), median_before(table, least=least, length=length)
    for row in range(len(table)):
        for column in range(3):
            known = finite_before(table, row, column, length)
            if len(known) < least:
                assert math.isnan(means[row, column])
                assert math.isnan(medians[row, column])
            else:
                assert means[row, column] == pytest.approx(sum(known) / len(known), rel=1e-12)
                assert medians[row, column] == pytest.approx(median(known), rel=1e-15)


@given(values)
@settings(deadline=None, max_examples=30)
def test_the_compiled_loop_gives_the_bits_of_the_written_one(rows: list[list[float]]) -> None:
    table = matrix(rows)
    written = np.full(table.shape, np.nan)
    norms._medians.__wrapped__(table, 20, 3, written)  # type: ignore[attr-defined]
    assert written.tobytes() == median_before(table, least=3).tobytes()


@given(values, st.integers(1, 30))
@settings(deadline=None, max_examples=30)
def test_older_rows_than_the_window_change_no_bit(rows: list[list[float]], older: int) -> None:
    table = matrix([*([[7.7, 8.8, 9.9]] * 20), *rows])
    longer = np.vstack([np.full((older, 3), 123.456), table])
    for norm in (mean_before, median_before):
        assert norm(longer, least=5)[older + 20 :].tobytes() == norm(table, least=5)[20:].tobytes()


def test_rows_before_a_split_are_counted_in_the_shares_of_the_row() -> None:
    table = np.array([[100.0], [100.0], [300.0], [600.0], [600.0]])
    ratio = np.array([[1.0], [1.0], [3.0], [2.0], [1.0]])
    expected = [math.nan, 100.0, 300.0, 600.0, 600.0]
    np.testing.assert_array_equal(mean_before(table, least=1, ratio=ratio)[:, 0], expected)


def test_a_value_over_nothing_is_undefined() -> None:
    result = over(np.array([1.0, 1.0, 1.0, math.nan]), np.array([2.0, 0.0, math.nan, 1.0]))
    np.testing.assert_array_equal(result, [0.5, math.nan, math.nan, math.nan])


def test_cells_add_in_row_order_and_skip_what_is_empty() -> None:
    cells = np.array([0, 0, 0, 3], dtype=np.int64)
    total, count = cell_sums(cells, pl.Series([1e16, 1.0, None, 4.0]), (2, 2))
    assert total.tolist() == [[1e16 + 1.0, 0.0], [0.0, 4.0]]
    assert count.tolist() == [[2.0, 0.0], [0.0, 1.0]]
