"""Boundaries of planned looks against published tables, and the power that they leave."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.core.errors import PermanentFailure
from trading_assets.evaluation.experiments.boundaries import Spending, boundaries, crossing, drift_for, spent

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
# Lan and DeMets' boundaries for five equal looks at 5 % two-sided, as ldbounds and gsDesign print them.
PUBLISHED: dict[Spending, tuple[float, ...]] = {
    "obrien_fleming": (4.8769, 3.3569, 2.6803, 2.2898, 2.0310),
    "pocock": (2.4380, 2.4268, 2.4101, 2.3966, 2.3859),
}
# Jennison and Turnbull (2000), tables 2.1 and 2.3: constants of the classical tests at 5 %, by number of looks.
POCOCK = {2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 10: 2.555}
OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}
# The same, tables 2.2 and 2.4: how many more results five looks need than one, for a power of 80 %.
INFLATION = {"pocock": 1.229, "obrien_fleming": 1.028}
FIXED_DRIFT = 1.959964 + 0.841621


def even(looks: int) -> tuple[float, ...]:
    return tuple((look + 1) / looks for look in range(looks))


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_boundaries_are_the_published_ones(spending: Spending) -> None:
    assert boundaries(spending, 0.05, FIVE) == pytest.approx(PUBLISHED[spending], abs=2e-4)


@pytest.mark.parametrize("looks", sorted(POCOCK))
def test_the_classical_constants_are_crossed_by_chance_as_often_as_published(looks: int) -> None:
    fractions = even(looks)
    assert crossing([POCOCK[looks]] * looks, fractions, 0.0) == pytest.approx(0.05, abs=2e-4)
    bounds = [OBRIEN_FLEMING[looks] / fraction**0.5 for fraction in fractions]
    assert crossing(bounds, fractions, 0.0) == pytest.approx(0.05, abs=2e-4)


def test_five_looks_need_as_many_more_results_as_published() -> None:
    found = {
        "pocock": drift_for(0.8, [POCOCK[5]] * 5, FIVE),
        "obrien_fleming": drift_for(0.8, [OBRIEN_FLEMING[5] / f**0.5 for f in FIVE], FIVE),
    }
    assert {name: (drift / FIXED_DRIFT) ** 2 for name, drift in found.items()} == pytest.approx(INFLATION, abs=2e-3)


def test_one_look_is_the_plain_test() -> None:
    assert boundaries("obrien_fleming", 0.05, [1.0]) == pytest.approx((1.959964,), abs=1e-5)
    assert crossing([1.959964], [1.0], 0.0) == pytest.approx(0.05, abs=1e-6)
    assert drift_for(0.8, [1.959964], [1.0]) == pytest.approx(FIXED_DRIFT, abs=1e-3)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=6, unique=True),
    st.sampled_from(["obrien_fleming", "pocock"]),
    st.floats(0.01, 0.2),
)
def test_whatever_the_looks_exactly_the_level_is_spent(steps: list[int], spending: Spending, level: float) -> None:
    ends = sorted(steps)
    fractions = [end / ends[-1] for end in ends]
    bounds = boundaries(spending, level, fractions)
    assert crossing(bounds, fractions, 0.0) == pytest.approx(level, abs=1e-6)
    powers = [crossing(bounds, fractions, drift) for drift in (0.5, 1.5, 3.0, 5.0)]
    assert all(a < b for a, b in pairwise([level, *powers]))


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_what_is_spent_grows_to_the_level(spending: Spending) -> None:
    used = [spent(spending, 0.05, fraction) for fraction in (0.05, 0.2, 0.5, 0.9, 1.0)]
    assert all(a < b for a, b in pairwise(used))
    assert used[-1] == pytest.approx(0.05)


def test_obrien_and_fleming_spend_late_and_pocock_early() -> None:
    assert spent("obrien_fleming", 0.05, 0.25) < 0.0001
    assert spent("pocock", 0.05, 0.25) > 0.017


@pytest.mark.parametrize("fractions", [[], [0.5, 0.5], [0.6, 0.4], [0.0, 1.0], [0.5, 1.2]])
def test_looks_that_do_not_follow_each_other_are_refused(fractions: list[float]) -> None:
    with pytest.raises(PermanentFailure, match="follow"):
        boundaries("pocock", 0.05, fractions)


def test_levels_fractions_and_powers_outside_their_range_are_refused() -> None:
    nan = float("nan")
    for level, fraction in ((0.0, 0.5), (1.0, 0.5), (nan, 0.5), (0.05, 0.0), (0.05, 1.1), (0.05, nan)):
        with pytest.raises(PermanentFailure):
            spent("pocock", level, fraction)
    for power in (0.049, 0.01, 1.0, nan):
        with pytest.raises(PermanentFailure, match="power"):
            drift_for(power, [1.959964], [1.0])
