"""The sequential test: at its level whatever the noise, exact where all assignments can be listed, one with its interval."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.experiments import WORLDS, false_positives
from trading_assets.core.errors import PermanentFailure
from trading_assets.evaluation.experiments.randomization import Compared, Look, Observed, compared, crossed_at

ONE_LOOK = (Look(40, 1.0),)
LOOKS = (Look(40, 1 / 3), Look(80, 2 / 3), Look(120, 1.0))


def drawn(seed: int, results: int, *, effect: float = 0.0, spread: float = 1.0) -> Observed:
    """Blocks of four with two of each arm, and noise."""
    dice = np.random.default_rng(seed)
    treated = [bool(arm) for _ in range(results // 4) for arm in dice.permutation([1, 1, 0, 0])]
    values = dice.standard_normal(results) * spread + effect * np.array(treated)
    return Observed(tuple(map(float, values)), tuple(treated), tuple(place // 4 for place in range(results)))


def judged(observed: Observed, looks: tuple[Look, ...] = LOOKS, level: float = 0.05, redraws: int = 999) -> Compared:
    return compared(observed, looks, level=level, spending="pocock", seed=7, redraws=redraws)


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_noise_of_every_kind_is_taken_for_an_effect_as_often_as_the_level_says(world: str) -> None:
    """120 experiments: the desk's rate lies within four standard errors of 5 %, and peeking finds more."""
    rates = false_positives(world, 120)
    assert abs(rates["desk"] - 0.05) <= 4 * math.sqrt(0.05 * 0.95 / 120)
    assert rates["peeking"] > rates["desk"] + 0.02


@pytest.mark.slow
def test_two_thousand_experiments_without_effect_are_at_the_nominal_level() -> None:
    rate = false_positives("reverting", 2000)["desk"]
    assert abs(rate - 0.05) <= 2.6 * math.sqrt(0.05 * 0.95 / 2000)


def test_exactly_the_level_of_all_assignments_is_struck_out() -> None:
    """Four blocks of one pair each have sixteen assignments; at a level of 2 / 16 exactly two of them may be findings."""
    values = (1.0, 0.0, 2.5, 0.1, 4.0, 0.3, 9.0, 0.7)
    found = 0
    for chosen in range(16):
        treated = tuple(bool((chosen >> (place // 2)) & 1) != bool(place % 2) for place in range(8))
        observed = Observed(values, treated, tuple(place // 2 for place in range(8)))
        redraws = 3999
        found += crossed_at(observed, (Look(8, 1.0),), level=0.15, spending="pocock", seed=3, redraws=redraws)
    assert found == 2


def test_an_effect_is_found_and_its_interval_holds_it() -> None:
    found = judged(drawn(1, 120, effect=1.0))
    assert found.crossed > 0
    assert found.low > 0
    assert found.low < 1.0 < found.high
    assert found.estimate == pytest.approx(1.0, abs=0.6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1.5, 1.5))
def test_a_finding_is_an_interval_without_zero(seed: int, effect: float) -> None:
    found = compared(drawn(seed, 40, effect=effect), ONE_LOOK, level=0.1, spending="pocock", seed=7, redraws=399)
    assert (found.crossed > 0) == (not found.low <= 0 <= found.high)
    assert found.low <= found.estimate <= found.high


def test_the_interval_holds_the_true_effect_as_often_as_it_says() -> None:
    inside = sum(
        found.low <= 0.7 <= found.high
        for found in (judged(drawn(seed, 80, effect=0.7), LOOKS[:2], 0.1, 299) for seed in range(150))
    )
    # Two of three looks have spent four fifths of the level.
    assert 0.86 <= inside / 150 <= 0.98


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 1000), st.floats(-100, 100))
def test_units_change_nothing_and_a_constant_added_to_both_arms_neither(seed: int, scale: float, shift: float) -> None:
    observed = drawn(seed, 40, effect=0.8)
    other = Observed(tuple(scale * v + shift for v in observed.values), observed.treated, observed.blocks)
    one, two = judged(observed, ONE_LOOK, redraws=299), judged(other, ONE_LOOK, redraws=299)
    assert one.crossed == two.crossed
    assert two.low == pytest.approx(scale * one.low, abs=1e-6 * scale + 1e-6 * abs(shift))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_swapping_the_arms_turns_the_sign(seed: int) -> None:
    observed = drawn(seed, 40, effect=0.5)
    turned = Observed(observed.values, tuple(not each for each in observed.treated), observed.blocks)
    one, two = judged(observed, ONE_LOOK, redraws=299), judged(turned, ONE_LOOK, redraws=299)
    assert two.estimate == pytest.approx(-one.estimate)


def test_a_later_look_sees_the_earlier_ones_as_they_were() -> None:
    for seed in range(30):
        observed = drawn(seed, 120, effect=0.6)
        early = crossed_at(observed.first(80), LOOKS[:2], level=0.05, spending="pocock", seed=7, redraws=499)
        late = crossed_at(observed, LOOKS, level=0.05, spending="pocock", seed=7, redraws=499)
        assert late == early or (early == 0 and late in (0, 3))


def test_results_after_the_last_look_change_nothing() -> None:
    observed = drawn(3, 120, effect=0.6)
    assert judged(observed, LOOKS[:2]) == judged(observed.first(80), LOOKS[:2])


def test_a_drift_over_the_months_is_no_effect() -> None:
    """Blocks hold both arms, so what every session of a month shares falls out; a test without blocks would see noise of 50."""
    observed = drawn(4, 120, effect=1.0)
    trend = tuple(value + 50 * block for value, block in zip(observed.values, observed.blocks, strict=True))
    with_trend = judged(Observed(trend, observed.treated, observed.blocks))
    assert with_trend.crossed > 0
    assert with_trend.high - with_trend.low < 2.0


def test_blocks_with_missing_sessions_are_judged_by_what_is_there() -> None:
    whole = drawn(5, 160, effect=2.0)
    kept = [place for place in range(160) if place % 7]
    left = Observed(
        tuple(whole.values[p] for p in kept),
        tuple(whole.treated[p] for p in kept),
        tuple(whole.blocks[p] for p in kept),
    )
    ends = [p for p in range(1, len(kept)) if left.blocks[p] != left.blocks[p - 1]]
    found = judged(left, (Look(ends[len(ends) // 2], 0.5), Look(len(kept), 1.0)))
    assert found.crossed > 0
    assert found.low < 2.0 < found.high


def test_equal_results_are_never_an_effect() -> None:
    observed = drawn(6, 40)
    flat = Observed((1.0,) * 40, observed.treated, observed.blocks)
    found = judged(flat, ONE_LOOK, redraws=299)
    assert (found.estimate, found.crossed) == (0.0, 0)


def test_a_level_too_small_for_the_first_look_leaves_the_interval_open() -> None:
    looks = (Look(40, 0.1),)
    found = compared(drawn(1, 40), looks, level=0.05, spending="obrien_fleming", seed=1, redraws=199)
    assert math.isinf(found.low)
    assert math.isinf(found.high)


def test_results_that_cannot_be_judged_are_refused() -> None:
    good = drawn(1, 40)
    wrong = [
        (Observed((math.nan, *good.values[1:]), good.treated, good.blocks), ONE_LOOK),
        (Observed(good.values, good.treated[1:], good.blocks), ONE_LOOK),
        (Observed(good.values, good.treated, good.blocks[::-1]), ONE_LOOK),
        (Observed(good.values, (True,) * 40, good.blocks), ONE_LOOK),
        (good, (Look(41, 1.0),)),
        (good, (Look(38, 1.0),)),
        (good, (Look(40, 0.5), Look(40, 1.0))),
        (good, ()),
    ]
    for observed, looks in wrong:
        with pytest.raises(PermanentFailure):
            crossed_at(observed, looks, level=0.05, spending="pocock", seed=1, redraws=99)


def test_labels_only_change_places_within_their_block() -> None:
    """Were they dealt over all sessions, an assignment like 1 1 1 1 0 0 0 0 would be among the redraws, and this no finding."""
    values = tuple(float(10 * (place // 4)) + (1.0 if place % 4 < 2 else 0.0) for place in range(24))
    observed = Observed(values, tuple(place % 4 < 2 for place in range(24)), tuple(place // 4 for place in range(24)))
    assert crossed_at(observed, (Look(24, 1.0),), level=0.05, spending="pocock", seed=1, redraws=999) == 1
