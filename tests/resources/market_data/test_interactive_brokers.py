"""Interactive Brokers over the wire: the unmodified client against a Gateway on this machine."""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.market_data.embedded import EmbeddedMarketData
from resources.market_data.files import FileMarketData
from resources.market_data.ib_pacing import Pacing
from resources.market_data.interactive_brokers import ASKED, InteractiveBrokersMarketData
from resources.market_data.yahoo_wire import Patience
from tests.market.frames import SHARED
from tests.resources.market_data.listings import AS_OF, BROKERS, FIRST, LAST, SPLIT_DAY
from tests.resources.market_data.yahoo_server import Listing, Traded
from tests.tws import history
from tests.tws.gateway import LoopbackGateway, running
from tests.tws.history import History
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Span
from trading_assets.core.settings import InteractiveBrokersData
from trading_assets.market.ingest import collect_bars
from trading_assets.market.model import Frequency
from trading_assets.market.ports import (
    EmptyAnswer,
    MalformedAnswer,
    MarketData,
    ProviderUnavailable,
    UnknownSymbol,
    UnsupportedRequest,
)

WHOLE = Span(FIRST, LAST)
JUNE = Span(date(2014, 6, 5), date(2014, 6, 10))
ONE = Span(date(2014, 6, 5), date(2014, 6, 5))
APPLE = BROKERS["AAPL"]
Broker = Callable[..., InteractiveBrokersMarketData]
NONE_YET = object()


@pytest.fixture
def shelf() -> History:
    return History(BROKERS)


@pytest.fixture
def gateway(shelf: History) -> Iterator[LoopbackGateway]:
    with running(shelf.gateway()) as gateway:
        yield gateway


@pytest.fixture
def splits(tmp_path: Path) -> MarketData:
    """A folder that knows the split of AAPL, and that the others had none."""
    for folder in ("daily", "actions"):
        (tmp_path / folder).mkdir()
    for symbol in ("AAPL", "OTHR", "BRK.B"):
        (tmp_path / "daily" / f"{symbol}.csv").write_text("date,open,high,low,close,volume\n")
    (tmp_path / "actions" / "AAPL.csv").write_text(f"date,kind,ratio,amount\n{SPLIT_DAY},split,7,\n")
    return FileMarketData(tmp_path)


@pytest.fixture
def broker(gateway: LoopbackGateway, splits: MarketData) -> Iterator[Broker]:
    """Makes a provider; everything that it opens ends with the test."""
    made: list[InteractiveBrokersMarketData] = []

    def make(
        as_of: datetime = AS_OF,
        *,
        port: int | None = None,
        knows_splits: Any = NONE_YET,
        sleep: Callable[[float], None] = lambda _: None,
        attempts: int = 1,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
    ) -> InteractiveBrokersMarketData:
        moment = iter(range(10**9))
        provider = InteractiveBrokersMarketData(
            InteractiveBrokersData(port=port or gateway.port),
            as_of=as_of,
            splits=splits if knows_splits is NONE_YET else knows_splits,
            pacing=Pacing(now=lambda: float(1000 * next(moment)), sleep=lambda _: None),
            patience=Patience(attempts=attempts, timeout_s=timeout_s, pause_s=1.0),
            sleep=sleep,
            connect_timeout_s=connect_timeout_s,
        )
        made.append(provider)
        return provider

    yield make
    for provider in made:
        provider.close()


def traded(listing: Listing, key: str, span: Span) -> list[tuple[float, float, float]]:
    bars = [bar for bar in listing.bars[key] if span.first <= bar.start.date() <= span.last]
    return [(bar.open, bar.close, bar.volume) for bar in bars]


def delivered(frame: pl.DataFrame) -> list[tuple[float, float, float]]:
    return frame.select("open", "close", "volume").rows()


def test_daily_bars_come_back_as_they_were_traded(broker: Broker) -> None:
    assert delivered(broker().bars("AAPL", "1d", WHOLE)) == traded(APPLE, "1d", WHOLE)


@pytest.mark.parametrize("days_are_sessions", [True, False])
@pytest.mark.parametrize("frequency", ["5m", "1m"])
def test_intraday_bars_come_back_as_they_were_traded(
    broker: Broker, shelf: History, frequency: Frequency, days_are_sessions: bool
) -> None:
    shelf.days_are_sessions = days_are_sessions
    assert delivered(broker().bars("AAPL", frequency, JUNE)) == traded(APPLE, frequency, JUNE)


def test_hours_begin_at_the_open_and_are_made_of_half_hours(broker: Broker) -> None:
    frame = broker().bars("AAPL", "1h", JUNE)
    halves = [bar for bar in APPLE.bars["30m"] if bar.start.date() == JUNE.first]
    first, last = frame.row(0, named=True), frame.filter(pl.col("session") == JUNE.first).row(-1, named=True)
    starts = frame.filter(pl.col("session") == JUNE.first)["start"].dt.convert_time_zone(NEW_YORK.key)
    assert [f"{start:%H:%M}" for start in starts] == ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]
    assert (first["open"], first["close"]) == (halves[0].open, halves[1].close)
    assert first["high"] == max(halves[0].high, halves[1].high)
    assert first["low"] == min(halves[0].low, halves[1].low)
    assert first["volume"] == halves[0].volume + halves[1].volume
    assert (last["open"], last["volume"]) == (halves[-1].open, halves[-1].volume)


def test_the_request_is_for_trades_in_regular_hours_and_in_utc(broker: Broker, shelf: History) -> None:
    broker().bars("AAPL", "5m", ONE)
    (asked,) = shelf.asked
    assert (asked.what, asked.regular_hours, asked.date_format) == ("TRADES", True, 2)
    assert asked.until == XNYS.session(ONE.last).close


@pytest.mark.parametrize("frequency", list(ASKED))
def test_no_request_is_longer_than_interactive_brokers_allows(
    broker: Broker, shelf: History, frequency: Frequency
) -> None:
    span = Span(date(2013, 3, 1), LAST) if frequency == "1d" else Span(date(2014, 6, 4), LAST)
    broker().bars("AAPL", frequency, span)
    assert max(asked.days for asked in shelf.asked) <= ASKED[frequency].days
    assert len({asked.until for asked in shelf.asked}) == len(shelf.asked) > 1


def test_a_part_without_bars_is_left_out_and_the_others_are_kept(broker: Broker) -> None:
    span = Span(date(2012, 6, 1), LAST)
    assert delivered(broker().bars("AAPL", "1d", span)) == traded(APPLE, "1d", WHOLE)


def test_a_share_class_is_asked_for_as_interactive_brokers_writes_it(broker: Broker, shelf: History) -> None:
    shelf.listings["BRK B"] = BROKERS["OTHR"]
    frame = broker().bars("BRK.B", "1d", Span(date(2014, 6, 30), LAST))
    assert set(frame["symbol"]) == {"BRK.B"}


def test_a_bar_in_progress_is_left_out(broker: Broker) -> None:
    during = broker(datetime(2014, 6, 10, 15, 30, 30, tzinfo=UTC))
    assert during.bars("AAPL", "1d", JUNE)["session"].max() == date(2014, 6, 9)
    assert during.bars("AAPL", "1m", JUNE)["knowable_at"].max() == datetime(2014, 6, 10, 15, 30, tzinfo=UTC)


def test_the_future_is_empty_without_a_request(broker: Broker, gateway: LoopbackGateway) -> None:
    with pytest.raises(EmptyAnswer, match="ib has no 1d bar of AAPL"):
        broker().bars("AAPL", "1d", Span(date(2014, 7, 7), date(2014, 7, 8)))
    assert gateway.connections == 0


def test_splits_that_nobody_knows_are_a_refusal_and_not_a_guess(broker: Broker, gateway: LoopbackGateway) -> None:
    with pytest.raises(UnsupportedRequest, match=r"adjusts its bars of AAPL for later splits.*market\.fallbacks"):
        broker(knows_splits=None).bars("AAPL", "1d", JUNE)
    assert gateway.connections == 0


def test_the_session_of_today_needs_no_splits(broker: Broker) -> None:
    today = Span(LAST, LAST)
    assert delivered(broker(knows_splits=None).bars("AAPL", "1d", today)) == traded(APPLE, "1d", today)


def test_fetched_before_and_after_a_split_a_session_is_the_same(broker: Broker, shelf: History) -> None:
    early = Span(FIRST, date(2014, 6, 6))
    later = broker()
    after = later.bars("AAPL", "1d", early)
    later.close()
    known = tuple(bar for bar in APPLE.bars["1d"] if bar.start.date() < SPLIT_DAY)
    shelf.listings["AAPL"] = Listing({"1d": known})
    assert broker(datetime(2014, 6, 6, 21, 0, tzinfo=UTC)).bars("AAPL", "1d", early).equals(after)


def test_corporate_actions_are_never_served(broker: Broker) -> None:
    with pytest.raises(UnsupportedRequest, match=r"ib does not serve.*AAPL.*fallbacks"):
        broker().corporate_actions("AAPL", WHOLE)


def test_volumes_in_lots_are_refused_with_the_switch_to_turn(broker: Broker, shelf: History) -> None:
    shelf.volume_in_lots = True
    shelf.listings["OTHR"] = Listing({"1d": [_bar_with(volume=1_234_567.0)]})
    with pytest.raises(MalformedAnswer, match="Send market data in lots"):
        broker().bars("OTHR", "1d", ONE)


def _bar_with(*, volume: float) -> Traded:
    return Traded(datetime(2014, 6, 5, 9, 30), 10.0, 11.0, 9.0, 10.5, volume)  # noqa: DTZ001 - New York local time


FAULTS: Mapping[str, tuple[history.Fault, type[DeskError], str]] = {
    "pacing violation": (history.pacing, ProviderUnavailable, "limits the rate"),
    "no permission": (
        history.with_error(162, f"{history.SERVICE}No market data permissions for NYSE STK"),
        UnsupportedRequest,
        "does not serve",
    ),
    "cancelled": (history.with_error(162, "API historical data query cancelled"), ProviderUnavailable, "cancelled"),
    "unknown contract": (history.with_error(200, "No security definition"), UnknownSymbol, "does not know"),
    "invalid request": (history.with_error(321, "Invalid step"), UnsupportedRequest, "Invalid step"),
    "not subscribed": (history.with_error(354, "Not subscribed"), UnsupportedRequest, "subscribe to the data"),
    "needs a subscription": (history.with_error(10089, "additional subscription"), UnsupportedRequest, "subscribe"),
    "competing login": (history.with_error(10197, "No market data during competing"), ProviderUnavailable, "10197"),
    "not connected": (history.with_error(504, "Not connected"), ProviderUnavailable, "lost its link"),
    "link lost": (history.link_lost, ProviderUnavailable, "1100"),
    "a code that nobody knows": (history.with_error(99_999, "New"), ProviderUnavailable, "99999: New"),
    "cut in mid answer": (history.cut_in_mid_answer, ProviderUnavailable, "lost the connection"),
    "a bar twice": (history.rows(history.day(ONE.first), count=2), MalformedAnswer, "twice"),
    "minutes for a day": (history.rows(1_401_975_000), MalformedAnswer, "another length"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_in_the_words_of_the_port(broker: Broker, shelf: History, fault: str) -> None:
    shelf.fault, kind, words = FAULTS[fault]
    with pytest.raises(kind, match=words) as caught:
        broker().bars("AAPL", "1d", ONE)
    assert type(caught.value) is kind
    assert str(caught.value).startswith("ib ")
    assert "AAPL" in str(caught.value)
    assert "2014-06-05" in str(caught.value)


@pytest.mark.parametrize("fault", [history.silence, history.garbage, history.endless_frame])
def test_no_answer_that_can_be_read_is_given_up_and_the_next_question_heals(
    broker: Broker, shelf: History, gateway: LoopbackGateway, fault: history.Fault
) -> None:
    provider = broker(timeout_s=0.3)
    shelf.fault = fault
    with pytest.raises(ProviderUnavailable, match=r"AAPL.*0\.3 s"):
        provider.bars("AAPL", "1d", ONE)
    shelf.fault = None
    assert delivered(provider.bars("AAPL", "1d", ONE)) == traded(APPLE, "1d", ONE)
    assert gateway.connections == 2


def test_a_passing_fault_is_asked_again_after_a_pause(broker: Broker, shelf: History) -> None:
    pauses: list[float] = []

    def recover(seconds: float) -> None:
        pauses.append(seconds)
        shelf.fault = None

    shelf.fault = history.pacing
    assert broker(attempts=3, sleep=recover).bars("AAPL", "1d", ONE).height == 1
    assert pauses == [Patience(pause_s=1.0).pause_after(1, "AAPL")]


def test_a_lasting_fault_ends_after_the_last_attempt(broker: Broker, shelf: History) -> None:
    pauses: list[float] = []
    shelf.fault = history.pacing
    with pytest.raises(ProviderUnavailable, match="limits the rate"):
        broker(attempts=3, sleep=pauses.append).bars("AAPL", "1d", ONE)
    assert len(pauses) == 2
    assert len(shelf.asked) == 3


def test_a_refusal_is_not_asked_again(broker: Broker, shelf: History) -> None:
    with pytest.raises(UnknownSymbol, match="ZZZQ"):
        broker(attempts=3).bars("ZZZQ", "1d", Span(LAST, LAST))
    assert len(shelf.asked) == 1


def test_a_dropped_connection_is_opened_again(broker: Broker, gateway: LoopbackGateway) -> None:
    provider = broker(attempts=2)
    provider.bars("AAPL", "1d", ONE)
    gateway.drop()
    assert provider.bars("AAPL", "1d", ONE).height == 1
    assert gateway.connections == 2


def test_nothing_listening_is_said_with_the_place_and_the_next_step(broker: Broker) -> None:
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:9.*start TWS or the Gateway"):
        broker(port=9).bars("AAPL", "1d", ONE)


def test_a_client_id_in_use_is_named(broker: Broker, gateway: LoopbackGateway) -> None:
    gateway.refusing = True
    with pytest.raises(ProviderUnavailable, match=r"client id 71 is in use.*market\.ib\.client_id"):
        broker().bars("AAPL", "1d", ONE)


def test_a_server_that_says_nothing_is_given_up(broker: Broker, gateway: LoopbackGateway) -> None:
    gateway.mute = True
    with pytest.raises(ProviderUnavailable, match="not connected"):
        broker(connect_timeout_s=0.3).bars("AAPL", "1d", ONE)


def test_several_symbols_are_fetched_over_one_connection(broker: Broker, gateway: LoopbackGateway) -> None:
    collected = collect_bars(broker(), ["OTHR", "AAPL"], "1d", WHOLE)
    assert collected.frame["symbol"].unique().sort().to_list() == ["AAPL", "OTHR"]
    assert gateway.connections == 1


def test_the_connection_is_for_reading_and_asks_for_no_order(broker: Broker, gateway: LoopbackGateway) -> None:
    broker().bars("AAPL", "1d", ONE)
    assert {fields[0] for fields in gateway.received} == {"71", "61", "20"}


def test_without_its_last_user_a_connection_ends(gateway: LoopbackGateway, splits: MarketData) -> None:
    provider = InteractiveBrokersMarketData(
        InteractiveBrokersData(port=gateway.port), as_of=AS_OF, splits=splits, pacing=Pacing()
    )
    provider.bars("AAPL", "1d", ONE)
    assert _threads() == 1
    del provider
    gc.collect()
    assert _threads() == 0


def _threads() -> int:
    return sum(thread.name == "interactive-brokers" for thread in threading.enumerate())


def test_a_closed_provider_can_be_asked_again(broker: Broker) -> None:
    provider = broker()
    before = provider.bars("AAPL", "1d", ONE)
    provider.close()
    provider.close()
    assert provider.bars("AAPL", "1d", ONE).equals(before)


def test_real_minutes_of_spy_survive_the_way_through_the_gateway(broker: Broker, shelf: History) -> None:
    """Six sessions of 2013 as traded."""
    path = SHARED / "lean" / "minute" / "spy_1min_trade.csv"
    if not path.exists():
        pytest.skip("the Lean data are test data that are not part of the project")
    raw = pl.read_csv(path, try_parse_dates=True).filter(pl.col("time_et_bar_start").dt.year() == 2013)
    bars = [Traded(start, *map(float, values)) for start, *values in raw.rows()]
    shelf.listings["SPY"] = Listing({"1m": bars})
    span = Span(date(2013, 10, 4), date(2013, 10, 11))
    provider = broker(datetime(2013, 10, 11, 21, 0, tzinfo=UTC), knows_splits=_no_splits())
    frame = provider.bars("SPY", "1m", span)
    local = pl.col("time_et_bar_start").dt.time()
    regular = raw.filter(local.is_between(pl.time(9, 30), pl.time(15, 59)))
    assert frame.height == regular.height == 6 * 390
    assert frame.select("open", "high", "low", "close").equals(regular.select("open", "high", "low", "close"))
    assert frame["start"][0] == datetime(2013, 10, 4, 13, 30, tzinfo=UTC)
    assert frame["knowable_at"][-1] - frame["start"][-1] == timedelta(minutes=1)


def _no_splits() -> MarketData:
    """A source of actions in whose world SPY is AAPL, which had no split in these years."""

    class Renamed(EmbeddedMarketData):
        def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
            assert symbol == "SPY"
            return super().corporate_actions("AAPL", span)

    return Renamed()
