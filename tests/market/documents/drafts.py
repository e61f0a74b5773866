"""Sources that say what a test tells them to, and drafts with as little typing as possible."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.errors import DeskError
from trading_assets.core.ports import Span
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    FilingDraft,
    MacroDraft,
    NewsDraft,
    Published,
    SeriesWanted,
    Window,
)
from trading_assets.market.documents.times import window_of

MONDAY, TUESDAY, WEDNESDAY = date(2013, 3, 4), date(2013, 3, 5), date(2013, 3, 6)
WEEK = Span(MONDAY, date(2013, 3, 8))
EVERYTHING = XNYS.session(XNYS.last).close
WTI = SeriesWanted("DCOILWTICO", "USD per barrel", 3)
RATE = SeriesWanted("UNRATE", "percent", 40)


def at(day: date, clock: str = "12:00") -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(f"{day}T{clock}:00").replace(tzinfo=UTC)


def window(span: Span = WEEK, as_of: datetime | None = None) -> Window:
    """The window of a span, by default asked for weeks later."""
    return window_of(span, as_of=as_of or at(date(2013, 4, 1)), calendar=XNYS)


def headline(text: str = "Something happened", when: datetime | None = None, **other: Any) -> NewsDraft:
    """An item about AAPL, published on Monday noon UTC unless told otherwise."""
    fields = {"symbol": "AAPL", "summary": "", "publisher": "Wire", "url": "https://wire.example/1", **other}
    published = fields.pop("published", None) or Published(when or at(MONDAY))
    return NewsDraft(headline=text, published=published, **fields)


def filing(accession: str = "0000320193-13-000001", when: datetime | None = None, **other: Any) -> FilingDraft:
    """An 8-K of Apple, accepted on Monday noon UTC unless told otherwise."""
    fields: dict[str, Any] = {
        "symbol": "AAPL",
        "form": "8-K",
        "cik": "0000320193",
        "filed_on": MONDAY,
        "period": None,
        "items": "2.02",
        "description": "CURRENT REPORT",
        "url": "https://sec.example/1",
        **other,
    }
    return FilingDraft(accession=accession, published=Published(when or at(MONDAY)), **fields)


def value(
    number: float, when: datetime, *, of: date = MONDAY, vintage: bool = False, series: str = WTI.name
) -> MacroDraft:
    """A value of a series, released at `when`."""
    return MacroDraft(series, of, number, WTI.unit, Published(when), vintage)


@dataclass
class Told:
    """A source of anything."""

    items: Sequence[Any] = ()
    name: str = "told"
    delivers: Delivers = "live"
    problems: Sequence[DeskError] = ()
    failure: DeskError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:  # noqa: ARG002 - the port's
        return self._answer(symbols)

    def filings(self, symbols: Sequence[str], window: Window) -> Delivery[FilingDraft]:  # noqa: ARG002 - the port's
        return self._answer(symbols)

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:  # noqa: ARG002 - the port's
        return self._answer([one.name for one in series])

    def _answer(self, subjects: Sequence[str]) -> Delivery[Any]:
        self.asked.append(tuple(subjects))
        if self.failure:
            raise self.failure
        return Delivery(self.items, self.problems)


def column(frame: pl.DataFrame, name: str) -> list[Any]:
    """A column as a list."""
    return frame[name].to_list()
