"""What every look-up shares: the desk as of now, opened for reading alone, and answers that stay small."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from resources.desk import DESK, DeskResource
from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.ports import Span
from trading_assets.core.strict_yaml import Strict
from trading_assets.core.tables import FACTS, Table
from trading_assets.plans.guide import Row
from trading_assets.reasoning.sanitising import plain

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from trading_assets.execution.ports import LedgerSession

ROWS_MAX = 30
CHARACTERS_MAX = 4_000
QUOTED_MAX = 300
_NOTE_ROOM = 160
_NUMBER_DIGITS = 4
_SESSIONS_BACK = (5, 50, 500)
Record = Mapping[str, Any]
Args = TypeVar("Args", bound=BaseModel)


class Arguments(Strict):
    """The base of every tool's arguments."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up shows, at most 30 rows and 4,000 characters; `note` says what was left out or why there is nothing."""

    rows: tuple[Row, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Desk:
    """The desk of one lane as of one moment. Nothing on it writes: the lake is read, the ledger is opened for reading."""

    lane: str
    now: datetime
    resource: DeskResource = field(default_factory=DeskResource)

    @property
    def today(self) -> date:
        """The day in New York."""
        return self.now.astimezone(NEW_YORK).date()

    @property
    def symbols(self) -> tuple[str, ...]:
        """What the desk may trade."""
        return self.resource.settings().market.symbols

    def rows(
        self,
        table: Table,
        *,
        facts: bool = False,
        first: date | None = None,
        last: date | None = None,
        symbols: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of the lake that are knowable now, in the order of their key; `facts` have no lane."""
        frame = self.resource.lake().read(
            table, as_of=self.now, lane=FACTS if facts else self.lane, first=first, last=last, symbols=symbols
        )
        return frame.rows(named=True)

    def newest(
        self,
        table: Table,
        *,
        facts: bool = False,
        session: date | None = None,
        symbols: Sequence[str] | None = None,
        fits: Callable[[Record], bool] = lambda _: True,
    ) -> list[dict[str, Any]]:
        """The rows of one session that fit, or of the newest that has any: looked for further and further back."""
        if session is not None:
            held = self.rows(table, facts=facts, first=session, last=session, symbols=symbols)
            return [each for each in held if fits(each)]
        stored = self._stored(table, FACTS if facts else self.lane, self.today)
        for reach in (*_SESSIONS_BACK, len(stored)):
            days = stored[-reach:] if reach else []
            held = self.rows(table, facts=facts, first=days[0], last=days[-1], symbols=symbols) if days else []
            held = [each for each in held if fits(each)]
            if held:
                last = max(each["session"] for each in held)
                return [each for each in held if each["session"] == last]
        return []

    def since(self, table: Table, sessions: int, *, last: date | None = None) -> date:
        """The first of the newest stored sessions of a table of facts, up to a day; that day where none is stored.

        One session more than asked for: the newest may be the one at hand, whose rows are not knowable yet.
        """
        until = last or self.today
        return next(iter(self._stored(table, FACTS, until)[-(sessions + 1) :]), until)

    def _stored(self, table: Table, lane: str, last: date) -> list[date]:
        until = min(last, self.today)
        return sorted(self.resource.lake().versions(table, Span(XNYS.first, until), lane=lane))

    def ledger(self) -> AbstractContextManager[LedgerSession]:
        """The lane's ledger in a reading transaction."""
        return self.resource.ledger(self.lane).reading()

    @property
    def closed(self) -> date:
        """The newest session that is over."""
        return XNYS.last_closed(self.now).day

    def engine(self) -> Engine:
        """The lane's ledger, for readers that open their own reading transaction."""
        return self.resource.engine(self.lane)

    def accounts(self) -> AbstractContextManager[Connection]:
        """The desk's ledger, where all model calls are booked, in a reading transaction."""
        from resources.ledger.engine import reading

        return reading(self.resource.engine(DESK))


@dataclass(frozen=True)
class Look(Generic[Args]):
    """A tool: what it shows, the arguments that it takes, and the function that makes the look-up."""

    shows: str
    takes: type[Args]
    look: Callable[[Desk, Args], Found]


def row(record: Record, *columns: str, quoted: Iterable[object] = ()) -> Row:
    """The named columns as `name=value`, those that are empty left out; `quoted` are words that others wrote."""
    cells = " ".join(f"{name}={told(record[name])}" for name in columns if record.get(name) not in (None, ""))
    words = "; ".join(str(part) for part in quoted if part)
    return Row(cells=cells, quoted=plain(words, characters_max=QUOTED_MAX).text or None if words else None)


def told(value: object) -> str:
    """A value as a person reads it: four places at most, no exponent, instants in New York."""
    if isinstance(value, datetime):
        return f"{value.astimezone(NEW_YORK):%Y-%m-%dT%H:%M}"
    if isinstance(value, Decimal):
        return _trimmed(f"{value:.{_NUMBER_DIGITS}f}")
    if isinstance(value, float):
        return _trimmed(f"{value:.{_NUMBER_DIGITS}f}") if math.isfinite(value) else "unknown"
    return str(value)


def printable(text: str) -> str:
    """Nothing that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)


def sentences(text: object) -> str:
    """A column that holds a JSON list of sentences, as one text."""
    try:
        held = json.loads(str(text))
    except ValueError:
        return str(text)
    return " ".join(str(part) for part in held) if isinstance(held, list) else str(text)


def found(rows: Sequence[Row], *, most: int = ROWS_MAX, empty: str, note: str = "") -> Found:
    """The first rows that fit; `empty` is what is said when there is none."""
    if not rows:
        return Found((), empty)
    kept: list[Row] = []
    left = CHARACTERS_MAX - _NOTE_ROOM - len(note)
    for each in rows[: min(most, ROWS_MAX)]:
        left -= len(each.cells) + len(each.quoted or "") + 2
        if left < 0:
            break
        kept.append(each)
    cut = f"{len(kept)} of {len(rows)} rows" if len(kept) < len(rows) else ""
    return Found(tuple(kept), "; ".join(part for part in (note, cut) if part))


def _trimmed(number: str) -> str:
    short = number.rstrip("0").rstrip(".") if "." in number else number
    return "0" if short in {"-0", ""} else short
