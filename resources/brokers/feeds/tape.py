"""Quotes made from bars, so that nothing is told before its time and nothing inside a bar is passed over. Pure.

A bar opens at its start: the quote of its open stands until its end, told again and again with the moment of telling. What
happened inside a bar is known when it has ended, and not before: then the bar's path is told at once, with times just before its
end, so that a stop inside the bar trades inside the bar's time. A rising bar went to its low first, a falling one to its high; the
way from one of the four prices to the next is told in eight steps, for prices do not jump inside a bar.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from trading_assets.broker.model import Quote
from trading_assets.core.calendar import Session
from trading_assets.core.money import TICK_USD, to_tick

STEPS: Final = 8
_US: Final = timedelta(microseconds=1)
_BP: Final = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class TapeBar:
    """One intraday bar: exact prices, USD as traded, and whole shares."""

    symbol: str
    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int


@dataclass(frozen=True, slots=True)
class Shown:
    """How a market is made around a price: the spread, and the share of the volume that is shown on each side."""

    spread_bp: float
    volume_share: float

    def quote(self, symbol: str, at: datetime, price: Decimal, *, size: int | None, volume: int) -> Quote:
        """The last price between a bid and an ask on the tick, at least one tick apart and never below one tick."""
        half = price * Decimal(str(self.spread_bp)) / _BP / 2
        bid = max(TICK_USD, _to(price - half, ROUND_FLOOR))
        ask = max(bid + TICK_USD, _to(price + half, ROUND_CEILING))
        return Quote(symbol, at, bid, ask, to_tick(price), size, size, volume)

    def size(self, volume: int) -> int:
        """Shares shown for a volume, at least 1."""
        return max(1, int(Decimal(str(self.volume_share)) * volume))


@dataclass(frozen=True, slots=True)
class Moment:
    """Quotes that are told at an instant. `stands`: the last of them is told again until the next moment of the symbol."""

    at: datetime
    quotes: tuple[Quote, ...]


def moments(bars: Sequence[TapeBar], shown: Shown, *, volume_before: int | None) -> Iterator[Moment]:
    """The tape of one symbol in one session, in order of time.

    Args:
        bars: Of one symbol and one session, ascending.
        shown: Spread and sizes.
        volume_before: Shares of the last bar before the session; None where there was none: then no size is known at the open.
    """
    volume, last = 0, volume_before
    for bar in bars:
        size = None if last is None else shown.size(last)
        yield Moment(bar.start, (shown.quote(bar.symbol, bar.start, bar.open, size=size, volume=volume),))
        volume, last = volume + bar.volume, bar.volume
        yield Moment(bar.end, tuple(_path(bar, shown, volume)))


def _path(bar: TapeBar, shown: Shown, volume: int) -> Iterator[Quote]:
    prices = tuple(_walked(bar))
    size = shown.size(bar.volume // len(prices))
    for place, price in enumerate(prices):
        at = bar.end - (len(prices) - place) * _US
        yield shown.quote(bar.symbol, at, price, size=size, volume=volume)


def _walked(bar: TapeBar) -> Iterator[Decimal]:
    """The prices after the open, in steps: to the extreme that lies behind the bar's direction, to the other one, to the close."""
    first, second = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    here = bar.open
    for there in (first, second, bar.close):
        for step in range(1, STEPS + 1):
            yield here + (there - here) * step / STEPS
        here = there


def standing(quote: Quote, now: datetime, next_at: datetime | None) -> Quote:
    """A quote told again, as of now, but never at or after what the next moment tells."""
    at = now if next_at is None else min(now, next_at - timedelta(milliseconds=1))
    said = (quote.bid, quote.ask, quote.last, quote.bid_size, quote.ask_size, quote.volume)
    return Quote(quote.symbol, max(at, quote.at), *said)


def covers(bars: Sequence[TapeBar], session: Session) -> bool:
    """Whether bars reach from the session's open to its close: a series that does not leaves stops unwatched."""
    return bool(bars) and bars[0].start == session.open and bars[-1].end >= session.close


def _to(price: Decimal, rounding: str) -> Decimal:
    return (price / TICK_USD).to_integral_value(rounding) * TICK_USD
