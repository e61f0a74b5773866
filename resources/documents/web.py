"""One GET over HTTP with bounds: attempts, pauses, time, size; every failure in the words of the ports.

Addresses in errors carry no query, because a query can hold a key.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import requests

from resources.market_data.yahoo_wire import Patience
from trading_assets.core.errors import DeskError
from trading_assets.market.documents.ports import Delivery, MacroDraft, MalformedSource, SeriesWanted, SourceUnavailable

MEGABYTE: Final = 1_000_000
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Page:
    """An answer below status 500 that did not limit the rate."""

    status: int
    body: bytes
    kind: str


@dataclass(frozen=True, slots=True)
class Web:
    """Asks for pages.

    Args:
        source: Name for errors.
        headers: Sent with each request.
        patience: Attempts, time-out of one silence, and pauses.
        sleep: Waits for some seconds.
        pace_s: Pause before each request, for servers that count them.
        bytes_max: A longer answer is refused while it arrives.
        answer_s_max: An answer that takes longer in all is given up, however steadily it drips.
    """

    source: str
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], None] = time.sleep
    pace_s: float = 0.0
    bytes_max: int = 20 * MEGABYTE
    answer_s_max: float = 120.0

    def get(self, url: str, subject: str, query: Mapping[str, str] = MappingProxyType({})) -> Page:
        """The page, after up to `patience.attempts` attempts; `subject` names symbol, series or feed in errors.

        Raises:
            SourceUnavailable: Rate limit, server error, broken or slow connection, in every attempt.
            MalformedSource: The answer is longer than `bytes_max`.
        """
        for attempt in range(1, self.patience.attempts):
            try:
                return self._asked(url, subject, query)
            except SourceUnavailable:
                self.sleep(self.patience.pause_after(attempt, subject))
        try:
            return self._asked(url, subject, query)
        except SourceUnavailable as last:
            attempts = f"{self.patience.attempts} attempts"
            raise SourceUnavailable(last.what, value=attempts, hint="the next run asks again") from last

    def _asked(self, url: str, subject: str, query: Mapping[str, str]) -> Page:
        self.sleep(self.pace_s)
        try:
            with requests.get(
                url, params=dict(query), headers=dict(self.headers), timeout=self.patience.timeout_s, stream=True
            ) as response:
                self._refuse_passing_failures(response, url, subject)
                return Page(response.status_code, self._body(response, url, subject), _kind(response))
        except (requests.RequestException, OSError) as broken:
            raise self._unavailable(url, subject, type(broken).__name__) from None

    def _refuse_passing_failures(self, response: Any, url: str, subject: str) -> None:
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise self._unavailable(url, subject, "it limits the rate (status 429)")
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self._unavailable(url, subject, f"status {response.status_code}")

    def _body(self, response: Any, url: str, subject: str) -> bytes:
        began, body = time.monotonic(), bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self.bytes_max:
                raise MalformedSource(
                    f"{self.source} answered more than the desk accepts about {subject}",
                    value=place(url),
                    bound=f"{self.bytes_max} bytes",
                )
            if time.monotonic() - began > self.answer_s_max:
                raise self._unavailable(url, subject, f"its answer took longer than {self.answer_s_max:g} s")
        return bytes(body)

    def _unavailable(self, url: str, subject: str, why: str) -> SourceUnavailable:
        return SourceUnavailable(f"{self.source} did not answer about {subject} at {place(url)}: {why}")


def of_each_series(
    series: Sequence[SeriesWanted], asked: Callable[[SeriesWanted], Iterable[MacroDraft]]
) -> Delivery[MacroDraft]:
    """What was delivered for each series; one that fails becomes a problem, and what came before its failure is kept."""
    items: list[MacroDraft] = []
    problems: list[DeskError] = []
    for wanted in series:
        try:
            items.extend(asked(wanted))
        except DeskError as failed:
            problems.append(failed)
    return Delivery(items, problems)


def place(url: str) -> str:
    """Host and path of an address."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}"


def _kind(response: Any) -> str:
    return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
