"""The report of one run day: what is wanted, what changes and why, and what came of earlier portfolios beside what was expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.core.ports import Lake
from trading_assets.weekly.model import TOTAL, WEEKLY_PORTFOLIO, WEEKLY_RESULTS
from trading_assets.weekly.results import Calibration, calibration

Row = Mapping[str, Any]
FILE = "report.md"
_SHOWN = 12


@dataclass(frozen=True)
class Report:
    """One run day in words and numbers: the rows of its portfolio, and the totals of every portfolio judged by then."""

    session: date
    rows: Sequence[Row]
    judged: Sequence[Row]
    calibration: Calibration
    markdown: str
    plots: Mapping[str, bytes] = field(default_factory=dict)


def report_of(lake: Lake, day: date, *, as_of: datetime) -> Report:
    """The report of a run day; it exists where there is no portfolio, too, and says so."""
    from trading_assets.weekly.plots import plots_of

    rows = lake.read(WEEKLY_PORTFOLIO, as_of=as_of, first=day, last=day).rows(named=True)
    results = lake.read(WEEKLY_RESULTS, as_of=as_of, last=day)
    found = calibration(results)
    judged = results.filter(pl.col("symbol") == TOTAL).sort("made").rows(named=True)
    told = "\n".join([*_portfolio(day, rows), *_past(judged, found)])
    return Report(day, rows, judged, found, told + "\n", plots_of(rows, judged))


def write_report(report: Report, folder: Path) -> Path:
    """Writes the page and its pictures, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(report.markdown, encoding="utf-8")
    for name, content in sorted(report.plots.items()):
        (folder / name).write_bytes(content)
    return folder


def _portfolio(day: date, rows: Sequence[Row]) -> Iterator[str]:
    yield f"# Weekly desk after {day}"
    yield ""
    total = next((row for row in rows if row["symbol"] == TOTAL), None)
    if total is None:
        yield "No portfolio was made: no symbol has indicators. The one before opens nothing any more, and what is held is kept."
        return
    fraction = total["capital_fraction"]
    yield f"{total['reason']}. Valid until {total['valid_until']}; portfolio before: {total['made_before'] or 'none'}."
    yield (
        f"The weekly desk may use {fraction:.1%} of equity."
        if fraction
        else "It has no capital: nothing of this is traded."
    )
    yield ""
    yield "| symbol | action | weight | before | p(loss) | expected | 90 % of paths | why |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in sorted(rows, key=lambda r: (r["symbol"] != TOTAL, -r["weight"], r["symbol"])):
        yield _line(row)


def _line(row: Row) -> str:
    paths = f"{_percent(row['low_90'])} to {_percent(row['high_90'])}"
    numbers = (_percent(row[name]) for name in ("weight", "weight_before", "p_loss", "expected_return"))
    return "| " + " | ".join((row["symbol"], row["action"], *numbers, paths, row["reason"])) + " |"


def _past(judged: Sequence[Row], found: Calibration) -> Iterator[str]:
    yield ""
    yield "## What came of earlier portfolios"
    yield ""
    if not judged:
        yield "None has been judged yet."
        return
    yield (
        f"{found.portfolios} portfolios judged that held something: hit rate of holdings {_percent(found.hit_rate)}, "
        f"ahead of buy-and-hold of the universe in {_percent(found.beat_universe)}."
    )
    yield (
        f"{found.judged} simulated symbols: {_percent(found.inside_50)} ended inside the middle 50 % of their paths, "
        f"{_percent(found.inside_90)} inside 90 %; {_percent(found.lost)} lost, {_percent(found.lost_expected)} were expected to."
    )
    yield ""
    yield "| made | ended | weight | return | universe | expected | 90 % of paths | inside |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in judged[-_SHOWN:]:
        inside = "" if row["inside_90"] is None else "yes" if row["inside_90"] else "no"
        numbers = (_percent(row[name]) for name in ("weight", "outcome", "universe", "expected_return"))
        band = f"{_percent(row['low_90'])} to {_percent(row['high_90'])}"
        yield "| " + " | ".join((str(row["made"]), str(row["ended"]), *numbers, band, inside)) + " |"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{value:.1%}"
