"""Documents that arrive with the desk and with installed packages: no key, no network.

News: `events.csv`, public events of the five embedded symbols, each on its day and in our own words. Macro: series that the package
arch carries, as their publishers showed them in early 2019. Index closes, spot oil and Moody's yields are not revised; the core
consumer price index is seasonally adjusted, and its values here are those after five years of revisions.
"""

import csv
import gzip
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import polars as pl

from resources.documents.stamps import end_of_day, usual_release
from trading_assets.core.calendar import NEW_YORK
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    MacroDraft,
    MalformedSource,
    NewsDraft,
    Published,
    SeriesWanted,
    Window,
)

NAME: Final = "embedded"
PUBLISHER: Final = "Chronicle of public events"
_PACKAGE = "arch"
_MISSING = "."
_EVENTS = Path(__file__).with_name("events.csv")


@dataclass(frozen=True, slots=True)
class Extent:
    """Where a series lies in the package, and what the package must hold of it."""

    file: str
    column: str
    rows: int
    first: date
    last: date


SERIES: Mapping[str, Extent] = MappingProxyType(
    {
        "SP500": Extent("sp500/sp500.csv.gz", "Close", 5031, date(1999, 1, 4), date(2018, 12, 31)),
        "NASDAQCOM": Extent("nasdaq/nasdaq.csv.gz", "Close", 5031, date(1999, 1, 4), date(2018, 12, 31)),
        "DCOILWTICO": Extent("wti/wti.csv.gz", "DCOILWTICO", 8321, date(1986, 1, 2), date(2019, 1, 3)),
        "AAA": Extent("default/default.csv.gz", "AAA", 1200, date(1919, 1, 1), date(2018, 12, 1)),
        "BAA": Extent("default/default.csv.gz", "BAA", 1200, date(1919, 1, 1), date(2018, 12, 1)),
        "CPILFESL": Extent("core_cpi/core-cpi.csv.gz", "CPILFESL", 743, date(1957, 1, 1), date(2018, 11, 1)),
    }
)


class EmbeddedNews:
    """The events of `events.csv`. Each is knowable at the end of its day in New York, or at the time that the file gives."""

    @property
    def name(self) -> str:
        """`embedded`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """All events are on disk before the desk asks."""
        return "archive"

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:
        """Events up to `as_of`; the archive holds later ones too, which have not happened then."""
        happened = [event for event in events() if event.symbol in symbols and event.published.at <= window.as_of]
        return Delivery(happened)


class EmbeddedMacro:
    """Series of the package arch; each file is read once per process and compared with its known extent."""

    @property
    def name(self) -> str:
        """`embedded`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """All values are on disk before the desk asks."""
        return "archive"

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:
        """Values whose usual release lies in the window; series that the package lacks are left to other sources."""
        items = []
        for wanted in series:
            if wanted.name in SERIES:
                for day, value in _values(wanted.name).iter_rows():
                    released = usual_release(day, wanted)
                    if window.after < released.at <= window.until:
                        items.append(MacroDraft(wanted.name, day, value, wanted.unit, released, vintage=False))
        return Delivery(items)


@cache
def events() -> tuple[NewsDraft, ...]:
    """All events of the file, in its order: date, time (New York, or empty for the end of the day), symbol, headline, summary."""
    with _EVENTS.open(newline="", encoding="utf-8") as file:
        return tuple(_event(row) for row in csv.DictReader(file))


def _event(row: Mapping[str, str]) -> NewsDraft:
    day = date.fromisoformat(row["date"])
    local = row["time"] and datetime.combine(day, datetime.strptime(row["time"], "%H:%M").time(), NEW_YORK)  # noqa: DTZ007
    at = local.astimezone(UTC) if local else end_of_day(day)
    return NewsDraft(row["symbol"], row["headline"], row["summary"], PUBLISHER, "", Published(at))


@cache
def _values(name: str) -> pl.DataFrame:
    """Columns day and value of a series, ascending, without empty values."""
    extent = SERIES[name]
    path = _package() / "data" / extent.file
    try:
        raw = pl.read_csv(gzip.decompress(path.read_bytes()), infer_schema=False)
        frame = raw.select(
            day=pl.col("Date").str.to_date("%m/%d/%Y"),
            value=pl.col(extent.column).replace(_MISSING, None).cast(pl.Float64()),
        ).drop_nulls()
    except (OSError, EOFError, pl.exceptions.PolarsError) as broken:
        raise MalformedSource(f"{NAME}: series {name} of the package {_PACKAGE} cannot be read") from broken
    found = Extent(extent.file, extent.column, frame.height, *_ends(frame))
    if found != extent:
        raise MalformedSource(
            f"{NAME}: series {name} of the package {_PACKAGE} is not the one that the desk knows",
            value=found,
            bound=extent,
        )
    return frame.sort("day")


def _ends(frame: pl.DataFrame) -> tuple[date, date]:
    days = frame["day"].sort()
    return (days[0], days[-1]) if days.len() else (date.max, date.min)


def _package() -> Path:
    """The package's folder; the package itself is not imported, because that takes seconds."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MalformedSource(f"{NAME}: the package {_PACKAGE} is not installed", hint="make env")
    return Path(spec.submodule_search_locations[0])
