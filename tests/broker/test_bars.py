"""Minute bars from quotes: what they hold, when they are complete, and what never gets into one."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.broker.bars import Bars
from trading_assets.broker.model import MinuteBar, Quote, QuoteKind

TEN = datetime(2026, 3, 25, 14, 0, tzinfo=UTC)


def last(price: str | int, second: float, volume: int | None = None, symbol: str = "AAPL") -> Quote:
    return Quote(symbol, TEN + timedelta(seconds=second), last=Decimal(str(price)), volume=volume)


def made(*quotes: Quote, until: float | None = None) -> list[MinuteBar]:
    bars = Bars()
    found = [bar for quote in quotes for bar in bars.add(quote)]
    return found if until is None else [*found, *bars.close(TEN + timedelta(seconds=until))]


def ohlc(bar: MinuteBar) -> tuple[str, ...]:
    return tuple(str(price) for price in (bar.open, bar.high, bar.low, bar.close))


def test_a_bar_holds_the_trades_of_its_minute_and_is_labelled_by_its_start() -> None:
    quotes = [last(100, 1, 1000), last(102, 20, 1200), last(99, 40, 1500), last(101, 59.9, 1700), last(105, 60, 1800)]
    (bar,) = made(*quotes)
    assert (bar.symbol, bar.start) == ("AAPL", TEN)
    assert ohlc(bar) == ("100", "102", "99", "101")
    assert bar.volume == 700


def test_volume_is_what_was_added_since_the_bar_before() -> None:
    bars = made(last(100, 1, 1000), last(100, 30, 1100), last(100, 61, 1150), last(100, 90, 1400), until=120)
    assert [bar.volume for bar in bars] == [100, 300]


def test_volume_that_begins_anew_counts_from_nothing() -> None:
    bars = made(last(100, 1, 1000), last(100, 30, 1100), last(100, 61, 40), last(100, 90, 70), until=120)
    assert [bar.volume for bar in bars] == [100, 70]


def test_without_a_cumulative_volume_a_bar_has_none() -> None:
    assert [bar.volume for bar in made(last(100, 1), last(101, 2), until=60)] == [0]


@pytest.mark.fault(78)
def test_a_minute_without_a_quote_has_no_bar() -> None:
    bars = made(last(100, 1), last(101, 301), until=360)
    assert [bar.start for bar in bars] == [TEN, TEN + timedelta(minutes=5)]


@pytest.mark.fault(80)
def test_the_minute_that_runs_is_not_a_bar() -> None:
    assert made(last(100, 1), last(101, 59), until=59.9) == []
    assert len(made(last(100, 1), until=60)) == 1


def test_a_bar_is_told_once() -> None:
    bars = Bars()
    bars.add(last(100, 1))
    assert len(bars.close(TEN + timedelta(minutes=1))) == 1
    assert bars.close(TEN + timedelta(minutes=2)) == ()
    assert bars.add(last(100, 125)) == ()


@pytest.mark.fault(79)
def test_late_quotes_change_nothing() -> None:
    quotes = [last(100, 1), last(101, 30), last(97, 29), last(102, 59)]
    assert [ohlc(bar) for bar in made(*quotes, until=60)] == [("100", "102", "100", "102")]


@pytest.mark.fault(79)
def test_a_quote_of_a_minute_that_was_told_is_too_late() -> None:
    bars = Bars()
    bars.add(last(100, 1))
    bars.close(TEN + timedelta(minutes=1))
    bars.add(last(70, 59))
    assert bars.close(TEN + timedelta(minutes=5)) == ()


def test_a_quote_told_twice_counts_once() -> None:
    once = last(100, 1, 1000)
    assert made(once, once, once, until=60) == made(once, until=60)


@pytest.mark.fault(74)
@pytest.mark.parametrize("price", [1000, 10])
def test_an_outlier_does_not_enter_a_bar(price: int) -> None:
    quotes = [last(100, 1), last(price, 10), last(101, 20), last(price, 30), last(100, 40)]
    assert [ohlc(bar) for bar in made(*quotes, until=60)] == [("100", "101", "100", "100")]


def test_a_level_that_a_second_quote_confirms_is_believed() -> None:
    quotes = [last(100, 1), last(50, 10), last(51, 20)]
    assert [ohlc(bar) for bar in made(*quotes, until=60)] == [("100", "100", "51", "51")]


@pytest.mark.fault(75)
@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_price_that_is_none_makes_no_bar(price: str) -> None:
    assert made(last(price, 1), until=60) == []


@pytest.mark.fault(77)
@pytest.mark.parametrize("kind", ["frozen", "delayed"])
def test_quotes_that_are_not_live_make_no_bar(kind: QuoteKind) -> None:
    assert made(replace(last(100, 1), kind=kind), until=60) == []
    assert made(replace(last(100, 1), halted=True), until=60) == []


def test_without_trades_the_middle_of_the_sides_makes_the_bar() -> None:
    sides = Quote("AAPL", TEN, bid=Decimal(99), ask=Decimal(101))
    assert [ohlc(bar) for bar in made(sides, until=60)] == [("100", "100", "100", "100")]


def test_where_trades_are_told_the_sides_make_no_price() -> None:
    sides = Quote("AAPL", TEN + timedelta(seconds=2), bid=Decimal(109), ask=Decimal(111))
    assert [ohlc(bar) for bar in made(last(100, 1), sides, until=60)] == [("100", "100", "100", "100")]


@pytest.mark.fault(76)
def test_crossed_or_broken_sides_make_no_bar() -> None:
    for bid, ask in ((101, 99), (100, 100), ("NaN", "NaN"), ("NaN", 100)):
        assert made(Quote("AAPL", TEN, bid=Decimal(bid), ask=Decimal(ask)), until=60) == []


def test_symbols_do_not_touch_each_other() -> None:
    bars = made(last(100, 1), last(300, 2, symbol="MSFT"), last(101, 61), until=180)
    assert [(bar.symbol, str(bar.close)) for bar in bars] == [("AAPL", "100"), ("AAPL", "101"), ("MSFT", "300")]


ticks = st.lists(st.tuples(st.floats(0, 600), st.integers(9_000, 11_000), st.integers(0, 500)), max_size=60)


@given(ticks=ticks)
@settings(max_examples=25, deadline=None)
def test_bars_agree_with_all_trades_of_their_minute(ticks: list[tuple[float, int, int]]) -> None:
    total, quotes = 1000, []
    for second, cents, size in sorted(ticks):
        total += size
        quotes.append(last(str(Decimal(cents) / 100), second, total))
    minutes: dict[datetime, list[Decimal]] = defaultdict(list)
    for quote in quotes:
        assert quote.last is not None
        minutes[quote.at.replace(second=0, microsecond=0)].append(quote.last)
    bars = made(*quotes, until=700)
    assert [bar.start for bar in bars] == sorted(minutes)
    for bar in bars:
        told = minutes[bar.start]
        assert (bar.open, bar.high, bar.low, bar.close) == (told[0], max(told), min(told), told[-1])
    first = 1000 + (sorted(ticks)[0][2] if ticks else 0)
    assert sum(bar.volume for bar in bars) == (total - first if ticks else 0)
