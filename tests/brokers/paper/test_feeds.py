"""Quotes from bars: nothing before its time, nothing inside a bar passed over, and the paper broker trading on them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.brokers.feeds import QuoteFeed
from resources.brokers.feeds.bars import LakeBars, SimulatedBars
from resources.brokers.feeds.chosen import feed_of
from resources.brokers.feeds.replay import ReplayFeed
from resources.brokers.feeds.tape import Moment, Shown, TapeBar, covers, moments, standing
from resources.clock import FixedClock, RealClock, ReplayedClock
from resources.lake import ParquetLake
from tests.brokers.paper.manual import ManualFeed
from tests.brokers.paper.processes import legs, opened
from tests.brokers.paper.stage import COSTS, truth_of
from trading_assets.broker.model import BrokerEvent, Executed, Noticed, Quote
from trading_assets.broker.settings import PaperFeed
from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DataNotReady, TransientFailure
from trading_assets.core.ports import Clock, Span
from trading_assets.market.model import INTRADAY_BARS

SESSION = XNYS.session(date(2024, 3, 25))
MINUTE = timedelta(minutes=1)
SHOWN = Shown(spread_bp=2.0, volume_share=0.05)
cents = st.integers(1_000, 2_000)


@st.composite
def tapes(draw: st.DrawFn) -> tuple[TapeBar, ...]:
    """A few minute bars from the session's open, without gaps in time."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        prices = sorted(draw(cents) for _ in range(4))
        opened_at, closed_at = draw(st.permutations(prices[1:3]))
        made.append(bar(number, opened_at, prices[3], prices[0], closed_at, draw(st.integers(0, 100_000))))
    return tuple(made)


def bar(
    minute: int, opened_at: int, high: int, low: int, closed_at: int, volume: int = 10_000, symbol: str = "AAPL"
) -> TapeBar:
    """One minute; prices in cents."""
    start = SESSION.open + minute * MINUTE
    prices = (Decimal(price) / 100 for price in (opened_at, high, low, closed_at))
    first, highest, lowest, last = prices
    return TapeBar(symbol, start, start + MINUTE, first, highest, lowest, last, volume)


def told_until(tape: Sequence[Moment], now: datetime) -> list[Quote]:
    return [quote for moment in tape if moment.at <= now for quote in moment.quotes]


# The tape of bars


@settings(max_examples=25, deadline=None)
@given(tapes())
def test_no_price_of_a_bar_but_its_open_is_told_before_the_bar_has_ended(bars: tuple[TapeBar, ...]) -> None:
    tape = list(moments(bars, SHOWN, volume_before=None))
    for one in bars:
        before = told_until(tape, one.end - timedelta(microseconds=1))
        known = {b.open for b in bars if b.start < one.end}
        ended = [b for b in bars if b.end < one.end]
        assert {q.last for q in before if q.at >= one.start} <= known
        assert sum(b.volume for b in ended) == (before[-1].volume if before else 0)


@settings(max_examples=25, deadline=None)
@given(tapes())
def test_every_price_of_a_bar_is_told_with_a_time_inside_the_bar(bars: tuple[TapeBar, ...]) -> None:
    told = told_until(list(moments(bars, SHOWN, volume_before=None)), SESSION.close)
    for one in bars:
        inside = [quote.last for quote in told if one.start <= quote.at < one.end]
        assert (inside[0], inside[-1]) == (one.open, one.close)
        assert (max(p for p in inside if p), min(p for p in inside if p)) == (one.high, one.low)


@settings(max_examples=25, deadline=None)
@given(tapes())
def test_a_tape_goes_forward_and_every_quote_is_sound(bars: tuple[TapeBar, ...]) -> None:
    told = told_until(list(moments(bars, SHOWN, volume_before=500)), SESSION.close)
    assert [q.at for q in told] == sorted({q.at for q in told})
    assert all(quote.is_sound and quote.bid_size and quote.ask_size for quote in told)
    assert all(quote.bid and quote.ask and quote.last and quote.bid <= quote.last <= quote.ask for quote in told)


@pytest.mark.parametrize(("closed_at", "first"), [(1_010, "9.00"), (990, "11.00")])
def test_a_rising_bar_goes_to_its_low_first_and_a_falling_one_to_its_high(closed_at: int, first: str) -> None:
    told = told_until(list(moments([bar(0, 1_000, 1_100, 900, closed_at)], SHOWN, volume_before=None)), SESSION.close)
    extremes = [quote.last for quote in told if quote.last in {Decimal("9.00"), Decimal("11.00")}]
    assert extremes[0] == Decimal(first)


def test_the_size_at_an_open_is_a_share_of_what_was_known_then() -> None:
    tape = list(
        moments(
            [bar(0, 1_000, 1_000, 1_000, 1_000, 40_000), bar(1, 1_000, 1_000, 1_000, 1_000, 9)],
            SHOWN,
            volume_before=2_000,
        )
    )
    opens = [moment.quotes[0].ask_size for moment in tape[::2]]
    assert opens == [100, 2_000]
    path = [quote.ask_size or 0 for quote in tape[1].quotes]
    assert sum(path) <= 2_000


def test_a_standing_quote_is_never_told_with_the_time_of_what_comes_next() -> None:
    quote = SHOWN.quote("AAPL", SESSION.open, Decimal(10), size=None, volume=0)
    due = SESSION.open + MINUTE
    assert standing(quote, SESSION.open + timedelta(seconds=5), due).at == SESSION.open + timedelta(seconds=5)
    assert standing(quote, due, due).at < due - timedelta(microseconds=24)


def test_bars_that_begin_late_or_end_early_do_not_cover_a_session() -> None:
    whole = [bar(number, 1_000, 1_000, 1_000, 1_000) for number in range(390)]
    assert covers(whole, SESSION)
    assert not covers(whole[1:], SESSION)
    assert not covers(whole[:-1], SESSION)
    assert not covers([], SESSION)


# The lake


def stored(root: Path, *, minutes: int = 390, frequency: str = "1m", day: date = SESSION.day) -> ParquetLake:
    """A lake with bars of AAPL: each opens at 100.00, falls to 97.00 and closes at 99.00."""
    lake, session = ParquetLake(root), XNYS.session(day)
    length = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": 60 * MINUTE}[frequency]
    rows = [
        {
            "symbol": "AAPL",
            "session": day,
            "frequency": frequency,
            "start": session.open + number * length,
            "open": 100.0,
            "high": 100.0,
            "low": 97.0,
            "close": 99.0,
            "volume": 100_000.0,
            "source": "test",
            "knowable_at": min(session.open + (number + 1) * length, session.close),
        }
        for number in range(minutes)
    ]
    lake.write(INTRADAY_BARS, INTRADAY_BARS.frame(rows), Span(day, day))
    return lake


def test_the_finest_bars_that_cover_the_session_are_told(tmp_path: Path) -> None:
    assert len(LakeBars(stored(tmp_path / "m")).bars("AAPL", SESSION)) == 390
    hours = LakeBars(stored(tmp_path / "h", frequency="1h", minutes=7)).bars("AAPL", SESSION)
    assert (len(hours), hours[-1].end) == (7, SESSION.close)
    assert LakeBars(stored(tmp_path / "part", minutes=300)).bars("AAPL", SESSION) == ()


def test_the_volume_before_a_session_is_that_of_the_last_bar_of_the_same_length(tmp_path: Path) -> None:
    lake = stored(tmp_path)
    assert LakeBars(lake).volume_before("AAPL", SESSION) is None
    stored(tmp_path, day=XNYS.previous(SESSION.day).day)
    assert LakeBars(lake).volume_before("AAPL", SESSION) == 100_000


def test_a_lake_without_intraday_bars_is_refused_with_what_to_ingest(tmp_path: Path) -> None:
    feed = ReplayFeed(LakeBars(ParquetLake(tmp_path)), FixedClock(SESSION.open), spread_bp=2.0, volume_share=0.05)
    with pytest.raises(
        DataNotReady, match=r"no intraday bars of 2024-03-25.*desk ingest --frequency 1m --from 2024-03-25"
    ):
        asyncio.run(feed.open())


async def heard(
    feed: QuoteFeed, enough: Callable[[list[Quote]], bool], symbols: Sequence[str] = ("AAPL",)
) -> list[Quote]:
    """What a feed tells until that is enough."""
    told: list[Quote] = []
    feed.watch(symbols)
    running = asyncio.create_task(feed.run(told.extend))
    try:
        async with asyncio.timeout(10):
            while not enough(told):
                await asyncio.sleep(0.005)
    finally:
        running.cancel()
    return told


def replayed(start: datetime, speed: float) -> Clock:
    return ReplayedClock(start, speed, RealClock().now())


def test_the_clock_passes_the_bars_and_what_stands_is_told_again(tmp_path: Path) -> None:
    bars = LakeBars(stored(tmp_path))
    feed = ReplayFeed(bars, replayed(SESSION.open - MINUTE, 120), spread_bp=2.0, volume_share=0.05)

    def two_lows(told: list[Quote]) -> bool:
        return len([quote for quote in told if quote.last == Decimal("97.00")]) >= 2

    told = asyncio.run(heard(feed, two_lows))
    assert [quote.at for quote in told] == sorted(quote.at for quote in told)
    assert [q.at.second for q in told if q.last == Decimal("97.00")] == [59, 59]
    again = [quote.at for quote in told if quote.last == Decimal("100.00")]
    assert len(again) == len(set(again)) > 4
    assert all(SESSION.open <= at < SESSION.close for at in again)


def test_who_joins_in_the_middle_hears_what_stands_and_nothing_that_has_passed(tmp_path: Path) -> None:
    clock = FixedClock(SESSION.open + 10 * MINUTE + timedelta(seconds=7))
    feed = ReplayFeed(LakeBars(stored(tmp_path)), clock, spread_bp=2.0, volume_share=0.05)
    told = asyncio.run(heard(feed, bool))
    assert {(quote.at, quote.last, quote.volume) for quote in told} == {(clock.instant, Decimal(100), 1_000_000)}


def test_a_stop_inside_a_bar_of_the_lake_trades_inside_the_bars_time(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"

    async def played() -> list[Executed]:
        clock = replayed(SESSION.open, 120)
        feed = ReplayFeed(LakeBars(stored(tmp_path / "lake")), clock, spread_bp=2.0, volume_share=0.05)
        broker = opened(path, 11, feed=feed, clock=clock)  # type: ignore[arg-type]
        said: list[BrokerEvent] = []
        broker.listen(said.append)
        await broker.connect()
        (contract,) = await broker.resolve("AAPL")
        assert await broker.resolve("NONE") == ()
        broker.watch([contract])
        broker.place(legs(contract, 1, 100, entry="101.00"))
        async with asyncio.timeout(10):
            while len([event for event in said if isinstance(event, Executed)]) < 2:
                await asyncio.sleep(0.005)
        await broker.close()
        return [event for event in said if isinstance(event, Executed)]

    bought, sold = asyncio.run(played())
    assert (bought.execution.side, sold.execution.side) == ("buy", "sell")
    assert sold.execution.at.second == 59
    assert Decimal("97.40") <= sold.execution.price <= Decimal("98.00")
    assert truth_of(path).positions == {}


# The simulated market, and one by hand


def test_the_simulated_market_has_quotes_in_every_session() -> None:
    market = SimulatedBars(7)
    assert market.problem(SESSION) is None
    found = market.bars("SIM000", SESSION)
    assert covers(found, SESSION)
    assert market.volume_before("SIM000", SESSION) == market.bars("SIM000", XNYS.previous(SESSION.day))[-1].volume
    assert (market.knows("SIM000", SESSION), market.knows("AAPL", SESSION)) == (True, False)


def test_settings_choose_the_feed(tmp_path: Path) -> None:
    names = []
    for quotes in ("lake", "simulated", "yfinance"):
        feed = feed_of(
            PaperFeed.model_validate({"quotes": quotes}),
            clock=FixedClock(SESSION.open),
            lake=ParquetLake(tmp_path),
            simulated_seed=7,
            cache=tmp_path / "cache",
            volume_share=float(COSTS.volume_share_max),
        )
        names.append(feed.name)
    assert names == ["lake", "simulated", "yfinance"]


class Failing(ManualFeed):
    """A provider that is down for the first round, and then is not."""

    rounds = 0

    async def run(self, tell: Callable[[Sequence[Quote]], None]) -> None:
        self.rounds += 1
        if self.rounds == 1:
            raise TransientFailure("the provider is down")
        await super().run(tell)


@pytest.mark.fault(88)
def test_a_feed_that_fails_is_told_once_and_again_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.brokers.paper.broker.FEED_AGAIN_S", 0.01)

    async def played() -> list[tuple[int, str]]:
        feed, said = Failing(), list[BrokerEvent]()
        broker = opened(tmp_path / "paper.db", 11, feed=feed)
        broker.listen(said.append)
        await broker.connect()
        async with asyncio.timeout(5):
            while feed.rounds < 2:
                await asyncio.sleep(0.005)
        feed.push(Quote("AAPL", datetime(2024, 3, 25, 14, tzinfo=UTC), last=Decimal(1)))
        await asyncio.sleep(0.02)
        await broker.close()
        return [(event.code, event.reaction) for event in said if isinstance(event, Noticed)]

    assert asyncio.run(played()) == [(2103, "data_lost"), (2104, "data_back")]
