"""Where a paper broker's quotes come from. The members stand in modules of their own, for some need heavy libraries."""

from collections.abc import Callable, Sequence
from typing import Protocol

from trading_assets.broker.model import Quote

Teller = Callable[[Sequence[Quote]], None]


class QuoteFeed(Protocol):
    """Quotes of symbols, told in a process's event loop in order of time, symbol by symbol."""

    @property
    def name(self) -> str:
        """`lake`, `simulated`, `yfinance` or `manual`."""
        ...

    async def open(self) -> None:
        """Refuses with DataNotReady or another DeskError what can never tell a quote, and names what to do."""
        ...

    async def knows(self, symbol: str) -> bool:
        """Whether it has quotes of a symbol."""
        ...

    def watch(self, symbols: Sequence[str]) -> None:
        """Tells these symbols too from now on; those that it does not know stay silent."""
        ...

    async def run(self, tell: Teller) -> None:
        """Tells quotes until it is cancelled. A TransientFailure means that there are none for now: it is started again."""
        ...
