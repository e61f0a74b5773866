"""What a report is made from: a lane's rows up to a session, read when a part asks for them, each table once.

A table that cannot be read fails the parts that need it and no other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import polars as pl

from trading_assets.core.calendar import XNYS, Session
from trading_assets.core.ports import GateRecord, Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.suggestions import ProposalLine
from trading_assets.execution.model import ACCOUNT, TRADES
from trading_assets.execution.ports import SessionClose
from trading_assets.theses.model import Mind

if TYPE_CHECKING:
    from decimal import Decimal

    from trading_assets.execution.rules import Rules

T = TypeVar("T")
Kind = Literal["session", "week"]


@dataclass(frozen=True, slots=True)
class Period:
    """What a report tells of: one session, or those of an ISO week up to one."""

    kind: Kind
    first: date
    last: date

    @classmethod
    def session(cls, day: date) -> "Period":
        """One session."""
        return cls("session", day, day)

    @classmethod
    def week_of(cls, day: date) -> "Period":
        """The sessions of a session's week, up to it."""
        monday = day - timedelta(days=day.weekday())
        return cls("week", XNYS.sessions(monday, day)[0].day, day)

    @property
    def name(self) -> str:
        """The session's day, or the week as 2026-W07."""
        if self.kind == "session":
            return self.last.isoformat()
        year, week, _ = self.last.isocalendar()
        return f"{year}-W{week:02d}"

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Its sessions by the calendar."""
        return XNYS.sessions(self.first, self.last)

    @property
    def next(self) -> Session:
        """The session after it."""
        return XNYS.next(self.last)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the journal tells beside decisions: a halt, a missed part, a failed run, a parameter that moved."""

    session: date
    kind: str
    sentence: str


def _nothing(*_: object) -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Told:
    """What the ledger knows; each is asked only by the part that shows it.

    Args:
        gates: Verdicts of the quality gate over a span.
        mind: The newest mind as of the last session's close.
        close: The settled book of a session.
        proposals: Moves of parameters, open ones first; None for a book that proposes nothing.
        decided: Session and slot of every decision of a span.
        happened: Halts, missed parts, failed runs and moved parameters of a span.
    """

    gates: Callable[[Span], Sequence[GateRecord]] = _nothing
    mind: Callable[[], Mind | None] = lambda: None
    close: Callable[[], SessionClose | None] = lambda: None
    proposals: Callable[[], Sequence[ProposalLine]] | None = None
    decided: Callable[[Span], Sequence[tuple[date, str]]] = _nothing
    happened: Callable[[Span], Sequence[Happening]] = _nothing


@dataclass(frozen=True)
class Record:
    """A book as of the close of a period's last session.

    Args:
        lane: "desk" or "backtest".
        rows: Rows of a lane's table up to the last session, sorted by key.
        facts: Rows of a fact table over a span, knowable at the last close.
        rules: Limits, costs, slots and the first book.
        told: What the ledger knows.
    """

    lane: str
    period: Period
    rules: "Rules"
    rows: Callable[[Table], pl.DataFrame]
    facts: Callable[[Table, Span], pl.DataFrame]
    told: Told = field(default_factory=Told)

    @cached_property
    def _kept(self) -> dict[str, Any]:
        return {}

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What several parts need and only one has to make; a failure is kept for nobody."""
        if name not in self._kept:
            self._kept[name] = make()
        found: T = self._kept[name]
        return found

    def read(self, table: Table) -> pl.DataFrame:
        """A lane's table to date."""
        return self.once(f"table {table.name}", lambda: self.rows(table))

    def within(self, table: Table) -> pl.DataFrame:
        """A lane's table, the period's sessions alone."""
        return self.read(table).filter(pl.col("session").is_between(self.period.first, self.period.last))

    def at_last(self, table: Table) -> pl.DataFrame:
        """A lane's table, the last session alone."""
        return self.read(table).filter(pl.col("session") == self.period.last)

    @property
    def starting_cash(self) -> "Decimal":
        """What the book began with, USD."""
        return self.rules.first_book.cash

    @property
    def trades(self) -> pl.DataFrame:
        """Closed trades to date, in order."""
        return self.read(TRADES).sort("session", "trade_id")

    @property
    def life(self) -> Span:
        """From the book's first settled session to the period's last."""
        sessions = self.read(ACCOUNT)["session"]
        return Span(min(sessions), self.period.last) if sessions.len() else Span(self.period.first, self.period.last)

    @property
    def before(self) -> "tuple[date | None, Decimal]":
        """The newest settled session before the period and its equity, USD; the starting cash where there is none."""
        earlier = self.read(ACCOUNT).filter(pl.col("session") < self.period.first).sort("session").tail(1)
        return (earlier[0, "session"], earlier[0, "equity"]) if earlier.height else (None, self.starting_cash)
