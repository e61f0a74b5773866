"""The port through which bars and corporate actions enter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from trading_assets.core.errors import DataNotReady, PermanentFailure, TransientFailure
from trading_assets.core.ports import Span
from trading_assets.market.model import Frequency

if TYPE_CHECKING:
    import polars as pl


class UnknownSymbol(PermanentFailure):
    """The provider does not know the symbol at all."""


class MalformedAnswer(PermanentFailure):
    """The provider's file or answer cannot be understood as bars."""


class UnsupportedRequest(PermanentFailure):
    """The provider never has this: a frequency it lacks, or a history longer than it keeps."""


class EmptyAnswer(DataNotReady):
    """The provider knows the symbol but has no bar in the span."""


class ProviderUnavailable(TransientFailure):
    """The provider did not answer, limited the rate, or answered nonsense in passing."""


class MarketData(Protocol):
    """A source of bars as traded. Members never fill, repair or adjust: what they return is what was traded."""

    @property
    def name(self) -> str:
        """The word in settings and in the `source` column."""
        ...

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """Rows of DAILY_BARS (1d) or INTRADAY_BARS (else) of one symbol, sessions of the span only.

        Raises:
            UnknownSymbol, UnsupportedRequest, MalformedAnswer, EmptyAnswer, ProviderUnavailable: each names provider and symbol.
        """
        ...

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of CORPORATE_ACTIONS of one symbol with ex-dates in the span; empty when there were none."""
        ...


@runtime_checkable
class QuoteData(Protocol):
    """A source of quotes, which only some sources of bars are."""

    @property
    def name(self) -> str:
        """The word in settings and in the `source` column."""
        ...

    def quotes(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of QUOTE_BARS of one symbol, sessions of the span only.

        Raises:
            UnknownSymbol, MalformedAnswer, EmptyAnswer, ProviderUnavailable: each names provider and symbol.
        """
        ...
