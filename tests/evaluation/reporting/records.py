"""Records for the tests of the report: tables from small books, and tables that cannot be read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import polars as pl

from tests.evaluation.books import Book, day, tiny
from tests.execution.world import rules
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.benchmark_model import BENCHMARKS, BUY_AND_HOLD
from trading_assets.evaluation.report import Report, improvement_report
from trading_assets.evaluation.reporting.record import Period, Record, Told
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Given:
    """What a test knows: tables by name, those that fail, and what the ledger tells."""

    frames: Frames
    period: Period
    broken: Collection[str] = ()
    told: Told = field(default_factory=Told)
    lane: str = "backtest"
    failure: Exception | None = None

    def record(self) -> Record:
        """The record; a table that nobody gave is empty."""

        def rows(table: Table) -> pl.DataFrame:
            if table.name in self.broken:
                raise self.failure or PermanentFailure(f"{table.name} is damaged")
            found = self.frames.get(table.name, table.empty())
            return found.filter(pl.col("session") <= self.period.last)

        def facts(table: Table, span: Span) -> pl.DataFrame:
            if table.name in self.broken:
                raise self.failure or PermanentFailure(f"{table.name} is damaged")
            found = self.frames.get(table.name, table.empty())
            return found.filter(pl.col("session").is_between(span.first, span.last))

        return Record(self.lane, self.period, rules(self.lane), rows, facts, self.told)

    def report(self, *, draws: bool = False) -> Report:
        """Its report; pictures take most of its time, so few tests draw them."""
        return improvement_report(self.record(), draws=draws)

    def with_frames(self, frames: Frames) -> "Given":
        """The same with some tables replaced."""
        return replace(self, frames={**self.frames, **frames})

    def but(self, *, told: Mapping[str, Any] | None = None, **frames: pl.DataFrame) -> "Given":
        """The same with some tables, or some of what the ledger tells, replaced."""
        return replace(self, frames={**self.frames, **frames}, told=replace(self.told, **(told or {})))


def of_book(book: Book, last: int = 5, *, week: bool = False) -> Given:
    """A book up to a session, with every slot of it decided and buy-and-hold beside it."""
    held = [
        {
            **dict.fromkeys(("low", "high")),
            **dict.fromkeys(("traded_value", "fees"), 0),
            "session": row["session"],
            "name": BUY_AND_HOLD,
            "equity": row["equity"],
            "mean_return": 0.0,
            "knowable_at": row["knowable_at"],
        }
        for row in book.benchmark.rows(named=True)
    ]
    frames = {
        ACCOUNT.name: book.account,
        TRADES.name: book.trades,
        POSITIONS.name: book.positions,
        FILLS.name: book.fills,
        BENCHMARKS.name: BENCHMARKS.frame(held),
    }
    period = Period.week_of(day(last)) if week else Period.session(day(last))
    return Given(frames, period, told=Told(decided=_decided))


def tiny_given(last: int = 5, *, week: bool = False) -> Given:
    """The tiny book."""
    return of_book(tiny(), last, week=week)


def nothing(last: date) -> Given:
    """A book without a single row."""
    return Given({}, Period.session(last), lane="desk")


def section(report: Report, heading: str) -> str:
    """What stands under a heading of the markdown."""
    return report.markdown.split(f"## {heading}\n")[1].split("\n## ")[0].split("\n# ")[0].strip()


def _decided(span: Span) -> list[tuple[date, str]]:
    from trading_assets.core.calendar import XNYS
    from trading_assets.core.slots import slots_of

    labels = rules().settings.decisions.slots
    return [(s.day, slot.label) for s in XNYS.sessions(span.first, span.last) for slot in slots_of(s, labels)]
