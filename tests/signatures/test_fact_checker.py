"""The fact checker: it signs what it can compute again, and vetoes, by name, whatever differs from the facts."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.signatures.checked import (
    BEFORE,
    DAY,
    MIND,
    NOON,
    OF_MARKET,
    SAID,
    SLOT,
    Told,
    altered,
    brief,
    case,
    checked,
    cited,
    facts,
    ids,
    intraday_bar,
    leaving,
    narrative,
    of_symbol,
    plan,
    quote,
    sold,
    thesis,
    within,
)
from trading_assets.briefs.facts import Facts
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, LakeDamaged
from trading_assets.plans.model import TradePlan
from trading_assets.regimes.model import MARKET
from trading_assets.signatures.fact_checker import CHECKS, REDUCING_CHECKS, recheck
from trading_assets.theses.model import Mind

TICK = timedelta(microseconds=1)
NAN = float("nan")


def test_a_plan_that_agrees_with_the_facts_is_signed_as_it_is() -> None:
    verdict = checked(plan())
    assert (verdict.signer, verdict.ruling, verdict.quantity, verdict.breaches) == ("fact_checker", "approve", 100, ())
    assert (verdict.plan_id, verdict.plan_digest) == (plan().id, plan().digest)


def test_both_legs_of_a_pair_stand_on_the_thesis_of_the_one_that_is_bought() -> None:
    assert checked(sold()).ruling == "approve"
    bought = plan(symbol="BBB", pair="tied", strategy="correlation_convergence", thesis_id="thesis-BBB")
    assert checked(bought).ruling == "approve"


def test_an_addition_is_held_to_the_same_facts() -> None:
    assert checked(plan(action="add")).ruling == "approve"
    assert ids(checked(plan(action="add", reference=Decimal("100.01")))) == ["F4"]
    odd = facts(as_of=NOON.at, intraday={"AAA": intraday_bar()})
    assert ids(checked(within(action="add"), odd)) == ["F4"], "an addition starts from the last close"


def test_an_intraday_entry_starts_from_the_newest_bar_of_its_session() -> None:
    known = facts(as_of=NOON.at, intraday={"AAA": intraday_bar()})
    assert checked(within(), known).ruling == "approve"
    assert ids(checked(within(reference=Decimal("100.9"), entry=Decimal("101.0")), known)) == ["F4"]


@pytest.mark.parametrize(
    "bar",
    [
        None,
        intraday_bar(minutes_old=31),
        intraday_bar(minutes_old=-1),
        intraday_bar(session=BEFORE),
        intraday_bar(knowable_at=NOON.at + TICK),
        intraday_bar(close=NAN),
    ],
)
def test_without_a_fresh_bar_an_intraday_entry_is_vetoed(bar: Any) -> None:
    known = facts(as_of=NOON.at, intraday={"AAA": bar} if bar else {})
    assert "F4" in ids(checked(within(), known))


# Numbers


@pytest.mark.fault(72)
@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize("quantity", [0, -1, 1.5, NAN, float("inf"), 10**18, 1_000_001, True, "100", None])
def test_quantities_that_are_none_are_refused_before_signing(quantity: Any) -> None:
    for bad in (altered(plan(), quantity=quantity), altered(leaving(), quantity=quantity)):
        verdict = checked(bad)
        assert "F1" in ids(verdict)
        assert (verdict.ruling, verdict.quantity) == ("veto", 0)


@pytest.mark.fault(72)
@pytest.mark.filterwarnings("ignore:Pydantic serializer")
@pytest.mark.parametrize("field", ["reference", "entry", "stop", "target"])
@pytest.mark.parametrize("price", [Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal(0), Decimal(-5), NAN])
def test_prices_that_are_none_are_refused_and_never_raise(field: str, price: Any) -> None:
    assert "F1" in ids(checked(altered(plan(), **{field: price})))


# Moment


@pytest.mark.parametrize(
    "changed",
    [
        {"as_of": SLOT.at + TICK},
        {"as_of": SLOT.at - timedelta(days=1)},
        {"slot": "10:00"},
        {"slot": "08:00"},
        {"slot": "half past nine"},
        {"session": BEFORE},
        {"session": date(2012, 6, 16)},
        {"session": date(1900, 1, 1)},
    ],
)
def test_a_plan_of_another_moment_is_vetoed(changed: dict[str, Any]) -> None:
    assert "F2" in ids(checked(altered(plan(), **changed)))
    assert "F2" in ids(checked(altered(leaving(), **changed)))


def test_facts_of_another_moment_or_of_an_older_session_are_vetoed() -> None:
    assert ids(checked(known=facts(as_of=SLOT.at - TICK))) == ["F2"]
    assert "F2" in ids(checked(known=facts(session=XNYS.previous(BEFORE).day)))
    assert "F2" in ids(checked(known=Facts(SLOT.at, None, {}, None, None)))


# Knowable


def later(row: Any) -> dict[str, Any]:
    return {**row, "knowable_at": SLOT.at + TICK}


@pytest.mark.fault(89)
@pytest.mark.parametrize("row", ["bar", "indicators", "previous", "regime"])
def test_a_row_that_became_known_after_the_decision_is_vetoed(row: str) -> None:
    honest = of_symbol()
    peeking: dict[str, Any] = {row: later(getattr(honest, row))}
    assert ids(checked(known=facts(of_symbol(**peeking)))) == ["F3"]
    exact: dict[str, Any] = {row: {**getattr(honest, row), "knowable_at": SLOT.at}}
    assert ids(checked(known=facts(of_symbol(**exact)))) == []


@pytest.mark.fault(89)
@pytest.mark.parametrize("row", ["breadth", "market_regime"])
def test_so_is_a_row_of_the_market(row: str) -> None:
    assert ids(checked(known=facts(**{row: later(getattr(facts(), row))}))) == ["F3"]


@pytest.mark.fault(89)
def test_so_is_a_row_that_does_not_say_when_it_became_known() -> None:
    nameless = {name: value for name, value in of_symbol().bar.items() if name != "knowable_at"}
    assert ids(checked(known=facts(of_symbol(bar=nameless)))) == ["F3"]
    assert ids(checked(known=facts(liquidity={"AAA": later({})}))) == ["F3"]
    assert ids(checked(known=facts(intraday={"AAA": later({})}))) == ["F3"]


@pytest.mark.fault(89)
@pytest.mark.parametrize("symbol", ["AAA", MARKET])
def test_words_that_were_said_after_the_decision_are_vetoed(symbol: str) -> None:
    late = brief("late", symbol, as_of=SLOT.at + TICK)
    assert ids(checked(said=Told((*SAID.briefs, late)))) == ["F3"]
    assert ids(checked(said=Told(SAID.briefs, (narrative(as_of=SLOT.at + TICK),)))) == ["F3"]
    assert ids(checked(said=Told((*SAID.briefs, brief("late", "BBB", as_of=SLOT.at + TICK))))) == []


# Reference, entry, bracket


@pytest.mark.fault(95)
@pytest.mark.parametrize("reference", ["99.9999", "100.0001", "10.00", "1000.00"])
def test_an_invented_price_is_recomputed_and_vetoed(reference: str) -> None:
    verdict = checked(plan(reference=Decimal(reference)))
    assert "F4" in ids(verdict)
    (said,) = [breach for breach in verdict.breaches if breach.control == "F4"]
    assert (said.value, said.bound) == (f"reference {reference}", "100.0000")


def test_a_plan_on_facts_of_another_share_count_or_session_is_vetoed() -> None:
    assert "F4" in ids(checked(known=facts(of_symbol(split_ratio=Decimal(2)))))
    assert "F4" in ids(checked(known=facts(of_symbol(session=XNYS.previous(BEFORE).day))))


@pytest.mark.fault(95)
def test_a_symbol_or_strategy_that_nobody_knows_is_vetoed() -> None:
    assert {"F3", "F4", "F8"} <= set(ids(checked(plan(symbol="ZZZ"))))
    assert ids(checked(plan(strategy="gut_feeling"))) == ["F4"]


@pytest.mark.parametrize("close", [NAN, float("inf"), None, 0.0, -100.0])
def test_a_close_that_is_no_price_is_vetoed(close: Any) -> None:
    assert "F4" in ids(checked(known=facts(of_symbol(bar={**of_symbol().bar, "close": close}))))


@pytest.mark.parametrize(
    ("make", "entry", "fits"),
    [
        (plan, "100.50", True),
        (plan, "100.51", False),
        (plan, "97.00", True),
        (plan, "96.99", False),
        (sold, "99.50", True),
        (sold, "99.49", False),
        (sold, "103.00", True),
        (sold, "103.01", False),
    ],
)
def test_an_entry_stays_near_its_reference(make: Callable[..., TradePlan], entry: str, fits: bool) -> None:
    assert ("F5" not in ids(checked(altered(make(), entry=Decimal(entry))))) == fits


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (plan, {"stop": Decimal("100.50")}),
        (plan, {"stop": Decimal("101.00")}),
        (plan, {"target": Decimal("100.50")}),
        (plan, {"target": Decimal("99.00")}),
        (plan, {"stop": None}),
        (plan, {"target": None}),
        (sold, {"stop": Decimal("99.50")}),
        (sold, {"stop": Decimal("98.00")}),
        (sold, {"target": Decimal("100.00")}),
    ],
)
def test_a_stop_or_target_on_the_wrong_side_is_vetoed(make: Callable[..., TradePlan], changed: dict[str, Any]) -> None:
    assert "F6" in ids(checked(altered(make(), **changed)))


def test_reward_for_the_risk_is_computed_again_to_the_cent() -> None:
    assert ids(checked(plan(target=Decimal("106.50")))) == []
    assert ids(checked(plan(target=Decimal("106.49")))) == ["F7"]
    assert ids(checked(sold(target=Decimal("93.50")))) == []
    assert ids(checked(sold(target=Decimal("93.51")))) == ["F7"]


# Regime, thesis


def test_the_regime_is_the_one_of_the_facts() -> None:
    assert ids(checked(plan(regime="range"))) == ["F8"]
    assert ids(checked(plan(regime="unknown"), facts(of_symbol(regime=None)))) == []
    assert ids(checked(plan(), facts(of_symbol(regime=None)))) == ["F8"]


@pytest.mark.parametrize(
    "theses",
    [
        (),
        (thesis("BBB"),),
        (thesis(id="another"),),
        (thesis(direction="short"),),
        (thesis("BBB", id="thesis-AAA"),),
        (thesis(status="weak"),),
        (thesis(status="conflicted"),),
        (thesis(status="ended", outcome="invalidated", ended=BEFORE),),
        (thesis(outcome="confirmed"),),
        (thesis(expires=BEFORE),),
        (thesis(formed_at=SLOT.at + TICK),),
        (thesis(confidence=0.61),),
    ],
)
def test_a_thesis_that_does_not_live_with_that_direction_is_a_veto(theses: Any) -> None:
    assert set(ids(checked(mind=Mind(theses=theses)))) == {"F9"}


def test_a_single_short_needs_a_short_thesis_and_a_pair_the_other_symbols() -> None:
    assert ids(checked(sold(pair=""))) == ["F9"]
    assert ids(checked(sold(thesis_id="thesis-AAA"))) == ["F9"]
    assert ids(checked(sold(pair="", thesis_id="thesis-AAA"), mind=Mind(theses=(thesis(direction="short"),)))) == []


# Citations


@pytest.mark.parametrize(
    "said",
    [
        Told((brief("technical", "AAA", cited(value=61.0)),)),
        Told((brief("technical", "AAA", cited(), cited(column="sma_200", value=90.1)),)),
        Told((brief("technical", "AAA", cited(column="invented")),)),
        Told((brief("technical", "AAA", cited(session=DAY)),)),
        Told((brief("technical", "AAA", cited(table="verdicts")),)),
        Told((brief("breadth", MARKET, cited(MARKET, "above_sma_50_share", 0.71, table="breadth")),)),
        Told((brief(),), (narrative(text="Orders fall"),)),
        Told((brief(),), (), (case("AAA", cited(value=59.0)),)),
    ],
)
@pytest.mark.fault(95)
def test_a_citation_that_no_longer_stands_is_a_veto(said: Told) -> None:
    verdict = checked(said=said)
    assert ids(verdict) == ["F10"]
    assert verdict.breaches[0].bound == "the same as cited"


def test_what_was_said_of_other_symbols_does_not_count() -> None:
    others = Told((brief(), brief("x", "BBB", cited("BBB", value=1.0))), (narrative("BBB", "no"),), (case("BBB", cited("BBB", value=1.0)),))  # fmt: skip  # noqa: E501
    assert checked(said=others).ruling == "approve"


def test_every_voice_that_cites_wrongly_is_named() -> None:
    wrong = cited(value=61.0)
    said = Told((brief("one", "AAA", wrong), brief("two", "AAA", OF_MARKET), brief("three", "AAA", wrong)))
    assert [b.value.split(":")[0] for b in checked(said=said).breaches] == ["brief of one", "brief of three"]


def test_a_symbol_of_which_nobody_said_anything_is_vetoed() -> None:
    assert ids(checked(said=Told())) == ["F10"]
    assert ids(checked(said=Told((brief("technical", "BBB"),)))) == ["F10"]
    assert ids(checked(said=Told((brief("breadth", MARKET),)))) == []


# Shares held, quote


@pytest.mark.parametrize(
    ("make", "held", "fits"),
    [
        (plan, {}, True),
        (plan, {"AAA": 50}, True),
        (plan, {"AAA": -1}, False),
        (sold, {"AAA": -50}, True),
        (sold, {"AAA": 1}, False),
        (leaving, {"AAA": 100}, True),
        (leaving, {"AAA": 99}, False),
        (leaving, {"AAA": -100}, False),
        (leaving, {}, False),
        (leaving, {"BBB": 100}, False),
    ],
)
def test_shares_are_those_that_the_broker_holds(make: Callable[..., TradePlan], held: Any, fits: bool) -> None:
    assert (ids(checked(make(), held=held)) == []) == fits
    assert ids(checked(make(), held=held)) in ([], ["F11"])


def test_a_short_position_is_closed_up_to_what_is_owed() -> None:
    back = leaving(side="short")
    assert ids(checked(back, held={"AAA": -100})) == []
    assert ids(checked(back, held={"AAA": -99})) == ["F11"]
    assert ids(checked(back, held={"AAA": 100})) == ["F11"]


@pytest.mark.parametrize(
    ("told", "fits"),
    [
        (quote(), True),
        (quote("102.99", "103.01"), True),
        (quote("103.00", "103.02"), False),
        (quote("96.99", "97.01"), True),
        (quote("96.98", "97.00"), False),
        (quote(None), False),
        (quote(ask=None), False),
        (quote("100.02", "99.98"), False),
        (quote("100.00", "100.00"), False),
        (quote("0", "100.00"), False),
        (quote(symbol="BBB"), False),
        (quote(kind="delayed"), False),
        (quote(kind="frozen"), False),
        (quote(halted=True), False),
        (quote(bid=None, last=Decimal(100)), False),
        (quote("NaN"), False),
    ],
)
def test_the_market_is_near_the_reference(told: Any, fits: bool) -> None:
    assert ids(checked(quote=told)) == ([] if fits else ["F12"])


# What reduces


def test_what_reduces_is_not_kept_back_by_regime_thesis_citations_or_facts() -> None:
    odd = leaving(regime="range", thesis_id="gone", reference=Decimal(1), strategy="gut_feeling", symbol="ZZZ")
    verdict = checked(odd, said=Told(), mind=Mind(), held={"ZZZ": 100}, quote=quote(None))
    assert (verdict.ruling, verdict.quantity) == ("approve", 100)
    assert checked(leaving(40, action="trim"), held={"AAA": 100}).ruling == "approve"


def test_reductions_pass_a_part_of_the_same_list() -> None:
    assert set(REDUCING_CHECKS) < set(CHECKS)
    assert [check.id for check in CHECKS] == [f"F{number}" for number in range(1, len(CHECKS) + 1)]


# The whole


def test_every_difference_is_named_at_once() -> None:
    wrong = plan(reference=Decimal(90), regime="range", thesis_id="gone", target=Decimal("101.00"))
    told = ids(checked(wrong, said=Told(), held={"AAA": -5}, quote=quote("50", "51")))
    assert told == ["F4", "F5", "F7", "F8", "F9", "F10", "F11", "F12"]


def test_each_breach_says_value_and_bound() -> None:
    (breach,) = checked(plan(regime="range")).breaches
    assert (breach.value, breach.bound) == ("regime range", "trending_bull")
    assert breach.sentence == "F8 regime: regime range, bound trending_bull"


CHANGES = {
    "reference": st.decimals("1", "1000", places=2).filter(lambda price: price != 100),
    "regime": st.sampled_from(["range", "mixed", "unknown", "trending_bear", ""]),
    "thesis_id": st.text(max_size=8),
    "symbol": st.sampled_from(["BBB", "ZZZ", "AAAX", "aaa", "\u0410AA"]),
    "side": st.just("short"),
    "confidence": st.floats(0, 1).filter(lambda sure: abs(sure - 0.6) > 1e-5),
    "slot": st.sampled_from(["09:31", "10:00", "16:00"]),
    "stop": st.decimals("100.50", "200", places=2) | st.decimals("1", "96.23", places=2),
    "target": st.decimals("1", "106.49", places=2),
    "entry": st.decimals("100.51", "200", places=2),
}


@settings(max_examples=25)
@given(data=st.data())
def test_whatever_single_thing_of_the_plan_is_changed_it_is_vetoed(data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(CHANGES)))
    verdict = checked(altered(plan(), **{field: data.draw(CHANGES[field])}))
    assert (verdict.ruling, verdict.quantity) == ("veto", 0)


@settings(max_examples=25)
@given(quantity=st.integers(1, 1_000_000), rise=st.decimals("0", "0.50", places=2), reward=st.decimals("1.6", "4", places=1))  # fmt: skip  # noqa: E501
def test_every_plan_that_is_made_from_the_facts_is_signed(quantity: int, rise: Decimal, reward: Decimal) -> None:
    entry = Decimal(100) + rise
    made = plan(quantity=quantity, entry=entry, stop=entry - 4, target=entry + 4 * reward)
    assert checked(made).quantity == quantity


def test_the_same_plan_and_facts_always_give_the_same_verdict() -> None:
    wrong = plan(regime="range", thesis_id="gone")
    assert checked(wrong).model_dump_json() == checked(wrong).model_dump_json()


# At signing


def again(given: TradePlan, known: Facts | Exception, **changed: Any) -> list[str]:
    """The checker at the moment of signing; what is asked of the lake is the plan's own moment."""

    def read(as_of: datetime) -> Facts:
        assert as_of == given.as_of
        if isinstance(known, Exception):
            raise known
        return known

    more: dict[str, Any] = {"mind": MIND, "held": {}, "quote": quote(), **changed}
    return ids(recheck(given, read, SAID, **more))


def test_at_signing_the_lake_is_read_again_and_a_fact_that_changed_is_a_veto() -> None:
    assert again(plan(), facts()) == []
    restated = facts(of_symbol(bar={**of_symbol().bar, "close": 99.0}))
    assert again(plan(), restated) == ["F4"]
    revised = facts(of_symbol(indicators={**of_symbol().indicators, "rsi_14": 60.1}))
    assert "F10" in again(plan(), revised)


def test_at_signing_what_is_unknown_refuses() -> None:
    assert again(plan(), facts(), held=None) == ["F11"]
    assert again(leaving(), facts(), held=None) == ["F11"]


@pytest.mark.parametrize("failure", [LakeDamaged("a file cannot be read"), DataNotReady("no bars")])
def test_a_lake_that_cannot_be_read_stops_what_opens_and_nothing_that_reduces(failure: Exception) -> None:
    told = again(plan(), failure)
    assert "F2" in told
    assert "F4" in told
    assert again(leaving(), failure, held={"AAA": 100}, quote=None) == []


def test_a_bug_in_the_lakes_reader_is_not_taken_for_a_veto() -> None:
    with pytest.raises(ZeroDivisionError):
        again(plan(), ZeroDivisionError())
