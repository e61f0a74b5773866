"""Quotes that are pushed by hand: for tests, drills, and a connection that only looks."""

import asyncio
from collections.abc import Sequence

from resources.brokers.feeds import Teller
from trading_assets.broker.model import Quote


class ManualFeed:
    """What is pushed is told at once to every broker that runs on it; the newest quotes also to one that comes later.

    Args:
        symbols: What it knows; None for every symbol.
    """

    def __init__(self, symbols: Sequence[str] | None = None) -> None:
        self._symbols = None if symbols is None else frozenset(symbols)
        self._newest: dict[str, Quote] = {}
        self._tellers: list[Teller] = []

    @property
    def name(self) -> str:
        """`manual`."""
        return "manual"

    async def open(self) -> None:
        """It is always open."""

    async def knows(self, symbol: str) -> bool:
        """Whether the symbol is in its list."""
        return self._symbols is None or symbol in self._symbols

    def watch(self, symbols: Sequence[str]) -> None:
        """Whatever is pushed is told."""

    def push(self, *quotes: Quote) -> None:
        """The market moves."""
        self._newest.update({quote.symbol: quote for quote in quotes})
        for tell in self._tellers:
            tell(quotes)

    async def run(self, tell: Teller) -> None:
        """Tells what is pushed until it is cancelled."""
        self._tellers.append(tell)
        try:
            if self._newest:
                tell(tuple(self._newest[symbol] for symbol in sorted(self._newest)))
            await asyncio.Event().wait()
        finally:
            self._tellers.remove(tell)
