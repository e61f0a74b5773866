"""JSON of a page, and parts of it, with every surprise named."""

import json
from typing import Any

from resources.documents.web import Page, place
from trading_assets.market.documents.ports import EmptySource, MalformedSource, SourceUnavailable


def json_of(page: Page, *, source: str, subject: str, url: str) -> Any:
    """The page as JSON.

    Raises:
        EmptySource: There is no answer at all.
        SourceUnavailable: A web page instead of JSON, or JSON that ends in the middle: both pass.
    """
    if not page.body.strip():
        raise EmptySource(f"{source} answered with nothing about {subject}", value=place(url))
    try:
        return json.loads(page.body)
    except (ValueError, RecursionError) as broken:
        what = "a web page" if page.body.lstrip()[:1] == b"<" else "something"
        raise SourceUnavailable(
            f"{source} answered {what} that is no JSON about {subject}",
            value=place(url),
            hint="the next run asks again",
        ) from broken


def strange(source: str, subject: str, what: object) -> MalformedSource:
    """The failure for JSON of another shape than the source documents."""
    return MalformedSource(f"{source} answered JSON of an unknown shape about {subject}", value=what)
