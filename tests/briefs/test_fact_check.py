"""Citations are read again: what does not stand in the facts is not believed, whichever part of it is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.briefs.documents import AS_OF, BEFORE, TODAY, book, daily, facts_of, minutes, observed, paired, told, traded
from tests.plans.ideas import known
from trading_assets.briefs.fact_check import check_all, check_evidence, checked_briefs, checked_narratives
from trading_assets.briefs.facts import Facts, SymbolFacts
from trading_assets.briefs.inputs import headline_digest, narrative_questions
from trading_assets.briefs.model import Brief, Evidence
from trading_assets.briefs.narratives.making import narrative_of
from trading_assets.briefs.narratives.model import Narrative
from trading_assets.briefs.questions import NARRATIVE_ROLE, rules_briefs
from trading_assets.core.calendar import XNYS
from trading_assets.reasoning.baseline import by_rules
from trading_assets.reasoning.model import Answer
from trading_assets.regimes.model import MARKET

EARLIER = XNYS.previous(BEFORE.day).day
TREND = {"close": 100.0, "sma_50": 99.0, "sma_200": 98.0, "rsi_14": 1 / 3, "volume_mean_20": 10}
HEADLINE = "Maker may win a contract, sources say"


def _symbol(indicators: Mapping[str, float | None], previous: Mapping[str, Any] | None = None) -> SymbolFacts:
    held = known("trending_bull", {"close": 100.0, "volume": 5.0}, indicators, previous)
    return replace(held, session=BEFORE.day)


@pytest.fixture(scope="module")
def facts() -> Facts:
    """One symbol with everything that can be cited."""
    documents = facts_of(
        news=[told(HEADLINE), told("Maker opens an office"), told("Rates rise", symbol=MARKET)],
        macro_series=[
            *daily("SP500", {15: 0.1}),
            observed("OIL", date(2012, 6, 1), 80.0, at=BEFORE.close),
            observed("OIL", date(2012, 6, 4), 81.0, at=BEFORE.close),
        ],
        correlations=[paired("AAA", "BBB")],
        liquidity_regimes=[traded("AAA")],
    )
    symbol = _symbol(TREND, {"sma_50": 97.0, "session": EARLIER})
    return replace(
        documents,
        symbols={"AAA": symbol},
        breadth={"advances": 3, "declines": 1, "above_sma_50_share": 0.75},
        market_regime={"regime": "ranging", "strategy_view": "range"},
    )


def cite(table: str, column: str, value: float | str, *, symbol: str = "AAA", session: date = BEFORE.day) -> Evidence:
    return Evidence(table=table, session=session, symbol=symbol, column=column, value=value)


TRUE = [
    cite("daily_bars", "close", 100.0),
    cite("indicators", "sma_50", 99.0),
    cite("indicators", "volume_mean_20", 10.0),
    cite("indicators", "sma_50", 97.0, session=EARLIER),
    cite("breadth", "advances", 3.0, symbol=MARKET),
    cite("regime_labels", "strategy_view", "trending_bull"),
    cite("regime_labels", "regime", "ranging", symbol=MARKET),
    cite("news", "headline", headline_digest(HEADLINE)),
    cite("news", "publisher", "Wire One"),
    cite("news", "headline", headline_digest("Rates rise"), symbol=MARKET),
    cite("macro_series", "value", 80.0, symbol="OIL"),
    cite("macro_series", "value", 81.0, symbol="OIL"),
    cite("correlations", "gap_z", 2.5, symbol="AAA/BBB"),
    cite("liquidity_regimes", "regime", "normal"),
]


@pytest.mark.parametrize("evidence", TRUE, ids=lambda e: f"{e.table} {e.symbol} {e.column}")
def test_what_stands_in_the_facts_is_believed(facts: Facts, evidence: Evidence) -> None:
    assert check_evidence(evidence, facts) is None


@pytest.mark.fault(95)
@pytest.mark.parametrize("evidence", TRUE, ids=lambda e: f"{e.table} {e.symbol} {e.column}")
@pytest.mark.parametrize(
    "wrong",
    [
        {"table": "dreams"},
        {"table": "daily_bars_2"},
        {"session": TODAY.day},
        {"session": date(2012, 5, 1)},
        {"symbol": "ZZZ"},
        {"column": "wisdom"},
        {"value": 4711.0},
        {"value": "other"},
    ],
    ids=str,
)
def test_whatever_part_of_a_citation_is_wrong_it_is_not_believed(
    facts: Facts, evidence: Evidence, wrong: dict[str, Any]
) -> None:
    sentence = check_evidence(evidence.model_copy(update=wrong), facts)
    assert sentence
    assert next(iter(wrong.values())) not in (TODAY.day,) or str(TODAY.day) in sentence


def test_the_sentence_says_what_stands_there_and_what_was_cited(facts: Facts) -> None:
    assert check_evidence(cite("indicators", "sma_50", 98.5), facts) == (
        f"indicators of AAA, {BEFORE.day}: sma_50 is 99.0 and was cited as 98.5"
    )
    assert check_evidence(cite("dreams", "x", 1.0), facts) == "dreams is no table that can be cited"
    assert (
        check_evidence(cite("indicators", "adx_14", 1.0), facts)
        == f"indicators of AAA, {BEFORE.day}: adx_14 has no value"
    )
    gone = cite("indicators", "sma_50", 1.0, symbol="ZZZ")
    assert check_evidence(gone, facts) == f"indicators of ZZZ, {BEFORE.day}: there is no such row among the facts"


def test_numbers_agree_within_one_part_in_a_billion(facts: Facts) -> None:
    third = 1 / 3
    assert check_evidence(cite("indicators", "rsi_14", third * (1 + 1e-12)), facts) is None
    assert check_evidence(cite("indicators", "rsi_14", third * (1 + 1e-8)), facts) is not None


def test_a_number_is_not_the_text_that_looks_like_it(facts: Facts) -> None:
    assert check_evidence(cite("indicators", "sma_50", "99.0"), facts) is not None
    assert check_evidence(cite("regime_labels", "strategy_view", 1.0), facts) is not None


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_value_that_is_not_there_agrees_with_nothing(value: float | None) -> None:
    facts = Facts(AS_OF, BEFORE.day, {"AAA": _symbol({"sma_50": value})}, None, None)
    assert (check_evidence(cite("indicators", "sma_50", 0.0), facts) or "").startswith(
        "indicators of AAA, 2012-06-15: sma_50"
    )


def test_the_text_of_a_headline_is_not_its_digest(facts: Facts) -> None:
    assert check_evidence(cite("news", "headline", HEADLINE), facts) is not None


def test_a_value_that_was_revised_since_is_not_believed_any_more() -> None:
    """The slot sees the newest vintage; what rests on the old one has lost its ground."""
    first = observed("CPI", date(2012, 4, 1), 2.0, at=BEFORE.open)
    revised = observed("CPI", date(2012, 4, 1), 3.0, at=TODAY.open)
    held = book(macro_series=[first, revised])
    evidence = cite("macro_series", "value", 2.0, symbol="CPI")
    assert check_evidence(evidence, held.at(AS_OF)) is None
    assert check_evidence(evidence, held.at(TODAY.open)) is not None


def test_an_intraday_bar_can_be_cited_while_it_is_the_newest() -> None:
    held = book(intraday_features=[minutes("AAA", "5m", TODAY.open, close=7.0)])
    evidence = cite("intraday_features", "close", 7.0, session=TODAY.day)
    assert check_evidence(evidence, held.at(TODAY.open + timedelta(minutes=5))) is None
    assert check_evidence(evidence, held.at(TODAY.open)) is not None


def test_without_facts_nothing_is_believed(facts: Facts) -> None:
    nothing = Facts(AS_OF, None, {}, None, None)
    assert all(check_evidence(evidence, nothing) for evidence in TRUE)


def test_the_first_mismatch_of_many_is_told(facts: Facts) -> None:
    one, other = cite("indicators", "sma_50", 1.0), cite("indicators", "sma_200", 2.0)
    assert check_all(TRUE, facts) is None
    assert check_all([*TRUE, one, other], facts) == check_evidence(one, facts)
    assert check_all([], facts) is None


def _narratives(facts: Facts) -> Sequence[Narrative]:
    made = []
    for asked in narrative_questions(facts):
        answer = by_rules(NARRATIVE_ROLE, asked.inputs)
        assert isinstance(answer, Answer)
        made.append(narrative_of(asked, answer))
    return made


def test_everything_that_the_rules_say_is_believed(facts: Facts) -> None:
    briefs = rules_briefs(facts)
    assert {brief.agent for brief in briefs} == {"technical", "breadth", "news", "macro", "narrative"}
    assert checked_briefs(briefs, facts) == (briefs, ())
    told_ = tuple(_narratives(facts))
    assert len(told_) == 2
    assert checked_narratives(told_, facts) == (told_, ())


def _forged(brief: Brief) -> Brief:
    first = brief.evidence[0]
    forged = first.model_copy(update={"value": "0" if isinstance(first.value, str) else first.value + 1})
    return brief.model_copy(update={"evidence": (*brief.evidence[1:], forged)})


def test_a_brief_with_one_wrong_citation_is_dropped_and_the_others_stay(facts: Facts) -> None:
    briefs = rules_briefs(facts)
    kept, wrong = checked_briefs([_forged(briefs[0]), *briefs[1:]], facts)
    assert kept == briefs[1:]
    (mismatch,) = wrong
    assert (mismatch.agent, mismatch.symbol) == (briefs[0].agent, briefs[0].symbol)
    assert "was cited as" in mismatch.sentence


def test_a_narrative_about_a_headline_that_does_not_exist_is_dropped(facts: Facts) -> None:
    first, *others = _narratives(facts)
    invented = first.evidence[0].model_copy(update={"value": headline_digest("Maker doubles its profit")})
    kept, wrong = checked_narratives([first.model_copy(update={"evidence": (invented,)}), *others], facts)
    assert kept == tuple(others)
    assert [(mismatch.agent, mismatch.symbol) for mismatch in wrong] == [("narrative", "AAA")]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(TRUE), st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5))
def test_no_value_but_the_one_that_stands_there_is_believed(
    facts: Facts, evidence: Evidence, value: float | str
) -> None:
    alike = [
        other.value
        for other in TRUE
        if other.model_copy(update={"value": 0.0}) == evidence.model_copy(update={"value": 0.0})
    ]
    near = [
        v for v in alike if v == value or (isinstance(v, float) and isinstance(value, float) and abs(v - value) < 1e-6)
    ]
    believed = check_evidence(evidence.model_copy(update={"value": value}), facts) is None
    assert believed <= bool(near)
