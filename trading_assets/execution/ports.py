"""The ledger as the decision cycle needs it: what was decided, what was ordered, what was filled, and the book after each session.

One `LedgerSession` is one transaction: everything in it is kept, or nothing is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from trading_assets.execution.model import Book, Fill, Order
from trading_assets.execution.told import AtBroker
from trading_assets.plans.model import Proposal, TradePlan
from trading_assets.signatures.model import Verdict
from trading_assets.theses.memory.model import Lesson
from trading_assets.theses.model import Mind


@dataclass(frozen=True, slots=True)
class Decision:
    """One decided slot. Unique by (book, session, slot): the ledger refuses a second one.

    `mind_digest` is the sha256 of the canonical JSON of the mind that the slot left behind; empty where it left none.
    """

    session: date
    slot: str
    as_of: datetime
    state: str
    reason: str
    plans: int
    vetoes: int
    limits_hash: str
    mind_digest: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a slot that must be readable later: an agent that stayed silent, a citation that did not match."""

    title: str
    sentence: str
    symbol: str = ""


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
        *,
        mind: Mind | None = None,
        remarks: Sequence[Remark] = (),
    ) -> None:
        """Stores a decided slot: every plan's verdict, vetoes too, intents, orders and the mind after it.

        Remarks become journal entries of the slot. DuplicateDecision when the slot has a decision.
        """
        ...

    def mind(self, before: datetime) -> Mind:
        """The mind that the newest slot before an instant left behind; an empty one for a book that never thought."""
        ...

    def trade_history(
        self, session: date, *, split: Collection[str] = ()
    ) -> tuple[Sequence[Fill], Sequence[DividendPaid], Sequence[Intent]]:
        """Fills, dividends and intents of the trips that were open in a session, of the symbols whose position it reduced.

        Symbols in `split` were split at some time; of those everything up to the session is told. Empty where nothing was reduced.
        """
        ...

    def add_lessons(self, lessons: Sequence[Lesson]) -> None:
        """Stores lessons and tells them in the journal; a trade that has one keeps it."""
        ...

    def lessons(self, known_by: datetime) -> Sequence[Lesson]:
        """Lessons that were knowable at an instant, in the order in which they became so."""
        ...

    def propose(self, proposal: Proposal) -> None:
        """Stores a proposal and tells it in the journal; the same one twice is one."""
        ...

    def proposals(self, after: datetime, until: datetime) -> Sequence[Proposal]:
        """Proposals made after one instant and not after another."""
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

    def at_broker(self, session: date) -> AtBroker:
        """What the broker told of a session so far, with the orders that can still fill; empty for a book without a gateway."""
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
