"""Ports that several rooms share; adapters stand in `resources/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from trading_assets.core.tables import FACTS, Table

if TYPE_CHECKING:
    import polars as pl


class Clock(Protocol):
    """The only source of the present moment."""

    def now(self) -> datetime:
        """The current UTC instant."""
        ...


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive sessions, both ends included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left behind. `version` names the write that made the rows of the span's last session."""

    version: str
    rows: int
    changed: bool


class Lake(Protocol):
    """Columnar facts and results. Reading needs a moment, and shows nothing that was not knowable then."""

    def read(
        self,
        table: Table,
        *,
        as_of: datetime,
        lane: str = FACTS,
        first: date | None = None,
        last: date | None = None,
        symbols: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Rows with knowable_at <= as_of and first <= session <= last, sorted by key; empty when there are none."""
        ...

    def write(self, table: Table, frame: pl.DataFrame, span: Span, *, lane: str = FACTS) -> Written:
        """Replaces all sessions of the span by the frame, at once or not at all; equal content is left as it is."""
        ...

    def merge(
        self,
        table: Table,
        frame: pl.DataFrame,
        span: Span,
        *,
        replacing: Mapping[str, Sequence[str]],
        lane: str = FACTS,
    ) -> Written:
        """Replaces the span's rows whose columns hold the given values, and keeps all others.

        `replacing` maps column to values, for example {"symbol": ["AAPL"]}; rows of the frame that do not match are refused.
        """
        ...

    def forget(self, table: Table, span: Span, *, lane: str) -> None:
        """Hides the span's sessions of a result that is being made anew."""
        ...

    def versions(self, table: Table, span: Span, *, lane: str = FACTS) -> Mapping[date, str]:
        """For each stored session of the span, the name of the write that its rows come from; compaction does not change it."""
        ...


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What the quality gate said about one session of one table.

    `version` names the write that was judged: a verdict on other rows is no verdict.
    """

    table: str
    session: date
    version: str
    passed: bool
    failures: tuple[str, ...] = field(default=())


class GateBook(Protocol):
    """Where gate verdicts are kept; decisions read them from here and from nowhere else."""

    def record_gates(self, records: Sequence[GateRecord], *, as_of: datetime) -> None:
        """Stores verdicts; the newest verdict for a table and session counts."""
        ...

    def gates(self, table: str, span: Span) -> Mapping[date, GateRecord]:
        """The newest verdict of each session in the span that has one."""
        ...
