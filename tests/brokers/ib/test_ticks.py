"""Ticks become quotes; what is not there is None, what is not live says so, and doubt means asking again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.ib.ticks import Ticks
from trading_assets.broker.model import Quote

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
BID, ASK, LAST, VOLUME, HALTED = 1, 2, 4, 8, 49


def watching() -> Ticks:
    ticks = Ticks()
    ticks.start(5, "AAPL", 265598)
    return ticks


def newest(ticks: Ticks) -> Quote:
    (quote,) = ticks.news()
    return quote


def test_the_ticks_of_a_packet_are_one_quote() -> None:
    ticks = watching()
    ticks.on_price(5, BID, "100.00", "300", NOW)
    ticks.on_price(5, ASK, "100.02", "400", NOW)
    ticks.on_price(5, LAST, "100.01", "10", NOW)
    ticks.on_size(5, VOLUME, "123456", NOW)
    assert newest(ticks) == Quote(
        "AAPL", NOW, Decimal("100.00"), Decimal("100.02"), Decimal("100.01"), 300, 400, 123456, "live", False
    )
    assert list(ticks.news()) == []


@pytest.mark.fault(75)
@pytest.mark.parametrize("said", ["-1", "-1.0", "0", "0.0", "", "nan", "1.7976931348623157E308"])
def test_a_price_that_is_not_there_takes_the_old_one_away(said: str) -> None:
    ticks = watching()
    ticks.on_price(5, BID, "100.00", "300", NOW)
    ticks.on_price(5, BID, said, "0", NOW + timedelta(seconds=1))
    quote = newest(ticks)
    assert (quote.bid, quote.bid_size, quote.at) == (None, None, NOW + timedelta(seconds=1))
    assert not quote.is_sound


@pytest.mark.fault(77)
@pytest.mark.parametrize(
    ("kind", "expected"), [(1, "live"), (2, "frozen"), (3, "delayed"), (4, "delayed"), (9, "delayed")]
)
def test_the_kind_of_data_is_on_every_quote(kind: int, expected: str) -> None:
    ticks = watching()
    ticks.on_kind(5, kind)
    ticks.on_price(5, BID, "100.00", "300", NOW)
    assert newest(ticks).kind == expected


@pytest.mark.fault(77)
def test_a_kind_that_changes_is_news_without_a_tick() -> None:
    ticks = watching()
    ticks.on_price(5, BID, "100.00", "300", NOW)
    assert newest(ticks).kind == "live"
    ticks.on_kind(5, 2)
    assert newest(ticks).kind == "frozen"


@pytest.mark.fault(77)
def test_a_delayed_tick_is_delayed_whatever_was_announced() -> None:
    ticks = watching()
    ticks.on_kind(5, 1)
    ticks.on_price(5, 66, "100.00", "300", NOW)
    quote = newest(ticks)
    assert (quote.bid, quote.kind) == (Decimal("100.00"), "delayed")


@pytest.mark.fault(83)
@pytest.mark.parametrize(
    ("said", "halted"), [("0", False), ("0.0", False), ("1", True), ("2", True), ("-1", True), ("", True)]
)
def test_what_is_not_certainly_trading_is_halted(said: str, halted: bool) -> None:
    ticks = watching()
    ticks.on_generic(5, HALTED, said, NOW)
    assert newest(ticks).halted is halted


def test_ticks_that_are_of_no_use_are_not_news() -> None:
    ticks = watching()
    ticks.on_price(5, 9, "100.00", "0", NOW)
    ticks.on_size(5, 21, "5", NOW)
    ticks.on_generic(5, 24, "0.3", NOW)
    ticks.on_price(6, BID, "100.00", "300", NOW)
    assert list(ticks.news()) == []


@pytest.mark.fault(34)
def test_after_doubt_every_stream_is_forgotten_once() -> None:
    ticks = watching()
    ticks.start(6, "MSFT", 272093)
    assert ticks.dropped_in_doubt() == ()
    ticks.doubt()
    assert ticks.watching(265598)
    assert ticks.dropped_in_doubt() == (5, 6)
    assert not ticks.watching(265598)
    assert ticks.dropped_in_doubt() == ()
    ticks.on_price(5, BID, "100.00", "300", NOW)
    assert list(ticks.news()) == []


def test_a_refused_stream_is_watched_no_more() -> None:
    ticks = watching()
    assert ticks.symbol_of(5) == "AAPL"
    ticks.end(5)
    assert ticks.symbol_of(5) == ""
    assert not ticks.watching(265598)


@pytest.mark.fault(75)
@settings(max_examples=25)
@given(st.sampled_from([BID, ASK, LAST, 66, 67, 68]), st.floats(), st.floats())
def test_no_number_makes_a_price_that_is_not_above_zero(tick: int, said: float, size: float) -> None:
    ticks = watching()
    ticks.on_price(5, tick, str(said), str(size), NOW)
    for quote in ticks.news():
        assert all(value is None or 0 < value < Decimal("1e300") for value in (quote.bid, quote.ask, quote.last))
        assert all(value is None or value > 0 for value in (quote.bid_size, quote.ask_size))
