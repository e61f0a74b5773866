"""The simulated market behind the port of the market room: intraday bars, quotes and news of 600 symbols with no network."""

from collections.abc import Sequence

import polars as pl

from simulation.market import SimulatedMarket
from simulation.market.model import NAME
from trading_assets.core.ports import Span
from trading_assets.market.model import Frequency


class SimulatedMarketData:
    """What `SimulatedMarket(seed)` has traded; its truth is not here.

    Args:
        seed: Which market: `simulated_seed` in settings.yaml.
    """

    def __init__(self, seed: int) -> None:
        self._market = SimulatedMarket(seed)

    @property
    def name(self) -> str:
        """`simulated`."""
        return NAME

    def symbols(self) -> tuple[str, ...]:
        """All symbols, sorted."""
        return tuple(one.symbol for one in self._market.cast())

    def life(self, symbol: str) -> Span:
        """First and last session of a symbol."""
        return self._market.instrument(symbol).life

    def bars(self, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
        """What the symbol traded in the span: daily, `1h`, `5m` or `1m`, as far back as it lives.

        Raises:
            UnknownSymbol: Not a member of the cast.
            UnsupportedRequest: Another bar length.
            EmptyAnswer: It did not trade in the span.
        """
        if frequency == "1d":
            return self._market.daily(symbol, span)
        return self._market.intraday(symbol, frequency, span)

    def corporate_actions(self, symbol: str, span: Span) -> pl.DataFrame:
        """Splits and cash dividends with ex-dates in the span; empty when there were none."""
        return self._market.corporate_actions(symbol, span)

    def quotes(self, symbol: str, span: Span) -> pl.DataFrame:
        """Rows of QUOTE_BARS, one per minute that traded; EmptyAnswer when there was none in the span."""
        return self._market.quotes(symbol, span)

    def news(self, symbols: Sequence[str], span: Span) -> pl.DataFrame:
        """Rows of NEWS about the symbols; empty when nothing was published."""
        return self._market.news(symbols, span)
