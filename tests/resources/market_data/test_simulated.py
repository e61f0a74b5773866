"""The simulated market behind the port: the same answers as the market gives, through the same doors as other providers."""

from datetime import date
from typing import get_args

import polars as pl
import pytest

from resources.market_data.simulated import SimulatedMarketData
from simulation.market import SimulatedMarket
from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.market.documents.model import NEWS
from trading_assets.market.ingest import collect_actions, collect_bars
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, QUOTE_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData, UnknownSymbol, UnsupportedRequest

SPAN = Span(date(2016, 11, 21), date(2016, 11, 30))
YEAR = Span(date(2016, 1, 4), date(2016, 12, 30))
FREQUENCIES: tuple[Frequency, ...] = get_args(Frequency)


@pytest.fixture(scope="module")
def provider() -> SimulatedMarketData:
    return SimulatedMarketData(seed=7)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return SimulatedMarket(7)


def test_it_is_a_member_of_the_port_under_its_name(provider: SimulatedMarketData) -> None:
    member: MarketData = provider
    assert member.name == "simulated"


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_bars_are_those_of_the_market(
    provider: SimulatedMarketData, market: SimulatedMarket, frequency: Frequency
) -> None:
    expected = market.daily("SIM042", SPAN) if frequency == "1d" else market.intraday("SIM042", frequency, SPAN)
    bars = provider.bars("SIM042", frequency, SPAN)
    assert bars.equals(expected)
    assert (DAILY_BARS if frequency == "1d" else INTRADAY_BARS).conform(bars).equals(bars)


def test_actions_quotes_and_news_are_those_of_the_market(
    provider: SimulatedMarketData, market: SimulatedMarket
) -> None:
    few = ["SIM000", "SIM001", "SIM002"]
    assert provider.corporate_actions("SIM000", YEAR).equals(market.corporate_actions("SIM000", YEAR))
    assert provider.quotes("SIM000", SPAN).equals(market.quotes("SIM000", SPAN))
    assert provider.news(few, YEAR).equals(market.news(few, YEAR))
    for table, frame in (
        (CORPORATE_ACTIONS, provider.corporate_actions("SIM000", YEAR)),
        (QUOTE_BARS, provider.quotes("SIM000", SPAN)),
        (NEWS, provider.news(few, YEAR)),
    ):
        assert frame.height
        assert table.conform(frame).equals(frame)


def test_it_lists_its_symbols_and_their_lives(provider: SimulatedMarketData) -> None:
    assert provider.symbols() == tuple(f"SIM{number:03}" for number in range(600))
    assert provider.life("SIM000") == Span(date(2004, 1, 2), XNYS.last)
    lives = [provider.life(symbol) for symbol in provider.symbols()]
    assert any(life.first > date(2004, 1, 2) for life in lives)
    assert any(life.last < XNYS.last for life in lives)


def test_the_seed_chooses_the_market(provider: SimulatedMarketData) -> None:
    other = SimulatedMarketData(seed=8).bars("SIM000", "1d", SPAN)
    assert not other.equals(provider.bars("SIM000", "1d", SPAN))


def test_there_is_no_truth_behind_the_port(provider: SimulatedMarketData) -> None:
    public = {name for name in dir(provider) if not name.startswith("_")}
    assert public == {"name", "symbols", "life", "bars", "corporate_actions", "quotes", "news"}


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_an_unknown_symbol_is_refused_at_each_length(provider: SimulatedMarketData, frequency: Frequency) -> None:
    with pytest.raises(UnknownSymbol, match=r"simulated does not know ZZZQ.*SIM000 to SIM599"):
        provider.bars("ZZZQ", frequency, SPAN)


def test_unknown_symbols_are_refused_at_the_other_doors(provider: SimulatedMarketData) -> None:
    for ask in (provider.corporate_actions, provider.quotes):
        with pytest.raises(UnknownSymbol, match="ZZZQ"):
            ask("ZZZQ", SPAN)
    with pytest.raises(UnknownSymbol, match="ZZZQ"):
        provider.life("ZZZQ")
    with pytest.raises(UnknownSymbol, match="ZZZQ"):
        provider.news(["SIM000", "ZZZQ"], SPAN)


def test_a_length_that_it_lacks_is_unsupported(provider: SimulatedMarketData) -> None:
    with pytest.raises(UnsupportedRequest, match=r"simulated has no 15m bars of SIM000.*1d, 1h, 5m, 1m"):
        provider.bars("SIM000", "15m", SPAN)  # type: ignore[arg-type]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_outside_its_life_a_symbol_has_no_bars(provider: SimulatedMarketData, frequency: Frequency) -> None:
    symbol = next(symbol for symbol in provider.symbols() if provider.life(symbol).last < XNYS.last)
    gone = Span(XNYS.next(provider.life(symbol).last).day, XNYS.last)
    with pytest.raises(EmptyAnswer, match=rf"simulated has no {frequency} bar of {symbol}"):
        provider.bars(symbol, frequency, gone)


def test_a_span_that_begins_before_the_listing_is_served_in_part(provider: SimulatedMarketData) -> None:
    symbol = next(symbol for symbol in provider.symbols() if provider.life(symbol).first > date(2004, 1, 2))
    first = provider.life(symbol).first
    bars = provider.bars(symbol, "1d", Span(XNYS.previous(first, 5).day, XNYS.next(first, 5).day))
    assert bars["session"][0] == first
    assert bars.height == 6


def test_it_feeds_the_desk_s_ingestion(provider: SimulatedMarketData) -> None:
    """Four threads ask at once; a symbol without bars becomes a note."""
    late = next(symbol for symbol in provider.symbols() if provider.life(symbol).first > YEAR.last)
    asked = ["SIM003", "SIM001", "SIM002", "SIM000", late]
    daily = collect_bars(provider, asked, "1d", YEAR)
    assert set(daily.notes) == {late}
    assert daily.frame.height == 4 * len(XNYS.sessions(YEAR.first, YEAR.last))
    minutes = collect_bars(provider, asked[:4], "1m", SPAN)
    assert minutes.frame.height == 4 * (6 * 390 + 210)
    actions = collect_actions(provider, asked[:4], YEAR)
    assert set(actions.frame["kind"]) <= {"split", "cash_dividend"}


def test_intraday_bars_exist_for_many_symbols_at_once(provider: SimulatedMarketData) -> None:
    day = Span(date(2020, 3, 16), date(2020, 3, 16))
    living = [s for s in provider.symbols() if provider.life(s).first <= day.first <= provider.life(s).last][:60]
    frame = pl.concat([provider.bars(symbol, "5m", day) for symbol in living])
    assert frame["symbol"].n_unique() == 60
    assert frame.group_by("symbol").len()["len"].min() >= 76  # type: ignore[operator]
