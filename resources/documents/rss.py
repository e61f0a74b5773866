"""RSS and Atom feeds, parsed from bytes that were fetched with bounds.

A feed that declares entities is refused before it is parsed: the parser expands them, and a few hundred bytes could become
gigabytes. An entry without a readable time is refused: nobody can say when it was knowable.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from resources.documents.stamps import published
from resources.documents.web import MEGABYTE, Page, Web, place
from trading_assets.core.errors import DeskError
from trading_assets.market.documents.model import MARKET
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    MalformedSource,
    NewsDraft,
    RefusedItem,
    UnknownSubject,
    Window,
)
from trading_assets.market.documents.settings import Feed

NAME: Final = "rss"
_ENTITY = re.compile(rb"<!\s*ENTITY", re.IGNORECASE)
_HEADERS = {"User-Agent": "dagster-trading-desk/0.1", "Accept": "application/rss+xml, application/atom+xml, */*;q=0.5"}
_FEED_BYTES_MAX = 5 * MEGABYTE
_ENTRIES_MAX = 1000


class RssNews:
    """Entries of the feeds of the settings.

    Args:
        feeds: Addresses, with the symbols that each is about.
        web: How to ask; None for the usual bounds.
    """

    def __init__(self, feeds: Sequence[Feed], *, web: Web | None = None) -> None:
        self._feeds = feeds
        self._web = web or Web(NAME, headers=_HEADERS, bytes_max=_FEED_BYTES_MAX)

    @property
    def name(self) -> str:
        """`rss`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """Feeds show what is new."""
        return "live"

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:  # noqa: ARG002 - a feed has one answer
        """All entries of the feeds that are about one of the symbols, or about none."""
        items: list[NewsDraft] = []
        problems: list[DeskError] = []
        for feed in self._feeds:
            about = [symbol for symbol in feed.symbols if symbol in symbols] if feed.symbols else [MARKET]
            if not about:
                continue
            try:
                found, refused = self._entries(feed.url)
            except DeskError as failed:
                problems.append(failed)
                continue
            problems.extend(refused)
            items.extend(replace(draft, symbol=symbol) for draft in found for symbol in about)
        return Delivery(items, problems)

    def _entries(self, url: str) -> tuple[list[NewsDraft], list[RefusedItem]]:
        """The feed's items about MARKET, and those that have no readable time."""
        import feedparser

        page = self._web.get(url, place(url))
        _refuse_unusable(page, url)
        parsed = feedparser.parse(page.body, sanitize_html=True, resolve_relative_uris=False)
        if not parsed.get("version"):
            raise MalformedSource(f"{NAME}: {place(url)} answered something that is no feed", value=page.kind)
        title = str(parsed.feed.get("title", "")) or place(url)
        made = [_draft(entry, title, place(url)) for entry in parsed.entries[:_ENTRIES_MAX]]
        drafts = [draft for draft in made if isinstance(draft, NewsDraft)]
        return drafts, [draft for draft in made if isinstance(draft, RefusedItem)]


def _refuse_unusable(page: Page, url: str) -> None:
    if page.status in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        raise UnknownSubject(
            f"{NAME}: there is no feed at {place(url)}", value=page.status, hint="mend feeds in config/documents.yaml"
        )
    if page.status != HTTPStatus.OK:
        raise MalformedSource(f"{NAME}: {place(url)} answered with status {page.status}")
    # A feed in UTF-16 hides the word between zero bytes.
    if _ENTITY.search(page.body.replace(b"\0", b"")):
        raise MalformedSource(f"{NAME}: {place(url)} declares entities, which could expand without bound")


def _draft(entry: Any, title: str, where: str) -> NewsDraft | RefusedItem:
    headline = str(entry.get("title", ""))
    when = published(entry.get("published") or entry.get("updated") or entry.get("created"))
    if when is None:
        return RefusedItem(f"{NAME}: an entry of {where} has no readable time", value=headline[:80])
    return NewsDraft(
        symbol=MARKET,
        headline=headline,
        summary=str(entry.get("summary", "")),
        publisher=str((entry.get("source") or {}).get("title", "")) or title,
        url=str(entry.get("link", "")),
        published=when,
    )
