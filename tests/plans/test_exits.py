"""Why a position is left: its thesis, its time, its view, its other leg, or a halt."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.plans.ideas import SLOT, apart, desk_of, dip, held_by, holding, known, mind, portfolio, slot_at, thesis
from tests.plans.worlds import planned
from trading_assets.briefs.facts import Facts
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Holding, Portfolio
from trading_assets.plans.strategies import STRATEGIES
from trading_assets.theses.model import Outcome

CALM = dip(view="mixed")
SERVED = replace(holding("AAA"), thesis_id="thesis-AAA")


def _exits(book: Portfolio, facts: Facts | None = None, **more: Any) -> list[TradePlan]:
    made = planned(facts or desk_of(CALM), book=book, found=(), **more).plans
    assert all(each.action == "exit" for each in made)
    return list(made)


def _reasons(book: Portfolio, facts: Facts | None = None, **more: Any) -> dict[str, str]:
    return {each.symbol: each.reasons[0] for each in _exits(book, facts, **more)}


@pytest.mark.parametrize(("name", "strategy"), STRATEGIES.items(), ids=STRATEGIES)
def test_a_holding_is_sold_when_its_strategys_time_is_over(name: str, strategy: Any) -> None:
    longest = strategy.holding_sessions_max
    kept = held_by(name, holding("AAA", sessions=longest - 1))
    over = held_by(name, holding("AAA", sessions=longest, quantity=7))
    assert _exits(portfolio(kept)) == []
    (made,) = _exits(portfolio(over))
    assert (made.quantity, made.strategy, made.stop, made.target, made.style) == (7, name, None, None, "market")
    assert made.reasons == (f"held for {longest} sessions; {name} holds at most {longest}",)


def test_a_holding_of_a_strategy_that_is_not_known_is_sold() -> None:
    assert _reasons(portfolio(held_by("astrology", holding("AAA")))) == {"AAA": "no strategy is named astrology"}


def test_a_holding_is_sold_when_its_view_turns_to_trending_bear() -> None:
    (made,) = _exits(portfolio(holding("AAA")), desk_of(dip(view="trending_bear")), believed=mind())
    assert made.reasons == ("the view of AAA turned to trending_bear",)
    assert (made.thesis_id, made.confidence, made.regime) == ("", 0.0, "trending_bear")


def test_a_short_holding_is_bought_back_when_its_view_turns_to_trending_bull() -> None:
    short = holding("AAA", -5_000, quantity=-50)
    (made,) = _exits(portfolio(short), desk_of(dip(view="trending_bull")), believed=mind())
    assert (made.side, made.quantity) == ("short", 50)
    assert _exits(portfolio(short), desk_of(dip(view="trending_bear")), believed=mind()) == []


@pytest.mark.parametrize("outcome", ["confirmed", "invalidated", "expired", "delisted", "given_up"])
def test_a_thesis_that_ended_takes_its_holding_with_it(outcome: Outcome) -> None:
    over = thesis(status="ended", outcome=outcome, confidence=0.7)
    (made,) = _exits(portfolio(SERVED), believed=mind(), ended=(over,))
    assert made.reasons == (f"its thesis ended ({outcome}): it rises",)
    assert (made.thesis_id, made.confidence) == ("thesis-AAA", 0.7)


def test_a_thesis_that_ended_earlier_still_takes_its_holding_with_it() -> None:
    """An exit that did not fill is asked for again: the thesis is not alive, whoever ended it."""
    again = thesis(id="another", confidence=0.9)
    assert _reasons(portfolio(SERVED), believed=mind(again)) == {"AAA": "its thesis thesis-AAA is no longer alive"}


def test_the_end_of_another_thesis_on_the_symbol_is_no_reason() -> None:
    other = thesis(id="other", status="ended", outcome="expired", direction="short")
    assert _exits(portfolio(SERVED), ended=(other,)) == []


def test_a_holding_is_sold_when_its_thesis_is_hardly_believed_any_more() -> None:
    assert _exits(portfolio(SERVED), believed=mind(thesis(confidence=0.3, status="weak"))) == []
    assert _reasons(portfolio(SERVED), believed=mind(thesis(confidence=0.299999, status="weak"))) == {
        "AAA": "the confidence of its thesis fell to 0.30, below 0.30"
    }


def test_a_holding_that_names_no_thesis_serves_the_one_on_its_side() -> None:
    faded = thesis(confidence=0.2, status="weak")
    assert list(_reasons(portfolio(holding("AAA")), believed=mind(faded))) == ["AAA"]
    assert _exits(portfolio(holding("AAA")), believed=mind(thesis(confidence=0.2, direction="short"))) == []
    assert _exits(portfolio(holding("AAA")), believed=mind()) == []


def test_an_exit_that_is_on_its_way_is_not_asked_for_twice() -> None:
    going = replace(portfolio(holding("AAA")), exiting=frozenset({"AAA"}))
    assert _exits(going, desk_of(dip(view="trending_bear"))) == []


def test_a_holding_without_a_bar_is_still_sold_at_what_the_book_values_it() -> None:
    gone = replace(SERVED, symbol="ZZZ", value=Decimal(1_234), quantity=10)
    (made,) = _exits(portfolio(gone), believed=mind(), ended=(thesis(outcome="delisted"),))
    assert (made.symbol, made.reference, made.regime) == ("ZZZ", Decimal("123.4"), "unknown")


def test_a_holding_that_is_worth_nothing_has_no_price_to_plan_at() -> None:
    assert _exits(portfolio(replace(SERVED, symbol="ZZZ", value=Decimal(0))), flatten="halted") == []


def test_a_halted_book_sells_everything_and_enters_nothing() -> None:
    short = holding("BBB", -5_000, quantity=-50)
    book = portfolio(short, holding("AAA"))
    made = planned(desk_of(dip(symbol="CCC"), dip(), dip(symbol="BBB")), book=book, flatten="halted: drawdown")
    assert [(p.action, p.symbol, p.side, p.quantity, p.reasons) for p in made.plans] == [
        ("exit", "AAA", "long", 100, ("halted: drawdown",)),
        ("exit", "BBB", "short", 50, ("halted: drawdown",)),
    ]
    assert {row["outcome"] for row in made.vote_rows} == {"exits only: halted: drawdown"}
    assert made.remarks == ()


def _pair() -> tuple[Holding, Holding]:
    held: dict[str, Any] = {"strategy": "correlation_convergence", "pair": "tied", "thesis_id": "thesis-BBB"}
    bought = replace(holding("BBB"), **held)
    return bought, replace(holding("AAA", -5_000, quantity=-50), **held)


TIED = desk_of(known("mixed", {"close": 100.0}, {}), known("mixed", {"close": 50.0}, {}, symbol="BBB"))


def test_a_pair_is_held_while_its_gap_is_open_whatever_its_views_turn_to() -> None:
    turned = desk_of(
        known("trending_bull", {"close": 100.0}, {}),
        known("trending_bear", {"close": 50.0}, {}, symbol="BBB"),
        correlations=(apart(gap_z=0.5),),
    )
    assert _exits(portfolio(*_pair()), turned) == []


def test_both_legs_are_closed_when_the_gap_has_closed() -> None:
    facts = replace(TIED, correlations=(apart(gap_z=0.4),))
    made = _exits(portfolio(*_pair()), facts)
    assert [(p.symbol, p.side, p.pair) for p in made] == [("AAA", "short", "tied"), ("BBB", "long", "tied")]
    assert made[0].reasons == ("the gap between AAA and BBB has closed: +0.40 deviations",)


@pytest.mark.parametrize("leg", _pair(), ids=["bought", "sold"])
def test_a_leg_whose_other_leg_is_gone_is_closed(leg: Holding) -> None:
    assert _reasons(portfolio(leg), TIED) == {leg.symbol: "the other leg of its pair is gone"}


def test_a_leg_is_judged_alone_at_the_open_only_while_the_other_may_still_fill() -> None:
    assert _exits(portfolio(_pair()[0]), TIED, slot=slot_at("10:00")) == []


def test_a_leg_follows_the_other_out() -> None:
    bought, sold = _pair()
    old = replace(sold, sessions_held=20)
    assert _reasons(portfolio(bought, old), TIED)["BBB"] == "the other leg of its pair, AAA, is sold"
    going = replace(portfolio(bought, sold), exiting=frozenset({"AAA"}))
    assert _reasons(going, TIED) == {"BBB": "the other leg of its pair, AAA, is sold"}


def test_both_legs_end_with_the_thesis_that_they_share() -> None:
    over = thesis("BBB", status="ended", outcome="invalidated")
    assert set(_reasons(portfolio(*_pair()), TIED, ended=(over,))) == {"AAA", "BBB"}


def test_reasons_that_come_first_are_told_first() -> None:
    late = replace(SERVED, sessions_held=99)
    bear = desk_of(dip(view="trending_bear"))
    over = thesis(status="ended", outcome="expired")
    assert _reasons(portfolio(late), bear, ended=(over,))["AAA"].startswith("its thesis ended")
    assert _reasons(portfolio(late), bear)["AAA"].startswith("held for")
    assert _reasons(portfolio(SERVED), bear)["AAA"].startswith("the view")
    assert _reasons(portfolio(late), bear, ended=(over,), flatten="halted")["AAA"] == "halted"


def test_exits_are_in_the_order_of_symbols() -> None:
    assert SLOT.is_first
    book = portfolio(holding("CCC"), holding("AAA"), holding("BBB"))
    facts = desk_of(*(dip(symbol=s, view="trending_bear") for s in ("BBB", "CCC", "AAA")))
    assert [each.symbol for each in _exits(book, facts)] == ["AAA", "BBB", "CCC"]
