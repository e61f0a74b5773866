"""Which plans a slot makes: exits first, one idea per symbol, sized by risk, nothing where the desk is in already."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.plans.ideas import (
    LIMITS,
    SLOT,
    breakout,
    desk_of,
    dip,
    held_by,
    holding,
    plan,
    portfolio,
    return_to_mean,
    thesis,
)
from trading_assets.briefs.facts import SymbolFacts
from trading_assets.plans.model import TRADE_PLANS, TradePlan
from trading_assets.plans.portfolio import Pending, Portfolio
from trading_assets.plans.trader import make_plans, plan_rows
from trading_assets.theses.model import Thesis

ALL = ("momentum_breakout", "mean_reversion", "pullback")


def _plans(
    *symbols: SymbolFacts,
    book: Portfolio | None = None,
    theses: tuple[Thesis, ...] | None = None,
    strategies: tuple[str, ...] = ALL,
    flatten: str | None = None,
) -> tuple[TradePlan, ...]:
    said = tuple(thesis(each.symbol) for each in symbols) if theses is None else theses
    return make_plans(
        SLOT,
        desk_of(*symbols),
        said,
        book or portfolio(),
        strategies=strategies,
        preferences=LIMITS,
        flatten=flatten,
    )


@pytest.mark.parametrize(
    ("facts", "strategy"),
    [(breakout(), "momentum_breakout"), (dip(), "mean_reversion"), (return_to_mean(), "pullback")],
    ids=ALL,
)
def test_a_setup_in_its_view_becomes_a_plan_of_its_strategy(facts: SymbolFacts, strategy: str) -> None:
    (made,) = _plans(facts)
    assert (made.action, made.strategy, made.symbol, made.regime) == ("enter", strategy, "AAA", facts.view)
    assert made.reference == Decimal(100)
    assert made.thesis_id == "thesis-AAA"


@pytest.mark.parametrize("view", ["trending_bull", "trending_bear", "range", "mild_trend", "mixed", "unknown"])
@pytest.mark.parametrize("setup", [breakout, dip, return_to_mean])
def test_a_setup_in_another_view_is_no_plan(setup: Any, view: str) -> None:
    facts = setup(view=view)
    assert bool(_plans(facts)) == (view == setup().view)


def test_a_strategy_that_the_settings_leave_out_never_acts() -> None:
    assert _plans(breakout(), strategies=("mean_reversion", "pullback")) == ()


def test_without_a_thesis_there_is_no_entry() -> None:
    assert _plans(breakout(), theses=()) == ()


def test_a_thesis_that_says_avoid_is_never_entered() -> None:
    avoided = thesis(confidence=0.49)
    assert _plans(dip(), theses=(avoided,)) == ()
    assert _plans(dip(), theses=(thesis(confidence=0.5),))


def test_nothing_is_entered_on_the_day_of_a_split() -> None:
    assert _plans(breakout(split="2")) == ()


def test_a_symbol_that_is_held_is_not_bought_again() -> None:
    assert _plans(breakout(), book=portfolio(holding("AAA"))) == ()


def test_a_symbol_with_an_entry_on_its_way_is_not_bought_again() -> None:
    assert _plans(breakout(), book=portfolio().with_pending(Pending("AAA", Decimal(1)))) == ()


@pytest.mark.parametrize(("strategy", "longest"), [("momentum_breakout", 20), ("mean_reversion", 10), ("pullback", 15)])
def test_a_holding_is_sold_when_its_strategys_time_is_over(strategy: str, longest: int) -> None:
    kept = held_by(strategy, holding("AAA", sessions=longest - 1))
    over = held_by(strategy, holding("AAA", sessions=longest, quantity=7))
    assert _plans(dip(view="mixed"), book=portfolio(kept)) == ()
    (made,) = _plans(dip(view="mixed"), book=portfolio(over))
    assert (made.action, made.quantity, made.strategy, made.stop, made.target) == ("exit", 7, strategy, None, None)
    assert made.reasons == (f"held for {longest} sessions; {strategy} holds at most {longest}",)


def test_a_holding_is_sold_when_its_view_turns_to_trending_bear() -> None:
    (made,) = _plans(dip(view="trending_bear"), book=portfolio(holding("AAA")), theses=())
    assert made.reasons == ("the view of AAA turned to trending_bear",)
    assert (made.thesis_id, made.confidence) == ("", 0.0)


def test_an_exit_that_is_on_its_way_is_not_asked_for_twice() -> None:
    leaving = replace(portfolio(holding("AAA")), exiting=frozenset({"AAA"}))
    assert _plans(dip(view="trending_bear"), book=leaving) == ()


def test_a_halted_book_sells_everything_and_enters_nothing() -> None:
    book = portfolio(holding("BBB"), holding("AAA"))
    symbols = (breakout(symbol="CCC"), dip(), dip(symbol="BBB"))
    assert [(p.action, p.symbol, p.reasons) for p in _plans(*symbols, book=book, flatten="halted: drawdown")] == [
        ("exit", "AAA", ("halted: drawdown",)),
        ("exit", "BBB", ("halted: drawdown",)),
    ]


def test_exits_come_before_entries_and_entries_by_falling_confidence() -> None:
    symbols = (breakout(symbol="BBB"), dip(symbol="CCC"), breakout(symbol="DDD"), dip(view="trending_bear"))
    theses = (thesis("BBB", 0.6), thesis("CCC", 0.8), thesis("DDD", 0.6))
    made = _plans(*symbols, book=portfolio(holding("AAA")), theses=theses)
    assert [(p.action, p.symbol) for p in made] == [
        ("exit", "AAA"),
        ("enter", "CCC"),
        ("enter", "BBB"),
        ("enter", "DDD"),
    ]


def test_size_is_what_the_risk_limit_pays_at_the_stop() -> None:
    """0.5 % of 100,000 is 500 USD; the stop is 14 away, so 35 shares lose 490 and 36 would lose 504."""
    (made,) = _plans(breakout(atr_14=7.0))
    assert made.quantity == 35


def test_size_is_never_above_the_position_limit() -> None:
    """5 % of 100,000 buys 49 shares at 100.50; the risk limit alone would allow 125."""
    (made,) = _plans(breakout())
    assert made.quantity == 49


def test_a_book_too_small_for_one_share_makes_no_plan() -> None:
    assert _plans(breakout(), book=portfolio(cash=2_009)) == ()
    assert _plans(breakout(), book=portfolio(cash=0)) == ()
    assert [p.quantity for p in _plans(breakout(), book=portfolio(cash=2_010))] == [1]


@settings(deadline=None)
@given(st.integers(0, 100_000_000), st.floats(0.1, 40.0))
def test_no_size_loses_more_at_the_stop_or_weighs_more_than_the_limits_allow(cents: int, atr: float) -> None:
    book = portfolio(cash=str(Decimal(cents) / 100))
    for made in _plans(breakout(atr_14=atr), book=book):
        assert made.stop is not None
        assert (made.entry - made.stop) * made.quantity <= book.equity * Decimal("0.005")
        assert made.notional <= book.equity * Decimal("0.05")


def test_the_same_facts_make_the_same_plans_whatever_their_order() -> None:
    symbols = [breakout(symbol="BBB"), dip(symbol="CCC"), return_to_mean(symbol="DDD")]
    assert _plans(*symbols) == _plans(*reversed(symbols))


def test_a_plans_id_is_its_slot_strategy_symbol_and_action_and_its_digest_is_everything() -> None:
    one, other = plan(100), plan(99, target="53.00")
    assert one.id == other.id
    assert one.digest != other.digest
    assert plan(symbol="BBB").id != one.id


@pytest.mark.parametrize(
    "wrong",
    [{"stop": None}, {"target": None}, {"quantity": 0}, {"quantity": 1_000_001}, {"entry": "0"}, {"entry": "NaN"}],
    ids=["no stop", "no target", "no share", "too many", "no price", "not a price"],
)
def test_a_plan_that_is_incomplete_or_absurd_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        plan(**{"quantity": 100, "stop": "49.00", "target": "52.00", **wrong})


def test_plans_become_rows_of_their_table() -> None:
    made = _plans(breakout(), dip(symbol="BBB", view="trending_bear"), book=portfolio(holding("BBB")))
    rows = TRADE_PLANS.frame(plan_rows(made, SLOT)).sort("symbol").rows(named=True)
    assert [(row["symbol"], row["action"], row["stop"]) for row in rows] == [
        ("AAA", "enter", Decimal("96.5000")),
        ("BBB", "exit", None),
    ]
    assert {row["knowable_at"] for row in rows} == {SLOT.at}
    assert [row["plan_digest"] for row in rows] == [p.digest for p in sorted(made, key=lambda p: p.symbol)]
