"""Size comes from risk, alone and together with related positions, and never exceeds a limit."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import LIMITS, LOOSE, holding, portfolio
from tests.plans.worlds import candidate, leg_pair
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import Candidate
from trading_assets.plans.portfolio import Holding, Pending, Portfolio
from trading_assets.plans.sizing import QUANTITY_MAX, Room, Sized, Taken, risk_per_share, sized, stop_risk

TIED = {"AAA": frozenset({"AAA", "BBB"}), "BBB": frozenset({"AAA", "BBB"})}


def _room(book: Portfolio | None = None, *, related: bool = False, limits: Preferences = LIMITS) -> Room:
    return Room(book or portfolio(), TIED if related else {}, limits)


def _sized(*legs: Candidate, room: Room | None = None, stance: float = 1.0, taken: Taken | None = None) -> Sized:
    return sized(legs or (candidate(),), stance, room or _room(), taken or Taken())


def _quantity(*legs: Candidate, room: Room | None = None, stance: float = 1.0) -> int:
    (quantity,) = _sized(*legs, room=room, stance=stance).quantities
    return quantity


def _asked(**risk: int) -> Taken:
    taken = Taken()
    for symbol, usd in risk.items():
        taken = taken.plus(symbol, Decimal(usd), strategy="pullback", value=Decimal(0))
    return taken


def _protected(symbol: str, stop: str, *, value: str = "5000", quantity: int = 50) -> Holding:
    return replace(holding(symbol, value, quantity=quantity), stop=Decimal(stop))


def test_the_position_limit_binds_a_near_stop_and_the_risk_limit_a_far_one() -> None:
    """5 % of 100,000 buys 50 shares at 100; 0.5 % is 500, which 20 a share lose 25 times."""
    assert _quantity(candidate(risk="4")) == 50
    assert _quantity(candidate(risk="20")) == 25


def test_stance_and_style_multiply() -> None:
    assert _quantity(candidate(), stance=0.5) == 25
    assert _quantity(candidate(size_fraction=0.5), stance=0.5) == 12
    assert _quantity(candidate(), stance=0.0) == 0


@pytest.mark.parametrize("cash", [1_999, 0, -5])
def test_a_book_too_small_for_one_share_pays_none_and_says_so(cash: int) -> None:
    made = _sized(room=_room(portfolio(cash=cash)))
    assert made.quantities == (0,)
    assert made.refusal == f"equity {cash:,.2f} USD pays no share within the limits"
    assert not made.for_related


def test_a_holding_risks_what_lies_between_its_value_and_its_stop() -> None:
    assert stop_risk(_protected("AAA", "96.00")) == 200
    assert stop_risk(_protected("AAA", "101.00")) == 0, "a stop above the price locks a gain in"
    assert stop_risk(holding("AAA", 5_000, quantity=50)) == 5_000, "without a stop all of it"
    assert stop_risk(_protected("AAA", "104.00", value="-5000", quantity=-50)) == 200


def test_related_positions_share_one_budget_of_risk() -> None:
    """1 % of 105,000 is 1,050; 50 shares of BBB risk 900 of it, so 37 shares that risk 4 each fit."""
    book = portfolio(_protected("BBB", "82.00"))
    assert _quantity(room=_room(book)) == 52
    assert _quantity(room=_room(book, related=True)) == 37


def test_a_symbol_is_related_to_itself_whether_it_is_named_or_not() -> None:
    book = portfolio(_protected("AAA", "82.00"))
    assert _quantity(room=_room(book)) == 37


def test_a_spent_budget_of_shared_risk_leaves_nothing_and_says_so() -> None:
    made = _sized(room=_room(portfolio(holding("BBB", 5_000)), related=True))
    assert (made.quantities, made.for_related) == ((0,), True)
    assert made.refusal == "related positions leave 0.00 USD of the 1.0% of equity that they may lose together"


def test_an_entry_on_its_way_shares_risk_with_the_widest_stop_that_is_allowed() -> None:
    """5 % of 16,000 are 800 of 1,000; 200 remain for 4 a share."""
    book = portfolio().with_pending(Pending("BBB", Decimal(16_000)))
    assert _quantity(room=_room(book, related=True)) == 50
    assert _quantity(room=_room(book.with_pending(Pending("BBB", Decimal(1_000))), related=True)) == 37


def test_what_this_slot_already_asked_for_counts_too() -> None:
    taken = _asked(BBB=900, CCC=5_000)
    assert _sized(room=_room(related=True), taken=taken).quantities == (25,)


def test_legs_of_a_pair_get_the_same_dollars_and_share_one_trades_risk() -> None:
    """250 USD of risk each: 3,125 USD at 8 % to the stop; 31 shares at 100, 62 at 50."""
    bought, sold = leg_pair()
    cheap = sold.model_copy(update={"entry": Decimal(50), "stop": Decimal(52), "target": Decimal("46.80")})
    wide = bought.model_copy(update={"stop": Decimal(92), "target": Decimal("112.80")})
    assert _sized(wide, cheap).quantities == (31, 62)


def test_a_leg_that_no_share_fits_into_leaves_the_other_out_too() -> None:
    bought, sold = leg_pair()
    dear = sold.model_copy(update={"entry": Decimal(6_000), "stop": Decimal(6_004), "target": Decimal(5_990)})
    assert _sized(bought, dear).quantities == (0, 0)


def test_a_pair_stays_within_what_one_order_may_carry() -> None:
    bought, sold = leg_pair(entry="5.00", risk="0.10")
    assert _sized(bought, sold).quantities == (500, 500)
    small = LIMITS.model_copy(update={"order_notional_usd_max": 1_000.0})
    assert _sized(bought, sold, room=_room(limits=small)).quantities == (200, 200)


def test_a_stressed_leg_halves_both() -> None:
    bought, sold = leg_pair()
    assert _sized(bought, sold).quantities == (50, 50)
    assert _sized(bought, sold.model_copy(update={"size_fraction": 0.5})).quantities == (25, 25)


def test_cash_that_backs_a_short_position_is_not_free() -> None:
    short = holding("BBB", -5_000, quantity=-50)
    assert _room(portfolio(short, cash=20_000)).free_cash == 10_000
    assert _room(portfolio(cash=20_000).with_pending(Pending("AAA", Decimal(500)))).free_cash == 19_500


def test_no_order_is_larger_than_a_plan_can_say() -> None:
    rich = _room(portfolio(cash=10**12), limits=LOOSE)
    assert _quantity(candidate(entry="1.00", risk="0.01"), room=rich) == QUANTITY_MAX


_MONEY = st.integers(0, 50_000_000).map(lambda cents: Decimal(cents) / 100)


@settings(deadline=None, max_examples=25)
@given(
    _MONEY,
    st.integers(1, 6_000),
    st.integers(0, 5_000),
    st.floats(0.05, 1.0),
    st.sampled_from([0.5, 1.0]),
    st.booleans(),
)
def test_no_size_breaks_a_limit(
    cash: Decimal, risk_cents: int, held_risk: int, stance: float, style: float, pair: bool
) -> None:
    stop = Decimal(100) - Decimal(held_risk) / 50
    book = portfolio(_protected("BBB", str(stop)), cash=str(cash))
    room = _room(book, related=True)
    risk = str(Decimal(risk_cents) / 100)
    both = leg_pair("CCC", "AAA", risk=risk, size_fraction=style)
    legs = both if pair else (candidate(risk=risk, size_fraction=style),)
    made = _sized(*legs, room=room, stance=stance)
    at_risk = sum((risk_per_share(leg) * q for leg, q in zip(legs, made.quantities, strict=True)), Decimal(0))
    fraction = Decimal(str(stance)) * Decimal(str(style))
    assert at_risk <= book.equity * Decimal("0.005") * fraction
    assert all(
        leg.entry * q <= book.equity * Decimal("0.05") * fraction for leg, q in zip(legs, made.quantities, strict=True)
    )
    assert at_risk == 0 or at_risk + stop_risk(book.holdings["BBB"]) <= book.equity * Decimal("0.01")
    assert all(made.quantities) or not any(made.quantities)
    assert bool(made.refusal) == (not all(made.quantities))
