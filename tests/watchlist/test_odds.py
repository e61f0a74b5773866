"""The odds against closed forms, exact enumeration and a simulation in plain numpy."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.watchlist.worlds import past_of, past_with, resampled_exactly, touched_by, up_first
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import PROJECT
from trading_assets.features.windows import Floats
from trading_assets.watchlist.model import METHODS, Method
from trading_assets.watchlist.montecarlo import Design, Odds, Tasks, probabilities, simulated, stream_keys
from trading_assets.watchlist.paths import draw, log_moments
from trading_assets.watchlist.plain import plain_odds

ERRORS = 5.0
both = pytest.mark.parametrize("method", METHODS)


def odds(
    past: Floats,
    stop: float = 0.95,
    target: float = 1.075,
    *,
    method: Method,
    horizon: int = 20,
    paths: int = 20_000,
    seed: int = 7,
    block: float = 10.0,
) -> Odds:
    """The odds for an entry of 100 USD."""
    return probabilities(
        past,
        entry=100.0,
        stop=100 * stop,
        target=100 * target,
        horizon_sessions=horizon,
        paths=paths,
        seed=seed,
        method=method,
        block_sessions=block,
    )


def close(found: float, exact: float, error: float) -> bool:
    return abs(found - exact) <= ERRORS * error + 1e-9


# Random numbers


def test_the_stream_is_splitmix64() -> None:
    """The first five numbers of seed 1234567, as the generator's published test vector has them."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [int(draw(np.uint64(1234567), np.uint64(counter))) for counter in range(5)] == published


def test_numbers_of_a_stream_are_uniform_and_streams_of_neighbouring_keys_are_unlike() -> None:
    numbers = np.array([[draw(np.uint64(key), np.uint64(n)) for n in range(4_000)] for key in range(2)]) / 2.0**64
    for counts in (np.histogram(stream, bins=50, range=(0, 1))[0] for stream in numbers):
        assert ((counts - 80) ** 2 / 80).sum() < 49 + 5 * math.sqrt(2 * 49)
    assert abs(np.asarray(np.corrcoef(numbers))[0, 1]) < 5 / math.sqrt(4_000)


def test_each_symbol_session_and_method_has_a_stream_of_its_own() -> None:
    from trading_assets.core.calendar import XNYS

    days = list(XNYS.days[:200])
    keys = [stream_keys(seed, days, [symbol] * 200, method) for seed in (1, 2) for symbol in "AB" for method in METHODS]
    assert len(set(np.concatenate(keys).tolist())) == 200 * 8


# Geometric Brownian motion


def test_the_diffusion_has_the_moments_of_the_window() -> None:
    drift, deviation = log_moments(past_with(0.001, 0.02))
    assert drift == pytest.approx(0.001, abs=1e-15)
    assert deviation == pytest.approx(0.02, rel=1e-12)


@pytest.mark.parametrize("drift", [-0.004, -0.001, 0.0, 0.002, 0.005])
@pytest.mark.parametrize("horizon", [1, 5, 20, 60])
def test_the_diffusion_reaches_two_levels_as_often_as_the_closed_form_says(drift: float, horizon: int) -> None:
    """Coarse steps are enough: the bridge between two closes is what makes them right."""
    found = odds(past_with(drift, 0.02), math.exp(-0.08), math.exp(0.12), method="gbm", horizon=horizon)
    assert close(found.p_target, up_first(0.08, 0.12, drift, 0.02, horizon), found.p_target_se + 1 / 20_000)
    assert close(found.p_stop, up_first(0.12, 0.08, -drift, 0.02, horizon), found.p_stop_se + 1 / 20_000)


@pytest.mark.parametrize("steps", [4, 40, 400])
def test_finer_steps_of_the_same_diffusion_change_nothing(steps: int) -> None:
    past = past_with(0.02 / steps, 0.1 / math.sqrt(steps))
    found = odds(past, math.exp(-0.1), math.exp(0.15), method="gbm", horizon=steps, paths=8_000)
    assert close(found.p_target, up_first(0.1, 0.15, 0.02, 0.1, 1.0), found.p_target_se)


@pytest.mark.parametrize("drift", [-0.01, 0.0, 0.01])
def test_the_diffusion_reaches_one_level_as_often_as_the_closed_form_says_on_a_single_step(drift: float) -> None:
    past = past_with(drift, 0.05)
    target = odds(past, 1e-6, math.exp(0.04), method="gbm", horizon=1, paths=50_000)
    assert close(target.p_target, touched_by(0.04, drift, 0.05, 1), target.p_target_se)
    stop = odds(past, math.exp(-0.04), 1e6, method="gbm", horizon=1, paths=50_000)
    assert close(stop.p_stop, touched_by(0.04, -drift, 0.05, 1), stop.p_stop_se)


@settings(deadline=None, max_examples=20)
@given(
    stops=st.tuples(st.floats(0.01, 0.06), st.floats(0.01, 0.06)),
    targets=st.tuples(st.floats(0.01, 0.06), st.floats(0.01, 0.06)),
)
def test_both_levels_within_one_step_keep_their_order_and_the_stop_counts_in_full(
    stops: tuple[float, float], targets: tuple[float, float]
) -> None:
    """Steps as long as the levels are far: one level's odds never hide the other's, and the guess never flatters."""
    past = past_with(0.0, 0.05)
    near, far = (odds(past, 1 - stops[0], 1 + target, method="gbm", horizon=3, paths=400) for target in sorted(targets))
    assert (near.p_target >= far.p_target, near.p_stop <= far.p_stop) == (True, True)
    far, near = (
        odds(past, stop, 1 + targets[0], method="gbm", horizon=3, paths=400) for stop in sorted(1 - s for s in stops)
    )
    assert (near.p_stop >= far.p_stop, near.p_target <= far.p_target) == (True, True)
    down, up = -math.log(1 - stops[0]), math.log(1 + targets[0])
    found = odds(past, 1 - stops[0], 1 + targets[0], method="gbm", horizon=1)
    assert close(found.p_stop, touched_by(down, 0.0, 0.05, 1), found.p_stop_se)
    assert found.p_target <= up_first(down, up, 0.0, 0.05, 1) + ERRORS * found.p_target_se
    alone = touched_by(up, 0.0, 0.05, 1) * (1 - touched_by(down, 0.0, 0.05, 1))
    assert found.p_target >= alone - ERRORS * found.p_target_se


@pytest.mark.parametrize("deviation", [0.01, 0.03])
def test_a_martingale_earns_nothing_whatever_its_levels(deviation: float) -> None:
    past = past_with(-(deviation**2) / 2, deviation)
    for stop, target in ((0.9, 1.05), (0.97, 1.2), (0.95, 1.05)):
        found = odds(past, stop, target, method="gbm")
        assert close(found.expected_return, 0.0, found.expected_return_se)


def test_a_martingale_without_end_reaches_target_as_the_gambler_does() -> None:
    past = past_with(-(0.03**2) / 2, 0.03)
    found = odds(past, 0.9, 1.15, method="gbm", horizon=2_000, paths=4_000)
    assert found.p_neither == 0
    assert close(found.p_target, 0.1 / 0.25, found.p_target_se)


def test_a_price_that_never_moves_reaches_neither() -> None:
    for method in METHODS:
        found = odds(np.ones((50, 4)), method=method, paths=200)
        assert found == Odds(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(("drift", "expected"), [(0.01, (1.0, 0.0)), (-0.01, (0.0, 1.0))])
def test_a_diffusion_without_noise_goes_where_its_drift_goes(drift: float, expected: tuple[float, float]) -> None:
    found = odds(np.full((50, 4), math.exp(drift)), method="gbm", paths=200)
    assert (found.p_target, found.p_stop) == expected


# Stationary bootstrap


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    count=st.integers(2, 4),
    horizon=st.integers(1, 5),
    block=st.sampled_from([1.0, 1.5, 4.0, 50.0]),
)
@example(seed=22, count=3, horizon=2, block=1.0)
def test_the_bootstrap_agrees_with_every_path_of_a_short_past(
    seed: int, count: int, horizon: int, block: float
) -> None:
    past = past_of(seed, count)
    p_target, p_stop, mean = resampled_exactly(past, 0.97, 1.04, horizon, block)
    found = odds(past, 0.97, 1.04, method="bootstrap", horizon=horizon, block=block, paths=10_000, seed=seed)
    exact = [math.sqrt(max(p * (1 - p), 0.0) / 10_000) for p in (p_target, p_stop)]
    assert close(found.p_target, p_target, exact[0])
    assert close(found.p_stop, p_stop, exact[1])
    assert close(found.expected_return, mean - 1, max(found.expected_return_se, 1e-4))


@pytest.mark.parametrize(("downs", "ups"), [(1, 1), (2, 3), (5, 2)])
def test_fair_coins_end_as_the_gamblers_ruin_says(downs: int, ups: int) -> None:
    step = 1.01
    past = np.array([[1, step, 1, step], [1, 1, 1 / step, 1 / step]])
    found = odds(
        past, step ** -(downs - 0.5), step ** (ups - 0.5), method="bootstrap", horizon=600, block=1.0, paths=8_000
    )
    assert found.p_neither < 1e-3
    assert close(found.p_target, downs / (downs + ups), found.p_target_se)


def test_touching_both_levels_in_one_session_counts_as_stopped() -> None:
    wild = np.array([[1.0, 1.2, 0.8, 1.0]] * 5)
    assert odds(wild, method="bootstrap", paths=100).p_stop == 1


def test_levels_are_touched_by_highs_and_lows_and_not_only_by_closes() -> None:
    up = np.array([[1.0, 1.1, 0.99, 1.0]] * 5)
    down = np.array([[1.0, 1.01, 0.9, 1.0]] * 5)
    assert odds(up, method="bootstrap", paths=100).p_target == 1
    assert odds(down, method="bootstrap", paths=100).p_stop == 1


def test_a_touch_is_enough_for_either_level() -> None:
    assert odds(np.array([[1.0, 1.25, 1.0, 1.0]] * 2), 0.5, 1.25, method="bootstrap", paths=100).p_target == 1
    assert odds(np.array([[1.0, 1.0, 0.5, 1.0]] * 2), 0.5, 1.25, method="bootstrap", paths=100).p_stop == 1


def test_a_session_that_opens_below_the_stop_ends_at_its_open() -> None:
    gap = np.array([[0.8, 0.9, 0.75, 0.85]] * 5)
    assert odds(gap, method="bootstrap", paths=100).expected_return == pytest.approx(-0.2, abs=1e-12)
    through = np.array([[1.0, 1.0, 0.75, 0.85]] * 5)
    assert odds(through, method="bootstrap", paths=100).expected_return == pytest.approx(-0.05, abs=1e-12)


def test_a_block_of_the_whole_past_keeps_its_order_and_single_sessions_do_not() -> None:
    """Three rises follow three falls: in order a path meets the target or the stop for certain, shuffled it may miss both."""
    past = np.array([[1, 1.03, 1, 1.03]] * 3 + [[1, 1, 1 / 1.03, 1 / 1.03]] * 3)
    whole = odds(past, 0.98, 1.08, method="bootstrap", horizon=6, block=1e6)
    single = odds(past, 0.98, 1.08, method="bootstrap", horizon=6, block=1.0)
    assert close(whole.p_target, 1 / 6, whole.p_target_se)
    assert whole.p_neither == 0
    assert single.p_neither > 0.1


# Both


@both
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), stop=st.floats(0.85, 0.985), target=st.floats(1.015, 1.2))
def test_plain_numpy_finds_the_same_odds(method: Method, seed: int, stop: float, target: float) -> None:
    past = past_of(seed)
    found = odds(past, stop, target, method=method, seed=seed, paths=4_000)
    other = plain_odds(
        past, stop=stop, target=target, design=Design(4_000, 20, 10.0), method=method, dice=np.random.default_rng(seed)
    )
    for name, error in (
        ("p_target", "p_target_se"),
        ("p_stop", "p_stop_se"),
        ("expected_return", "expected_return_se"),
    ):
        apart = abs(getattr(found, name) - getattr(other, name))
        assert apart <= ERRORS * (math.hypot(getattr(found, error), getattr(other, error)) + 1 / 4_000)


@both
@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 999),
    stops=st.tuples(st.floats(0.85, 0.99), st.floats(0.85, 0.99)),
    targets=st.tuples(st.floats(1.01, 1.2), st.floats(1.01, 1.2)),
)
def test_nearer_levels_are_reached_by_the_same_paths_and_more(
    method: Method, seed: int, stops: tuple[float, float], targets: tuple[float, float]
) -> None:
    """Not only on average: the same seed walks the same paths, so the order is exact."""
    past = past_of(seed)
    by_target = [odds(past, stops[0], target, method=method, paths=500) for target in sorted(targets)]
    assert by_target[0].p_target >= by_target[1].p_target
    assert by_target[0].p_stop <= by_target[1].p_stop
    by_stop = [odds(past, stop, targets[0], method=method, paths=500) for stop in sorted(stops)]
    assert by_stop[0].p_stop <= by_stop[1].p_stop
    assert by_stop[0].p_target >= by_stop[1].p_target


@both
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 999), shorter=st.integers(1, 30), more=st.integers(0, 30))
def test_a_longer_horizon_reaches_both_levels_at_least_as_often(
    method: Method, seed: int, shorter: int, more: int
) -> None:
    first, second = (odds(past_of(seed), method=method, paths=300, horizon=h) for h in (shorter, shorter + more))
    assert first.p_target <= second.p_target
    assert first.p_stop <= second.p_stop


@both
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), stop=st.floats(0.5, 0.999), target=st.floats(1.001, 2.0), paths=st.integers(1, 300))
def test_probabilities_are_shares_of_the_paths(
    method: Method, seed: int, stop: float, target: float, paths: int
) -> None:
    found = odds(past_of(seed), stop, target, method=method, paths=paths)
    shares = [found.p_target, found.p_stop, found.p_neither]
    assert all(round(share * paths) == pytest.approx(share * paths, abs=1e-6) for share in shares)
    assert sum(round(share * paths) for share in shares) == paths
    assert found.p_target * (target - 1) >= found.expected_return - found.p_neither * (target - 1) - 1e-12


@both
def test_standard_errors_are_what_repetition_shows_and_shrink_with_the_root_of_the_paths(method: Method) -> None:
    past = past_of(3)
    few = [odds(past, method=method, paths=500, seed=seed) for seed in range(200)]
    for name in ("p_target", "p_stop", "expected_return"):
        shown = float(np.std([getattr(one, name) for one in few], ddof=1))
        assert shown == pytest.approx(getattr(few[0], f"{name}_se"), rel=0.3)
        many = odds(past, method=method, paths=50_000)
        assert getattr(many, f"{name}_se") * 10 == pytest.approx(getattr(few[0], f"{name}_se"), rel=0.1)


@both
@settings(deadline=None, max_examples=10)
@given(workers=st.integers(1, 7), chosen=st.sets(st.integers(0, 11), min_size=1))
def test_neither_threads_nor_order_nor_company_change_a_bit(method: Method, workers: int, chosen: set[int]) -> None:
    pasts = [past_of(seed, 40 + seed) for seed in range(12)]
    ends = np.cumsum([len(past) for past in pasts])
    windows = np.stack([ends - [len(past) for past in pasts], ends], axis=1)
    levels = np.array([[0.9 + seed / 200, 1.05 + seed / 100] for seed in range(12)])
    keys = np.arange(100, 112, dtype=np.uint64)
    design = Design(300, 20, 8.0)
    whole = simulated(Tasks(np.concatenate(pasts), windows, levels), keys, design, method, workers=1)
    some = np.array(sorted(chosen, key=lambda n: n * 7 % 12))
    part = simulated(
        Tasks(np.concatenate(pasts), windows[some], levels[some]), keys[some], design, method, workers=workers
    )
    assert all(np.array_equal(part[name], whole[name][some]) for name in whole)


@pytest.mark.slow
def test_another_process_finds_the_same_bits(tmp_path: Path) -> None:
    code = (
        "from tests.watchlist.test_odds import odds, past_of;"
        "print([odds(past_of(5), method=m, paths=700) for m in ('bootstrap', 'gbm')])"
    )
    environment = {**os.environ, "DESK_HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str([odds(past_of(5), method=method, paths=700) for method in METHODS])


@both
@pytest.mark.parametrize(
    ("stop", "target"), [(1.0, 1.1), (0.9, 1.0), (0.0, 1.1), (-0.1, 1.1), (math.nan, 1.1), (0.9, math.inf), (1.1, 0.9)]
)
def test_levels_that_do_not_enclose_the_entry_are_refused(method: Method, stop: float, target: float) -> None:
    with pytest.raises(PermanentFailure, match="0 < stop < entry < target"):
        odds(past_of(1), stop, target, method=method)


def test_too_little_past_and_an_empty_design_are_refused() -> None:
    with pytest.raises(PermanentFailure, match="two past returns"):
        odds(past_of(1)[:1], method="gbm")
    for design in ({"paths": 0}, {"horizon": 0}, {"block": 0.5}, {"block": math.inf}, {"block": math.nan}):
        with pytest.raises(PermanentFailure, match="at least 1"):
            odds(past_of(1), method="bootstrap", **design)


def test_no_symbol_is_no_odds() -> None:
    nobody = Tasks(np.empty((0, 4)), np.empty((0, 2), dtype=np.int64), np.empty((0, 2)))
    found = simulated(nobody, np.empty(0, dtype=np.uint64), Design(10, 5, 2.0), "gbm")
    assert all(values.size == 0 for values in found.values())
