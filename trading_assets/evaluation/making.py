"""Makes the improvement report of a session or a week from what a lane has on record, and writes it."""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateBook, GateRecord, Lake, Span
from trading_assets.core.tables import Table
from trading_assets.evaluation.report import Report, ReportPaths, improvement_report, missing_of, write_report
from trading_assets.evaluation.reporting.record import Period, Record, Told
from trading_assets.evaluation.summary import summarise
from trading_assets.execution.model import ACCOUNT
from trading_assets.execution.ports import OrderLedger, SessionClose
from trading_assets.execution.rules import Rules
from trading_assets.market.model import DAILY_BARS
from trading_assets.theses.model import Mind

_PICTURE = re.compile(r"\]\((\w+\.png)\)")
# Text and pictures are stored in Dagster's event row; pictures that would exceed this are left to the files.
SHOWN_BYTES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Made:
    """A report on disk, its text for the UI, its numbers, and the headings of parts that could not be made."""

    paths: ReportPaths
    markdown_with_pictures: str
    headline: Mapping[str, float]
    missing: tuple[str, ...]


def make_report(
    lake: Lake,
    gates: GateBook,
    ledger: OrderLedger,
    rules: Rules,
    span: Span,
    folder: Path,
    *,
    told: Told | None = None,
    week: bool = False,
) -> Made:
    """Writes the report of the span's last session, or of its week, below `folder/<lane>/<session or week>/`.

    Args:
        told: What the ledger knows beside the book, its mind and the gates; None where nothing else is asked.
        week: The week of the last session up to it, instead of the session alone.
    """
    period = Period.week_of(span.last) if week else Period.session(span.last)
    record = record_of(lake, gates, ledger, rules, period, told or Told())
    report = improvement_report(record)
    paths = write_report(report, folder / rules.book / period.name)
    return Made(paths, shown(report), dict(_headline(record)), tuple(missing_of(report)))


def record_of(lake: Lake, gates: GateBook, ledger: OrderLedger, rules: Rules, period: Period, told: Told) -> Record:
    """The lane as of the period's last close; nothing is read before a part asks for it."""
    as_of, last = XNYS.session(period.last).close, period.last

    def rows(table: Table) -> pl.DataFrame:
        return lake.read(table, as_of=as_of, lane=rules.book, last=last)

    def facts(table: Table, span: Span) -> pl.DataFrame:
        return lake.read(table, as_of=as_of, first=span.first, last=span.last)

    def judged(span: Span) -> list[GateRecord]:
        found = gates.gates(DAILY_BARS.name, span)
        return [found[day] for day in sorted(found)]

    def mind() -> Mind:
        with ledger.reading() as reading:
            return reading.mind(as_of)

    def close() -> SessionClose | None:
        with ledger.reading() as reading:
            return reading.close_of(last)

    def decided(span: Span) -> list[tuple[date, str]]:
        with ledger.reading() as reading:
            return [(each.session, each.slot) for each in reading.decisions(span.first, span.last)]

    known = replace(told, gates=judged, mind=mind, close=close, decided=decided)
    return Record(rules.book, period, rules, rows, facts, known)


def settled_week(lake: Lake, lane: str, week: date) -> Period:
    """The week that a day lies in, up to its last session that the book has settled, or up to its last one at all."""
    monday = date.fromordinal(week.toordinal() - week.weekday())
    sessions = [session.day for session in XNYS.sessions(monday, date.fromordinal(monday.toordinal() + 6))]
    as_of = XNYS.session(sessions[-1]).close
    settled = lake.read(ACCOUNT, as_of=as_of, lane=lane, first=sessions[0], last=sessions[-1])["session"].to_list()
    return Period.week_of(max(settled, default=sessions[-1]))


def shown(report: Report) -> str:
    """The markdown with as many pictures inside, the first ones first, as the UI's store takes."""
    room = SHOWN_BYTES_MAX - len(report.markdown.encode())

    def inside(found: re.Match[str]) -> str:
        nonlocal room
        content = base64.b64encode(report.plots.get(found[1], b"")).decode()
        if not content or len(content) > room:
            return found[0]
        room -= len(content) + len("data:image/png;base64,")
        return f"](data:image/png;base64,{content})"

    return _PICTURE.sub(inside, report.markdown)


def _headline(record: Record) -> Iterator[tuple[str, float]]:
    """The desk's measures that are defined, as numbers that the UI can draw over sessions."""
    measures = summarise(record.read(ACCOUNT), record.trades, starting_cash=record.starting_cash)
    for name in measures.__slots__:
        value = getattr(measures, name)
        if value is not None and math.isfinite(value):
            yield name, float(value)
