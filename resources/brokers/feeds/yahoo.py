"""Last prices of Yahoo as quotes: one request for each symbol and round, over the same wire as its bars.

Yahoo tells the last trade and its time, and no bid or ask: the spread is a setting, the sizes are unknown. A price counts as `live`
while its exchange time is fresh, and as `delayed` otherwise; what Yahoo does not answer is not told.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import polars as pl

from resources.brokers.feeds import Teller
from resources.brokers.feeds.tape import Shown
from resources.market_data.yahoo_wire import NAME, Patience, YahooWire
from trading_assets.broker.model import Quote
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError, TransientFailure
from trading_assets.core.money import to_tick
from trading_assets.core.ports import Clock
from trading_assets.market.ports import EmptyAnswer, UnknownSymbol

FRESH: Final = timedelta(seconds=15)
_ONCE: Final = Patience(attempts=1, timeout_s=5.0)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The newest trade that Yahoo tells: USD, and the shares traded in its session."""

    symbol: str
    at: datetime
    price: Decimal
    volume: int


@dataclass(frozen=True)
class _Wire(YahooWire):
    """Keeps what came with the bars of each symbol: the exchange's time of the last trade."""

    told: dict[str, Any] = field(default_factory=dict)

    def _ticker(self, symbol: str) -> Any:
        self.told[symbol] = super()._ticker(symbol)
        return self.told[symbol]


def last_trades(cache: Path, session: Any = None) -> Callable[[str, datetime], LastTrade]:
    """A function that asks Yahoo for the newest trade of a symbol on the day of an instant.

    Its failures are those of Yahoo's bars: ProviderUnavailable, UnknownSymbol, EmptyAnswer where nothing traded on the day.
    """
    cache.mkdir(parents=True, exist_ok=True)
    wire = _Wire(cache, lambda _: None, _ONCE, session)

    def asked(symbol: str, now: datetime) -> LastTrade:
        day = now.astimezone(NEW_YORK).date()
        minutes = wire.history(symbol, "1m", day, day + _DAY).filter(pl.col("close") > 0).sort("at")
        if minutes.is_empty():
            raise EmptyAnswer(f"{NAME} has no trade of {symbol} on {day}")
        last = minutes.row(-1, named=True)
        at = _exchange_time(wire.told[symbol], last["at"])
        return LastTrade(symbol, min(at, now), to_tick(last["close"]), int(minutes["volume"].sum()))

    return asked


def _exchange_time(ticker: Any, minute: datetime) -> datetime:
    """When the last trade was; the start of its minute where Yahoo does not say, or says something else than that minute."""
    said = ticker.history_metadata.get("regularMarketTime")
    at = said.to_pydatetime().astimezone(minute.tzinfo) if hasattr(said, "to_pydatetime") else minute
    return at if minute <= at < minute + timedelta(minutes=1) else minute


class YahooFeed:
    """Asks for the last trade of every watched symbol, round after round.

    Args:
        cache: Folder where yfinance keeps its files.
        clock: The desk's clock.
        spread_bp: Between bid and ask.
        poll_s: Seconds between rounds.
        session: A curl_cffi session, or None for the one that yfinance makes.
    """

    def __init__(self, cache: Path, clock: Clock, *, spread_bp: float, poll_s: float, session: Any = None) -> None:
        self._ask = last_trades(cache, session)
        self._clock, self._poll_s = clock, poll_s
        self._shown = Shown(spread_bp, volume_share=0.0)
        self._watched: set[str] = set()

    @property
    def name(self) -> str:
        """`yfinance`."""
        return NAME

    async def open(self) -> None:
        """It is always open: what Yahoo says is known when it is asked."""

    async def knows(self, symbol: str) -> bool:
        """Whether Yahoo knows the symbol; TransientFailure when Yahoo does not answer."""
        try:
            await asyncio.to_thread(self._ask, symbol, self._clock.now())
        except UnknownSymbol:
            return False
        except EmptyAnswer:
            return True
        return True

    def watch(self, symbols: Sequence[str]) -> None:
        """Asks for these symbols too, from the next round on."""
        self._watched |= set(symbols)

    async def run(self, tell: Teller) -> None:
        """Asks until it is cancelled. TransientFailure when a round brought nothing at all."""
        while True:
            told, failures = [], []
            for symbol in sorted(self._watched):
                try:
                    trade = await asyncio.to_thread(self._ask, symbol, self._clock.now())
                except DeskError as failed:
                    failures.append(failed)
                else:
                    told.append(self._quote(trade))
            if failures and not told:
                raise TransientFailure(f"{NAME} tells no price of {len(failures)} symbols: {failures[0]}")
            if told:
                tell(told)
            await asyncio.sleep(self._poll_s)

    def _quote(self, trade: LastTrade) -> Quote:
        shown = self._shown.quote(trade.symbol, trade.at, trade.price, size=None, volume=trade.volume)
        fresh = shown.age(self._clock.now()) <= FRESH
        return shown if fresh else replace(shown, kind="delayed")
