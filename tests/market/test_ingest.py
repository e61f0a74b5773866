from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.market_data.chain import ChainedMarketData
from tests.market.frames import SESSIONS, actions_frame, daily_frame, daily_row, quiet_rows
from trading_assets.core.errors import ConfigurationError, PermanentFailure, TableMismatch
from trading_assets.core.ports import Span
from trading_assets.core.settings import Instrument
from trading_assets.market.ingest import Collected, collect_actions, collect_bars, collect_quotes
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData, UnknownSymbol

SPAN = Span(SESSIONS[0].day, SESSIONS[9].day)
TEN = SESSIONS[:10]


@dataclass
class Shelf:
    """A provider that hands out what a test put on it; a symbol without rows is known and empty."""

    rows: Mapping[str, list[dict[str, Any]]]
    actions: pl.DataFrame = field(default_factory=CORPORATE_ACTIONS.empty)

    @property
    def name(self) -> str:
        return "shelf"

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        if symbol not in self.rows:
            raise UnknownSymbol(f"shelf does not know {symbol}")
        if not self.rows[symbol]:
            raise EmptyAnswer(f"shelf has no {frequency} bar of {symbol}", value=span)
        return daily_frame(self.rows[symbol])

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        del span
        return self.actions.filter(pl.col("symbol") == symbol)


def shelf(*symbols: str) -> Shelf:
    return Shelf({symbol: quiet_rows([symbol], TEN) for symbol in symbols})


def collect(provider: MarketData, *symbols: str) -> Collected:
    return collect_bars(provider, symbols, "1d", SPAN)


def test_the_bars_of_all_symbols_are_one_conforming_frame() -> None:
    collected = collect(shelf("BBB", "AAA"), "BBB", "AAA")
    assert collected.frame.equals(DAILY_BARS.conform(daily_frame(quiet_rows(["AAA"], TEN) + quiet_rows(["BBB"], TEN))))
    assert not collected.notes


def test_a_symbol_without_bars_becomes_a_note() -> None:
    provider = Shelf({"AAA": quiet_rows(["AAA"], TEN), "BBB": []})
    collected = collect(provider, "AAA", "BBB")
    assert collected.frame["symbol"].unique().to_list() == ["AAA"]
    assert list(collected.notes) == ["BBB"]
    assert "no 1d bar of BBB" in collected.notes["BBB"]


def test_no_bars_of_any_symbol_name_provider_symbols_and_span() -> None:
    with pytest.raises(EmptyAnswer) as caught:
        collect(Shelf({"AAA": [], "BBB": []}), "AAA", "BBB")
    for word in ("shelf", "AAA", "BBB", str(SPAN.first), str(SPAN.last)):
        assert word in str(caught.value)


def test_an_unknown_symbol_always_raises() -> None:
    with pytest.raises(UnknownSymbol, match="ZZZ"):
        collect(shelf("AAA"), "AAA", "ZZZ")


def test_no_symbol_at_all_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="no symbol"):
        collect(shelf("AAA"))


def test_a_symbol_named_twice_is_asked_once() -> None:
    assert collect(shelf("AAA"), "AAA", "AAA").frame.height == 10


def test_rows_outside_the_span_are_refused() -> None:
    stray = [daily_row("AAA", SESSIONS[10], 100.0)]
    with pytest.raises(TableMismatch, match="not asked for"):
        collect(Shelf({"AAA": quiet_rows(["AAA"], TEN) + stray}), "AAA")


def test_rows_of_another_symbol_are_refused() -> None:
    with pytest.raises(TableMismatch, match="not asked for"):
        collect(Shelf({"AAA": quiet_rows(["BBB"], TEN)}), "AAA")


@pytest.mark.fault(79)
def test_a_bar_delivered_twice_is_refused() -> None:
    with pytest.raises(TableMismatch, match="same key twice"):
        collect(Shelf({"AAA": quiet_rows(["AAA"], TEN) * 2}), "AAA")


@settings(deadline=None)
@given(st.permutations(["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]))
def test_the_order_of_the_symbols_does_not_matter(symbols: list[str]) -> None:
    provider = shelf(*symbols)
    assert collect(provider, *symbols).frame.equals(collect(provider, *sorted(symbols)).frame)


def test_actions_of_all_symbols_are_one_frame_and_silence_is_noted() -> None:
    split = actions_frame(("AAA", SESSIONS[3].day, "split", 2.0))
    collected = collect_actions(Shelf({}, split), ["AAA", "BBB"], SPAN)
    assert collected.frame.equals(split)
    assert list(collected.notes) == ["BBB"]


def test_no_action_at_all_is_an_empty_frame() -> None:
    collected = collect_actions(Shelf({}), ["AAA", "BBB"], SPAN)
    assert collected.frame.equals(CORPORATE_ACTIONS.empty())


def test_actions_outside_the_span_are_refused() -> None:
    early = actions_frame(("AAA", date(2024, 4, 30), "split", 2.0))
    with pytest.raises(TableMismatch, match="not asked for"):
        collect_actions(Shelf({}, early), ["AAA"], SPAN)


FIRST_LIFE = Instrument(symbol="AAA-20240507", sector="x", ticker="AAA", last_session=TEN[4].day)
SECOND_LIFE = Instrument(symbol="AAA", sector="x", first_session=TEN[6].day)


@dataclass
class Recorder(Shelf):
    """A shelf that keeps to the span and writes down what it was asked for."""

    provider: str = "recorder"
    asked: list[tuple[str, Span]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.provider

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        self.asked.append((symbol, span))
        return super().bars(symbol, frequency, span).filter(pl.col("session").is_between(span.first, span.last))

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        self.asked.append((symbol, span))
        return self.actions.filter((pl.col("symbol") == symbol) & pl.col("session").is_between(span.first, span.last))


def recorder(provider: str = "recorder") -> Recorder:
    return Recorder({"AAA": quiet_rows(["AAA"], TEN), "BBB": quiet_rows(["BBB"], TEN)}, provider=provider)


def test_an_instrument_is_asked_for_by_its_ticker_and_only_in_its_life() -> None:
    provider = recorder()
    collected = collect_bars(provider, [FIRST_LIFE, SECOND_LIFE], "1d", SPAN)
    assert sorted(provider.asked, key=lambda each: each[1].first) == [
        ("AAA", Span(SPAN.first, TEN[4].day)),
        ("AAA", Span(TEN[6].day, SPAN.last)),
    ]
    assert collected.frame.filter(pl.col("symbol") == "AAA-20240507")["session"].to_list() == [
        session.day for session in TEN[:5]
    ]
    assert collected.frame.filter(pl.col("symbol") == "AAA")["session"].to_list() == [s.day for s in TEN[6:]]


def test_rows_are_renamed_and_nothing_else() -> None:
    renamed = collect_bars(recorder(), [FIRST_LIFE], "1d", SPAN).frame
    plain = collect_bars(recorder(), ["AAA"], "1d", Span(SPAN.first, TEN[4].day)).frame
    assert renamed.with_columns(pl.lit("AAA").alias("symbol")).equals(plain)


def test_plain_symbols_and_instruments_mix() -> None:
    collected = collect_bars(recorder(), ["BBB", SECOND_LIFE], "1d", SPAN)
    assert collected.frame["symbol"].unique().sort().to_list() == ["AAA", "BBB"]


def test_a_life_outside_the_span_is_a_note_and_not_a_question() -> None:
    provider = recorder()
    later = Span(TEN[6].day, TEN[9].day)
    collected = collect_bars(provider, [FIRST_LIFE, SECOND_LIFE], "1d", later)
    assert [symbol for symbol, _ in provider.asked] == ["AAA"]
    assert "ended on" in collected.notes["AAA-20240507"]


def test_only_lives_outside_the_span_are_an_empty_answer() -> None:
    with pytest.raises(EmptyAnswer, match="AAA-20240507"):
        collect_bars(recorder(), [FIRST_LIFE], "1d", Span(TEN[6].day, TEN[9].day))


def test_rows_from_outside_the_life_are_refused_even_when_they_lie_in_the_span() -> None:
    with pytest.raises(TableMismatch, match="not asked for"):
        collect_bars(shelf("AAA"), [FIRST_LIFE], "1d", SPAN)


def test_actions_outside_the_life_are_not_the_instruments() -> None:
    splits = actions_frame(("AAA", TEN[3].day, "split", 2.0), ("AAA", TEN[8].day, "split", 3.0))
    provider = Recorder({}, splits)
    frame = collect_actions(provider, [FIRST_LIFE, SECOND_LIFE], SPAN).frame
    assert frame.select("symbol", "session", "ratio").rows() == [
        ("AAA-20240507", TEN[3].day, 2.0),
        ("AAA", TEN[8].day, 3.0),
    ]


@pytest.mark.parametrize("name", ["yfinance", "ib"])
def test_an_ended_owner_is_not_asked_of_a_source_that_knows_only_the_present_one(name: str) -> None:
    """They would answer with the other company's bars under this company's name."""
    provider = recorder(name)
    collected = collect_bars(provider, [FIRST_LIFE, SECOND_LIFE], "1d", SPAN)
    assert [symbol for symbol, _ in provider.asked] == ["AAA"]
    assert collected.frame["symbol"].unique().to_list() == ["AAA"]
    assert "provide files for AAA-20240507" in collected.notes["AAA-20240507"]


def test_a_provider_spelling_of_a_living_symbol_is_asked_of_every_source() -> None:
    spelled = Instrument(symbol="BBB.X", sector="x", ticker="BBB")
    collected = collect_bars(recorder("yfinance"), [spelled], "1d", SPAN)
    assert collected.frame["symbol"].unique().to_list() == ["BBB.X"]


def test_two_lives_of_one_ticker_at_once_are_refused_before_anything_is_asked() -> None:
    provider = recorder()
    with pytest.raises(ConfigurationError, match="trade as AAA at once"):
        collect_bars(provider, [FIRST_LIFE, "AAA"], "1d", SPAN)
    assert not provider.asked


def test_one_symbol_with_two_lives_is_refused() -> None:
    with pytest.raises(PermanentFailure, match="two lives"):
        collect_bars(recorder(), [SECOND_LIFE, "AAA"], "1d", SPAN)


def test_a_chain_leaves_out_the_sources_that_know_only_the_present_owner() -> None:
    online, files = recorder("yfinance"), recorder("files")
    collected = collect_bars(ChainedMarketData([online, files]), [FIRST_LIFE, SECOND_LIFE], "1d", SPAN)
    assert [span.first for _, span in online.asked] == [TEN[6].day]
    assert [span.last for _, span in files.asked] == [TEN[4].day]
    assert collected.frame["symbol"].n_unique() == 2


def test_a_chain_of_nothing_else_has_a_note() -> None:
    chain = ChainedMarketData([recorder("yfinance"), recorder("ib")])
    collected = collect_bars(chain, [FIRST_LIFE, SECOND_LIFE], "1d", SPAN)
    assert "provide files for AAA-20240507" in collected.notes["AAA-20240507"]


def test_a_source_without_quotes_has_none_and_says_so() -> None:
    collected = collect_quotes(recorder(), ["AAA"], SPAN)
    assert collected.frame.is_empty()
    assert collected.notes == {"every symbol": "recorder has no quotes"}
