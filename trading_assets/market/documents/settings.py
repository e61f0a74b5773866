"""Which sources of news, filings and macro series the desk asks (`config/documents.yaml`)."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from trading_assets.core.settings import Symbol
from trading_assets.core.strict_yaml import Strict, load_model
from trading_assets.market.documents.ports import SeriesWanted

NewsSourceName = Literal["embedded", "inbox", "yfinance", "rss", "simulated"]
FilingSourceName = Literal["inbox", "edgar"]
MacroSourceName = Literal["embedded", "inbox", "fred", "fredgraph"]
SeriesName = Annotated[str, Field(pattern=r"^[A-Z0-9_]{1,40}$")]
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Feed(Strict):
    """An RSS or Atom feed; without symbols its items are filed under MARKET."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")]
    symbols: tuple[Symbol, ...] = ()


class News(Strict):
    """Where headlines come from; all sources are asked and merged."""

    sources: tuple[NewsSourceName, ...]
    feeds: tuple[Feed, ...] = ()
    silent_sessions_max: Annotated[int, Field(ge=1, le=60)] = 5

    @field_validator("feeds")
    @classmethod
    def _different(cls, feeds: tuple[Feed, ...]) -> tuple[Feed, ...]:
        addresses = [feed.url for feed in feeds]
        if len(set(addresses)) != len(addresses):
            raise ValueError(f"a feed stands twice in {addresses}")
        return feeds

    @model_validator(mode="after")
    def _rss_needs_feeds(self) -> Self:
        if "rss" in self.sources and not self.feeds:
            raise ValueError("source rss needs at least one feed")
        _refuse_twice(self.sources)
        return self


class Filings(Strict):
    """Where filings come from; all sources are asked and merged."""

    sources: tuple[FilingSourceName, ...]
    edgar_contact: str | None = None
    edgar_ciks: dict[Symbol, Annotated[int, Field(ge=1, le=9_999_999_999)]] = Field(default_factory=dict)
    silent_sessions_max: Annotated[int, Field(ge=1, le=250)] = 60

    @field_validator("edgar_contact")
    @classmethod
    def _has_a_mail_address(cls, contact: str | None) -> str | None:
        if contact is not None and (not _MAIL.search(contact) or not contact.isascii() or not contact.isprintable()):
            raise ValueError("edgar_contact needs a mail address, for example: Jane Doe jane@example.com")
        return contact

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _refuse_twice(self.sources)
        return self


class Series(Strict):
    """A macro series, its unit, and how long its values take to come out."""

    name: SeriesName
    unit: Annotated[str, Field(min_length=1)]
    release_lag_days: Annotated[int, Field(ge=0, le=400)]

    @property
    def wanted(self) -> SeriesWanted:
        """The series as sources are asked for it."""
        return SeriesWanted(self.name, self.unit, self.release_lag_days)


class Macro(Strict):
    """Where macro series come from; each series is taken from the first source that has it."""

    sources: tuple[MacroSourceName, ...]
    fred_key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = "FRED_API_KEY"
    series: tuple[Series, ...] = ()
    silent_sessions_max: Annotated[int, Field(ge=1, le=250)] = 30

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        _refuse_twice(self.sources)
        _refuse_twice(tuple(series.name for series in self.series))
        return self

    @property
    def wanted(self) -> tuple[SeriesWanted, ...]:
        """All series as sources are asked for them."""
        return tuple(series.wanted for series in self.series)


class Documents(Strict):
    """Everything in `config/documents.yaml`."""

    inbox_folder: str | None = None
    news: News
    filings: Filings
    macro: Macro


def load_documents(folder: Path) -> Documents:
    """The documents settings in a configuration folder."""
    return load_model(folder / "documents.yaml", Documents)


def _refuse_twice(names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in {names}")
