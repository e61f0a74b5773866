"""Several sources in one order: the first that can answer supplies the whole answer, and each row says who that was.

Passed on to the next source: it cannot be reached, it never has this, it does not know the symbol, it has nothing in the span.
Not passed on: an answer that cannot be understood, and every other failure. A broken file is to be mended, not to be
replaced by another source without a word.
"""

from collections.abc import Callable, Collection, Sequence

import polars as pl

from trading_assets.core.errors import ConfigurationError, DeskError
from trading_assets.core.ports import Span
from trading_assets.market.model import Frequency
from trading_assets.market.ports import EmptyAnswer, MarketData, ProviderUnavailable, UnknownSymbol, UnsupportedRequest

_PASSED_ON = (ProviderUnavailable, UnsupportedRequest, UnknownSymbol, EmptyAnswer)


class ChainedMarketData:
    """Sources asked in their order for each symbol and span; answers are never put together from two of them.

    A source that answers a part of the span has answered: the sessions that it lacks are for the gate to find.

    Args:
        sources: At least one source; each name stands once.
    """

    def __init__(self, sources: Sequence[MarketData]) -> None:
        names = [source.name for source in sources]
        if not names or len(set(names)) != len(names):
            raise ConfigurationError("a chain needs different sources", value=", ".join(names) or "none")
        self._sources = tuple(sources)

    @property
    def name(self) -> str:
        """The names in their order, for example `yfinance, then ib`; rows carry the name of their own source."""
        return ", then ".join(source.name for source in self._sources)

    def without(self, names: Collection[str]) -> "ChainedMarketData | None":
        """The chain of the other sources; None when none is left."""
        others = [source for source in self._sources if source.name not in names]
        return ChainedMarketData(others) if others else None

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """The answer of the first source that has one."""
        what = f"{frequency} bars of {symbol} from {span.first} to {span.last}"
        return self._first(what, lambda source: source.bars(symbol, frequency, span))

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """The answer of the first source that knows corporate actions, an empty one included."""
        what = f"corporate actions of {symbol} from {span.first} to {span.last}"
        return self._first(what, lambda source: source.corporate_actions(symbol, span))

    def _first(self, what: str, ask: Callable[[MarketData], pl.DataFrame]) -> pl.DataFrame:
        refusals: list[tuple[str, DeskError]] = []
        for source in self._sources:
            try:
                return ask(source)
            except _PASSED_ON as refusal:
                refusals.append((source.name, refusal))
        raise _together(what, refusals)


def _together(what: str, refusals: Sequence[tuple[str, DeskError]]) -> DeskError:
    """One error that names every source and its reason; it is transient when asking again may help, empty when one was empty."""
    reasons = "; ".join(f"{name}: {refusal}" for name, refusal in refusals)
    for kind in (ProviderUnavailable, EmptyAnswer):
        if any(isinstance(refusal, kind) for _, refusal in refusals):
            return kind(f"no source delivered {what}: {reasons}")
    if all(isinstance(refusal, UnknownSymbol) for _, refusal in refusals):
        return UnknownSymbol(f"no source delivered {what}: {reasons}")
    return UnsupportedRequest(f"no source delivered {what}: {reasons}")
