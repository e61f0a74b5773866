"""Last prices of Yahoo over the real wire: unmodified yfinance, real TLS, a server on this machine."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from resources.brokers.feeds.yahoo import YahooFeed, last_trades
from resources.brokers.second_prices import LakeSecondPrices, YahooSecondPrices
from resources.clock import FixedClock
from tests.brokers.paper.test_feeds import MINUTE, SESSION, stored
from tests.resources.market_data.yahoo_server import Listing, LoopbackYahoo, Traded, running
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DeskError, TransientFailure
from trading_assets.market.ports import UnknownSymbol

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")
LOCAL = SESSION.open.astimezone(NEW_YORK).replace(tzinfo=None)
MINUTES = tuple(Traded(LOCAL + n * MINUTE, 100.0, 101.0, 99.0, 100.0 + n / 100, 1_000.0) for n in range(30))
LAST = SESSION.open + 29 * MINUTE
NOW = LAST + timedelta(seconds=40)


class Yahoo(LoopbackYahoo):
    """Also tells when the exchange had its last trade, as Yahoo does."""

    last_trade_at: datetime | None = None

    def chart(self, symbol: str, query: Mapping[str, str]) -> tuple[int, str, str]:
        status, kind, body = super().chart(symbol, query)
        if self.last_trade_at is None or status != 200 or self.fault is not None:
            return status, kind, body
        said = json.loads(body)
        said["chart"]["result"][0]["meta"]["regularMarketTime"] = int(self.last_trade_at.timestamp())
        return status, kind, json.dumps(said)


@pytest.fixture
def yahoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackYahoo]:
    monkeypatch.setattr("tests.resources.market_data.yahoo_server.LoopbackYahoo", Yahoo)
    with running({"AAPL": Listing({"1m": MINUTES, "1d": MINUTES[:1]})}, tmp_path) as server:
        yield server


@pytest.fixture
def session(yahoo: LoopbackYahoo) -> Any:
    from curl_cffi.requests import Session

    return Session(impersonate="chrome", verify=str(yahoo.authority), proxies={"https": yahoo.proxy})


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quotes") / "cache"


def told_by(feed: YahooFeed, *symbols: str) -> list[Quote]:
    """The first round."""

    async def heard() -> list[Quote]:
        told: list[Quote] = []
        feed.watch(symbols)
        running_feed = asyncio.create_task(feed.run(told.extend))
        async with asyncio.timeout(10):
            while not told and not running_feed.done():
                await asyncio.sleep(0.005)
        if running_feed.done():
            await running_feed
        running_feed.cancel()
        return told

    return asyncio.run(heard())


def feed_at(now: datetime, cache: Path, session: Any) -> YahooFeed:
    return YahooFeed(cache, FixedClock(now), spread_bp=2.0, poll_s=0.01, session=session)


@pytest.mark.parametrize(
    ("traded_at", "told_at", "kind"),
    [(timedelta(seconds=38), timedelta(seconds=38), "live"), (None, timedelta(0), "delayed")],
)
def test_a_price_has_the_exchanges_time_and_is_live_while_that_is_fresh(
    yahoo: Yahoo, session: Any, cache: Path, traded_at: timedelta | None, told_at: timedelta, kind: str
) -> None:
    yahoo.last_trade_at = None if traded_at is None else LAST + traded_at
    (quote,) = told_by(feed_at(NOW, cache, session), "AAPL")
    assert (quote.at, quote.kind) == (LAST + told_at, kind)
    assert (quote.last, quote.bid, quote.ask) == (Decimal("100.29"), Decimal("100.27"), Decimal("100.31"))
    assert (quote.volume, quote.bid_size, quote.ask_size) == (30_000, None, None)


@pytest.mark.fault(77)
def test_a_price_of_a_quarter_of_an_hour_ago_is_delayed(yahoo: Yahoo, session: Any, cache: Path) -> None:
    yahoo.last_trade_at = LAST + timedelta(seconds=1)
    (quote,) = told_by(feed_at(NOW + timedelta(minutes=15), cache, session), "AAPL")
    assert (quote.kind, quote.at) == ("delayed", LAST + timedelta(seconds=1))


def test_a_time_that_is_not_of_the_last_minute_is_not_believed(yahoo: Yahoo, session: Any, cache: Path) -> None:
    yahoo.last_trade_at = LAST + timedelta(hours=3)
    assert last_trades(cache, session)("AAPL", NOW).at == LAST


@pytest.mark.fault(88)
@pytest.mark.parametrize("fault", ["rate limit", "html", "down", "nonsense", "empty"])
def test_what_yahoo_does_not_answer_is_not_told(yahoo: LoopbackYahoo, session: Any, cache: Path, fault: str) -> None:
    yahoo.fault = fault
    with pytest.raises(TransientFailure, match="yfinance tells no price of 1 symbols"):
        told_by(feed_at(NOW, cache, session), "AAPL")
    with pytest.raises(DeskError):
        last_trades(cache, session)("AAPL", NOW)


def test_one_symbol_that_fails_does_not_silence_the_others(session: Any, cache: Path) -> None:
    assert [quote.symbol for quote in told_by(feed_at(NOW, cache, session), "NONE", "AAPL")] == ["AAPL"]


def test_only_what_yahoo_knows_is_a_contract(session: Any, cache: Path) -> None:
    feed = feed_at(NOW, cache, session)
    assert asyncio.run(feed.knows("AAPL"))
    assert not asyncio.run(feed.knows("NONE"))
    with pytest.raises(UnknownSymbol):
        last_trades(cache, session)("NONE", NOW)


# Second prices


def second(prices: LakeSecondPrices | YahooSecondPrices, at: datetime, symbol: str = "AAPL") -> Decimal | None:
    return asyncio.run(prices.price(symbol, at))


@pytest.mark.parametrize(("age", "known"), [(40, True), (90, True), (91, False), (900, False)])
def test_a_second_price_of_yahoo_is_its_last_trade_while_it_is_new(
    session: Any, cache: Path, age: int, known: bool
) -> None:
    price = second(YahooSecondPrices(cache, session), LAST + timedelta(seconds=age))
    assert price == (Decimal("100.29") if known else None)


def test_yahoo_out_of_reach_is_no_second_price(yahoo: LoopbackYahoo, session: Any, cache: Path) -> None:
    yahoo.fault = "down"
    assert second(YahooSecondPrices(cache, session), NOW) is None


@pytest.mark.parametrize(
    ("seconds", "known"), [(59, False), (60, True), (7_260, True), (7_320, True), (7_321, False), (9_000, False)]
)
def test_a_second_price_of_the_lake_is_a_close_of_at_most_two_bars_ago(
    tmp_path: Path, seconds: int, known: bool
) -> None:
    prices = LakeSecondPrices(stored(tmp_path, minutes=120))
    found = second(prices, SESSION.open + timedelta(seconds=seconds))
    assert found == (Decimal("99.00") if known else None)


def test_the_lake_has_no_second_price_of_what_it_does_not_hold(tmp_path: Path) -> None:
    prices = LakeSecondPrices(stored(tmp_path))
    assert second(prices, SESSION.open + 10 * MINUTE, "MSFT") is None
    assert second(prices, XNYS.next(SESSION.day).open + 10 * MINUTE) is None
    assert second(prices, SESSION.open - MINUTE) is None


def test_a_finer_bar_that_is_too_old_gives_way_to_a_coarser_one_that_is_not(tmp_path: Path) -> None:
    stored(tmp_path, minutes=7, frequency="1h")
    prices = LakeSecondPrices(stored(tmp_path, minutes=7, frequency="1h"))
    assert second(prices, SESSION.open + timedelta(hours=3)) == Decimal("99.00")
    assert second(prices, SESSION.close + timedelta(minutes=119)) == Decimal("99.00")
    assert second(prices, SESSION.close + timedelta(minutes=121)) is None
