"""What the bus is told of headlines that were stored: those of the session at hand, each once by its id."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.messages import Draft, NewsArrived

SENDER = "ingest"
BOOK = "desk"


def news_drafts(rows: Iterable[Mapping[str, Any]], *, as_of: datetime) -> tuple[Draft, ...]:
    """One message for each new row of NEWS of the session that runs at `as_of`, or of the next one; by symbol and item.

    The message speaks of the moment at which the desk has the row: a look that it causes sees it. Headlines of sessions that are
    over, as a fill of the past stores them by the thousand, are no news.
    """
    here = as_of.astimezone(NEW_YORK).date()
    today = XNYS.today(as_of)
    at_hand = here if today is not None and as_of <= today.close else XNYS.next(here).day
    fresh = (row for row in rows if row["session"] == at_hand and row["knowable_at"] <= as_of)
    return tuple(
        Draft(
            book=BOOK,
            session=row["session"],
            at=as_of,
            sender=SENDER,
            payload=NewsArrived(symbol=row["symbol"], news_id=row["item"], published=row["published_at"]),
            correlation_id=f"news/{row['symbol']}/{row['item']}",
        )
        for row in sorted(fresh, key=lambda row: (row["symbol"], row["item"]))
    )
