"""Gathers what a lane has on record and makes its improvement report; whatever is missing is simply not in it."""

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import GateBook, Lake, Span
from trading_assets.evaluation.findings import ReportInputs
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.evaluation.report import Report, ReportPaths, improvement_report, write_report
from trading_assets.evaluation.vetoed import veto_outcomes
from trading_assets.execution.model import ACCOUNT, TRADES
from trading_assets.execution.ports import OrderLedger
from trading_assets.execution.rules import Rules
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.signatures.model import VERDICTS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import THESIS_SCORES, Mind

_PICTURE = re.compile(r"\]\((\w+\.png)\)")
# Pictures are stored in Dagster's event row: a larger text is shown without them.
_SHOWN_BYTES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Made:
    """A report on disk, its text for the UI, and its numbers."""

    paths: ReportPaths
    markdown_with_pictures: str
    headline: Mapping[str, float]


def make_report(lake: Lake, gates: GateBook, ledger: OrderLedger, rules: Rules, span: Span, folder: Path) -> Made:
    """Writes the report of the span's last session below `folder/<lane>/<session>/`."""
    with ledger.reading() as reading:
        mind = reading.mind(XNYS.session(span.last).close)
    report = improvement_report(_inputs(lake, gates, rules, span, mind))
    paths = write_report(report, folder / rules.book / span.last.isoformat())
    return Made(paths, _shown(report), _headline(report))


def _inputs(lake: Lake, gates: GateBook, rules: Rules, span: Span, mind: Mind) -> ReportInputs:
    as_of, lane, cash = XNYS.session(span.last).close, rules.book, rules.first_book.cash
    account = lake.read(ACCOUNT, as_of=as_of, lane=lane, last=span.last)
    first = account["session"][0] if account.height else span.first
    plans = lake.read(TRADE_PLANS, as_of=as_of, lane=lane, last=span.last)
    verdicts = lake.read(VERDICTS, as_of=as_of, lane=lane, last=span.last)
    benchmark = lake.read(BENCHMARK, as_of=as_of, lane=lane, last=span.last)
    judged = gates.gates(DAILY_BARS.name, Span(first, span.last))
    return ReportInputs(
        lane=lane,
        session=span.last,
        starting_cash=cash,
        account=account,
        trades=lake.read(TRADES, as_of=as_of, lane=lane, last=span.last),
        benchmark=benchmark if benchmark.height else None,
        verdicts=verdicts,
        plans=plans,
        vetoed=veto_outcomes(
            verdicts,
            plans,
            lake.read(DAILY_BARS, as_of=as_of, first=first, last=span.last),
            lake.read(CORPORATE_ACTIONS, as_of=as_of, first=first, last=span.last),
            last=span.last,
            costs=rules.costs,
        ),
        gates=[judged[day] for day in sorted(judged)],
        mind=mind,
        scores=lake.read(THESIS_SCORES, as_of=as_of, lane=lane, last=span.last),
        votes=lake.read(VOTES, as_of=as_of, lane=lane, last=span.last),
        lessons=lake.read(LESSONS, as_of=as_of, lane=lane, last=span.last),
    )


def _shown(report: Report) -> str:
    """The markdown with its pictures inside, as the UI shows it."""

    def inside(found: re.Match[str]) -> str:
        content = report.plots.get(found[1], b"")
        return f"](data:image/png;base64,{base64.b64encode(content).decode()})"

    whole = _PICTURE.sub(inside, report.markdown)
    return whole if len(whole) <= _SHOWN_BYTES_MAX else report.markdown


def _headline(report: Report) -> Mapping[str, float]:
    """The desk's measures that are defined, as numbers that the UI can draw over sessions."""
    measures = asdict(report.findings.desk)
    defined = {name: float(value) for name, value in measures.items() if value is not None}
    return {name: value for name, value in defined.items() if math.isfinite(value)}
