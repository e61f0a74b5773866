"""FRED's API with a key: every release of every value (vintages), by the day on which it came out.

The API caps a request at 2,000 release days and clips the first day of a value to the day asked from. So a long window is asked in
parts that overlap by a day, and values whose day is a part's first are left to the part before: they were out already.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, Final

from resources.documents.json_answer import json_of, strange
from resources.documents.stamps import of_day
from resources.documents.web import Page, Web, of_each_series
from resources.market_data.yahoo_wire import Patience
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError
from trading_assets.market.documents.ports import (
    LOOKBACK,
    Delivers,
    Delivery,
    MacroDraft,
    MalformedSource,
    SeriesWanted,
    SourceNotConfigured,
    UnknownSubject,
    Window,
)

NAME: Final = "fred"
_DAY = timedelta(days=1)
_PART = timedelta(days=1800)
_MISSING = "."


class FredVintages:
    """Releases as FRED's archive dates them.

    Args:
        key_variable: Name of the environment variable that holds the key; the key itself is in no file and in no error.
        patience: Attempts, time-outs and pauses.
        sleep: Waits for some seconds.
        host: Where the API stands.
    """

    def __init__(
        self,
        *,
        key_variable: str,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        host: str = "https://api.stlouisfed.org",
    ) -> None:
        self._key_variable = key_variable
        self._web = Web(NAME, patience=patience or Patience(), sleep=sleep)
        self._url = f"{host}/fred/series/observations"

    @property
    def name(self) -> str:
        """`fred`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """A release shows on its day."""
        return "live"

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:
        """Releases in the window; a series that FRED lacks becomes a problem."""
        key = os.environ.get(self._key_variable)
        if not key:
            raise SourceNotConfigured(
                f"{NAME} needs a key in the environment variable {self._key_variable}",
                hint=f"export {self._key_variable}=..., or use fredgraph (no vintages) in config/documents.yaml",
            )
        return of_each_series(series, lambda wanted: self._releases(wanted, window, key))

    def _releases(self, wanted: SeriesWanted, window: Window, key: str) -> Iterator[MacroDraft]:
        oldest = (window.after - LOOKBACK).date()
        for first, last in _parts(window):
            query = {
                "series_id": wanted.name,
                "api_key": key,
                "file_type": "json",
                "observation_start": oldest.isoformat(),
                "realtime_start": first.isoformat(),
                "realtime_end": last.isoformat(),
            }
            page = self._web.get(self._url, wanted.name, query)
            for row in self._rows(page, wanted):
                draft = _draft(row, wanted, first)
                if draft:
                    yield draft

    def _rows(self, page: Page, wanted: SeriesWanted) -> Sequence[Mapping[str, Any]]:
        answer = json_of(page, source=NAME, subject=wanted.name, url=self._url)
        if page.status != HTTPStatus.OK:
            raise self._refusal(page.status, answer, wanted.name)
        rows = answer.get("observations") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise strange(NAME, wanted.name, "no list of observations")
        if int(answer.get("count", len(rows))) > len(rows):
            raise MalformedSource(
                f"{NAME} has more values of {wanted.name} than one answer holds", value=answer["count"], bound=len(rows)
            )
        return rows

    def _refusal(self, status: int, answer: Any, series: str) -> DeskError:
        said = str(answer.get("error_message", "")) if isinstance(answer, dict) else ""
        if "api_key" in said:
            return SourceNotConfigured(
                f"{NAME} does not accept the key in {self._key_variable}", hint=f"set {self._key_variable} to your key"
            )
        if "does not exist" in said:
            return UnknownSubject(f"{NAME} does not know the series {series}")
        return MalformedSource(f"{NAME} refused the request about {series}", value=f"status {status}: {said}")


def _parts(window: Window) -> Iterator[tuple[date, date]]:
    """Days from and to, both included, which together cover the window; each begins with the last day of the one before."""
    first, end = window.after.astimezone(NEW_YORK).date() - _DAY, window.until.astimezone(NEW_YORK).date()
    while first < end:
        last = min(first + _PART, end)
        yield first, last
        first = last


def _draft(row: Mapping[str, Any], wanted: SeriesWanted, first: date) -> MacroDraft | None:
    try:
        released, observed_on = date.fromisoformat(row["realtime_start"]), date.fromisoformat(row["date"])
        if row["value"] == _MISSING or released <= first:
            return None
        return MacroDraft(wanted.name, observed_on, float(row["value"]), wanted.unit, of_day(released), vintage=True)
    except (KeyError, TypeError, ValueError, OverflowError) as other:
        raise strange(NAME, wanted.name, repr(other)) from other
