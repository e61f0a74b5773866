"""Pairs that came apart: which qualify, which leg is bought, and when the gap has closed."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import apart, desk_of, dip, known
from trading_assets.core.parameters import Parameters
from trading_assets.features.correlations import wilson
from trading_assets.plans.pairs import CONVERGENCE_LOW_MIN, EPISODES_MIN, Gap, closed, gaps, leg

NAN = float("nan")


def _gaps(*rows: dict[str, Any]) -> tuple[Gap, ...]:
    return gaps(desk_of(correlations=rows))


def test_the_leading_leg_is_sold_and_the_lagging_one_bought() -> None:
    (above,) = _gaps(apart(gap_z=2.1))
    (below,) = _gaps(apart(gap_z=-2.1))
    assert (above.long, above.short) == ("BBB", "AAA")
    assert (below.long, below.short) == ("AAA", "BBB")


def test_the_reasons_carry_the_odds_with_their_interval_and_the_half_life() -> None:
    (gap,) = _gaps(apart())
    assert gap.reasons == (
        "AAA against BBB: 20-session correlation 0.10 after 0.50 over 120, -2.0 standard errors; gap +2.1 deviations",
        "100% of 5 earlier gaps closed within 20 sessions (95 % interval 57% to 100%); half-life 10.0 sessions",
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"divergence": -1.99},
        {"divergence": 2.5},
        {"gap_z": 2.0},
        {"gap_z": -2.0},
        {"correlation_120": 0.49},
        {"correlation_120": -0.9},
        {"convergence_low": 0.5},
        {"episodes": 4},
        {"half_life_sessions": 10.01},
        {"half_life_sessions": None},
        {"convergence_odds": NAN},
        {"divergence": float("-inf")},
        {"episodes": None},
    ],
    ids=str,
)
def test_a_pair_that_fails_one_condition_is_left_alone(changed: dict[str, Any]) -> None:
    assert _gaps(apart(**changed)) == ()


def test_five_of_five_is_the_shortest_record_that_can_beat_a_coin() -> None:
    import numpy as np

    low, _ = wilson(np.array([5.0]), np.array([float(EPISODES_MIN)]))
    assert low[0] > CONVERGENCE_LOW_MIN
    low, _ = wilson(np.array([4.0]), np.array([5.0]))
    assert low[0] < CONVERGENCE_LOW_MIN


def test_the_surest_pair_comes_first_whatever_the_order_of_rows() -> None:
    rows = [
        apart("AAA", "BBB", convergence_low=0.6),
        apart("AAA", "CCC", convergence_low=0.7),
        apart("BBB", "CCC", convergence_low=0.6, gap_z=-3.0),
    ]
    found = _gaps(*rows)
    assert [(gap.long, gap.short) for gap in found] == [("CCC", "AAA"), ("BBB", "CCC"), ("BBB", "AAA")]
    assert found == _gaps(*reversed(rows))


def test_each_leg_risks_two_atr_for_three_and_a_fifth_on_its_own_side() -> None:
    (gap,) = _gaps(apart())
    bought, sold = leg(dip(), "long", gap, Parameters()), leg(dip(), "short", gap, Parameters())
    assert bought is not None
    assert sold is not None
    assert (bought.entry, bought.stop, bought.target) == (Decimal("100.5"), Decimal("96.5"), Decimal("106.9"))
    assert (sold.entry, sold.stop, sold.target) == (Decimal("99.5"), Decimal("103.5"), Decimal("93.1"))
    assert sold.reasons == gap.reasons


@pytest.mark.parametrize("atr", [None, NAN, 0.0, 40.0])
def test_a_leg_without_room_for_its_bracket_is_none(atr: float | None) -> None:
    (gap,) = _gaps(apart())
    assert leg(known("range", {"close": 100.0}, {"atr_14": atr}), "short", gap, Parameters()) is None


def test_a_gap_has_closed_inside_half_a_deviation() -> None:
    facts = desk_of(correlations=(apart(gap_z=-0.49),))
    assert closed(facts, "BBB", "AAA") == "the gap between BBB and AAA has closed: -0.49 deviations"
    assert closed(desk_of(correlations=(apart(gap_z=0.5),)), "AAA", "BBB") is None


def test_a_gap_that_is_not_measured_has_not_closed() -> None:
    assert closed(desk_of(), "AAA", "BBB") is None
    assert closed(desk_of(correlations=(apart(gap_z=NAN),)), "AAA", "BBB") is None


@settings(deadline=None, max_examples=25)
@given(
    st.floats(-4, -1), st.floats(-4, 4), st.floats(0.3, 1), st.floats(0.4, 1), st.integers(3, 30), st.floats(0.1, 14)
)
def test_whatever_qualifies_came_apart_and_mostly_came_back(
    divergence: float, gap_z: float, tie: float, low: float, episodes: int, half_life: float
) -> None:
    row = apart(
        divergence=divergence,
        gap_z=gap_z,
        correlation_120=tie,
        convergence_low=low,
        episodes=episodes,
        half_life_sessions=half_life,
    )
    for gap in _gaps(row):
        assert divergence <= -2
        assert abs(gap_z) > 2
        assert tie >= 0.5
        assert low > 0.5
        assert episodes >= 5
        assert half_life <= 10
        assert {gap.long, gap.short} == {"AAA", "BBB"}
