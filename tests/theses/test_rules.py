"""Briefs become a claim per symbol: log-odds, a band from the average true range, and nothing without a brief."""

import math
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plans.ideas import DAY, SLOT, desk_of, dip
from trading_assets.briefs.facts import Facts
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.regimes.model import MARKET
from trading_assets.theses.model import THESES, Thesis
from trading_assets.theses.rules import form_theses, thesis_rows


def _brief(signal: float, confidence: float = 1.0, *, agent: str = "technical", symbol: str = "AAA") -> Brief:
    cited = Evidence(table="indicators", session=DAY, symbol=symbol, column="rsi_14", value=50.0)
    return Brief(
        agent=agent,
        symbol=symbol,
        as_of=SLOT.at,
        signal=signal,
        confidence=confidence,
        reasons=("it is so",),
        evidence=(cited,),
        route="rules",
    )


def _market(signal: float) -> Brief:
    return _brief(signal, agent="breadth", symbol=MARKET)


def _only(facts: Facts, *briefs: Brief) -> Thesis:
    (thesis,) = form_theses(SLOT, facts, briefs)
    return thesis


def test_confidence_is_the_logistic_of_the_weighted_signals() -> None:
    thesis = _only(desk_of(dip()), _brief(0.5, 0.75), _market(-0.25))
    assert thesis.confidence == round(1 / (1 + math.exp(-(1.6 * 0.5 * 0.75 - 0.8 * 0.25))), 6)


def test_no_opinion_is_even_odds_and_counts_as_long() -> None:
    thesis = _only(desk_of(dip()), _brief(0.0))
    assert (thesis.confidence, thesis.direction) == (0.5, "long")


@pytest.mark.parametrize(("signal", "direction"), [(0.01, "long"), (-0.01, "avoid")])
def test_the_direction_follows_the_odds(signal: float, direction: str) -> None:
    assert _only(desk_of(dip()), _brief(signal)).direction == direction


def test_the_market_counts_half_of_the_symbols_own_brief() -> None:
    assert _only(desk_of(dip()), _brief(0.5), _market(-1.0)).confidence == 0.5


def test_an_analyst_whom_nobody_weighs_changes_nothing() -> None:
    facts = desk_of(dip())
    assert _only(facts, _brief(0.3), _brief(1.0, agent="stranger")).confidence == _only(facts, _brief(0.3)).confidence


def test_the_band_is_three_atr_up_and_two_and_a_half_down() -> None:
    thesis = _only(desk_of(dip()), _brief(0.5))
    assert (thesis.target, thesis.invalidation) == (Decimal("106.00"), Decimal("95.00"))


def test_on_the_day_of_a_split_the_band_is_in_todays_share_count() -> None:
    thesis = _only(desk_of(dip(split="2")), _brief(0.5))
    assert (thesis.target, thesis.invalidation) == (Decimal("53.00"), Decimal("47.50"))


def test_the_invalidation_is_at_least_a_cent() -> None:
    thesis = _only(desk_of(dip(atr_14=500.0)), _brief(0.5))
    assert thesis.invalidation == Decimal("0.01")


def test_without_a_brief_of_its_own_a_symbol_has_no_thesis() -> None:
    assert form_theses(SLOT, desk_of(dip()), [_market(1.0), _brief(1.0, symbol="BBB")]) == ()


@pytest.mark.parametrize("atr", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_without_a_positive_range_a_symbol_has_no_thesis(atr: float | None) -> None:
    assert form_theses(SLOT, desk_of(dip(atr_14=atr)), [_brief(1.0)]) == ()


def test_the_id_is_made_from_session_slot_and_symbol_and_not_from_the_opinion() -> None:
    facts = desk_of(dip(), dip(symbol="BBB"))
    glad = form_theses(SLOT, facts, [_brief(1.0), _brief(1.0, symbol="BBB")])
    sad = form_theses(SLOT, facts, [_brief(-1.0), _brief(-1.0, symbol="BBB")])
    assert [t.id for t in glad] == [t.id for t in sad]
    assert len({t.id for t in glad}) == 2


def test_theses_become_rows_of_their_table() -> None:
    theses = form_theses(SLOT, desk_of(dip(), dip(symbol="BBB")), [_brief(0.2), _brief(-0.2, symbol="BBB")])
    rows = THESES.frame(thesis_rows(theses, SLOT)).sort("symbol").rows(named=True)
    assert [(row["symbol"], row["direction"], row["thesis_id"]) for row in rows] == [
        (t.symbol, t.direction, t.id) for t in theses
    ]
    assert {(row["session"], row["slot"], row["knowable_at"]) for row in rows} == {(DAY, "09:30", SLOT.at)}


_SIGNAL, _SHARE = st.floats(-1, 1), st.floats(0, 1)


@settings(deadline=None)
@given(st.lists(st.tuples(_SIGNAL, _SHARE), min_size=1, max_size=6), st.floats(0.01, 300.0))
def test_whatever_is_said_confidence_is_a_probability_and_the_band_holds_the_price(
    said: list[tuple[float, float]], atr: float
) -> None:
    thesis = _only(desk_of(dip(atr_14=atr)), *(_brief(signal, confidence) for signal, confidence in said))
    assert 0 < thesis.confidence < 1
    assert Decimal(0) < thesis.invalidation <= Decimal(100) <= thesis.target


@settings(deadline=None)
@given(_SIGNAL, _SIGNAL, _SHARE)
def test_a_better_signal_never_lowers_the_confidence(one: float, other: float, confidence: float) -> None:
    low, high = sorted((one, other))
    facts = desk_of(dip())
    assert _only(facts, _brief(low, confidence)).confidence <= _only(facts, _brief(high, confidence)).confidence
