"""The details behind the front page: the whole record of the book, part by part."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import polars as pl

from trading_assets.core.ids import short_id
from trading_assets.evaluation.benchmarks.beside import Comparison, shown, verdict
from trading_assets.evaluation.model import DECISION_EVIDENCE, METRIC_INTERVALS
from trading_assets.evaluation.proposals import ControlRecord, caveats
from trading_assets.evaluation.regrets import Cell, Regrets, regrets
from trading_assets.evaluation.reporting.document import Block, Bullets, Grid, Words
from trading_assets.evaluation.reporting.happened import compared_of
from trading_assets.evaluation.reporting.record import Record
from trading_assets.evaluation.reporting.words import count, number, spoken, usd
from trading_assets.evaluation.summary import (
    UNDEFINED,
    TradeRecord,
    evidence_labels,
    records_by_evidence,
)
from trading_assets.evaluation.thinking import LessonLine, PersonaLine, SourceLine, ThesisLine, Thinking, thinking_of
from trading_assets.execution.model import ACCOUNT
from trading_assets.plans.model import TRADE_PLANS, VOTES
from trading_assets.signatures.risk_gate import CONTROLS
from trading_assets.theses.memory.model import LESSONS
from trading_assets.theses.model import STANCES, THESIS_SCORES

TRADES_SHOWN = 5
CLOSED_SHOWN = 25
INCIDENTS_SHOWN = 20
_NO_TRADE = "No trade has closed."
_CONTROL_NAMES = {control.id: f"{control.id} {control.name}" for control in CONTROLS}
_TRADE_COLUMNS = (
    "Closed",
    "Symbol",
    "Strategy",
    "Regime",
    "Exit",
    "Sessions",
    "P&L, USD",
    "Return",
    "Why it was entered",
)


@dataclass(frozen=True, slots=True)
class TradeLine:
    """A closed trade with the reasons that its plan gave."""

    trade_id: str
    session: date
    symbol: str
    strategy: str
    regime: str
    exit_reason: str
    sessions_held: int
    pnl_usd: Decimal
    return_fraction: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trades:
    """Closed trades: the period's own, and the best and worst of the whole record."""

    closed: tuple[TradeLine, ...]
    best: tuple[TradeLine, ...]
    worst: tuple[TradeLine, ...]


def benchmarks(record: Record) -> Comparison | None:
    """The book beside its benchmarks; None before a session is settled."""
    return compared_of(record) if record.read(ACCOUNT).height else None


def tell_benchmarks(found: Comparison | None, record: Record) -> Iterator[Block]:
    """Every measure beside every benchmark, and what may be taken from it."""
    if found is None:
        yield Words("No session is settled yet, so nothing stands beside anything.")
        return
    columns = ("", "Desk", *(each.label[:1].upper() + each.label[1:] for each in found.others))
    yield Grid(columns, tuple(shown(found)))
    yield Bullets.of([verdict(each) for each in found.others])
    text = f"n = {count(found.sessions, 'session')}, {record.life.first} to {record.life.last}."
    yield Words(f"{text} Intervals come from a block bootstrap of session returns.", quiet=True)


def closed_trades(record: Record) -> Trades:
    """Trades with their reasons."""
    trades = record.trades
    period = trades.filter(pl.col("session").is_between(record.period.first, record.period.last))
    return Trades(
        closed=_lines(period, record),
        best=_lines(trades.filter(pl.col("pnl") > 0).sort("pnl", descending=True).head(TRADES_SHOWN), record),
        worst=_lines(trades.filter(pl.col("pnl") < 0).sort("pnl").head(TRADES_SHOWN), record),
    )


def tell_trades(found: Trades, record: Record) -> Iterator[Block]:
    """The period's trades, then the record's best and worst."""
    yield from _trades(found.closed[:CLOSED_SHOWN], f"No trade closed in the {record.period.kind}.")
    if len(found.closed) > CLOSED_SHOWN:
        yield Words(f"and {len(found.closed) - CLOSED_SHOWN} more")
    yield Words("Best of the whole record:")
    yield from _trades(found.best, "No trade has won.")
    yield Words("Worst of the whole record:")
    yield from _trades(found.worst, "No trade has lost.")


def intervals(record: Record) -> Sequence[Mapping[str, object]]:
    """Rows of METRIC_INTERVALS at the last session."""
    return record.at_last(METRIC_INTERVALS).drop("knowable_at").rows(named=True)


def tell_intervals(found: Sequence[Mapping[str, object]], record: Record) -> Iterator[Block]:
    """The headline measures with how sure they are, clean and contaminated evidence apart."""
    if not found:
        yield Words(f"Nothing was measured for {record.period.last}.")
        return
    columns = ("Measure", "Evidence", "Estimate", "At least", "At most", "n")
    yield Grid(columns, tuple(map(_interval_row, found)), text=(0, 1))


def evidence(record: Record) -> Mapping[str, TradeRecord]:
    """Closed trades apart for what their decisions rested on; empty where no decision is labelled."""
    labelled = record.read(DECISION_EVIDENCE)
    if not labelled.height:
        return {}
    labels = evidence_labels(record.lane, record.trades, record.read(TRADE_PLANS), labelled)
    return {str(kind): each for kind, each in records_by_evidence(record.trades, labels).items()}


def tell_evidence(found: Mapping[str, TradeRecord], record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """One row for each kind; kinds are never summed."""
    if not found:
        yield Words("No closed trade has a labelled decision.")
        return
    columns = ("Decided on", "Trades", "P&L, USD", "Win rate", "Profit factor", "Per trade, USD")
    rows = (
        (
            spoken(kind),
            str(each.trades),
            usd(each.pnl_usd),
            number(each.win_rate_fraction, "{:.0%}"),
            number(each.profit_factor, "{:.2f}"),
            number(each.expectancy_usd, "{:+,.2f}"),
        )
        for kind, each in found.items()
    )
    yield Grid(columns, tuple(rows))
    if "contaminated" in found:
        yield Words("Contaminated trades were decided by models that may have known what came; they prove nothing.")


def judged(record: Record) -> Regrets:
    """Closed trades by what was wrong with their decisions, on what was known then."""
    plans, lessons, stances = (record.read(table) for table in (TRADE_PLANS, LESSONS, STANCES))
    limits, costs = record.rules.preferences, record.rules.costs
    return regrets(record.trades, plans, lessons, stances, lane=record.lane, preferences=limits, costs=costs)


def tell_judged(found: Regrets, record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """Decisions against outcomes, then the faults and the dearest mistakes."""
    if not found.judged:
        yield Words(_NO_TRADE if not found.unjudged else f"{count(found.unjudged, 'trade')} without a plan on record.")
        return
    rows = (
        ("sound decision", _cell(found.good_won), _cell(found.good_lost)),
        ("should not have been made", _cell(found.bad_won), _cell(found.bad_lost)),
    )
    yield Grid(("Trades, USD", "Won", "Lost"), rows)
    if found.by_fault:
        faults = tuple((kind, str(cell.trades), usd(cell.pnl_usd)) for kind, cell in found.by_fault.items())
        yield Grid(("What was wrong", "Trades", "P&L, USD"), faults)
    yield Bullets.of(
        [
            f"{one.symbol}, opened {one.opened} by {spoken(one.strategy)}, {usd(one.pnl_usd)} USD: {one.why}"
            for one in found.worst[:TRADES_SHOWN]
        ]
    )


def tell_controls(found: Sequence[ControlRecord], record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """Vetoes that would have won, by control."""
    if not found:
        yield Words("No plan was refused.")
        return
    yield Words(
        "Refused openings are replayed alone and in full at the paper broker. One veto may name several controls."
    )
    columns = ("Control", "Vetoes", "Replayed", "Would have won", "Would have lost", "Not filled", "P&L, USD")
    yield Grid(columns, tuple(map(_control_row, found)))


def thinking(record: Record) -> Thinking:
    """Live theses, calibration, personas, lessons."""
    return thinking_of(record.told.mind(), record.read(THESIS_SCORES), record.read(VOTES), record.read(LESSONS))


def tell_thinking(found: Thinking, record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """Theses, sources, personas and lessons."""
    yield from _theses(found.theses)
    yield from _sources(found.sources)
    yield from _personas(found.personas)
    yield from _lessons(found.lessons)


def incidents(record: Record) -> tuple[str, ...]:
    """Failed gates of the book's life, the newest first."""
    gates = sorted(record.told.gates(record.life), key=lambda gate: (gate.session, gate.table))
    failed = [f"{g.session} {g.table}: {'; '.join(g.failures) or 'failed'}" for g in gates if not g.passed]
    return tuple(failed[::-1])


def tell_incidents(found: Sequence[str], record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """As many as a person reads."""
    if not found:
        yield Words("No gate failed.")
        return
    more = [f"and {len(found) - INCIDENTS_SHOWN} before these"] if len(found) > INCIDENTS_SHOWN else []
    yield Bullets.of([*found[:INCIDENTS_SHOWN], *more])


def warnings(record: Record) -> tuple[str, ...]:
    """What a reader must know before believing the figures."""
    return caveats(
        record.trades["pnl"].to_list(),
        sessions=record.read(ACCOUNT).height,
        has_benchmark=True,
        incidents=len(incidents(record)),
    )


def tell_warnings(found: Sequence[str], record: Record) -> Iterator[Block]:  # noqa: ARG001 - as above
    """One line each."""
    yield Bullets.of(found) if found else Words("Nothing stands against these figures but chance.")


def _lines(trades: pl.DataFrame, record: Record) -> tuple[TradeLine, ...]:
    reasons = record.once("reasons", lambda: _reasons(record)) if trades.height else {}
    names = [name for name in TradeLine.__slots__ if name not in {"pnl_usd", "reasons"}]
    return tuple(
        TradeLine(**{n: row[n] for n in names}, pnl_usd=row["pnl"], reasons=reasons.get(row["trade_id"], ()))
        for row in trades.iter_rows(named=True)
    )


def _reasons(record: Record) -> dict[str, tuple[str, ...]]:
    """Trade id to the reasons of its plan: a trade carries the id of the intent that its lane made from the plan's id."""
    rows = record.read(TRADE_PLANS).filter(pl.col("action") == "enter").select("plan_id", "reasons").iter_rows()
    return {short_id(record.lane, plan_id): tuple(json.loads(reasons)) for plan_id, reasons in rows}


def _trades(lines: Sequence[TradeLine], nothing: str) -> Iterator[Block]:
    if not lines:
        yield Words(nothing)
        return
    yield Grid(_TRADE_COLUMNS, tuple(map(_trade_row, lines)), text=(0, 1, 2, 3, 4, 8))


def _trade_row(line: TradeLine) -> tuple[str, ...]:
    return (
        str(line.session),
        line.symbol,
        line.strategy,
        line.regime,
        line.exit_reason,
        str(line.sessions_held),
        usd(line.pnl_usd),
        f"{line.return_fraction:+.2%}",
        "; ".join(line.reasons) or UNDEFINED,
    )


def _interval_row(row: Mapping[str, object]) -> tuple[str, ...]:
    values = (number(row[name], "{:,.4g}") for name in ("estimate", "low", "high"))
    return (spoken(str(row["measure"])), str(row["evidence"]), *values, str(row["observations"]))


def _cell(cell: Cell) -> str:
    return f"{cell.trades} ({usd(cell.pnl_usd)})"


def _control_row(c: ControlRecord) -> tuple[str, ...]:
    counts = (c.vetoes, c.replayed, c.would_have_won, c.would_have_lost, c.not_filled)
    return _CONTROL_NAMES.get(c.control, c.control), *map(str, counts), usd(c.pnl_usd) if c.replayed else UNDEFINED


def _theses(theses: Sequence[ThesisLine]) -> Iterator[Block]:
    if not theses:
        yield Words("No thesis lives.")
        return
    columns = (
        "Symbol",
        "Direction",
        "Confidence",
        "Status",
        "Formed",
        "Until",
        "Target, USD",
        "Wrong beyond, USD",
        "Claim",
    )
    rows = (
        (
            *(line.symbol, line.direction, f"{line.confidence:.2f}", line.status, str(line.formed), str(line.expires)),
            *(f"{line.target:.2f}", f"{line.invalidation:.2f}", line.claim),
        )
        for line in theses
    )
    yield Grid(columns, tuple(rows), text=(0, 1, 3, 4, 5, 8))


def _sources(sources: Sequence[SourceLine]) -> Iterator[Block]:
    if not sources:
        yield Words("No thesis has ended confirmed or wrong.")
        return
    rows = ((s.source, str(s.theses), f"{s.brier:.3f}", f"{s.said_mean:.0%}", f"{s.true_share:.0%}") for s in sources)
    yield Grid(("Source", "Theses", "Brier", "Said, mean", "Came true"), tuple(rows))
    yield Words("Brier: 0 is certain and right, 0.25 a coin, 1 certain and wrong.", quiet=True)


def _personas(personas: Sequence[PersonaLine]) -> Iterator[Block]:
    if not personas:
        return
    columns = ("Persona", "Weight", "Votes", "Would have entered", "Brier", "Attributed, USD")
    rows = (
        (
            *(p.persona, f"{p.weight:.2f}", str(p.votes), str(p.would_enter)),
            *(number(p.brier, "{:.3f}"), usd(p.attributed_usd)),
        )
        for p in personas
    )
    yield Grid(columns, tuple(rows))


def _lessons(lessons: Sequence[LessonLine]) -> Iterator[Block]:
    if not lessons:
        return
    columns = ("Closed", "Symbol", "Strategy", "Grade", "R", "Lesson")
    rows = (
        (str(one.session), one.symbol, one.strategy, one.grade, number(one.r_multiple, "{:+.2f}"), one.lesson)
        for one in lessons
    )
    yield Grid(columns, tuple(rows), text=(0, 1, 2, 3, 5))
