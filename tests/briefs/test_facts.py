"""The cut of the facts: nothing from after the moment, everything from before it, prices in today's share count."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from tests.execution.world import SPLIT_YEAR, YEAR, days, market
from trading_assets.briefs.facts import BEFORE_FIRST, FACT_TABLES, FactBook, Facts, numbers
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.model import BREADTH, INDICATORS
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.regimes.model import MARKET, REGIME_LABELS

WEEK = XNYS.sessions(date(2012, 6, 11), date(2012, 6, 18))
Frames = Mapping[str, pl.DataFrame]


def _rows(facts: Facts) -> Iterator[Mapping[str, Any]]:
    """Every row that a decision can reach from its facts."""
    for symbol in facts.symbols.values():
        yield from (symbol.bar, symbol.indicators, symbol.previous, symbol.regime or {})
    yield from (facts.breadth or {}, facts.market_regime or {})


def _row(table: str, day: date, symbol: str, knowable_at: datetime, number: float) -> dict[str, Any]:
    """A row of any fact table: required columns filled, `number` wherever a number stands."""
    declared = {t.name: t for t in FACT_TABLES}[table]
    row: dict[str, Any] = {}
    for column in declared.columns:
        fill: dict[str, Any] = {"text": "range", "day": day, "instant": knowable_at, "number": number, "count": 3}
        row[column.name] = fill[column.type]
    row.update(session=day, knowable_at=knowable_at, **({"symbol": symbol} if "symbol" in row else {}))
    return row


@st.composite
def _worlds(draw: st.DrawFn) -> Frames:
    """A week of facts in which any row may be missing, and may become knowable hours or days late."""
    frames = {}
    for table in FACT_TABLES:
        rows = []
        for session in WEEK:
            symbols = ("AAA", "BBB", MARKET) if table is not BREADTH else ("",)
            for symbol in symbols:
                if draw(st.integers(0, 5)):
                    hours = draw(st.sampled_from([0, 0, 0, 1, 18, 40, 100]))
                    late = session.close + timedelta(hours=hours)
                    rows.append(_row(table.name, session.day, symbol, late, draw(st.floats(1, 100))))
        frames[table.name] = table.frame(rows)
    actions = frames[CORPORATE_ACTIONS.name]
    frames[CORPORATE_ACTIONS.name] = actions.with_columns(pl.lit("split").alias("kind"), pl.lit(2.0).alias("ratio"))
    return frames


_MOMENTS = st.builds(
    lambda session, hours: session.open + timedelta(hours=hours), st.sampled_from(WEEK), st.integers(-3, 60)
)


@settings(deadline=None, max_examples=25)
@given(_worlds(), _MOMENTS)
def test_a_cut_never_shows_a_row_that_was_not_knowable(frames: Frames, as_of: datetime) -> None:
    for row in _rows(FactBook(frames).at(as_of)):
        assert not row or row["knowable_at"] <= as_of


@settings(deadline=None, max_examples=25)
@given(_worlds(), _MOMENTS)
def test_a_cut_is_what_the_lake_would_have_shown_then(frames: Frames, as_of: datetime) -> None:
    """A backtest cuts facts that it loaded later, the desk loads them at the moment: both must see the same."""
    then = {name: frame.filter(pl.col("knowable_at") <= as_of) for name, frame in frames.items()}
    assert FactBook(frames).at(as_of) == FactBook(then).at(as_of)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(days(YEAR)), st.integers(-20, 20))
def test_a_year_cut_at_any_moment_equals_the_lakes_own_read_then(day: date, hours: int) -> None:
    session = XNYS.session(day)
    as_of = session.open + timedelta(hours=hours)
    lake = ParquetLake(market().folder / "lake")
    live = FactBook.load(lake, Span(day, day), as_of=as_of).at(as_of)
    walked = _year().at(as_of)
    assert walked == live


_BOOKS: list[FactBook] = []


def _year() -> FactBook:
    if not _BOOKS:
        _BOOKS.append(FactBook(market().frames))
    return _BOOKS[0]


def test_at_the_open_the_newest_facts_are_those_of_the_session_before() -> None:
    facts = _year().at(XNYS.session(date(2012, 6, 18)).open)
    assert facts.session == date(2012, 6, 15)
    assert sorted(facts.symbols) == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
    assert {row["session"] for row in _rows(facts) if row} == {date(2012, 6, 15), date(2012, 6, 14)}


def test_a_session_becomes_visible_at_its_close_and_not_a_moment_before() -> None:
    session = XNYS.session(date(2012, 6, 18))
    assert _year().at(session.close - timedelta(microseconds=1)).session == date(2012, 6, 15)
    assert _year().at(session.close).session == date(2012, 6, 18)


def test_a_symbol_is_unknown_before_its_first_bar_is_knowable() -> None:
    listed = XNYS.session(date(2012, 5, 18))
    assert "FB" not in _year().at(listed.close - timedelta(microseconds=1)).symbols
    first = _year().at(listed.close).symbols["FB"]
    assert (first.previous, first.regime, first.view) == ({}, None, "unknown")


def test_before_the_first_fact_there_is_nothing() -> None:
    facts = _year().at(datetime.fromisoformat("2001-01-02T15:00:00+00:00"))
    assert (facts.session, facts.symbols, facts.breadth, facts.market_regime) == (None, {}, None, None)


def test_a_load_reaches_two_weeks_back_for_the_first_decision() -> None:
    first = YEAR.first
    lake = ParquetLake(market().folder / "lake")
    book = FactBook.load(lake, Span(first, first), as_of=XNYS.session(first).open)
    facts = book.at(XNYS.session(first).open)
    assert facts.session == date(2011, 12, 30)
    assert facts.session - BEFORE_FIRST < first
    assert facts.symbols["AAPL"].previous["session"] == date(2011, 12, 29)


@pytest.fixture(scope="module")
def split_book() -> FactBook:
    """Facts around the 2:1 split of AAPL, in force on 2005-02-28."""
    return FactBook(market(SPLIT_YEAR).frames)


def test_a_split_that_takes_effect_today_rescales_yesterdays_close(split_book: FactBook) -> None:
    before, today = XNYS.session(date(2005, 2, 25)), XNYS.session(date(2005, 2, 28))
    apple = split_book.at(today.open).symbols["AAPL"]
    assert (apple.session, apple.split_ratio) == (before.day, Decimal("2.0"))
    assert apple.price == (Decimal(str(apple.bar["close"])) / 2).quantize(Decimal("0.0001"))
    assert split_book.at(before.close).symbols["AAPL"].split_ratio == 1
    assert split_book.at(today.open).symbols["IBM"].split_ratio == 1


def test_after_its_session_a_split_is_in_the_bar_and_no_longer_in_the_ratio(split_book: FactBook) -> None:
    apple = split_book.at(XNYS.session(date(2005, 3, 1)).open).symbols["AAPL"]
    assert (apple.session, apple.split_ratio) == (date(2005, 2, 28), Decimal(1))


def test_indicators_from_before_a_split_are_not_compared_with_prices_after_it(split_book: FactBook) -> None:
    """After a reverse split every close lies above the highest high of the old share count."""
    day_after = split_book.at(XNYS.session(date(2005, 3, 1)).open)
    assert day_after.symbols["AAPL"].previous == {}
    assert day_after.symbols["IBM"].previous["session"] == date(2005, 2, 25)
    two_after = split_book.at(XNYS.session(date(2005, 3, 2)).open)
    assert two_after.symbols["AAPL"].previous["session"] == date(2005, 2, 28)


def test_actions_and_bars_of_a_session_are_exactly_its_own(split_book: FactBook) -> None:
    day = date(2005, 2, 28)
    assert [(a["symbol"], a["kind"], a["ratio"]) for a in split_book.actions(day)] == [("AAPL", "split", 2.0)]
    assert {bar["session"] for bar in split_book.bars(day)} == {day}
    assert split_book.bars(date(2005, 2, 27)) == []


def test_numbers_are_finite_or_they_are_not_known() -> None:
    row = {"a": 1, "b": 2.5, "c": None, "d": float("nan"), "e": float("inf")}
    assert numbers(row, "a", "b") == {"a": 1.0, "b": 2.5}
    assert [numbers(row, "a", name) for name in ("c", "d", "e", "f")] == [None, None, None, None]
    assert numbers({}) == {}


def test_without_these_tables_no_decision_is_made() -> None:
    assert {t.name for t in FACT_TABLES} == {
        DAILY_BARS.name,
        CORPORATE_ACTIONS.name,
        INDICATORS.name,
        BREADTH.name,
        REGIME_LABELS.name,
    }
