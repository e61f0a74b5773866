"""Parameters: nothing leaves its bounds, and a session's values follow from the changes and arms that count on it."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.learning import LearningSettings, MonitorRules, refuse_automatic_live
from trading_assets.core.parameters import (
    BOUNDS,
    LEAD,
    Arm,
    Change,
    Parameters,
    Tuned,
    effective_from,
)

MONDAY, TUESDAY, FRIDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 20)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_the_model_refuses_what_the_bounds_refuse(name: str) -> None:
    bound = BOUNDS[name]
    for wrong in (bound.low - 1e-6, bound.high + 1e-6, math.nan, math.inf, -math.inf, None, "wide"):
        with pytest.raises(ValidationError):
            Parameters().with_values({name: wrong})


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_steps_reach_every_value_between_the_bounds_and_none_outside(name: str) -> None:
    bound = BOUNDS[name]
    values = [bound.moved(bound.low, steps) for steps in range(40)]
    inside = [value for value in values if value is not None]
    assert inside[0] == bound.low
    assert inside[-1] == pytest.approx(bound.high, abs=bound.step)
    assert bound.moved(bound.low, -1) is None
    assert bound.moved(bound.high, 1) is None


def test_reward_over_risk_stays_at_one_and_a_half() -> None:
    assert Parameters().with_values({"stop_fraction": 0.009}).stop_fraction == 0.009
    with pytest.raises(ValidationError, match="below 1.5"):
        Parameters().with_values({"stop_fraction": 0.010})
    with pytest.raises(ValidationError, match="target_atr over stop_atr"):
        Parameters().with_values({"stop_atr": 2.25})


@pytest.mark.parametrize("name", ["vwap", "pullback@", "@range", "pullback@RANGE", "pullback@range@x", ""])
def test_a_misspelt_switch_is_refused_instead_of_switching_nothing(name: str) -> None:
    with pytest.raises(ValidationError, match="STRATEGY"):
        Parameters(switched_off=(name,))


def test_a_switch_stops_its_strategy_in_its_regime_or_everywhere() -> None:
    some = Parameters(switched_off=("pullback@range", "vwap_momentum"))
    assert some.stops("pullback", "range")
    assert not some.stops("pullback", "mixed")
    assert some.stops("vwap_momentum", "mixed")
    assert not some.stops("mean_reversion", "range")


def test_the_order_of_switches_means_nothing() -> None:
    one = Parameters(switched_off=("pullback@range", "mean_reversion@range", "pullback@range"))
    assert one == Parameters(switched_off=("mean_reversion@range", "pullback@range"))


def test_a_change_counts_from_its_session_on_and_the_newest_wins() -> None:
    tuned = Tuned(changes=(Change("target_atr", 3.6, MONDAY), Change("target_atr", 4.0, FRIDAY)))
    days = [date(2026, 11, 13), MONDAY, TUESDAY, FRIDAY]
    assert [tuned.at(day).target_atr for day in days] == [3.2, 3.6, 3.6, 4.0]


def test_an_arm_counts_on_its_own_sessions_only() -> None:
    tuned = Tuned(arms=(Arm("wide", "wide", {"target_atr": 4.0}, frozenset({TUESDAY})),))
    assert [tuned.at(day).target_atr for day in (MONDAY, TUESDAY)] == [3.2, 4.0]
    assert tuned.arm_names(MONDAY) == {}
    assert tuned.arm_names(TUESDAY) == {"wide": "wide"}


def test_only_what_differs_is_told() -> None:
    base = Parameters()
    assert base.unlike(base) == {}
    assert base.with_values({"target_atr": 3.6}).unlike(base) == {"target_atr": 3.6}


@settings(deadline=None, max_examples=60)
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(sorted(BOUNDS)), st.integers(-3, 3), st.sampled_from(XNYS.days[6000:6020])),
        max_size=6,
    ),
    day=st.sampled_from(XNYS.days[6000:6020]),
)
def test_later_changes_never_alter_an_earlier_session(moves: list[tuple[str, int, date]], day: date) -> None:
    """What a decision used can be found again, whatever was approved since."""
    values = [(name, BOUNDS[name].moved(getattr(Parameters(), name), steps), start) for name, steps, start in moves]
    changes = [Change(name, value, start) for name, value, start in values if value is not None]
    known = [each for each in changes if each.from_session <= day]

    def seen(given: list[Change]) -> Any:
        try:
            return Tuned(changes=tuple(given)).at(day)
        except ValidationError:
            return "refused"

    assert seen(changes) == seen(known)


@pytest.mark.parametrize(
    ("moment", "start"),
    [
        (datetime(2026, 11, 16, 13, 0, tzinfo=UTC), MONDAY),  # 08:00 in New York
        (datetime(2026, 11, 16, 14, 24, 59, tzinfo=UTC), MONDAY),
        (datetime(2026, 11, 16, 14, 25, tzinfo=UTC), TUESDAY),  # five minutes before the open
        (datetime(2026, 11, 16, 17, 0, tzinfo=UTC), TUESDAY),
        (datetime(2026, 11, 16, 22, 0, tzinfo=UTC), TUESDAY),
        (datetime(2026, 11, 21, 12, 0, tzinfo=UTC), date(2026, 11, 23)),  # a Saturday
        (datetime(2026, 11, 25, 22, 0, tzinfo=UTC), date(2026, 11, 27)),  # Thanksgiving lies between
    ],
)
def test_a_change_counts_from_the_next_session_that_is_not_about_to_open(moment: datetime, start: date) -> None:
    assert effective_from(moment) == start


@settings(deadline=None, max_examples=60)
@given(minutes=st.integers(0, 60 * 24 * 30))
def test_a_change_never_counts_in_a_session_that_has_begun(minutes: int) -> None:
    moment = datetime(2026, 2, 2, tzinfo=UTC) + timedelta(minutes=minutes)
    start = effective_from(moment)
    assert XNYS.session(start).open > moment + LEAD
    assert XNYS.previous(start).open <= moment + LEAD


def test_a_desk_with_real_money_moves_nothing_by_itself() -> None:
    refuse_automatic_live(LearningSettings(automatic=True), "paper")
    refuse_automatic_live(LearningSettings(automatic=False), "live")
    for mode in ("live", "unknown", ""):
        with pytest.raises(ConfigurationError, match="paper desk only"):
            refuse_automatic_live(LearningSettings(automatic=True), mode)


def test_the_way_back_of_a_strategy_may_not_ask_for_less_than_the_way_out() -> None:
    with pytest.raises(ValidationError, match="resume_win_rate_min"):
        MonitorRules(win_rate_min=0.5, resume_win_rate_min=0.4)
