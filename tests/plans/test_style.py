"""Orders are placed by how easily their symbol could be traded, and what is not known is treated with care."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import bar_at, breakout, desk_of, liquid, slot_at
from trading_assets.plans.model import PlanSide
from trading_assets.plans.strategies import Setup
from trading_assets.plans.strategies.model import REWARD_TO_RISK_MIN, capped, reward_to_risk
from trading_assets.plans.style import Liquidity, Styled, calmer, liquidity_of, placed, styled

LONG = Setup(Decimal(100), Decimal("100.50"), Decimal("96.50"), Decimal("106.90"), ("a reason",))
SHORT = Setup(Decimal(100), Decimal("99.50"), Decimal("103.50"), Decimal("93.10"), ("a reason",))
TEN = slot_at("10:00")


def _liquidity(row: dict[str, Any] | None, **intraday: Any) -> Liquidity:
    more = {"intraday": {"AAA": bar_at(TEN, **intraday)}} if intraday else {}
    facts = desk_of(breakout(), liquidity={"AAA": row} if row else {}, **more)
    if row is None:
        facts = desk_of(**more)
    return liquidity_of("AAA", facts, TEN)


def _styled(liquidity: Liquidity, *, side: PlanSide = "long") -> tuple[str, str, str, str, float]:
    made = styled(LONG if side == "long" else SHORT, side, liquidity)
    assert made is not None
    return made.style, str(made.entry), str(made.stop), str(made.target), made.size_fraction


@pytest.mark.parametrize("regime", ["normal", "buyer_dominated"])
def test_a_calm_book_is_paid_up_to_the_strategys_cap(regime: str) -> None:
    assert _styled(_liquidity(liquid(regime))) == ("capped_limit", "100.50", "96.50", "106.90", 1.0)


def test_a_stressed_book_is_bid_at_the_last_price_for_half_the_size_and_the_bracket_moves_along() -> None:
    stressed = _liquidity(liquid("stressed"))
    assert _styled(stressed) == ("passive_limit", "100.0000", "96.0000", "106.4000", 0.5)
    assert _styled(stressed, side="short") == ("passive_limit", "100.0000", "104.0000", "93.6000", 0.5)


def test_buying_from_sellers_bids_half_a_spread_below_the_last_price_plus_a_tick() -> None:
    """20 basis points of 100 are 0.20: the bid stands at 99.90."""
    sellers = _liquidity(liquid("seller_dominated", spread_bp=20.0))
    assert _styled(sellers) == ("bid_plus_tick", "99.9100", "95.9100", "106.3100", 1.0)
    assert _styled(sellers, side="short")[:2] == ("capped_limit", "99.50")


def test_a_bid_is_never_above_the_strategys_cap() -> None:
    close = Setup(Decimal(100), Decimal("100.00"), Decimal(96), Decimal(107), ("a reason",))
    made = styled(close, "long", _liquidity(liquid("seller_dominated", spread_bp=0.0)))
    assert made is not None
    assert made.entry == 100


def test_the_sessions_own_spread_counts_before_the_days_and_only_while_it_is_fresh() -> None:
    row = liquid("seller_dominated", spread_bp=20.0)
    assert _liquidity(row, spread_bp=40.0).spread_bp == 40.0
    assert _liquidity(row, spread_bp=40.0, minutes_old=31).spread_bp == 20.0
    assert _liquidity(row, spread_bp=None).spread_bp == 20.0


@pytest.mark.parametrize(
    "row",
    [
        None,
        liquid("unknown", basis="quotes"),
        liquid("unknown", basis="something else"),
        liquid("a new word"),
        liquid("seller_dominated"),
        liquid("seller_dominated", spread_bp=float("nan")),
        liquid("seller_dominated", spread_bp=-1.0),
    ],
    ids=["no row", "quotes", "basis", "word", "no spread", "NaN", "negative"],
)
def test_what_is_not_known_is_placed_as_in_stress(row: dict[str, Any] | None) -> None:
    assert _styled(_liquidity(row))[0] == "passive_limit"
    assert _liquidity(row).size_fraction == 0.5


def test_daily_bars_with_too_short_a_history_count_as_normal() -> None:
    assert _styled(_liquidity(liquid("unknown", basis="daily_bars")))[0] == "capped_limit"
    assert _styled(_liquidity(liquid("stressed", basis="daily_bars")))[0] == "passive_limit"


def test_the_words_say_what_was_judged_and_how_it_is_placed() -> None:
    made = styled(LONG, "long", _liquidity(liquid("stressed")))
    assert made is not None
    assert made.reason == "liquidity is stressed (spread and depth): passive limit"


def test_stress_in_one_leg_is_stress_in_both() -> None:
    calm, stressed = _liquidity(liquid()), _liquidity(liquid("stressed"))
    assert calmer(calm, stressed) == calmer(stressed, calm) == stressed
    assert calmer(calm, calm) == calm


def test_a_setup_that_wins_too_little_is_not_placed() -> None:
    thin = Setup(Decimal(100), Decimal("100.50"), Decimal("98.50"), Decimal("103.49"), ("a reason",))
    assert styled(thin, "long", _liquidity(liquid())) is None


def test_a_bracket_that_moves_below_nothing_is_not_placed() -> None:
    penny = Setup(Decimal("0.02"), Decimal("0.04"), Decimal("0.01"), Decimal("0.20"), ("a reason",))
    assert styled(penny, "long", _liquidity(liquid())) is not None
    assert styled(penny, "long", _liquidity(liquid("stressed"))) is None


_REGIMES = st.sampled_from(["normal", "buyer_dominated", "seller_dominated", "stressed", "unknown"])
_CENTS = st.integers(100, 500_000)


@settings(deadline=None, max_examples=25)
@given(_CENTS, st.integers(1, 2_000), st.sampled_from(["long", "short"]), _REGIMES, st.floats(0.0, 500.0))
def test_a_style_never_pays_more_than_the_cap_and_keeps_distances_and_reward(
    cents: int, risk: int, side: PlanSide, regime: str, spread: float
) -> None:
    reference, sign = Decimal(cents) / 100, 1 if side == "long" else -1
    entry = capped(reference, side)
    stop, target = entry - sign * Decimal(risk) / 100, entry + sign * Decimal(2 * risk) / 100
    setup = Setup(reference, entry, stop, target, ("a reason",))
    made: Styled | None = styled(setup, side, _liquidity(liquid(regime, spread_bp=spread)))
    if made is not None:
        assert (made.entry - entry) * sign <= 0
        assert made.entry - made.stop == entry - stop
        assert made.target - made.entry == target - entry
        assert reward_to_risk(made.entry, made.stop, made.target) >= REWARD_TO_RISK_MIN
        assert made.entry % Decimal("0.01") == 0


@settings(deadline=None, max_examples=25)
@given(st.integers(10_000, 5_000_000))
def test_a_passive_limit_is_on_the_better_side_of_the_last_price_even_between_ticks(units: int) -> None:
    reference = Decimal(units) / 10_000
    stressed = _liquidity(liquid("stressed"))
    assert placed(reference, capped(reference, "long"), "long", stressed)[1] <= reference
    assert placed(reference, capped(reference, "short"), "short", stressed)[1] >= reference
