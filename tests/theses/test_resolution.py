"""Prices of a thesis by code, and how the last bar ends it: wrong before right, right before too late."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theses.graphs import hold, quoted, slot_after, slot_of, thesis
from trading_assets.core.calendar import XNYS
from trading_assets.core.slots import Slot
from trading_assets.theses.model import Direction, Horizon, Thesis
from trading_assets.theses.resolution import BANDS, after_split, ending, formed

_NEXT = slot_after(1)


def _ended(held: Thesis, slot: Slot = _NEXT, **bar: Any) -> str | None:
    """How a thesis ends in a slot, on the bar of the session before."""
    end = ending(held, quoted("AAA", slot, **bar), slot)
    return end.outcome if end else None


# Forming


@pytest.mark.parametrize(
    ("direction", "horizon", "target", "invalidation"),
    [
        ("long", "swing", "106.00", "95.00"),
        ("short", "swing", "94.00", "105.00"),
        ("long", "intraday", "101.40", "98.80"),
        ("short", "position", "89.60", "108.60"),
    ],
)
def test_target_and_invalidation_are_multiples_of_the_average_true_range(
    direction: Direction, horizon: Horizon, target: str, invalidation: str
) -> None:
    made = thesis(direction=direction, horizon=horizon)
    assert (made.reference, made.target, made.invalidation) == (Decimal(100), Decimal(target), Decimal(invalidation))


def test_on_the_day_of_a_split_the_prices_are_in_todays_share_count() -> None:
    made = formed(hold(), quoted("AAA", slot_of(), split=2), slot_of())
    assert made is not None
    assert (made.reference, made.target, made.invalidation) == (Decimal(50), Decimal(53), Decimal("47.50"))


@pytest.mark.parametrize("atr", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_without_a_positive_range_there_is_no_thesis(atr: float | None) -> None:
    assert formed(hold(), quoted("AAA", slot_of(), atr=atr), slot_of()) is None


def test_a_price_is_at_least_a_cent() -> None:
    made = formed(hold(), quoted("AAA", slot_of(), atr=500.0), slot_of())
    assert made is not None
    assert made.invalidation == Decimal("0.01")


@pytest.mark.parametrize("horizon", ["intraday", "swing", "position"])
def test_a_thesis_lives_for_the_sessions_of_its_horizon(horizon: Horizon) -> None:
    made = thesis(horizon=horizon)
    assert len(XNYS.sessions(made.formed, made.expires)) == BANDS[horizon].sessions


def test_at_the_end_of_the_calendar_a_thesis_expires_with_it() -> None:
    slot = slot_of(XNYS.days[-3])
    made = formed(hold(), quoted("AAA", slot), slot)
    assert made is not None
    assert made.expires == XNYS.days[-1]


def test_the_id_is_made_from_session_slot_symbol_and_direction() -> None:
    same = {thesis().id, thesis(horizon="position", confidence=0.9).id}
    others = {
        thesis("BBB").id,
        thesis(direction="short").id,
        thesis(slot=_NEXT).id,
        thesis(slot=slot_of(label="10:30")).id,
    }
    assert len(same) == 1
    assert len(same | others) == 5


# Splits


def test_a_split_divides_the_prices_once_and_is_remembered() -> None:
    known = quoted("AAA", _NEXT, split=2)
    after = after_split(thesis(), known, _NEXT)
    assert (after.reference, after.target, after.invalidation) == (Decimal(50), Decimal(53), Decimal("47.50"))
    assert after.split_ratio == 2
    again = after_split(after.model_copy(update={"as_of": _NEXT.at}), known, slot_after(1, "10:30"))
    assert again.target == after.target


def test_a_thesis_of_the_day_of_the_split_is_in_new_shares_already() -> None:
    made = thesis(slot=_NEXT)
    assert after_split(made, quoted("AAA", _NEXT, split=2), slot_after(1, "10:30")) == made


def test_ratios_that_are_no_cents_keep_four_places_and_a_cent_at_least() -> None:
    made = thesis()
    third = after_split(made, quoted("AAA", _NEXT, split=3), _NEXT)
    assert third.target == Decimal("35.3333")
    tiny = after_split(made, quoted("AAA", _NEXT, split=1_000_000), _NEXT)
    assert tiny.invalidation == Decimal("0.01")


def test_the_bar_before_a_split_is_read_in_new_shares() -> None:
    held = after_split(thesis(), quoted("AAA", _NEXT, split=2), _NEXT)
    assert _ended(held, close=100, split=2) is None
    assert _ended(held, close=105.5, split=2) == "confirmed"
    assert _ended(held, close=94.9, split=2) == "invalidated"


# Endings


@pytest.mark.parametrize(
    ("direction", "bar", "outcome"),
    [
        ("long", {"high": 106.0}, "confirmed"),
        ("long", {"high": 105.99}, None),
        ("long", {"low": 90.0, "close": 95.0}, None),
        ("long", {"close": 94.99}, "invalidated"),
        ("long", {"close": 94.99, "high": 110.0}, "invalidated"),
        ("short", {"low": 94.0}, "confirmed"),
        ("short", {"low": 94.01}, None),
        ("short", {"high": 110.0, "close": 105.0}, None),
        ("short", {"close": 105.01}, "invalidated"),
        ("short", {"close": 105.01, "low": 90.0}, "invalidated"),
    ],
)
def test_the_target_counts_when_touched_and_the_invalidation_when_closed_beyond(
    direction: Direction, bar: dict[str, Any], outcome: str | None
) -> None:
    assert _ended(thesis(direction=direction), **bar) == outcome


@pytest.mark.parametrize(
    ("high", "close", "outcome"), [(110.0, 100.0, None), (106.0, 106.0, "confirmed"), (100.0, 94.0, "invalidated")]
)
def test_the_session_in_which_it_was_formed_counts_by_its_close_alone(
    high: float, close: float, outcome: str | None
) -> None:
    assert _ended(thesis(slot=slot_of(label="10:30")), high=high, close=close) == outcome


def test_a_bar_from_before_a_thesis_never_judges_it() -> None:
    same_day = slot_after(0, "15:30")
    assert _ended(thesis(), same_day, high=200.0) is None
    assert _ended(thesis(), same_day, close=10.0) is None


def test_a_thesis_expires_in_the_session_after_its_last() -> None:
    held = thesis()
    last, late = slot_of(held.expires), slot_of(XNYS.next(held.expires).day)
    watched = held.model_copy(update={"as_of": last.at})
    assert _ended(watched, last) is None
    assert _ended(watched, late) == "expired"
    assert _ended(watched, late, high=106.0) == "confirmed"


def test_what_nobody_watched_to_its_end_is_given_up_and_not_scored() -> None:
    held = thesis(horizon="intraday")
    end = ending(held, quoted("AAA", slot_after(4), high=200.0), slot_after(4))
    assert end is not None
    assert (end.outcome, end.scored) == ("given_up", False)


@pytest.mark.parametrize(
    ("close", "outcome"), [(50.0, "given_up"), (200.0, "given_up"), (110.0, "confirmed"), (90.0, "invalidated")]
)
def test_after_sessions_that_nobody_watched_a_leap_may_be_a_split_and_proves_nothing(
    close: float, outcome: str
) -> None:
    assert _ended(thesis(), slot_after(3), close=close) == outcome


def test_a_leap_in_a_session_that_was_watched_is_a_leap() -> None:
    assert _ended(thesis(), close=50.0) == "invalidated"


@pytest.mark.parametrize("column", ["high", "low", "close"])
def test_a_bar_without_a_number_is_refused_rather_than_believed(column: str) -> None:
    held = thesis(direction="short" if column == "low" else "long")
    with pytest.raises(Exception, match="must be finite"):
        ending(held, quoted("AAA", _NEXT, **{column: float("nan")}), _NEXT)


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["long", "short"]), st.floats(1, 400), st.floats(0, 50), st.floats(0, 50))
def test_whatever_else_the_bar_did_a_close_beyond_the_invalidation_wins(
    direction: Direction, close: float, up: float, down: float
) -> None:
    held = thesis(direction=direction)
    close = round(close, 2)
    outcome = _ended(held, close=close, high=close + up, low=close - down if close > down else 0.01)
    beyond = Decimal(str(close)) < 95 if direction == "long" else Decimal(str(close)) > 105
    assert (outcome == "invalidated") == beyond
