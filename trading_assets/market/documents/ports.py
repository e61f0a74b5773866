"""The ports through which news, filings and macro series enter.

A source hands over drafts: what the publisher said and when, untouched. Text cleaning, the knowable rule and sessions are the
business of `ingest.py` and `macro.py`, so that every source is treated alike. What a source delivers is data: no source, and
nothing after it, reads an item's text as an instruction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Generic, Literal, Protocol, TypeVar

from trading_assets.core.errors import (
    ConfigurationError,
    DataNotReady,
    DeskError,
    PermanentFailure,
    TransientFailure,
)
from trading_assets.core.ports import Span

LOOKBACK = timedelta(days=400)
"""How long before the window macro observations are asked for, so that late releases and revisions are seen."""
Delivers = Literal["live", "archive", "dropped"]
"""How items reach the desk: asked for while they appear (live), stored long before the desk asks (archive), or put into a folder
by the operator (dropped: unless the file says otherwise, an item is knowable from the moment at which the desk first sees it)."""


class UnknownSubject(PermanentFailure):
    """The source does not know the symbol, the series or the feed."""


class MalformedSource(PermanentFailure):
    """The source's answer cannot be understood, or is larger than the desk accepts."""


class RefusedItem(PermanentFailure):
    """One item of an otherwise sound answer was left out: unreadable, without a time, or from the future."""


class EmptySource(DataNotReady):
    """The source answered with nothing where it always has something."""


class SourceNotReady(DataNotReady):
    """The session has not begun to collect documents: the session before it has not closed."""


class SourceUnavailable(TransientFailure):
    """The source did not answer, limited the rate, or answered nonsense in passing."""


class SourceNotConfigured(ConfigurationError):
    """The source needs a contact, a key or an address that the operator has not given."""


@dataclass(frozen=True, slots=True)
class Window:
    """The sessions asked for and the instants in which their documents became knowable: after < knowable_at <= until.

    Args:
        span: Sessions, both ends included.
        after: Close of the session before the first.
        until: Close of the last session, or `as_of` when that is earlier.
        as_of: The moment of asking; the `fetched_at` of everything that is delivered.
    """

    span: Span
    after: datetime
    until: datetime
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """When something was published, as far as the source tells.

    Args:
        at: The publisher's UTC instant; where only a day or a zone-less time is known, the latest instant that it can mean.
        earliest: The earliest instant that it can mean; None when `at` is exact.
        knowable_at: The instant from which the source says that a decision may see it; None when the desk must judge.
    """

    at: datetime
    earliest: datetime | None = None
    knowable_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewsDraft:
    """One item about one symbol as the source words it; `symbol` is MARKET when it is about none."""

    symbol: str
    headline: str
    summary: str
    publisher: str
    url: str
    published: Published


@dataclass(frozen=True, slots=True)
class FilingDraft:
    """One filing as the index lists it."""

    symbol: str
    accession: str
    form: str
    cik: str
    filed_on: date
    period: date | None
    items: str
    description: str
    url: str
    published: Published


@dataclass(frozen=True, slots=True)
class MacroDraft:
    """One value of one series.

    Args:
        value: In `unit`.
        vintage: True when `published` is the release of this very value; False when the source shows only the newest value of
            each date and `published` is the usual time of a first release.
    """

    series: str
    observed_on: date
    value: float
    unit: str
    published: Published
    vintage: bool


@dataclass(frozen=True, slots=True)
class SeriesWanted:
    """A series that the settings list.

    Args:
        name: Its name at the source.
        unit: Unit of its values.
        release_lag_days: Days from the date of an observation to the end of the day by which it is always out.
    """

    name: str
    unit: str
    release_lag_days: int


Draft_co = TypeVar("Draft_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Delivery(Generic[Draft_co]):
    """What a source had, and what it could not give; each problem names source and symbol, series, feed or line."""

    items: Sequence[Draft_co]
    problems: Sequence[DeskError] = ()


class Source(Protocol):
    """What all sources share."""

    @property
    def name(self) -> str:
        """The word in settings and in the `source` column."""
        ...

    @property
    def delivers(self) -> Delivers:
        """How its items reach the desk."""
        ...


class NewsSource(Source, Protocol):
    """A source of headlines."""

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:
        """Items about the symbols, or about MARKET, that were published around the window; more than that does no harm.

        Raises:
            MalformedSource, EmptySource, SourceUnavailable, SourceNotConfigured: Nothing could be had.
        """
        ...


class FilingSource(Source, Protocol):
    """A source of filings."""

    def filings(self, symbols: Sequence[str], window: Window) -> Delivery[FilingDraft]:
        """Filings of the symbols' companies around the window.

        Raises:
            MalformedSource, EmptySource, SourceUnavailable, SourceNotConfigured: Nothing could be had.
        """
        ...


class MacroSource(Source, Protocol):
    """A source of macro series."""

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:
        """Values of those of the series that the source has, from `LOOKBACK` before the window on, ascending by release.

        Raises:
            MalformedSource, EmptySource, SourceUnavailable, SourceNotConfigured: Nothing could be had.
        """
        ...
