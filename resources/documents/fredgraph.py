"""FRED's download without a key: the newest value of each date, no vintages.

A value is taken to be released as many days after its date as the settings say for its series. Revisions before the first
download are not seen: a backfill of a revised series holds values that nobody had then.
"""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import Final

from resources.documents.stamps import usual_release
from resources.documents.web import Page, Web, of_each_series
from resources.market_data.yahoo_wire import Patience
from trading_assets.market.documents.ports import (
    LOOKBACK,
    Delivers,
    Delivery,
    EmptySource,
    MacroDraft,
    MalformedSource,
    SeriesWanted,
    SourceUnavailable,
    UnknownSubject,
    Window,
)

NAME: Final = "fredgraph"
_DATE_COLUMNS = ("observation_date", "DATE")
_DAY = timedelta(days=1)
_MISSING = {"", "."}


class FredGraph:
    """Values as FRED shows them today.

    Args:
        patience: Attempts, time-outs and pauses.
        sleep: Waits for some seconds.
        host: Where FRED stands.
    """

    def __init__(
        self,
        *,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        host: str = "https://fred.stlouisfed.org",
    ) -> None:
        self._web = Web(NAME, patience=patience or Patience(), sleep=sleep)
        self._url = f"{host}/graph/fredgraph.csv"

    @property
    def name(self) -> str:
        """`fredgraph`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """A new value shows on the day of its release."""
        return "live"

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:
        """Values from LOOKBACK before the window on; a series that FRED lacks becomes a problem."""
        return of_each_series(series, lambda wanted: self._values(wanted, window))

    def _values(self, wanted: SeriesWanted, window: Window) -> list[MacroDraft]:
        oldest = (window.after - LOOKBACK).date()
        query = {"id": wanted.name, "cosd": oldest.isoformat(), "coed": (window.until.date() + _DAY).isoformat()}
        page = self._web.get(self._url, wanted.name, query)
        if page.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
            raise UnknownSubject(f"{NAME} does not know the series {wanted.name}", value=page.status)
        if page.status != HTTPStatus.OK:
            raise MalformedSource(f"{NAME} answered about {wanted.name} with status {page.status}")
        return list(_drafts(page, wanted))


def _drafts(page: Page, wanted: SeriesWanted) -> Iterator[MacroDraft]:
    lines = _text(page, wanted.name).splitlines()
    header = next(csv.reader(lines[:1]), [])
    if len(header) != len(("date", "value")) or header[0] not in _DATE_COLUMNS or header[1] != wanted.name:
        raise MalformedSource(f"{NAME} answered a table of other columns about {wanted.name}", value=header)
    for number, row in enumerate(csv.reader(lines[1:]), start=2):
        try:
            day, text = date.fromisoformat(row[0]), row[1].strip()
            if text not in _MISSING:
                released = usual_release(day, wanted)
                yield MacroDraft(wanted.name, day, float(text), wanted.unit, released, vintage=False)
        except (LookupError, ValueError, OverflowError) as broken:
            raise MalformedSource(f"{NAME}: line {number} about {wanted.name} cannot be read", value=row) from broken


def _text(page: Page, series: str) -> str:
    if not page.body.strip():
        raise EmptySource(f"{NAME} answered with nothing about {series}")
    if page.body.lstrip()[:1] == b"<":
        raise SourceUnavailable(
            f"{NAME} answered a web page instead of values of {series}", hint="the next run asks again"
        )
    try:
        return page.body.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise MalformedSource(f"{NAME} answered bytes that are no text about {series}") from broken
