"""Confidence intervals by blocks: as arch draws them, at their level on series that remember, none where nothing can be said."""

import math
import subprocess
import sys

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trading_assets.core.errors import PermanentFailure
from trading_assets.evaluation.statistics import (
    OBSERVATIONS_MIN,
    Interval,
    block_bootstrap,
    block_bootstrap_between,
    block_bootstrap_difference,
    block_bootstrap_difference_of,
    block_bootstrap_of,
    mean_of,
    profit_factor_of,
    sharpe_of,
    win_rate_of,
)

Floats = NDArray[np.float64]
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=OBSERVATIONS_MIN, max_size=40)


def remembering(seed: int, count: int, by: float) -> list[float]:
    """AR(1) with unit innovations around 0."""
    drawn = np.random.default_rng(seed).standard_normal(count + 50)
    values = np.zeros(count + 50)
    for place in range(1, count + 50):
        values[place] = by * values[place - 1] + drawn[place]
    return [float(value) for value in values[50:]]


def known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def test_resampled_means_spread_as_those_of_arch() -> None:
    series = remembering(1, 150, 0.4)
    ours = known(block_bootstrap(series, level=0.8, seed=3, samples=4000, mean_block=8.0))
    theirs = StationaryBootstrap(8, np.array(series), seed=3).conf_int(
        np.mean, reps=4000, method="percentile", size=0.8
    )
    middle, width = float(np.mean(theirs)), float(theirs[1, 0] - theirs[0, 0])
    assert ours.mean == pytest.approx(float(np.mean(series)))
    assert (ours.low + ours.high) / 2 == pytest.approx(middle, abs=0.05 * width)
    assert 1.0 < (ours.high - ours.low) / width < 1.2


def covered(count: int, by: float, mean_block: float, runs: int = 250) -> float:
    found = [
        block_bootstrap(remembering(run, count, by), level=0.9, seed=run, samples=300, mean_block=mean_block)
        for run in range(runs)
    ]
    return sum(known(each).low <= 0 <= known(each).high for each in found) / runs


def test_the_true_mean_lies_inside_about_as_often_as_the_level_says() -> None:
    assert 0.86 <= covered(80, 0.0, 5.0) <= 0.94


def test_on_a_series_that_remembers_blocks_hold_where_single_draws_fail() -> None:
    blocks, single = covered(120, 0.4, 8.0), covered(120, 0.4, 1.0)
    assert blocks >= 0.81
    assert single <= 0.76


def test_plain_percentiles_would_be_too_narrow_on_short_series() -> None:
    """What the widening is for: arch's percentiles cover clearly less at thirty observations."""
    runs, inside, plain = 150, 0, 0
    for run in range(runs):
        series = remembering(run, 30, 0.0)
        ours = known(block_bootstrap(series, level=0.9, seed=run, samples=200))
        theirs = StationaryBootstrap(5, np.array(series), seed=run).conf_int(
            np.mean, reps=200, method="percentile", size=0.9
        )
        inside += ours.low <= 0 <= ours.high
        plain += theirs[0, 0] <= 0 <= theirs[1, 0]
    assert inside / runs >= 0.84
    assert plain < inside


@settings(max_examples=30, deadline=None)
@given(NUMBERS, st.integers(0, 2**32))
def test_the_interval_lies_within_the_values_and_around_their_mean(values: list[float], seed: int) -> None:
    found = known(block_bootstrap(values, level=0.9, seed=seed, samples=200))
    slack = 1e-9 * max(1.0, *(abs(value) for value in values))
    assert min(values) - slack <= found.low <= found.high <= max(values) + slack
    assert found.mean == pytest.approx(float(np.mean(values)), abs=slack)
    assert found.observations == len(values)


@settings(max_examples=30, deadline=None)
@given(NUMBERS, st.floats(-100, 100), st.floats(0.1, 100))
def test_moving_and_stretching_the_values_moves_and_stretches_the_interval(
    values: list[float], shift: float, scale: float
) -> None:
    plain = known(block_bootstrap(values, level=0.9, seed=5, samples=200))
    moved = known(block_bootstrap([scale * value + shift for value in values], level=0.9, seed=5, samples=200))
    slack = 1e-7 * scale * max(1.0, *(abs(value) for value in values)) + 1e-6
    assert moved.low == pytest.approx(scale * plain.low + shift, abs=slack)
    assert moved.high == pytest.approx(scale * plain.high + shift, abs=slack)


def test_a_higher_level_is_wider_and_more_observations_are_narrower() -> None:
    series = remembering(2, 400, 0.2)
    narrow, wide = (known(block_bootstrap(series, level=level, seed=1)) for level in (0.8, 0.99))
    short = known(block_bootstrap(series[:50], level=0.8, seed=1))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert short.high - short.low > narrow.high - narrow.low


def test_paired_series_are_drawn_at_the_same_places() -> None:
    market = remembering(3, 100, 0.3)
    better = [value + 0.01 for value in market]
    found = known(block_bootstrap_difference(better, market, level=0.95, seed=1))
    assert [found.low, found.high] == pytest.approx([0.01, 0.01])
    apart = known(block_bootstrap_between(mean_of, better, market, level=0.95, seed=1))
    assert apart.low < -0.1 < 0.1 < apart.high


def test_a_paired_difference_is_the_interval_of_the_differences() -> None:
    first, second = remembering(4, 60, 0.1), remembering(5, 60, 0.1)
    paired = block_bootstrap_difference(first, second, level=0.9, seed=7)
    plain = block_bootstrap([a - b for a, b in zip(first, second, strict=True)], level=0.9, seed=7)
    assert known(paired).low == pytest.approx(known(plain).low)
    assert known(paired).high == pytest.approx(known(plain).high)


def test_two_series_of_different_sessions_need_not_be_equally_long() -> None:
    first, second = [value + 3 for value in remembering(6, 80, 0.0)], remembering(7, 30, 0.0)
    found = known(block_bootstrap_between(mean_of, first, second, level=0.9, seed=1))
    assert found.above_zero
    assert not found.below_zero
    assert found.observations == 110
    turned = known(block_bootstrap_between(mean_of, second, first, level=0.9, seed=1))
    assert turned.below_zero


def test_the_sharpe_ratio_is_annual_and_its_difference_is_paired() -> None:
    returns = [0.001 + 0.01 * value for value in remembering(8, 252, 0.0)]
    found = known(block_bootstrap_of(sharpe_of, returns, level=0.9, seed=1))
    expected = float(np.mean(returns)) / float(np.std(returns, ddof=1)) * math.sqrt(252)
    assert found.mean == pytest.approx(expected)
    same = known(block_bootstrap_difference_of(sharpe_of, returns, returns, level=0.9, seed=1))
    assert (same.low, same.mean, same.high) == (0.0, 0.0, 0.0)


def test_statistics_work_row_by_row() -> None:
    rows: Floats = np.array([[2.0, -1.0, 0.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    assert mean_of(rows).tolist() == [1.0, 1.0]
    assert win_rate_of(rows).tolist() == [0.5, 1.0]
    factors = profit_factor_of(rows)
    assert factors[0] == 5.0
    assert math.isnan(factors[1])
    assert math.isnan(sharpe_of(rows)[1])


def test_nothing_is_said_of_too_few_values_or_of_what_has_no_value() -> None:
    few = remembering(1, OBSERVATIONS_MIN - 1, 0.0)
    assert block_bootstrap(few, level=0.9, seed=1) is None
    assert block_bootstrap([], level=0.9, seed=1) is None
    assert block_bootstrap(remembering(1, 30, 0.0), level=0.9, seed=1, mean_block=20.0) is None
    assert block_bootstrap_difference(few, few, level=0.9, seed=1) is None
    assert block_bootstrap_between(mean_of, few, [1.0] * 50, level=0.9, seed=1) is None
    assert block_bootstrap_of(sharpe_of, [1.0] * 50, level=0.9, seed=1) is None
    assert block_bootstrap_of(profit_factor_of, [1.0] * 50, level=0.9, seed=1) is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused(wrong: float) -> None:
    good = remembering(1, 20, 0.0)
    with pytest.raises(PermanentFailure, match="finite"):
        block_bootstrap([*good, wrong], level=0.9, seed=1)
    with pytest.raises(PermanentFailure, match="finite"):
        block_bootstrap_difference([*good, 1.0], [*good, wrong], level=0.9, seed=1)


@pytest.mark.parametrize(
    "given_", [{"level": 0.0}, {"level": 1.0}, {"level": math.nan}, {"samples": 10}, {"mean_block": 0.5}]
)
def test_what_makes_no_sense_is_refused(given_: dict[str, float]) -> None:
    asked: dict[str, float] = {"level": 0.9, **given_}
    with pytest.raises(PermanentFailure):
        block_bootstrap(remembering(1, 20, 0.0), seed=1, **asked)  # type: ignore[arg-type]


def test_series_that_belong_together_are_equally_long() -> None:
    with pytest.raises(PermanentFailure, match="20 and 19"):
        block_bootstrap_difference(remembering(1, 20, 0.0), remembering(1, 19, 0.0), level=0.9, seed=1)


def test_another_process_finds_the_same_interval() -> None:
    """Also where the resampling is made in several pieces."""
    series = [float(place * 37 % 101) for place in range(700)]
    code = (
        "from trading_assets.evaluation.statistics import block_bootstrap\n"
        "series = [float(place * 37 % 101) for place in range(700)]\n"
        "print(repr(block_bootstrap(series, level=0.9, seed=11)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == repr(block_bootstrap(series, level=0.9, seed=11))


def test_another_seed_finds_nearly_the_same() -> None:
    series = remembering(10, 250, 0.2)
    first, second = (known(block_bootstrap(series, level=0.9, seed=seed)) for seed in (1, 2))
    assert first != second
    assert first.low == pytest.approx(second.low, abs=0.05)
