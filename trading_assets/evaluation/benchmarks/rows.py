"""Rows of BENCHMARKS from a series of equity, and the note that goes with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from trading_assets.core.calendar import Session
from trading_assets.core.money import usd

Row = dict[str, Any]
NOTHING = Decimal(0)
State = Literal["made", "equal", "missing"]


@dataclass(frozen=True, slots=True)
class Day:
    """A benchmark's book at one close, USD."""

    session: Session
    equity: Decimal
    traded_value: Decimal = NOTHING
    fees: Decimal = NOTHING


@dataclass(frozen=True, slots=True)
class Told:
    """What a benchmark came to: its rows and one sentence; `missing` has no row."""

    name: str
    state: State
    sentence: str
    rows: tuple[Row, ...] = ()

    def note(self, session: Session) -> Row:
        """The row of BENCHMARK_NOTES as of a session."""
        told = {"name": self.name, "state": self.state, "sentence": self.sentence}
        return {"session": session.day, **told, "knowable_at": session.close}


def missing(name: str, sentence: str) -> Told:
    """A benchmark without a number, and why."""
    return Told(name, "missing", sentence)


def rows_of(name: str, days: Sequence[Day], starting_cash: Decimal) -> Iterator[Row]:
    """One row for each day; each is knowable at its own close."""
    before = starting_cash
    for day in days:
        yield row(name, day.session.day, day.session.close, day, before)
        before = day.equity


def row(name: str, session: object, known: datetime, day: Day, before: Decimal) -> Row:
    """One row of a benchmark that has a single path."""
    return {
        "session": session,
        "name": name,
        "equity": usd(day.equity),
        "low": None,
        "high": None,
        "traded_value": usd(day.traded_value),
        "fees": usd(day.fees),
        "mean_return": float(day.equity / before) - 1 if before > 0 else 0.0,
        "knowable_at": known,
    }
