"""Filings from the SEC's plain JSON: the list of tickers, and each company's submissions.

Two addresses and a table of columns are all that filings need; a client library would bring dozens of packages and seconds of
import for the same request. The SEC wants a contact in every request and at most ten requests a second.

`acceptanceDateTime` ends in Z, and yet it is New York's clock for about a fifth of the companies (comparisons with the headers of
filings, published in 2025 and 2026 in the issues of edgartools, finagg and datamule). Nothing in the text tells which. So a filing
counts as accepted when New York's clock shows the time, the later of the two readings: at worst five hours late, never early.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from resources.documents.json_answer import json_of, strange
from resources.documents.stamps import instant
from resources.documents.web import MEGABYTE, Page, Web, place
from resources.market_data.yahoo_wire import Patience
from trading_assets.core.calendar import NEW_YORK
from trading_assets.core.errors import DeskError
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    FilingDraft,
    Published,
    RefusedItem,
    SourceNotConfigured,
    SourceUnavailable,
    UnknownSubject,
    Window,
)

NAME: Final = "edgar"
_PACE_S = 0.11
_BYTES_MAX = 40 * MEGABYTE
_CIK_DIGITS = 10
_DAY = timedelta(days=1)
_COLUMNS = ("accessionNumber", "form", "filingDate", "acceptanceDateTime", "reportDate", "items", "primaryDocument")
_DESCRIPTION = "primaryDocDescription"


class EdgarFilings:
    """The filings of each symbol's company.

    Args:
        contact: Name and mail address, sent to the SEC with each request; without one the source refuses.
        ciks: Central index keys of symbols that the SEC's list no longer has, for example former tickers.
        patience: Attempts, time-outs and pauses.
        sleep: Waits for some seconds.
        www: Host of the list of tickers and of the documents.
        data: Host of the submissions.
    """

    def __init__(
        self,
        *,
        contact: str | None,
        ciks: Mapping[str, int],
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        www: str = "https://www.sec.gov",
        data: str = "https://data.sec.gov",
    ) -> None:
        headers = {"User-Agent": contact or "", "Accept-Encoding": "gzip, deflate"}
        self._contact = contact
        self._ciks = dict(ciks)
        self._web = Web(NAME, headers, patience or Patience(), sleep, pace_s=_PACE_S, bytes_max=_BYTES_MAX)
        self._www, self._data = www, data

    @property
    def name(self) -> str:
        """`edgar`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """The index shows a filing minutes after its acceptance."""
        return "live"

    def filings(self, symbols: Sequence[str], window: Window) -> Delivery[FilingDraft]:
        """Filings accepted around the window; older pages of the index are read where the window needs them."""
        if not self._contact:
            raise SourceNotConfigured(
                f"{NAME} needs a contact: the SEC refuses requests without one",
                hint='set filings.edgar_contact in config/documents.yaml, for example "Jane Doe jane@example.com"',
            )
        known = self._known_ciks(symbols)
        items: list[FilingDraft] = []
        problems: list[DeskError] = []
        for symbol in symbols:
            try:
                found, refused = self._of_company(symbol, _cik(known, symbol), window)
            except DeskError as failed:
                problems.append(failed)
            else:
                items.extend(found)
                problems.extend(refused)
        return Delivery(items, problems)

    def _known_ciks(self, symbols: Sequence[str]) -> Mapping[str, int]:
        if all(symbol in self._ciks for symbol in symbols):
            return self._ciks
        url = f"{self._www}/files/company_tickers.json"
        listed = json_of(self._page(url, "tickers"), source=NAME, subject="tickers", url=url)
        try:
            tickers = {str(row["ticker"]).upper().replace("-", "."): int(row["cik_str"]) for row in listed.values()}
        except (AttributeError, KeyError, TypeError, ValueError) as other:
            raise strange(NAME, "tickers", repr(other)) from other
        return {**tickers, **self._ciks}

    def _of_company(self, symbol: str, cik: int, window: Window) -> tuple[list[FilingDraft], list[DeskError]]:
        found: list[FilingDraft] = []
        refused: list[DeskError] = []
        for page in self._pages(symbol, cik, window):
            for row in _rows(page, symbol):
                draft = _draft(row, symbol, cik, self._www)
                if isinstance(draft, RefusedItem):
                    refused.append(draft)
                else:
                    found.append(draft)
        return found, refused

    def _pages(self, symbol: str, cik: int, window: Window) -> Iterator[Mapping[str, Any]]:
        """The columns of the newest filings, then of older pages that touch the window."""
        url = f"{self._data}/submissions/CIK{cik:0{_CIK_DIGITS}d}.json"
        answer = json_of(self._page(url, symbol), source=NAME, subject=symbol, url=url)
        try:
            recent, files = answer["filings"]["recent"], answer["filings"]["files"]
            needed = [file["name"] for file in files if _touches(file, window)]
        except (KeyError, TypeError, ValueError) as other:
            raise strange(NAME, symbol, repr(other)) from other
        yield recent
        for name in needed:
            older = f"{self._data}/submissions/{name}"
            yield json_of(self._page(older, symbol), source=NAME, subject=symbol, url=older)

    def _page(self, url: str, subject: str) -> Page:
        page = self._web.get(url, subject)
        if page.status == HTTPStatus.NOT_FOUND:
            raise UnknownSubject(f"{NAME} has no filings of {subject}", value=place(url))
        if page.status == HTTPStatus.FORBIDDEN and b"rate" in page.body.lower():
            raise SourceUnavailable(f"{NAME} limits the rate at {place(url)} (asked about {subject})")
        if page.status == HTTPStatus.FORBIDDEN:
            raise SourceNotConfigured(
                f"{NAME} refused the request about {subject}",
                value=self._contact,
                hint="filings.edgar_contact in config/documents.yaml must name you and a mail address that works",
            )
        if page.status != HTTPStatus.OK:
            raise strange(NAME, subject, f"status {page.status}")
        return page


def _cik(known: Mapping[str, int], symbol: str) -> int:
    if symbol not in known and symbol.replace("-", ".") not in known:
        raise UnknownSubject(
            f"{NAME} does not know the ticker {symbol}",
            hint="a former ticker needs its number in filings.edgar_ciks of config/documents.yaml",
        )
    return known.get(symbol) or known[symbol.replace("-", ".")]


def _touches(file: Mapping[str, Any], window: Window) -> bool:
    first, last = date.fromisoformat(file["filingFrom"]), date.fromisoformat(file["filingTo"])
    return first <= window.until.date() + _DAY and last >= window.after.date() - 3 * _DAY


def _rows(page: Mapping[str, Any], symbol: str) -> Iterator[dict[str, Any]]:
    try:
        columns = {name: page[name] for name in _COLUMNS}
        columns[_DESCRIPTION] = page.get(_DESCRIPTION) or [""] * len(columns["form"])
        rows = list(zip(*columns.values(), strict=True))
    except (AttributeError, KeyError, TypeError, ValueError) as other:
        raise strange(NAME, symbol, repr(other)) from other
    return (dict(zip(columns, row, strict=True)) for row in rows)


def _draft(row: Mapping[str, Any], symbol: str, cik: int, www: str) -> FilingDraft | RefusedItem:
    accession = str(row["accessionNumber"])
    accepted = instant(str(row["acceptanceDateTime"]))
    filed_on, period = _day(row["filingDate"]), _day(row["reportDate"])
    if accepted is None or filed_on is None:
        return RefusedItem(
            f"{NAME}: filing {accession} of {symbol} has no readable time", value=row["acceptanceDateTime"]
        )
    folder = f"{www}/Archives/edgar/data/{cik}/{accession.replace('-', '')}"
    return FilingDraft(
        symbol=symbol,
        accession=accession,
        form=str(row["form"]),
        cik=f"{cik:0{_CIK_DIGITS}d}",
        filed_on=filed_on,
        period=period,
        items=str(row["items"] or ""),
        description=str(row[_DESCRIPTION] or ""),
        url=f"{folder}/{row['primaryDocument']}" if row["primaryDocument"] else folder,
        published=_accepted(accepted),
    )


def _accepted(read_as_utc: datetime) -> Published:
    on_the_wall = read_as_utc.replace(tzinfo=NEW_YORK).astimezone(UTC)
    return Published(max(on_the_wall, read_as_utc), earliest=read_as_utc)


def _day(raw: object) -> date | None:
    try:
        return date.fromisoformat(str(raw))
    except ValueError:
        return None
