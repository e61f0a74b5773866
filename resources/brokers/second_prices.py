"""Who must agree with the broker's quote: a price from a second source, or none where it is old or absent (control C26)."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from trading_assets.core.calendar import XNYS
from trading_assets.core.money import to_tick
from trading_assets.core.ports import Lake

INTERVALS: Final = 2
"""A stored bar counts until so many of its lengths after its end."""
AGE_MAX: Final = timedelta(seconds=90)
"""How old a trade may be that Yahoo tells."""
_FINEST_FIRST: Final[Mapping[str, timedelta]] = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
}


class SecondPrices(Protocol):
    """A second source of prices."""

    async def price(self, symbol: str, as_of: datetime) -> Decimal | None:
        """USD as traded, to the cent; None where the source has none, or only an old one."""
        ...


class LakeSecondPrices:
    """The close of the newest bar that the lake holds of a symbol, the finest length that is new enough.

    Where the paper broker replays the same lake, this is no second source: it proves the control, not the price.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    async def price(self, symbol: str, as_of: datetime) -> Decimal | None:
        """See the port."""
        return await asyncio.to_thread(self._newest, symbol, as_of)

    def _newest(self, symbol: str, as_of: datetime) -> Decimal | None:
        from trading_assets.market.model import INTRADAY_BARS

        session = XNYS.today(as_of)
        if session is None or as_of < session.open:
            return None
        rows = self._lake.read(INTRADAY_BARS, as_of=as_of, first=session.day, last=session.day, symbols=[symbol])
        for frequency, length in _FINEST_FIRST.items():
            newest = [row for row in rows.rows(named=True) if row["frequency"] == frequency][-1:]
            for row in newest:
                if as_of - min(row["start"] + length, session.close) <= INTERVALS * length:
                    return to_tick(row["close"])
        return None


class YahooSecondPrices:
    """The last trade that Yahoo tells.

    Args:
        cache: Folder where yfinance keeps its files.
        session: A curl_cffi session, or None for the one that yfinance makes.
    """

    def __init__(self, cache: Path, session: Any = None) -> None:
        self._cache, self._session = cache, session

    async def price(self, symbol: str, as_of: datetime) -> Decimal | None:
        """See the port. Yahoo has no past: a moment that is not the present has no price."""
        return await asyncio.to_thread(self._last, symbol, as_of)

    def _last(self, symbol: str, as_of: datetime) -> Decimal | None:
        from resources.brokers.feeds.yahoo import last_trades
        from trading_assets.core.errors import DeskError

        try:
            trade = last_trades(self._cache, self._session)(symbol, as_of)
        except DeskError:
            return None
        return trade.price if timedelta(0) <= as_of - trade.at <= AGE_MAX else None
