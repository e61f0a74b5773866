"""What the rules analysts say: signals in bounds, every sentence with its citation, and each citation true."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.execution.world import BEFORE_OPEN, YEAR, Market, market, sessions
from tests.plans.ideas import BEFORE, SLOT, desk_of, known
from trading_assets.briefs.facts import FactBook, Facts
from trading_assets.briefs.model import ANALYST_BRIEFS, Brief, Evidence
from trading_assets.briefs.questions import rules_briefs
from trading_assets.briefs.rows import brief_rows, briefs_from_rows
from trading_assets.regimes.model import MARKET

AS_OF = SLOT.at - BEFORE_OPEN
TREND = {"close": 100.0, "sma_50": 99.0, "sma_200": 98.0, "macd_histogram_12_26_9": 0.5, "mom_252_21": 0.10}
RANGE = {"close": 100.0, "rsi_14": 40.0, "bb_lower_20_2": 95.0, "bb_upper_20_2": 115.0}
BREADTH_ROW = {"advances": 3, "declines": 1, "above_sma_50_share": 0.75, "above_sma_200_share": 0.25}


def _technical(view: str, indicators: Mapping[str, float | None]) -> Brief | None:
    return next(iter(rules_briefs(desk_of(known(view, {"close": 100.0}, indicators)))), None)


def _breadth(row: Mapping[str, Any] | None) -> Brief | None:
    return next(iter(rules_briefs(Facts(AS_OF, BEFORE, {}, row, None))), None)


@pytest.fixture(scope="module")
def year() -> Sequence[Brief]:
    """Every brief of a year of real bars."""
    book = FactBook(market().frames)
    return [brief for session in sessions(YEAR) for brief in rules_briefs(book.at(session.open - BEFORE_OPEN))]


def _cited(source: Market, evidence: Evidence) -> object:
    """The value that stands where a citation points."""
    frame = source.frames[evidence.table].filter(pl.col("session") == evidence.session)
    if "symbol" in frame.columns:
        frame = frame.filter(pl.col("symbol") == evidence.symbol)
    return frame[evidence.column].item()


def test_every_citation_of_a_year_is_the_value_that_stands_in_its_row(year: Sequence[Brief]) -> None:
    source = market()
    values = {e: _cited(source, e) for brief in year for e in brief.evidence}
    assert len(values) > 5_000
    assert [e for e, value in values.items() if value != e.value] == []


def test_no_brief_of_a_year_cites_the_session_that_it_serves_or_a_later_one(year: Sequence[Brief]) -> None:
    for brief in year:
        served = brief.as_of.date()
        assert all(evidence.session < served for evidence in brief.evidence)


def test_a_session_has_a_brief_for_every_symbol_that_has_indicators_and_one_for_the_market(
    year: Sequence[Brief],
) -> None:
    for session in (sessions(YEAR)[0], sessions(YEAR)[-1]):
        spoken = [(b.agent, b.symbol) for b in year if b.as_of == session.open - BEFORE_OPEN]
        listed = ["AAPL", *(["FB"] if session.day > sessions(YEAR)[0].day else []), "GOOG", "IBM", "MSFT"]
        assert spoken == [*(("technical", symbol) for symbol in listed), ("breadth", MARKET)]


def test_a_value_from_another_row_would_be_noticed(year: Sequence[Brief]) -> None:
    true = year[0].evidence[0]
    forged = true.model_copy(update={"session": true.session - timedelta(days=1)})
    assert _cited(market(), true) == true.value
    assert _cited(market(), forged) != true.value


def test_in_a_trend_the_signal_is_the_mean_of_four_readings() -> None:
    """(+1 +1 +1 +0.5) / 4; all four readings are there, so confidence is half plus half the agreement."""
    brief = _technical("trending_bull", TREND)
    assert brief is not None
    assert (brief.signal, brief.confidence, brief.route) == (0.875, 0.9375, "rules")
    assert brief.reasons == (
        "close 100.00 is above sma_50 99.00",
        "close 100.00 is above sma_200 98.00",
        "MACD histogram is +0.500",
        "12-1 momentum is +10.0%",
    )


def test_every_value_that_a_sentence_names_is_cited() -> None:
    brief = _technical("trending_bull", TREND)
    assert brief is not None
    assert {e.column: e.value for e in brief.evidence} == {**TREND, "strategy_view": "trending_bull"}


def test_in_a_range_the_signal_leans_against_the_price() -> None:
    """RSI 40 is +0.5; the close a quarter up between the bands is +0.5."""
    brief = _technical("range", RANGE)
    assert brief is not None
    assert (brief.signal, brief.confidence) == (0.5, 0.75)


def test_bands_without_width_say_nothing() -> None:
    brief = _technical("range", {**RANGE, "bb_upper_20_2": 95.0})
    assert brief is not None
    assert brief.signal == 0.25


def test_fewer_readings_mean_less_confidence() -> None:
    few = _technical("trending_bull", {**TREND, "sma_200": None, "mom_252_21": None})
    assert few is not None
    assert (few.signal, few.confidence) == (1.0, 0.5)


@pytest.mark.parametrize("view", ["trending_bull", "range"])
def test_without_facts_there_is_no_brief(view: str) -> None:
    assert _technical(view, {}) is None
    assert _technical(view, dict.fromkeys([*TREND, *RANGE])) is None
    assert _technical(view, dict.fromkeys([*TREND, *RANGE], float("nan"))) is None
    assert rules_briefs(Facts(AS_OF, None, {}, None, None)) == ()


def test_a_reading_that_is_not_a_number_is_left_out() -> None:
    """min(1, NaN) is 1: without care a broken value would be the strongest opinion."""
    brief = _technical("mixed", {**TREND, "mom_252_21": float("nan")})
    assert brief is not None
    assert (brief.signal, len(brief.reasons)) == (1.0, 3)
    assert "mom_252_21" not in {e.column for e in brief.evidence}


def test_a_symbol_without_a_regime_is_read_as_a_trend_and_cites_none() -> None:
    facts = known("mixed", {"close": 100.0}, TREND)
    unlabelled = type(facts)(facts.symbol, facts.session, facts.bar, facts.indicators, {}, None, facts.split_ratio)
    brief = next(iter(rules_briefs(desk_of(unlabelled))), None)
    assert brief is not None
    assert "strategy_view" not in {e.column for e in brief.evidence}


def test_breadth_is_the_mean_of_advances_and_shares() -> None:
    """(3-1)/4 = 0.5, 2*0.75-1 = 0.5, 2*0.25-1 = -0.5."""
    brief = _breadth(BREADTH_ROW)
    assert brief is not None
    assert (brief.agent, brief.symbol, brief.signal) == ("breadth", MARKET, 0.166667)
    assert brief.reasons[0] == "3 symbols rose and 1 fell"
    assert {e.column: e.value for e in brief.evidence} == BREADTH_ROW


def test_breadth_without_a_row_or_without_a_value_says_nothing() -> None:
    assert _breadth(None) is None
    assert _breadth({"advances": 0, "declines": 0, "above_sma_50_share": None, "above_sma_200_share": None}) is None


def test_the_same_facts_make_the_same_briefs_whatever_their_order() -> None:
    one, two = (known("range", {}, RANGE, symbol="AAA"), known("mixed", {}, TREND, symbol="BBB"))
    assert rules_briefs(desk_of(one, two)) == rules_briefs(desk_of(two, one))


def test_a_year_of_briefs_is_the_same_a_second_time(year: Sequence[Brief]) -> None:
    again = FactBook(market().frames)
    assert [b for s in sessions(YEAR) for b in rules_briefs(again.at(s.open - BEFORE_OPEN))] == list(year)


def test_briefs_come_back_from_their_rows_as_they_were(year: Sequence[Brief]) -> None:
    day = sessions(YEAR)[-1]
    briefs = [brief for brief in year if brief.as_of == day.open - BEFORE_OPEN]
    frame = ANALYST_BRIEFS.frame(brief_rows(briefs, day.day))
    back = briefs_from_rows(frame.rows(named=True))
    assert sorted(back, key=lambda b: (b.agent, b.symbol)) == sorted(briefs, key=lambda b: (b.agent, b.symbol))


@pytest.mark.parametrize(
    "wrong",
    [{"signal": 1.01}, {"confidence": -0.1}, {"reasons": "[]"}, {"evidence": "[]"}, {"signal": float("nan")}],
    ids=["signal", "confidence", "no reason", "no evidence", "not a number"],
)
def test_a_row_that_is_not_a_brief_is_an_error(year: Sequence[Brief], wrong: Mapping[str, Any]) -> None:
    row = brief_rows(year[:1], BEFORE)[0]
    with pytest.raises(ValidationError):
        briefs_from_rows([{**row, **wrong}])


_VALUE = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
_VIEWS = st.sampled_from(["range", "trending_bull", "mixed", "unknown"])


@settings(deadline=None, max_examples=25)
@given(_VIEWS, st.fixed_dictionaries(dict.fromkeys({*TREND, *RANGE}, _VALUE)))
def test_whatever_the_indicators_a_brief_is_in_bounds_or_absent(view: str, row: dict[str, float | None]) -> None:
    brief = _technical(view, row)
    if brief is not None:
        assert -1 <= brief.signal <= 1
        assert 0 < brief.confidence <= 1
        assert all(row[e.column] == e.value for e in brief.evidence if e.column in row)
        assert briefs_from_rows(ANALYST_BRIEFS.frame(brief_rows([brief], BEFORE)).rows(named=True)) == (brief,)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.floats(0, 1))
def test_whatever_the_breadth_its_brief_is_in_bounds(rose: int, fell: int, fifty: float, long: float) -> None:
    row = {"advances": rose, "declines": fell, "above_sma_50_share": fifty, "above_sma_200_share": long}
    brief = _breadth(row)
    assert brief is not None
    assert -1 <= brief.signal <= 1
    assert 0 < brief.confidence <= 1
