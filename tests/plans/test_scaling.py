"""Size follows confidence and price: off by default, never without a stop, never above three times the first size."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import LIMITS, LOOSE, breakout, desk_of, holding, known, liquid, mind, portfolio, slot_at
from tests.plans.ideas import stance as chief
from tests.plans.ideas import thesis as believed
from tests.plans.worlds import agents_of, planned
from trading_assets.briefs.facts import Facts
from trading_assets.plans.model import TradePlan
from trading_assets.plans.portfolio import Holding, Pending, Portfolio
from trading_assets.plans.trader import Planned
from trading_assets.theses.model import Thesis

ON = LIMITS.model_copy(update={"add_to_losers": True})
WIDE = LOOSE.model_copy(update={"add_to_losers": True, "related_risk_fraction_max": 0.10})


def _facts(close: float = 97.0, **more: Any) -> Facts:
    return desk_of(known("mixed", {"close": close}, {"atr_14": 2.0}), **more)


def _held(quantity: int = 20, *, close: float = 97.0, **changed: Any) -> Holding:
    """20 shares bought at 100 with a stop at 95 and a target at 110, now at 97."""
    fields: dict[str, Any] = {
        "value": Decimal(str(close)) * quantity,
        "quantity": quantity,
        "thesis_id": "thesis-AAA",
        "entry": Decimal(100),
        "stop": Decimal(95),
        "target": Decimal(110),
        "base_quantity": 20,
    }
    return replace(holding("AAA"), **{**fields, **changed})


def _sure(confidence: float = 0.8, **changed: Any) -> Thesis:
    return believed(confidence=confidence, **changed)


def _made(
    held: Holding | None = None, thesis: Thesis | None = None, *, close: float = 97.0, **more: Any
) -> tuple[TradePlan, ...]:
    fields: dict[str, Any] = {"preferences": ON, "believed": mind(thesis or _sure()), "found": ()}
    book = more.pop("book", None) or portfolio(held or _held(close=close))
    facts = more.pop("facts", None) or _facts(close)
    result: Planned = planned(facts, book=book, **{**fields, **more})
    return result.plans


def _shape(plans: tuple[TradePlan, ...]) -> list[tuple[str, int]]:
    return [(plan.action, plan.quantity) for plan in plans]


def test_a_loser_that_is_still_believed_in_gets_half_its_first_size_behind_its_own_stop() -> None:
    (made,) = _made()
    assert (made.action, made.quantity, made.strategy, made.thesis_id) == ("add", 10, "momentum_breakout", "thesis-AAA")
    assert (made.reference, made.entry, made.stop, made.target) == (
        Decimal(97),
        Decimal("97.48"),
        Decimal(95),
        Decimal(110),
    )
    assert made.reasons[0] == "the price is 3.0% below the average entry 100.00 and the thesis stands at 0.80"
    assert (made.style, made.votes, made.consensus) == ("capped_limit", {}, None)


def test_adding_is_off_by_default() -> None:
    assert LIMITS.add_to_losers is False
    assert _made(preferences=LIMITS) == ()


@pytest.mark.parametrize(
    ("held", "thesis", "close"),
    [
        (_held(close=98.01), _sure(), 98.01),
        (_held(), _sure(0.7), 97.0),
        (_held(), _sure(0.9, status="conflicted"), 97.0),
        (_held(entry=None), _sure(), 97.0),
        (_held(base_quantity=0), _sure(), 97.0),
        (_held(60), _sure(), 97.0),
        (_held(base_quantity=1), _sure(), 97.0),
        (_held(target=Decimal("101.19")), _sure(), 97.0),
        (_held(stop=Decimal("97.48")), _sure(), 97.0),
    ],
    ids=[
        "not down enough",
        "not sure enough",
        "conflicted",
        "no entry price",
        "no first size",
        "three times already",
        "half a share",
        "too little to win",
        "stop at the limit",
    ],
)
def test_nothing_is_added_when_one_condition_fails(held: Holding, thesis: Thesis, close: float) -> None:
    assert _made(held, thesis, close=close) == ()


def test_an_addition_at_exactly_two_percent_down_is_made() -> None:
    assert _shape(_made(_held(close=98.0), close=98.0)) == [("add", 10)]


def test_the_stop_of_an_addition_is_never_beyond_the_invalidation() -> None:
    assert _made(thesis=_sure(invalidation=Decimal(96)))[0].stop == 96
    assert _made(thesis=_sure(invalidation=Decimal(94)))[0].stop == 95
    bare = _held(stop=None)
    assert _made(bare, _sure(invalidation=Decimal(94))) == (), "all of its value is at risk"
    assert _made(bare, _sure(invalidation=Decimal(94)), preferences=WIDE)[0].stop == 94


def test_the_target_is_the_thesis_own_where_none_rests() -> None:
    assert _made(_held(target=None), _sure(target=Decimal(109)))[0].target == 109


def test_an_addition_stops_short_of_three_times_the_first_size() -> None:
    assert _shape(_made(_held(55), preferences=WIDE)) == [("add", 5)]


def test_an_addition_stays_within_the_position_limit() -> None:
    """5 % of 100,060 is 5,003; 49 shares at 97 are 4,753, and 2 more at 97.48 fit."""
    held = _held(49, base_quantity=49)
    book = portfolio(held, cash=100_060 - 4_753)
    assert _shape(_made(book=book)) == [("add", 2)]


def test_an_addition_leaves_the_whole_position_within_one_trades_risk() -> None:
    """0.5 % of 5,000 is 25; 5 shares at 97 risk 10 at 95, and 6 at 97.48 would risk 14.88 more; 10 were wanted."""
    limits = ON.model_copy(update={"position_fraction_max": 0.25})
    book = portfolio(_held(5), cash=5_000 - 485)
    assert _shape(_made(book=book, preferences=limits)) == [("add", 6)]


def test_additions_share_risk_with_related_positions() -> None:
    other = replace(holding("BBB", 1_000, quantity=10))
    book = portfolio(_held(), other)
    facts = desk_of(known("mixed", {"close": 97.0}, {}), known("mixed", {"close": 100.0}, {}, symbol="BBB"))
    assert _shape(_made(book=book, facts=facts)) == [("add", 10)]
    assert _made(book=book, facts=facts, related={"AAA": {"AAA", "BBB"}}) == ()


def test_the_stance_and_liquidity_shrink_an_addition_and_silence_forbids_it() -> None:
    assert _shape(_made(stance=chief(0.5))) == [("add", 5)]
    assert _shape(_made(facts=_facts(liquidity={"AAA": liquid("stressed")}))) == [("add", 5)]
    assert _made(facts=_facts(liquidity={"AAA": liquid("stressed")}))[0].entry == 97
    assert _made(stance=None) == ()
    assert _made(stance=chief(0.0)) == ()
    assert _made(stance=chief(strategies=("pullback",))) == ()
    assert _made(heard={"AAA": 1}) == ()


def test_a_winner_that_is_less_believed_in_is_trimmed_by_three_tenths() -> None:
    (made,) = _made(_held(close=103.0), _sure(0.59), close=103.0, preferences=LIMITS)
    assert (made.action, made.quantity, made.stop, made.target, made.style) == ("trim", 6, None, None, "market")
    assert made.reasons == ("the price is 3.0% above the average entry 100.00 while the thesis stands at 0.59",)


@pytest.mark.parametrize(
    ("held", "confidence", "close"),
    [
        (_held(close=102.99), 0.59, 102.99),
        (_held(close=103.0), 0.6, 103.0),
        (_held(14, close=103.0), 0.59, 103.0),
        (_held(close=103.0, entry=None), 0.59, 103.0),
        (_held(close=103.0, base_quantity=0), 0.59, 103.0),
    ],
    ids=["not up enough", "sure enough", "trimmed already", "no entry price", "no first size"],
)
def test_nothing_is_trimmed_when_one_condition_fails(held: Holding, confidence: float, close: float) -> None:
    assert _made(held, _sure(confidence), close=close) == ()


def test_a_trim_takes_at_least_one_share_and_the_last_one_is_an_exit() -> None:
    two = _held(2, close=103.0, base_quantity=2)
    one = _held(1, close=103.0, base_quantity=1)
    assert _shape(_made(two, _sure(0.5), close=103.0)) == [("trim", 1)]
    assert _shape(_made(one, _sure(0.5), close=103.0)) == [("exit", 1)]


def test_what_was_added_may_be_trimmed_again() -> None:
    assert _shape(_made(_held(30, close=103.0), _sure(0.5), close=103.0)) == [("trim", 9)]


@pytest.mark.parametrize("close", [97.0, 103.0])
def test_legs_of_a_pair_and_short_positions_are_not_scaled(close: float) -> None:
    sure = _sure(0.8 if close < 100 else 0.5)
    leg = _held(close=close, pair="tied")
    other = replace(holding("BBB", -5_000, quantity=-50), pair="tied")
    facts = desk_of(known("mixed", {"close": close}, {}), known("mixed", {"close": 100.0}, {}, symbol="BBB"))
    assert _made(book=portfolio(leg, other), thesis=sure, facts=facts) == ()
    short = _held(-20, close=close, stop=Decimal(110))
    assert _made(short, _sure(0.8, direction="short"), close=close) == ()


def _busy(book: Portfolio) -> list[Portfolio]:
    return [replace(book, exiting=frozenset({"AAA"})), book.with_pending(Pending("AAA", Decimal(100)))]


@pytest.mark.parametrize("close", [97.0, 103.0])
def test_a_symbol_with_anything_on_its_way_is_left_alone(close: float) -> None:
    sure = _sure(0.8 if close < 100 else 0.5)
    for book in _busy(portfolio(_held(close=close))):
        assert _made(book=book, thesis=sure, close=close) == ()
    assert _made(_held(close=close), sure, close=close, slot=slot_at("10:00")) == ()
    split = desk_of(known("mixed", {"close": close * 2}, {}, split="2"))
    assert _made(_held(close=close), sure, facts=split) == ()


def test_a_position_that_is_sold_is_neither_trimmed_nor_enlarged() -> None:
    for close, confidence in ((97.0, 0.8), (103.0, 0.5)):
        over = replace(_held(close=close), sessions_held=99)
        assert [p.action for p in _made(over, _sure(confidence), close=close)] == ["exit"]


def test_without_its_thesis_nothing_is_added_to_a_position() -> None:
    assert [p.action for p in _made(thesis=believed("BBB", 0.9))] == ["exit"]
    assert _made(_held(thesis_id=""), believed("BBB", 0.9)) == ()


def test_exits_trims_additions_and_entries_come_in_that_order() -> None:
    def held(symbol: str, close: float, quantity: int = 20, base: int = 20, sessions: int = 3) -> Holding:
        each = _held(quantity, close=close, base_quantity=base, thesis_id=f"thesis-{symbol}", sessions_held=sessions)
        return replace(each, symbol=symbol)

    closes = {"AAA": 97.0, "BBB": 103.0, "CCC": 103.0, "DDD": 100.0}
    symbols = [known("mixed", {"close": close}, {"atr_14": 2.0}, symbol=s) for s, close in closes.items()]
    confidence = {"AAA": 0.8, "BBB": 0.5, "CCC": 0.5, "DDD": 0.9, "EEE": 0.9}
    book = portfolio(held("AAA", 97.0), held("BBB", 103.0), held("CCC", 103.0, 1, 1), held("DDD", 100.0, sessions=99))
    made = planned(
        desk_of(*symbols, breakout(symbol="EEE")),
        book=book,
        believed=mind(*(believed(s, c) for s, c in confidence.items())),
        preferences=ON,
    ).plans
    assert [(p.action, p.symbol) for p in made] == [
        ("exit", "DDD"),
        ("exit", "CCC"),
        ("trim", "BBB"),
        ("add", "AAA"),
        ("enter", "EEE"),
    ]


_BASE = st.integers(1, 60)


@settings(deadline=None, max_examples=25)
@given(
    base=_BASE,
    share=st.floats(0.05, 4.0),
    drop=st.floats(0.0, 0.06),
    confidence=st.floats(0.5, 1.0),
    stop=st.none() | st.floats(80.0, 99.0),
    invalidation=st.floats(80.0, 96.0),
    multiple=st.floats(1.0, 3.0),
    size=st.floats(0.1, 1.0),
    cash=st.integers(0, 500_000),
)
def test_an_addition_is_never_without_a_stop_nor_above_any_limit(
    base: int,
    share: float,
    drop: float,
    confidence: float,
    stop: float | None,
    invalidation: float,
    multiple: float,
    size: float,
    cash: int,
) -> None:
    close = round(100 * (1 - drop), 2)
    quantity = max(1, round(base * share))
    resting = None if stop is None else Decimal(str(round(stop, 2)))
    held = _held(quantity, close=close, base_quantity=base, stop=resting)
    thesis = _sure(round(confidence, 6), invalidation=Decimal(str(round(invalidation, 2))))
    book = portfolio(held, cash=cash)
    for on in (False, True):
        limits = WIDE.model_copy(update={"add_to_losers": on, "position_fraction_max": 0.05})
        made = _made(
            thesis=thesis,
            close=close,
            book=book,
            preferences=limits,
            agents=agents_of(size_multiple_max=multiple, add_size_fraction=size),
        )
        added = [plan for plan in made if plan.action == "add"]
        assert on or not added
        for plan in added:
            assert plan.stop is not None
            assert plan.target is not None
            assert plan.stop < plan.entry < plan.target
            assert plan.stop >= thesis.invalidation
            assert resting is None or plan.stop >= resting
            assert quantity + plan.quantity <= multiple * base <= 3 * base
            assert held.value + plan.notional <= book.equity * Decimal("0.05")
            assert plan.quantity <= size * base
            assert plan.reward_to_risk is not None
            assert plan.reward_to_risk >= Decimal("1.5")


@settings(deadline=None, max_examples=25)
@given(quantity=st.integers(1, 500), base=st.integers(1, 500), gain=st.floats(0.0, 0.5), confidence=st.floats(0.3, 1.0))
def test_a_trim_never_sells_everything_and_is_not_repeated(
    quantity: int, base: int, gain: float, confidence: float
) -> None:
    close = round(100 * (1 + gain), 2)
    sure = _sure(round(confidence, 6))
    held = _held(quantity, close=close, base_quantity=base)
    for plan in _made(held, sure, close=close):
        assert plan.quantity <= quantity
        assert (plan.action == "exit") == (plan.quantity == quantity)
        if plan.action == "trim" and quantity <= base:
            left = _held(quantity - plan.quantity, close=close, base_quantity=base)
            assert _made(left, sure, close=close) == ()
