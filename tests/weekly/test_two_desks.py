"""The weekly desk in the decision cycle: what it opens, what it sells, and that neither desk takes the other's share."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import (
    BEFORE,
    DAY,
    LIMITS,
    LOOSE,
    SLOT,
    breakout,
    desk_of,
    held_by,
    holding,
    mind,
    portfolio,
    scene,
    slot_at,
    thesis,
)
from tests.plans.worlds import candidate, planned
from tests.weekly.worlds import targets
from trading_assets.core.calendar import XNYS
from trading_assets.core.preferences import Preferences
from trading_assets.plans.model import Candidate, TradePlan
from trading_assets.plans.portfolio import FOREIGN, Holding, Pending, Portfolio
from trading_assets.plans.sizing import Room, Taken, sized
from trading_assets.plans.strategies import STRATEGIES, acting
from trading_assets.plans.strategies.model import REWARD_TO_RISK_MIN, Setup, reward_to_risk
from trading_assets.plans.strategies.weekly import HOLDING_SESSIONS_MAX, weekly_portfolio
from trading_assets.signatures.judging import judge_all
from trading_assets.signatures.state import StateRuling
from trading_assets.weekly.model import STRATEGY, Targets

ACTIVE = StateRuling("ACTIVE", "")
MADE, UNTIL = BEFORE, XNYS.next(DAY, 4).day


def wanting(weights: dict[str, float] | None = None, fraction: float = 0.5, **changed: Any) -> Targets:
    """A portfolio that was made after the session before and wants AAA for half of its capital."""
    how = {"session": MADE, "until": UNTIL, **changed}
    return targets({"AAA": 0.5} if weights is None else weights, fraction=fraction, **how)


def setup(seen: Targets | None, **changed: Any) -> Setup | None:
    at = scene(breakout(**changed))
    return weekly_portfolio(replace(at, facts=replace(at.facts, weekly=seen)))


def plans_of(seen: Targets | None, *held: Holding, **more: Any) -> tuple[TradePlan, ...]:
    """What a slot plans while the only strategy is the weekly one."""
    facts = replace(desk_of(breakout()), weekly=seen)
    return planned(facts, book=portfolio(*held), strategies=(STRATEGY,), **more).plans


def weekly(symbol: str = "AAA", **changed: Any) -> Holding:
    return held_by(STRATEGY, holding(symbol, **changed))


# --- what it opens -------------------------------------------------------------------------------------------------


def test_a_wanted_symbol_has_a_setup_whose_bracket_wins_enough() -> None:
    made = setup(wanting())
    assert made is not None
    assert made.stop < made.entry < made.target
    assert reward_to_risk(made.entry, made.stop, made.target) >= REWARD_TO_RISK_MIN
    assert made.reasons[0].startswith(f"the weekly portfolio of {MADE} wants 50.0% of its 50.0% of equity")


@pytest.mark.parametrize(
    "seen",
    [
        None,
        wanting({}),
        wanting({"BBB": 0.5}),
        wanting(fraction=0.0),
        wanting(until=BEFORE),
        wanting(session=DAY),
        wanting({"AAA": float("nan")}),
    ],
    ids=["none", "empty", "another symbol", "no capital", "stale", "of the same session", "not a number"],
)
def test_without_a_valid_wish_there_is_no_setup(seen: Targets | None) -> None:
    assert setup(seen) is None


def test_without_an_average_true_range_there_is_no_setup() -> None:
    assert setup(wanting(), atr_14=None) is None


def test_it_acts_at_the_open_only_and_never_sells_short() -> None:
    assert [each.name for each in acting(SLOT, (STRATEGY,))] == [STRATEGY]
    assert acting(slot_at("10:00"), (STRATEGY,)) == ()
    assert STRATEGIES[STRATEGY].short_views == ()


def test_an_entry_weighs_what_the_portfolio_gives_it_within_the_limit_of_one_position() -> None:
    """4 % of 100,000 buys 39 shares at 100.50; half of all is wanted by the second, and 5 % is the limit."""
    (small,) = plans_of(wanting({"AAA": 0.1}, fraction=0.4))
    (large,) = plans_of(wanting({"AAA": 1.0}, fraction=0.5))
    assert (small.action, small.strategy, small.quantity) == ("enter", STRATEGY, 39)
    assert large.quantity == 49


def test_what_is_held_by_anybody_is_not_opened_again() -> None:
    assert not [plan for plan in plans_of(wanting(), holding("AAA")) if plan.opens]
    assert not [plan for plan in plans_of(wanting(), weekly()) if plan.opens]


def test_a_wish_still_needs_a_thesis_votes_and_a_view() -> None:
    assert plans_of(wanting())
    assert not plans_of(wanting(), believed=mind())
    assert not plans_of(wanting(), votes={})
    facts = replace(desk_of(breakout(view="trending_bear")), weekly=wanting())
    assert not planned(facts, strategies=(STRATEGY,)).plans


def test_with_no_capital_every_plan_is_what_it_was_without_a_weekly_desk() -> None:
    facts = desk_of(breakout(), breakout(symbol="BBB"))
    book = portfolio(holding("CCC", 90_000))
    usual = planned(facts, book=book)
    assert usual.plans
    for seen in (wanting(fraction=0.0), wanting({}, fraction=0.0)):
        assert planned(replace(facts, weekly=seen), book=book) == usual


# --- what it sells -------------------------------------------------------------------------------------------------


def test_a_position_that_the_newest_portfolio_does_not_want_is_sold_and_the_reason_names_it() -> None:
    (plan,) = plans_of(wanting({"BBB": 0.5}, AAA="p(loss) 0.5100 is above 0.45"), weekly())
    assert plan.action == "exit"
    assert plan.reasons == (f"the weekly portfolio of {MADE} does not want it: p(loss) 0.5100 is above 0.45",)


def test_a_portfolio_without_capital_winds_the_weekly_desk_down() -> None:
    (plan,) = plans_of(wanting(fraction=0.0), weekly())
    assert (plan.action, plan.reasons) == ("exit", (f"the weekly portfolio of {MADE} has no capital",))


def test_positions_of_the_day_desk_are_none_of_its_business() -> None:
    assert not plans_of(wanting({"BBB": 0.5}), holding("AAA"))


def test_a_wanted_position_is_held_however_long() -> None:
    assert not plans_of(wanting(), weekly(sessions=HOLDING_SESSIONS_MAX * 3))


@pytest.mark.parametrize(("age", "sold"), [(HOLDING_SESSIONS_MAX - 1, False), (HOLDING_SESSIONS_MAX, True)])
def test_a_stale_portfolio_keeps_what_it_wanted_until_nobody_confirmed_it_for_too_long(age: int, sold: bool) -> None:
    old = XNYS.previous(DAY, age).day
    stale = wanting(session=old, until=XNYS.next(old, 5).day)
    assert stale.is_stale(DAY)
    got = plans_of(stale, weekly(sessions=200))
    assert bool(got) == sold
    if sold:
        assert got[0].reasons == (f"no weekly portfolio was made in the {age} sessions since {old}",)


def test_a_stale_portfolio_still_sells_what_it_did_not_want() -> None:
    old = XNYS.previous(DAY, 10).day
    (plan,) = plans_of(wanting({}, session=old, until=XNYS.next(old, 5).day), weekly())
    assert plan.action == "exit"


@pytest.mark.parametrize(("held", "sold"), [(HOLDING_SESSIONS_MAX - 1, False), (HOLDING_SESSIONS_MAX, True)])
def test_without_any_portfolio_a_position_is_held_its_longest(held: int, sold: bool) -> None:
    assert bool(plans_of(None, weekly(sessions=held))) == sold


def test_what_ends_any_position_ends_a_weekly_one() -> None:
    (plan,) = plans_of(wanting(), weekly(), believed=mind(thesis(confidence=0.2)))
    assert plan.action == "exit"
    assert "confidence of its thesis fell" in plan.reasons[0]


# --- shares of equity ----------------------------------------------------------------------------------------------


def room(book: Portfolio, seen: Targets | None, limits: Preferences = LOOSE) -> Room:
    return Room(book, {}, limits, weekly=seen)


def ideas(strategy: str, symbol: str = "AAA") -> Candidate:
    return candidate(symbol, strategy=strategy)


def test_each_desk_has_its_share_and_without_capital_nothing_is_shared() -> None:
    book = portfolio()
    assert room(book, None).share_left("pullback", Taken()) is None
    assert room(book, wanting(fraction=0.0)).share_left("pullback", Taken()) is None
    assert room(book, wanting(fraction=0.4)).share_left("pullback", Taken()) == 60_000
    assert room(book, wanting(fraction=0.4)).share_left(STRATEGY, Taken()) == 40_000


def test_holdings_count_for_their_own_desk_and_what_is_nobodys_for_both() -> None:
    book = portfolio(holding("AAA", 10_000), weekly("BBB", value=7_000), cash=83_000)
    shared = room(book, wanting(fraction=0.4))
    assert shared.share_left("pullback", Taken()) == 50_000
    assert shared.share_left(STRATEGY, Taken()) == 33_000
    waiting = room(book.with_pending(Pending("CCC", Decimal(5_000))), wanting(fraction=0.4))
    assert waiting.share_left("pullback", Taken()) == 45_000
    assert waiting.share_left(STRATEGY, Taken()) == 28_000
    foreign = room(portfolio(held_by(FOREIGN, holding("DDD", 20_000)), cash=80_000), wanting(fraction=0.4))
    assert foreign.share_left("pullback", Taken()) == 40_000
    assert foreign.share_left(STRATEGY, Taken()) == 20_000


def test_a_short_position_uses_its_desks_share_too() -> None:
    book = portfolio(holding("AAA", -10_000, quantity=-100), cash=110_000)
    assert room(book, wanting(fraction=0.4)).share_left("pullback", Taken()) == 50_000


def test_a_desk_that_used_its_share_opens_nothing_and_says_so() -> None:
    book = portfolio(holding("BBB", 60_000), cash=40_000)
    made = sized([ideas("pullback")], 1.0, room(book, wanting(fraction=0.4)), Taken())
    assert made.quantities == (0,)
    assert made.refusal == "0.00 USD are left of the 60.0% of equity that its desk may use"


def test_the_last_entry_is_cut_to_what_is_left() -> None:
    book = portfolio(holding("BBB", 59_050), cash=40_950)
    made = sized([ideas("pullback")], 1.0, room(book, wanting(fraction=0.4)), Taken())
    assert made.quantities == (9,)


@given(
    day=st.lists(st.integers(0, 40_000), max_size=3),
    week=st.lists(st.integers(0, 40_000), max_size=3),
    cash=st.integers(0, 100_000),
    waiting=st.integers(0, 20_000),
    fraction=st.floats(0.01, 1.0),
    wanted=st.lists(st.sampled_from([STRATEGY, "pullback", "momentum_breakout"]), min_size=1, max_size=8),
)
@settings(max_examples=60, deadline=None)
def test_both_desks_together_never_open_more_than_their_shares_nor_than_the_limits(
    day: list[int], week: list[int], cash: int, waiting: int, fraction: float, wanted: list[str]
) -> None:
    """Whatever is held and wanted: what a slot opens fits each desk's share, and what the gate lets through the limits."""
    held = [holding(f"D{n}", value) for n, value in enumerate(day)]
    held += [weekly(f"W{n}", value=value) for n, value in enumerate(week)]
    book = portfolio(*held, cash=cash).with_pending(Pending("PPP", Decimal(waiting)))
    symbols = [f"S{n}" for n in range(len(wanted))]
    seen = wanting(dict.fromkeys(symbols, 1 / len(symbols)), fraction=fraction)
    facts = replace(desk_of(*(breakout(symbol=symbol) for symbol in symbols)), weekly=seen)
    found = [ideas(strategy, symbol) for strategy, symbol in zip(wanted, symbols, strict=True)]
    plans = [plan for plan in planned(facts, book=book, found=found, preferences=LOOSE).plans if plan.opens]
    for mine in (True, False):
        asked = sum(plan.notional for plan in plans if (plan.strategy == STRATEGY) == mine)
        used = sum(abs(each.value) for each in held if (each.strategy == STRATEGY) == mine) + waiting
        share = book.equity * Decimal(str(fraction if mine else 1 - fraction))
        assert not asked or used + asked <= share
    verdicts = judge_all(
        plans,
        book,
        ACTIVE,
        sectors={symbol: symbol for symbol in symbols},
        average_volume=dict.fromkeys(symbols, 1e9),
        related={},
        preferences=LOOSE,
    )
    allowed = sum(plan.entry * verdict.quantity for plan, verdict in verdicts)
    gross = sum(abs(each.value) for each in held) + waiting
    assert not allowed or gross + allowed <= book.equity * Decimal(str(LOOSE.gross_exposure_fraction_max))


def test_the_limits_of_one_position_hold_for_the_weekly_desk_as_for_any() -> None:
    (quantity,) = sized(
        [ideas(STRATEGY)], 1.0, room(portfolio(), wanting({"AAA": 1.0}, 1.0), LIMITS), Taken()
    ).quantities
    assert quantity * 100 <= 0.05 * 100_000


def test_a_candidate_of_the_weekly_desk_without_a_portfolio_gets_no_share() -> None:
    assert sized([ideas(STRATEGY)], 1.0, room(portfolio(), None), Taken()).quantities == (0,)
