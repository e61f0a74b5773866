"""Window sums: right, and the same bits wherever the series starts or ends."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features import textbook
from trading_assets.features.windows import lagged, window_deviation, window_mean, window_sum

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=120)
lengths = st.integers(2, 40)


@given(numbers, lengths)
@settings(deadline=None)
def test_a_window_sum_is_the_sum_of_its_rows(values: list[float], length: int) -> None:
    sums = window_sum(np.array(values), length)
    assert sums.size == len(values)
    assert np.isnan(sums[: length - 1]).all()
    for i in range(length - 1, len(values)):
        exact = math.fsum(values[i + 1 - length : i + 1])
        assert sums[i] == pytest.approx(exact, rel=1e-12, abs=1e-9)


@given(numbers, lengths, st.data())
@settings(deadline=None)
def test_rows_outside_a_window_never_touch_its_bits(values: list[float], length: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(values) - 1))
    end = data.draw(st.integers(begin + 1, len(values)))
    whole = np.array(values)
    for measure in (window_sum, window_mean, window_deviation):
        part = measure(whole[begin:end], length)
        full = np.arange(end - begin) >= length - 1
        assert part[full].tobytes() == measure(whole, length)[begin:end][full].tobytes()


@given(numbers, lengths)
@settings(deadline=None)
def test_a_window_deviation_agrees_with_the_definition(values: list[float], length: int) -> None:
    expected = np.array(textbook.deviation(values, length))
    np.testing.assert_allclose(window_deviation(np.array(values), length), expected, rtol=1e-9, atol=1e-9)


@given(st.floats(0.01, 1e6), st.integers(20, 60))
@settings(deadline=None)
def test_returns_that_never_differ_have_a_deviation_of_zero(price: float, count: int) -> None:
    closes = np.full(count, price)
    assert (window_deviation(np.log(closes[1:] / closes[:-1]), 15)[14:] == 0.0).all()


def test_a_missing_value_spoils_only_the_windows_that_hold_it() -> None:
    values = np.arange(12.0)
    values[4] = np.nan
    assert np.flatnonzero(np.isnan(window_sum(values, 3))).tolist() == [0, 1, 4, 5, 6]


def test_short_series_give_nothing_but_keep_their_length() -> None:
    for size in range(4):
        short = np.arange(1.0, size + 1)
        assert np.isnan(window_sum(short, 5)).tolist() == [True] * size
        assert np.isnan(window_deviation(short, 5)).tolist() == [True] * size
        assert np.isnan(lagged(short, 5)).tolist() == [True] * size


def test_a_lagged_series_shows_the_value_of_that_many_rows_ago() -> None:
    assert lagged(np.array([1.0, 2.0, 3.0]), 2)[2] == 1.0
