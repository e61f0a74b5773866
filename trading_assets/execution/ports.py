"""The ledger as the decision cycle needs it: what was decided, what was ordered, what was filled, and the book after each session.

One `LedgerSession` is one transaction: everything in it is kept, or nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from trading_assets.execution.model import Book, Fill, Order
from trading_assets.plans.model import TradePlan
from trading_assets.signatures.model import Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """One decided slot. Unique by (book, session, slot): the ledger refuses a second one."""

    session: date
    slot: str
    as_of: datetime
    state: str
    reason: str
    plans: int
    vetoes: int
    limits_hash: str


@dataclass(frozen=True, slots=True)
class Intent:
    """An approved plan on its way to the broker; `quantity` is what the verdict allowed."""

    id: str
    session: date
    slot: str
    plan: TradePlan
    verdict: Verdict
    quantity: int
    limits_hash: str


@dataclass(frozen=True, slots=True)
class SessionClose:
    """The book after a session's settlement, with the session's totals, USD."""

    session: date
    book: Book
    prices: Mapping[str, Decimal]
    fees: Decimal
    dividends: Decimal
    traded_value: Decimal

    @property
    def equity(self) -> Decimal:
        """Cash plus positions at their closes."""
        return self.book.equity(self.prices)


@dataclass(frozen=True, slots=True)
class DividendPaid:
    """Cash that a holding earned on its ex-date."""

    session: date
    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Halt:
    """An unacknowledged halt of a book."""

    id: int
    cause: str
    at: datetime


class LedgerSession(Protocol):
    """Reads and writes of one transaction, for one book."""

    def add_decision(
        self,
        decision: Decision,
        judged: Sequence[tuple[TradePlan, Verdict]],
        intents: Sequence[Intent],
        orders: Sequence[Order],
    ) -> None:
        """Stores a decided slot: every plan's verdict, vetoes too, intents and orders; DuplicateDecision when the slot has one."""
        ...

    def decisions(self, first: date, last: date) -> Sequence[Decision]:
        """Decided slots of a range of sessions, in order."""
        ...

    def add_settlement(self, close: SessionClose, fills: Sequence[Fill], dividends: Sequence[DividendPaid]) -> None:
        """Stores a session's fills and the book after it, and shows its positions; a settled session is left as it is."""
        ...

    def latest_close(self, before: date) -> SessionClose | None:
        """The newest settled session before a day."""
        ...

    def close_of(self, session: date) -> SessionClose | None:
        """One settled session."""
        ...

    def equity_history(self, until: date) -> Sequence[Decimal]:
        """Equity at each settled close up to a day and since the last acknowledged halt, oldest first, USD."""
        ...

    def intents(self, until: date) -> Sequence[Intent]:
        """All intents up to a day, in order of creation."""
        ...

    def entries_of(self, symbols: Sequence[str]) -> Mapping[str, Intent]:
        """The newest entry intent of each symbol that has one."""
        ...

    def orders_placed(self, first: date, last: date) -> Sequence[tuple[Order, Intent]]:
        """Orders placed in a range of sessions with their intents."""
        ...

    def fills(self, until: date) -> Sequence[Fill]:
        """All fills up to a day, in booking order."""
        ...

    def dividends(self, until: date) -> Sequence[DividendPaid]:
        """All dividends up to a day."""
        ...

    def closes(self, first: date, last: date) -> Sequence[SessionClose]:
        """Settled sessions of a range, in order."""
        ...

    def open_halt(self) -> Halt | None:
        """The oldest halt that the operator has not acknowledged."""
        ...

    def add_halt(self, cause: str, *, as_of: datetime) -> None:
        """Records a halt."""
        ...

    def rewind(self, first: date) -> None:
        """Forgets everything from a session on; refused for any book but a backtest's."""
        ...


class OrderLedger(Protocol):
    """Opens transactions on one book's ledger."""

    def session(self) -> AbstractContextManager[LedgerSession]:
        """A transaction; it commits when the block ends and rolls back when the block raises."""
        ...

    def reading(self) -> AbstractContextManager[LedgerSession]:
        """A snapshot for reading alone, which waits for no writer; writing in it is refused."""
        ...
