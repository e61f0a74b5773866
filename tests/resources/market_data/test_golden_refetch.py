"""Fetched before a split and again after it, a session is stored as the same partition (Yahoo and Interactive Brokers)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.lake import ParquetLake
from resources.market_data.ib_pacing import Pacing
from resources.market_data.interactive_brokers import InteractiveBrokersMarketData
from resources.market_data.yahoo import YahooMarketData
from tests.market.frames import actions_frame
from tests.resources.market_data.yahoo_server import Listing, LoopbackYahoo, Traded
from tests.tws import gateway as tws
from tests.tws.history import History
from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import Span
from trading_assets.core.settings import InteractiveBrokersData
from trading_assets.market.ingest import collect_bars
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.market.ports import MarketData

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:yfinance")
SESSIONS = XNYS.sessions(date(2014, 4, 1), date(2014, 6, 30))
RATIOS = st.sampled_from([2, 3, 4, 7, 10, 20])
EX_DATES = st.integers(21, len(SESSIONS) - 2)
PRICES = st.floats(1.0, 3000.0).map(lambda price: round(price, 2))
AFTER = datetime(2014, 6, 30, 23, 0, tzinfo=UTC)
Desk = Callable[..., YahooMarketData]
MORE = settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def traded(session: Session, price: float, number: int, shares: float) -> Traded:
    """A bar as traded: prices in cents, volumes in whole shares."""
    at = round(price / shares * (1 + (number % 7) / 100), 2)
    start = datetime(session.day.year, session.day.month, session.day.day, 9, 30)  # noqa: DTZ001 - New York local time
    return Traded(start, at, round(at * 1.01, 2), round(at * 0.99, 2), at, float(1000 * (900 + number)))


def listing(price: float, splits: dict[int, int], upto: int) -> Listing:
    """What a vendor knows once the session number `upto` has closed."""
    bars, shares = [], 1.0
    for number, session in enumerate(SESSIONS[: upto + 1]):
        shares *= splits.get(number, 1)
        bars.append(traded(session, price, number, shares))
    known = {SESSIONS[number].day: ratio for number, ratio in splits.items() if number <= upto}
    return Listing({"1d": bars}, splits=known)


class SplitsOf:
    """A source of actions that knows a symbol's splits up to some session."""

    name = "splits"

    def __init__(self, known: Listing) -> None:
        self._known = known

    def bars(self, *_: Any) -> Any:
        raise AssertionError("only actions are asked of it")

    def corporate_actions(self, symbol: str, span: Span) -> Any:
        days = {day: ratio for day, ratio in self._known.splits.items() if span.first <= day <= span.last}
        found = [(symbol, day, "split", float(ratio)) for day, ratio in days.items()]
        return actions_frame(*found) if found else CORPORATE_ACTIONS.empty()


def stored_twice(early: MarketData, late: MarketData, span: Span) -> tuple[Any, Any]:
    """The same partition written from both fetches; the second result says whether anything changed."""
    with TemporaryDirectory() as folder:
        lake = ParquetLake(Path(folder))
        results = [
            lake.merge(DAILY_BARS, collect_bars(source, ["SYM"], "1d", span).frame, span, replacing={"symbol": ["SYM"]})
            for source in (early, late)
        ]
    return results[0], results[1]


@MORE
@given(PRICES, st.dictionaries(EX_DATES, RATIOS, min_size=1, max_size=2), st.integers(0, 15))
def test_yahoo_before_and_after_any_splits_stores_the_same_partition(
    yahoo: LoopbackYahoo, desk: Desk, price: float, splits: dict[int, int], first: int
) -> None:
    span = Span(SESSIONS[first].day, SESSIONS[20].day)
    yahoo.listings = {"SYM": listing(price, splits, 20)}
    early = collect_once(desk(SESSIONS[20].close + timedelta(hours=2)), span)
    yahoo.listings = {"SYM": listing(price, splits, len(SESSIONS) - 1)}
    before, after = stored_twice(early, desk(AFTER), span)
    assert (before.version, before.rows) == (after.version, after.rows)
    assert not after.changed


def collect_once(source: MarketData, span: Span) -> MarketData:
    """The source's answer of now, kept for later."""
    frame = source.bars("SYM", "1d", span)

    class Kept:
        name = source.name

        def bars(self, *_: Any) -> Any:
            return frame

        def corporate_actions(self, *_: Any) -> Any:
            return CORPORATE_ACTIONS.empty()

    return Kept()


@MORE
@given(PRICES, st.dictionaries(EX_DATES, RATIOS, min_size=1, max_size=2), st.integers(0, 15))
def test_interactive_brokers_before_and_after_any_splits_stores_the_same_partition(
    price: float, splits: dict[int, int], first: int
) -> None:
    span = Span(SESSIONS[first].day, SESSIONS[20].day)
    early, late = listing(price, splits, 20), listing(price, splits, len(SESSIONS) - 1)
    shelf = History({"SYM": early})
    with tws.running(shelf.gateway()) as loopback:
        kept = collect_once(broker(loopback.port, SESSIONS[20].close + timedelta(hours=2), early), span)
        shelf.listings["SYM"] = late
        before, after = stored_twice(kept, broker(loopback.port, AFTER, late), span)
    assert (before.version, before.rows) == (after.version, after.rows)
    assert not after.changed


def broker(port: int, as_of: datetime, known: Listing) -> InteractiveBrokersMarketData:
    where = InteractiveBrokersData(port=port, client_id=next(_CLIENTS))
    return InteractiveBrokersMarketData(where, as_of=as_of, splits=SplitsOf(known), pacing=Pacing())


class _Counter:
    """Client ids that no other connection of this module has."""

    def __init__(self) -> None:
        self._lock, self._last = Lock(), 0

    def __next__(self) -> int:
        with self._lock:
            self._last += 1
            return self._last


_CLIENTS = _Counter()
