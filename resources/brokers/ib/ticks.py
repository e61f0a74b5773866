"""Ticks put together to quotes: one for each symbol and packet, so that a bid is never shown beside an ask of the packet before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal

from resources.brokers.ib.told import number, price
from trading_assets.broker.model import Quote, QuoteKind

Field = Literal["bid", "ask", "last", "bid_size", "ask_size", "volume"]
_PRICES: Final[Mapping[int, tuple[Field, Field | None]]] = MappingProxyType(
    {
        1: ("bid", "bid_size"),
        2: ("ask", "ask_size"),
        4: ("last", None),
        66: ("bid", "bid_size"),
        67: ("ask", "ask_size"),
        68: ("last", None),
    }
)
_SIZES: Final[Mapping[int, Field]] = MappingProxyType(
    {0: "bid_size", 3: "ask_size", 8: "volume", 69: "bid_size", 70: "ask_size", 74: "volume"}
)
_DELAYED: Final = frozenset(range(66, 77)) | {88}
_HALTED: Final = 49
_KINDS: Final[Mapping[int, QuoteKind]] = MappingProxyType({1: "live", 2: "frozen", 3: "delayed", 4: "delayed"})


@dataclass(slots=True)
class _Stream:
    """One watched contract."""

    symbol: str
    con_id: int
    quote: Quote | None = None
    kind: QuoteKind = "live"
    changed: bool = False


class Ticks:
    """The watched contracts of one connection, by the number of the request."""

    def __init__(self) -> None:
        self._streams: dict[int, _Stream] = {}
        self._doubtful = False

    def start(self, request: int, symbol: str, con_id: int) -> None:
        """A contract is watched from now on."""
        self._streams[request] = _Stream(symbol, con_id)

    def watching(self, con_id: int) -> bool:
        """Whether a contract is watched, and nothing casts doubt on the stream."""
        return any(stream.con_id == con_id for stream in self._streams.values())

    def symbol_of(self, request: int) -> str:
        """What a request is about; empty when it is none of these."""
        stream = self._streams.get(request)
        return stream.symbol if stream is not None else ""

    def doubt(self) -> None:
        """The link or a farm was gone: streams may have ended without a word, and must be asked for again."""
        self._doubtful = True

    def dropped_in_doubt(self) -> tuple[int, ...]:
        """Forgets every stream if there is doubt, and says which they were."""
        if not self._doubtful:
            return ()
        self._doubtful = False
        ended, self._streams = tuple(self._streams), {}
        return ended

    def end(self, request: int) -> None:
        """A stream was refused."""
        self._streams.pop(request, None)

    def on_kind(self, request: int, kind: int) -> None:
        """Live, frozen or delayed, from message 58; a kind that is not known is delayed."""
        stream = self._streams.get(request)
        if stream is not None:
            stream.kind = _KINDS.get(kind, "delayed")
            stream.changed = stream.quote is not None

    def on_price(self, request: int, tick: int, said: str, size: str, at: datetime) -> None:
        """A price and its size, from message 1."""
        names = _PRICES.get(tick)
        if names is not None:
            of_price, of_size = names
            self._set(request, tick, at, of_price, price(said))
            if of_size is not None and size:
                self._set(request, tick, at, of_size, _shares(size))

    def on_size(self, request: int, tick: int, said: str, at: datetime) -> None:
        """A size or the volume, from message 2."""
        if tick in _SIZES:
            self._set(request, tick, at, _SIZES[tick], _shares(said))

    def on_generic(self, request: int, tick: int, said: str, at: datetime) -> None:
        """Whether trading is halted, from message 45; what is not certainly trading is halted."""
        stream = self._streams.get(request)
        if stream is not None and tick == _HALTED:
            quote = stream.quote or Quote(stream.symbol, at)
            stream.quote, stream.changed = replace(quote, at=at, halted=number(said) != 0), True

    def news(self) -> Iterator[Quote]:
        """Quotes that have changed since they were last asked for."""
        for stream in list(self._streams.values()):
            if stream.changed and stream.quote is not None:
                stream.changed = False
                yield replace(stream.quote, kind=stream.kind)

    def _set(self, request: int, tick: int, at: datetime, name: Field, value: Decimal | int | None) -> None:
        stream = self._streams.get(request)
        if stream is None:
            return
        if tick in _DELAYED:
            stream.kind = "delayed"
        change: dict[str, Any] = {name: value}
        stream.quote = replace(stream.quote or Quote(stream.symbol, at), at=at, **change)
        stream.changed = True


def _shares(said: str) -> int | None:
    value = number(said)
    return int(value) if value is not None and value >= 1 else None
