"""The improvement report: a front page, the details behind it, its numbers as JSON, and how they reach the disk.

It appears on every session and every week, most of all on those on which things went wrong. Each part is made by itself: one that
cannot be made says why in a sentence, and the others stand.
"""

import json
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from trading_assets.core.errors import DeskError
from trading_assets.evaluation.reporting import details
from trading_assets.evaluation.reporting.change import change, tell_change
from trading_assets.evaluation.reporting.document import Block, Document, Part, Words
from trading_assets.evaluation.reporting.groups import groups_by, tell_groups
from trading_assets.evaluation.reporting.happened import Happened, happened, summary, tell_happened
from trading_assets.evaluation.reporting.html import render_html
from trading_assets.evaluation.reporting.markdown import render
from trading_assets.evaluation.reporting.measured import attribution_by, slippage_by, tell_attribution, tell_slippage
from trading_assets.evaluation.reporting.pictures import pictures_of
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.tomorrow import tell_tomorrow, tomorrow
from trading_assets.evaluation.reporting.vetoes import controls_of
from trading_assets.evaluation.reporting.why import tell_why, why

SCHEMA = "improvement-report"
VERSION = 2
_SENTENCE_MAX = 240


@dataclass(frozen=True)
class _Section:
    """A part of the report: what it finds, and how it tells that."""

    key: str
    heading: str
    find: Callable[[Record], Any]
    tell: Callable[[Any, Record], Iterable[Block]]


FRONT = (
    _Section("happened", "What happened", happened, tell_happened),
    _Section("why", "Why", why, tell_why),
    _Section("change", "What to change", change, tell_change),
    _Section("tomorrow", "What comes next", tomorrow, tell_tomorrow),
)
BEHIND = (
    _Section("benchmarks", "Beside every benchmark", details.benchmarks, details.tell_benchmarks),
    _Section("trades", "Trades", details.closed_trades, details.tell_trades),
    _Section("attribution", "Whose trades they were", attribution_by, tell_attribution),
    _Section("strategies", "By strategy", groups_by("strategy"), tell_groups),
    _Section("regimes", "By regime at entry", groups_by("regime"), tell_groups),
    _Section("slippage", "Slippage", slippage_by, tell_slippage),
    _Section("judged", "Trades that should not have been made", details.judged, details.tell_judged),
    _Section("controls", "Vetoes that would have won", controls_of, details.tell_controls),
    _Section("evidence", "Clean and contaminated evidence", details.evidence, details.tell_evidence),
    _Section("intervals", "How sure the measures are", details.intervals, details.tell_intervals),
    _Section("thinking", "Theses, and who was right", details.thinking, details.tell_thinking),
    _Section("incidents", "Data quality", details.incidents, details.tell_incidents),
    _Section("caveats", "What these figures cannot tell", details.warnings, details.tell_warnings),
)
PARTS = tuple(section.key for section in (*FRONT, *BEHIND))


@dataclass(frozen=True)
class Report:
    """A rendered report. `plots` is file name to PNG bytes; the markdown refers to these names, the HTML holds them."""

    document: Document
    markdown: str
    html: str
    data: Mapping[str, Any]
    plots: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """The files of a written report."""

    markdown: Path
    json: Path
    html: Path
    plots: tuple[Path, ...]


def improvement_report(record: Record, *, draws: bool = True) -> Report:
    """The report of the record's period; without pictures for whoever wants words and numbers alone."""
    made = {section.key: _made(section, record, draws=draws) for section in (*FRONT, *BEHIND)}
    parts = {key: part for key, (part, _) in made.items()}
    found = made["happened"][1]
    what = "week" if record.period.kind == "week" else "session"
    document = Document(
        title=f"{record.lane}, {what} {record.period.name}",
        summary=_summary(found, record),
        front=tuple(parts[section.key] for section in FRONT),
        behind=tuple(parts[section.key] for section in BEHIND),
    )
    data = {**_head(record), "parts": {key: value for key, (_, value) in made.items()}}
    data["missing"] = {key: part.missing for key, part in parts.items() if part.missing}
    plots = {picture.name: picture.content for picture in document.pictures}
    return Report(document, render(document), render_html(document), _json(data), plots)


def write_report(report: Report, folder: Path) -> ReportPaths:
    """Writes report.md, report.json, report.html and the pictures; each file appears whole, the markdown last.

    Pictures of an earlier report of the same period that this one has not are removed.
    """
    text = json.dumps(report.data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    plots = tuple(_replace(folder / name, content) for name, content in report.plots.items())
    page = _replace(folder / "report.html", report.html.encode())
    data = _replace(folder / "report.json", text.encode())
    paths = ReportPaths(_replace(folder / "report.md", report.markdown.encode()), data, page, plots)
    for old in sorted(set(folder.glob("*.png")) - set(plots)):
        old.unlink()
    return paths


def _made(section: _Section, record: Record, *, draws: bool) -> tuple[Part, Any]:
    """The part and its value; whatever stops it becomes its one sentence, for no error may cost the reader the other parts."""
    try:
        found = section.find(record)
        blocks = tuple(section.tell(found, record))
    except Exception as failure:  # noqa: BLE001 - a report without this part is better than none
        sentence = f"This part could not be made: {_reason(failure)}"
        return Part(section.key, section.heading, (Words(sentence),), missing=sentence), None
    pictures = _pictures(section, record) if draws else ()
    return Part(section.key, section.heading, (*blocks, *pictures)), found


def _pictures(section: _Section, record: Record) -> Sequence[Block]:
    """A part keeps its words where a picture fails."""
    try:
        return tuple(pictures_of(section.key, record))
    except Exception as failure:  # noqa: BLE001 - as above
        return (Words(f"Its pictures could not be drawn: {_reason(failure)}", quiet=True),)


def _reason(failure: Exception) -> str:
    """An error in one line, without paths: they say nothing to whoever reads the page."""
    words = " ".join(str(failure).split()) or "no reason given"
    kind = "" if isinstance(failure, DeskError) else f"{type(failure).__name__}: "
    told = _PATH.sub("…", f"{kind}{words}")
    return told if len(told) <= _SENTENCE_MAX else told[: _SENTENCE_MAX - 1] + "…"


_PATH = re.compile(r"(?<![\w.])/(?:[\w.@=-]+/)+[\w.@=-]*")


def _summary(found: Any, record: Record) -> str:
    if isinstance(found, Happened):
        return summary(found, record)
    return "What happened could not be read; the parts below say what is on record."


def _head(record: Record) -> dict[str, Any]:
    period = record.period
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "lane": record.lane,
        "kind": period.kind,
        "name": period.name,
        "first": period.first,
        "last": period.last,
    }


def _json(value: Any) -> Any:
    """Plain JSON values: money as numbers, days as ISO text, undefined and not finite as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return _json(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): _json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    return value.isoformat() if isinstance(value, date) else value


def _replace(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def missing_of(report: Report) -> Iterator[str]:
    """Headings of the parts that could not be made."""
    for part in (*report.document.front, *report.document.behind):
        if part.missing:
            yield part.heading
