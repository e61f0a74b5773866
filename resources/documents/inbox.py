"""Files that the operator, or a script of his, puts into a folder: `news/`, `filings/` and `macro/` in it.

    news     one item per line of .jsonl or .csv, or one item per .md file
    filings  one filing per line of .jsonl or .csv
    macro    one value per line of .jsonl or .csv

Files are read as text, never executed, moved or changed. What cannot be read is reported by file and line, and the rest counts. The
fields are those of the models below; docs/documents.md shows examples.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import Field, ValidationError

from resources.documents.stamps import instant, of_day, usual_release
from trading_assets.core.errors import DeskError
from trading_assets.core.settings import Symbol
from trading_assets.core.strict_yaml import Strict
from trading_assets.market.documents.ports import (
    Delivers,
    Delivery,
    FilingDraft,
    MacroDraft,
    NewsDraft,
    Published,
    RefusedItem,
    SeriesWanted,
    SourceNotConfigured,
    Window,
)

NAME: Final = "inbox"
_FILE_BYTES_MAX = 20_000_000
_UNFINISHED = (".part", ".tmp", "~")
_DAY_CHARACTERS = 10
Text = Annotated[str, Field(min_length=1)]


class _Line(Strict):
    """When it was published: an instant with an offset, or a day. `knowable_at` likewise with an offset; without it, now."""

    published_at: Text
    knowable_at: str | None = None

    def published(self) -> Published:
        """The times; ValueError says which one cannot be read."""
        said = _published(self.published_at)
        if not self.knowable_at:
            return said
        knowable = instant(self.knowable_at)
        if knowable is None:
            raise ValueError(f"knowable_at {self.knowable_at!r} is not an instant with an offset")
        return Published(said.at, earliest=said.earliest, knowable_at=knowable)


class NewsLine(_Line):
    """One headline; symbol MARKET for none in particular."""

    symbol: Symbol
    headline: Text
    summary: str = ""
    publisher: str = ""
    url: str = ""


class FilingLine(_Line):
    """One filing."""

    symbol: Symbol
    accession: Annotated[str, Field(pattern=r"^\d{10}-\d{2}-\d{6}$")]
    form: Text
    cik: Annotated[str, Field(pattern=r"^\d{10}$")]
    filed_on: date
    period: date | None = None
    items: str = ""
    description: str = ""
    url: str = ""


class MacroLine(Strict):
    """One value of one series; without `published_at` it came out at the series' usual time."""

    series: Text
    observed_on: date
    value: float
    unit: Text
    published_at: str | None = None
    knowable_at: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One item as it stands in a file: its place for errors, and its fields as JSON text or as words."""

    place: str
    fields: str | Mapping[str, str]


Line = TypeVar("Line", bound=Strict)
Draft = TypeVar("Draft")


class Inbox:
    """All files of the folder, at each asking.

    Args:
        folder: Holds news/, filings/ and macro/; each may be missing.
        required: Whether a missing folder is an error; the default inbox may not exist yet.
    """

    def __init__(self, folder: Path, *, required: bool = False) -> None:
        self._folder, self._required = folder, required

    @property
    def name(self) -> str:
        """`inbox`."""
        return NAME

    @property
    def delivers(self) -> Delivers:
        """Files appear when somebody puts them there."""
        return "dropped"

    def news(self, symbols: Sequence[str], window: Window) -> Delivery[NewsDraft]:  # noqa: ARG002 - the folder is small
        """All items of `news/`."""
        return self._delivery("news", NewsLine, _news)

    def filings(self, symbols: Sequence[str], window: Window) -> Delivery[FilingDraft]:  # noqa: ARG002 - the folder is small
        """All filings of `filings/`."""
        return self._delivery("filings", FilingLine, _filing)

    def observations(self, series: Sequence[SeriesWanted], window: Window) -> Delivery[MacroDraft]:  # noqa: ARG002 - small
        """The values of `macro/` of the series asked for."""
        wanted = {one.name: one for one in series}
        return self._delivery("macro", MacroLine, lambda line: _macro(line, wanted))

    def _delivery(self, kind: str, model: type[Line], draft_of: Callable[[Line], Draft | None]) -> Delivery[Draft]:
        items: list[Draft] = []
        problems: list[DeskError] = []
        for record in self._records(kind):
            if isinstance(record, RefusedItem):
                problems.append(record)
                continue
            try:
                draft = draft_of(_line(record, model))
            except (ValueError, OverflowError) as unreadable:
                problems.append(_refusal(record, model, unreadable))
            else:
                items.extend([] if draft is None else [draft])
        return Delivery(items, problems)

    def _records(self, kind: str) -> Iterator[Record | RefusedItem]:
        if self._required and not self._folder.is_dir():
            raise SourceNotConfigured(
                f"{NAME}: there is no such folder",
                value=self._folder,
                hint="make it, or mend inbox_folder in documents.yaml",
            )
        folder = self._folder / kind
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith(_UNFINISHED):
                yield from _records_of(path, f"{kind}/{path.name}", kind)


def _records_of(path: Path, name: str, kind: str) -> Iterator[Record | RefusedItem]:
    reader = {".jsonl": _json_lines, ".csv": _csv_lines, ".md": _markdown}.get(path.suffix.lower())
    if reader is None or (reader is _markdown and kind != "news"):
        yield RefusedItem(f"{NAME}: {name} is none of the formats for {kind}", bound=".jsonl, .csv; .md for news")
        return
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            yield RefusedItem(f"{NAME}: {name} is too large", bound=f"{_FILE_BYTES_MAX} bytes")
            return
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as unreadable:
        yield RefusedItem(f"{NAME}: {name} cannot be read as UTF-8 text: {unreadable}")
        return
    yield from reader(text, name)


def _json_lines(text: str, name: str) -> Iterator[Record | RefusedItem]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield Record(f"{name} line {number}", line)


def _csv_lines(text: str, name: str) -> Iterator[Record | RefusedItem]:
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            place = f"{name} line {rows.line_num}"
            if None in row or None in row.values():
                yield RefusedItem(f"{NAME}: {place} does not have as many fields as the first line")
            else:
                yield Record(place, {field: value for field, value in row.items() if value != ""})
    except csv.Error as broken:
        yield RefusedItem(f"{NAME}: {name} line {rows.line_num} is not CSV: {broken}")


def _markdown(text: str, name: str) -> Iterator[Record | RefusedItem]:
    """Front matter of `field: value` lines between two lines of three dashes; then the headline after `# `, then the summary."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---" or "---" not in [line.strip() for line in lines[1:]]:
        yield RefusedItem(f"{NAME}: {name} line 1: front matter between two lines of three dashes is missing")
        return
    end = [line.strip() for line in lines].index("---", 1)
    fields = {}
    for number, line in enumerate(lines[1:end], start=2):
        field, colon, value = line.partition(":")
        if line.strip() and not colon:
            yield RefusedItem(f"{NAME}: {name} line {number} is not `field: value`")
            return
        if value.strip():
            fields[field.strip()] = value.strip()
    body = lines[end + 1 :]
    heading = next((number for number, line in enumerate(body) if line.startswith("# ")), None)
    if heading is not None and "headline" not in fields:
        fields["headline"] = body.pop(heading)[2:].strip()
    summary = "\n".join(body).strip()
    yield Record(name, {**fields, **({"summary": summary} if summary else {})})


def _line(record: Record, model: type[Line]) -> Line:
    fields = record.fields
    return model.model_validate_json(fields) if isinstance(fields, str) else model.model_validate_strings(fields)


def _refusal(record: Record, model: type[Line], unreadable: Exception) -> RefusedItem:
    said = str(unreadable)
    if isinstance(unreadable, ValidationError):
        said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in unreadable.errors())
    return RefusedItem(f"{NAME}: {record.place}: {said}", hint=f"fields: {', '.join(model.model_fields)}")


def _published(text: str) -> Published:
    if len(text.strip()) == _DAY_CHARACTERS:
        return of_day(date.fromisoformat(text.strip()))
    at = instant(text)
    if at is None:
        raise ValueError(f"published_at {text!r} is neither a day nor an instant with an offset")
    return Published(at)


def _news(line: NewsLine) -> NewsDraft:
    return NewsDraft(line.symbol, line.headline, line.summary, line.publisher, line.url, line.published())


def _filing(line: FilingLine) -> FilingDraft:
    fields = line.model_dump(exclude={"published_at", "knowable_at"})
    return FilingDraft(**fields, published=line.published())


def _macro(line: MacroLine, wanted: Mapping[str, SeriesWanted]) -> MacroDraft | None:
    if line.series not in wanted:
        return None
    if line.unit != wanted[line.series].unit:
        raise ValueError(
            f"unit {line.unit!r} of {line.series} is not the one in the settings, {wanted[line.series].unit!r}"
        )
    if line.published_at:
        said = _Line(published_at=line.published_at, knowable_at=line.knowable_at).published()
    else:
        said = usual_release(line.observed_on, wanted[line.series])
    return MacroDraft(line.series, line.observed_on, line.value, line.unit, said, vintage=line.published_at is not None)
