from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.frames import SESSIONS, actions_frame, daily_frame, daily_row, quiet_rows
from trading_assets.core.errors import PermanentFailure, TableMismatch
from trading_assets.core.ports import Span
from trading_assets.market.ingest import Collected, collect_actions, collect_bars
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
