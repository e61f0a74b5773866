"""The knowable rule: from which instant a decision may see a document, and which session that belongs to.

A document that the desk fetched within a day of its publication is knowable when the desk had it (`observed`). One that is fetched
later is knowable when it would have been had, at the publisher's time plus a lag (`published`). Where a publisher's time is not
exact, its latest possible meaning counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from trading_assets.core.calendar import Calendar
from trading_assets.core.ports import Span
from trading_assets.market.documents.ports import Delivers, Published, SourceNotReady, Window

OBSERVED_WITHIN = timedelta(hours=24)
NEWS_LAG = timedelta(minutes=15)
FILING_LAG = timedelta(minutes=15)
NO_LAG = timedelta(0)
OBSERVED: Literal["observed"] = "observed"
PUBLISHED: Literal["published"] = "published"


@dataclass(frozen=True, slots=True)
class Stamp:
    """The times of a row, all UTC, and why `knowable_at` is what it is."""

    published_at: datetime
    fetched_at: datetime
    knowable_at: datetime
    basis: Literal["observed", "published"]

    def row(self) -> dict[str, object]:
        """The four columns that every table of documents shares."""
        return {
            "published_at": self.published_at,
            "fetched_at": self.fetched_at,
            "knowable_at": self.knowable_at,
            "basis": self.basis,
        }


def window_of(span: Span, *, as_of: datetime, calendar: Calendar) -> Window:
    """When the documents of the span's sessions become knowable, as far as `as_of` reaches.

    Raises:
        SourceNotReady: The session before the span's last has not closed: nothing can be of that last session yet.
    """
    begins = calendar.previous(span.last).close
    if as_of <= begins:
        raise SourceNotReady(
            f"documents of the session of {span.last} cannot be collected before the session before it has closed",
            value=as_of.isoformat(),
            bound=f"after {begins.isoformat()}",
        )
    until = min(calendar.session(span.last).close, as_of)
    return Window(span, calendar.previous(span.first).close, until, as_of)


def session_of(instant: datetime, calendar: Calendar) -> date:
    """The first session whose close is not before the instant."""
    closed = calendar.last_closed(instant)
    return closed.day if closed.close == instant else calendar.next(closed.day).day


def stamped(published: Published, *, fetched_at: datetime, lag: timedelta, delivers: Delivers) -> Stamp | None:
    """The times of a row by the knowable rule; None when it was published after it was fetched, which cannot be.

    Args:
        lag: Time from publication until an attentive reader has it; at most OBSERVED_WITHIN.
    """
    if (published.earliest or published.at) > fetched_at:
        return None
    at = min(published.at, fetched_at)
    if published.knowable_at is not None:
        return Stamp(at, fetched_at, max(published.knowable_at, at), PUBLISHED)
    if delivers == "dropped" or (delivers == "live" and fetched_at - at <= OBSERVED_WITHIN):
        return Stamp(at, fetched_at, fetched_at, OBSERVED)
    return Stamp(at, fetched_at, at + lag, PUBLISHED)


def session_finder(window: Window, calendar: Calendar) -> Callable[[datetime], date | None]:
    """A function from `knowable_at` to its session; None outside the window."""

    def found(instant: datetime) -> date | None:
        return session_of(instant, calendar) if window.after < instant <= window.until else None

    return found
