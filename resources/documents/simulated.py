"""The news of the simulated market, with the times at which its wire sends them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from trading_assets.core.errors import DeskError
from trading_assets.market.documents.ports import Delivers, Delivery, NewsDraft, Published, UnknownSubject, Window

NAME: Final = "simulated"


class SimulatedNews:
    """Headlines of one simulated market; a name outside its cast has none.

    Args:
        seed: Which market.
    """

    def __init__(self, *, seed: int) -> None:
        self._seed = seed

    @property
    def name(self) -> str:
        """`simulated`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """The whole life of the market exists before the desk asks."""
        return "archive"

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:
        """Items of the window's sessions that the wire had sent by `as_of`."""
        from resources.market_data.simulated import SimulatedMarketData
        from trading_assets.market.ports import UnknownSymbol

        market = SimulatedMarketData(seed=self._seed)
        items: list[NewsDraft] = []
        problems: list[DeskError] = []
        for symbol in symbols:
            try:
                rows = market.news([symbol], window.span).iter_rows(named=True)
            except UnknownSymbol as unknown:
                problems.append(UnknownSubject(f"{NAME}: {unknown.what}", value=symbol))
                continue
            items.extend(_draft(row) for row in rows if row["knowable_at"] <= window.as_of)
        return Delivery(items, problems)


def _draft(row: dict[str, object]) -> NewsDraft:
    published, knowable = row["published_at"], row["knowable_at"]
    if not isinstance(published, datetime) or not isinstance(knowable, datetime):
        raise TypeError(f"the simulated market's news has no times: {row}")
    return NewsDraft(
        symbol=str(row["symbol"]),
        headline=str(row["headline"]),
        summary=str(row["summary"]),
        publisher=str(row["publisher"]),
        url=str(row["url"]),
        published=Published(published, knowable_at=knowable),
    )
