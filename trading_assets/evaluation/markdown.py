"""The improvement report in markdown, from its findings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from trading_assets.evaluation.findings import Findings, TradeLine
from trading_assets.evaluation.proposals import ControlRecord
from trading_assets.evaluation.summary import UNDEFINED, TradeRecord, side_by_side
from trading_assets.evaluation.thinking import LessonLine, PersonaLine, SourceLine, ThesisLine
from trading_assets.signatures.risk_gate import CONTROLS

_SHOWN = 20
_CONTROL_NAMES = {control.id: f"{control.id} {control.name}" for control in CONTROLS}
_TITLES = {
    "equity.png": "Equity against buy-and-hold",
    "drawdown.png": "Drawdown",
    "pnl_by_strategy.png": "P&L by strategy",
    "pnl_by_regime.png": "P&L by regime",
    "theses.png": "Theses that live, and how they relate",
}


def render(findings: Findings, pictures: Sequence[str]) -> str:
    """The report as text; `pictures` are the names of the files beside it."""
    sections = (
        ("Headline", (*_headline(findings), *_pictures(pictures, "equity.png", "drawdown.png"))),
        ("This session", _session(findings)),
        ("What worked", _trades(findings.best, "No trade has won.")),
        ("What failed", _trades(findings.worst, "No trade has lost.")),
        ("By strategy", (*_records(findings.strategies), *_pictures(pictures, "pnl_by_strategy.png"))),
        ("By regime at entry", (*_records(findings.regimes), *_pictures(pictures, "pnl_by_regime.png"))),
        ("Theses", (*_theses(findings.thinking.theses), *_pictures(pictures, "theses.png"))),
        ("Who was right", (*_sources(findings.thinking.sources), *_personas(findings.thinking.personas))),
        ("Lessons", _lessons(findings.thinking.lessons)),
        ("Vetoes by control", _controls(findings.controls)),
        ("Data quality", _incidents(findings)),
        ("Proposals", _proposals(findings)),
        ("What these figures cannot tell", _list(findings.caveats)),
    )
    title = f"# Improvement report: {findings.lane}, {findings.session}"
    parts = [title, *(f"## {heading}\n\n" + "\n".join(lines) for heading, lines in sections)]
    return "\n\n".join(parts) + "\n"


def _headline(findings: Findings) -> Iterator[str]:
    yield f"{findings.sessions} sessions of the book, up to {findings.session}."
    yield ""
    rows = side_by_side(findings.desk, findings.benchmark)
    yield from _table(("", "Desk", "Buy and hold"), rows)


def _session(findings: Findings) -> Iterator[str]:
    last = findings.last
    if last is None:
        yield f"The book has no settled account for {findings.session}."
        return
    yield (
        f"P&L {last.pnl_usd:+,.2f} USD (fees {last.fees_usd:,.2f}, dividends {last.dividends_usd:,.2f}). "
        f"{last.decisions} slots decided, {last.plans} plans, {last.vetoes} vetoes, {last.trades_closed} trades closed, "
        f"{last.positions} positions at the close."
    )
    if findings.closed:
        yield ""
        yield from _trades(findings.closed, "")


def _trades(lines: Sequence[TradeLine], nothing: str) -> Iterator[str]:
    if not lines:
        yield nothing
        return
    columns = ("Closed", "Symbol", "Strategy", "Regime", "Exit", "Sessions", "P&L, USD", "Return", "Why it was entered")
    rows = (
        (
            str(line.session),
            line.symbol,
            line.strategy,
            line.regime,
            line.exit_reason,
            str(line.sessions_held),
            f"{line.pnl_usd:+,.2f}",
            f"{line.return_fraction:+.2%}",
            "; ".join(line.reasons) or UNDEFINED,
        )
        for line in lines
    )
    yield from _table(columns, rows, text=(0, 1, 2, 3, 4, 8))


def _records(records: Mapping[str, TradeRecord]) -> Iterator[str]:
    if not records:
        yield "No trade has closed."
        return
    columns = ("", "Trades", "P&L, USD", "Win rate", "Profit factor", "Per trade, USD", "Sessions held")
    rows = (
        (
            name,
            str(record.trades),
            f"{record.pnl_usd:+,.2f}",
            _number(record.win_rate_fraction, "{:.0%}"),
            _number(record.profit_factor, "{:.2f}"),
            _number(record.expectancy_usd, "{:+,.2f}"),
            _number(record.sessions_held_mean, "{:.1f}"),
        )
        for name, record in records.items()
    )
    yield from _table(columns, rows)


def _theses(theses: Sequence[ThesisLine]) -> Iterator[str]:
    if not theses:
        yield "No thesis lives."
        return
    columns = ("Symbol", "Direction", "Confidence", "Status", "Formed", "Until", "Target, USD", "Wrong beyond, USD")
    rows = (
        (
            line.symbol,
            line.direction,
            f"{line.confidence:.2f}",
            line.status,
            str(line.formed),
            str(line.expires),
            f"{line.target:.2f}",
            f"{line.invalidation:.2f}",
        )
        for line in theses
    )
    yield from _table(columns, rows, text=(0, 1, 3, 4, 5))


def _sources(sources: Sequence[SourceLine]) -> Iterator[str]:
    if not sources:
        yield "No thesis has ended confirmed or wrong."
        return
    columns = ("Source", "Theses", "Brier", "Said, mean", "Came true")
    rows = ((s.source, str(s.theses), f"{s.brier:.3f}", f"{s.said_mean:.0%}", f"{s.true_share:.0%}") for s in sources)
    yield from _table(columns, rows)


def _personas(personas: Sequence[PersonaLine]) -> Iterator[str]:
    if personas:
        yield ""
        columns = ("Persona", "Weight", "Votes", "Would have entered", "Brier", "Attributed, USD")
        rows = (
            (
                p.persona,
                f"{p.weight:.2f}",
                str(p.votes),
                str(p.would_enter),
                _number(p.brier, "{:.3f}"),
                f"{p.attributed_usd:+,.2f}",
            )
            for p in personas
        )
        yield from _table(columns, rows)


def _lessons(lessons: Sequence[LessonLine]) -> Iterator[str]:
    if not lessons:
        yield "No trade has closed."
        return
    columns = ("Closed", "Symbol", "Strategy", "Grade", "R", "Lesson")
    rows = (
        (str(one.session), one.symbol, one.strategy, one.grade, _number(one.r_multiple, "{:+.2f}"), one.lesson)
        for one in lessons
    )
    yield from _table(columns, rows, text=(0, 1, 2, 3, 5))


def _controls(controls: Sequence[ControlRecord]) -> Iterator[str]:
    if not controls:
        yield "No plan was refused."
        return
    yield "Refused entries are replayed alone and in full at the paper broker. One veto may name several controls."
    yield ""
    columns = ("Control", "Vetoes", "Replayed", "Would have won", "Would have lost", "Not filled", "P&L, USD")
    rows = (
        (
            _CONTROL_NAMES.get(c.control, c.control),
            *map(str, (c.vetoes, c.replayed, c.would_have_won, c.would_have_lost, c.not_filled)),
            _replayed(c),
        )
        for c in controls
    )
    yield from _table(columns, rows)


def _replayed(control: ControlRecord) -> str:
    return f"{control.pnl_usd:+,.2f}" if control.replayed else UNDEFINED


def _incidents(findings: Findings) -> Iterator[str]:
    """The newest failures first, as many as a person reads."""
    failed = findings.incidents[::-1]
    if not failed:
        yield "No gate failed."
    yield from _list(f"{gate.session} {gate.table}: {'; '.join(gate.failures) or 'failed'}" for gate in failed[:_SHOWN])
    if len(failed) > _SHOWN:
        yield f"- and {len(failed) - _SHOWN} before these"


def _proposals(findings: Findings) -> Iterator[str]:
    if not findings.proposals:
        yield "The record supports no proposal."
        return
    yield "For the operator to decide; nothing is applied."
    yield ""
    yield from _list(f"**{p.subject}**: {p.action}. {p.evidence} (n = {p.observations})." for p in findings.proposals)


def _pictures(present: Sequence[str], *wanted: str) -> Iterator[str]:
    for name in wanted:
        if name in present:
            yield f"\n![{_TITLES[name]}]({name})"


def _list(sentences: Iterable[str]) -> list[str]:
    return [f"- {_plain(sentence)}" for sentence in sentences]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, text: Sequence[int] = (0,)) -> Iterator[str]:
    """A markdown table; columns that are not text are aligned to the right."""
    yield "| " + " | ".join(columns) + " |"
    yield "| " + " | ".join(":--" if n in text else "--:" for n in range(len(columns))) + " |"
    for row in rows:
        yield "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in row) + " |"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _number(value: float | None, form: str) -> str:
    return UNDEFINED if value is None else form.format(value)
