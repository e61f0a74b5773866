"""From quotes to minute bars, labelled by their start, as the lake keeps them.

A bar is made of trades: the last price, or half way between the sides where the source tells no trades. A minute without a quote
has no bar. A bar is complete when a quote of a later minute arrives, or when it is asked for after its minute; what comes later is
too late.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trading_assets.broker.model import MinuteBar, Quote

MINUTE = timedelta(minutes=1)
JUMP_MAX = Decimal("1.5")
"""A price that departs by this factor from the one before it waits for a second one that agrees with it."""


@dataclass(slots=True)
class _Forming:
    """The bar of one symbol's minute, with the cumulative volume that it began and stands at."""

    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume_before: int
    volume: int

    def take(self, price: Decimal) -> None:
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price

    def bar(self, symbol: str) -> MinuteBar:
        traded = max(0, self.volume - self.volume_before)
        return MinuteBar(symbol, self.start, self.open, self.high, self.low, self.close, traded)


@dataclass(slots=True)
class _Tape:
    """What one symbol said last."""

    quote: Quote
    price: Decimal | None = None
    doubtful: Decimal | None = None
    volume: int | None = None
    tells_trades: bool = False
    closed_until: datetime | None = None
    forming: _Forming | None = None


class Bars:
    """Minute bars of all symbols as they form. `add` and `close` return the bars that became complete, each once."""

    def __init__(self) -> None:
        self._tapes: dict[str, _Tape] = {}

    def add(self, quote: Quote) -> tuple[MinuteBar, ...]:
        """Takes a quote. One that is not live, of a halted symbol, older than the last one or the same changes nothing."""
        if quote.kind != "live" or quote.halted:
            return ()
        tape = self._tapes.get(quote.symbol)
        if tape is None:
            tape = self._tapes[quote.symbol] = _Tape(quote)
        elif quote.at < tape.quote.at or quote == tape.quote:
            return ()
        tape.quote = quote
        minute = quote.at.astimezone(UTC).replace(second=0, microsecond=0)
        completed = _completed(tape, quote.symbol, minute)
        price = _sound_price(tape, quote)
        if price is not None and (tape.closed_until is None or minute >= tape.closed_until):
            _take(tape, minute, price, quote.volume)
        return completed

    def close(self, now: datetime) -> tuple[MinuteBar, ...]:
        """Bars whose minute is over, by symbol."""
        minute = now.astimezone(UTC).replace(second=0, microsecond=0)
        return tuple(bar for symbol in sorted(self._tapes) for bar in _completed(self._tapes[symbol], symbol, minute))


def _completed(tape: _Tape, symbol: str, minute: datetime) -> tuple[MinuteBar, ...]:
    forming = tape.forming
    if forming is None or forming.start >= minute:
        return ()
    tape.forming, tape.volume, tape.closed_until = None, forming.volume, forming.start + MINUTE
    return (forming.bar(symbol),)


def _take(tape: _Tape, minute: datetime, price: Decimal, cumulative: int | None) -> None:
    if tape.forming is None:
        before = _volume_before(tape, cumulative)
        tape.forming = _Forming(minute, price, price, price, price, before, before)
    tape.forming.take(price)
    if cumulative is not None:
        tape.forming.volume = max(tape.forming.volume, cumulative)


def _volume_before(tape: _Tape, cumulative: int | None) -> int:
    """What had traded before the minute: nothing is known of the time before the first quote, and a new session counts from 0."""
    if tape.volume is None:
        return cumulative or 0
    return 0 if cumulative is not None and cumulative < tape.volume else tape.volume


def _sound_price(tape: _Tape, quote: Quote) -> Decimal | None:
    price = _price(tape, quote)
    if price is None:
        return None
    known = tape.price if tape.doubtful is None else tape.doubtful
    is_doubtful = tape.price is not None and not _agree(price, tape.price)
    if is_doubtful and (tape.doubtful is None or known is None or not _agree(price, known)):
        tape.doubtful = price
        return None
    tape.price, tape.doubtful = price, None
    return price


def _price(tape: _Tape, quote: Quote) -> Decimal | None:
    if quote.last is not None and quote.last.is_finite() and quote.last > 0:
        tape.tells_trades = True
        return quote.last
    sides = (quote.bid, quote.ask)
    if tape.tells_trades or any(side is not None and not side.is_finite() for side in sides):
        return None
    return quote.mid


def _agree(one: Decimal, other: Decimal) -> bool:
    return max(one, other) < JUMP_MAX * min(one, other)
