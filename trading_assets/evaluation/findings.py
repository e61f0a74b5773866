"""What the record says, as values: the improvement report renders them, and its JSON is nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from trading_assets.core.ids import short_id
from trading_assets.core.ports import GateRecord
from trading_assets.evaluation.proposals import ControlRecord, Proposal, caveats, propose
from trading_assets.evaluation.summary import (
    Summary,
    TradeRecord,
    records_by,
    summarise,
    summarise_equity,
    trade_record,
)
from trading_assets.evaluation.thinking import Thinking, thinking_of
from trading_assets.evaluation.vetoed import VetoOutcome
from trading_assets.theses.model import Mind

TRADES_SHOWN = 5


@dataclass(frozen=True)
class ReportInputs:
    """Everything a report is made from. What is optional may be missing on a bad day; the report appears all the same.

    Args:
        lane: "desk" or "backtest".
        session: The session that the report closes.
        starting_cash: What the book began with, USD.
        account: Rows of ACCOUNT up to the session; may be empty.
        trades: Rows of TRADES up to the session; may be empty.
        benchmark: Rows of BENCHMARK.
        verdicts: Rows of VERDICTS.
        plans: Rows of TRADE_PLANS, for the reasons behind trades.
        vetoed: What refused entries would have earned.
        gates: Verdicts of the quality gate; failed ones become incidents.
        mind: The newest mind of the book.
        scores: Rows of THESIS_SCORES.
        votes: Rows of VOTES.
        lessons: Rows of LESSONS.
    """

    lane: str
    session: date
    starting_cash: Decimal
    account: pl.DataFrame
    trades: pl.DataFrame
    benchmark: pl.DataFrame | None = None
    verdicts: pl.DataFrame | None = None
    plans: pl.DataFrame | None = None
    vetoed: Sequence[VetoOutcome] = ()
    gates: Sequence[GateRecord] = ()
    mind: Mind | None = None
    scores: pl.DataFrame | None = None
    votes: pl.DataFrame | None = None
    lessons: pl.DataFrame | None = None


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
class SessionLine:
    """What happened in the report's own session, USD."""

    pnl_usd: Decimal
    fees_usd: Decimal
    dividends_usd: Decimal
    positions: int
    decisions: int
    plans: int
    vetoes: int
    trades_closed: int


@dataclass(frozen=True, slots=True)
class Findings:
    """The whole report as values. `last` is None when the session has no settled account; `closed` are the session's trades."""

    lane: str
    session: date
    sessions: int
    desk: Summary
    benchmark: Summary | None
    last: SessionLine | None
    closed: tuple[TradeLine, ...]
    strategies: Mapping[str, TradeRecord]
    regimes: Mapping[str, TradeRecord]
    best: tuple[TradeLine, ...]
    worst: tuple[TradeLine, ...]
    controls: tuple[ControlRecord, ...]
    incidents: tuple[GateRecord, ...]
    proposals: tuple[Proposal, ...]
    caveats: tuple[str, ...]
    thinking: Thinking

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values: money as numbers, days as ISO text, undefined as null."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=_plain))
        return plain


def find(inputs: ReportInputs) -> Findings:
    """Reads the record; every part copes with rows that are missing."""
    trades, account = inputs.trades.sort("session", "trade_id"), inputs.account.sort("session")
    has_benchmark = inputs.benchmark is not None and inputs.benchmark.height > 0
    strategies, regimes = records_by(trades, "strategy"), records_by(trades, "regime")
    controls = _controls(inputs.verdicts, inputs.vetoed)
    incidents = tuple(sorted((g for g in inputs.gates if not g.passed), key=lambda g: (g.session, g.table)))
    desk = summarise(account, trades, starting_cash=inputs.starting_cash)
    return Findings(
        lane=inputs.lane,
        session=inputs.session,
        sessions=account.height,
        desk=desk,
        benchmark=summarise_equity(inputs.benchmark, starting_cash=inputs.starting_cash)
        if inputs.benchmark is not None and has_benchmark
        else None,
        last=_last(inputs, account),
        closed=_lines(trades.filter(pl.col("session") == inputs.session), inputs),
        strategies=strategies,
        regimes=regimes,
        best=_lines(trades.filter(pl.col("pnl") > 0).sort("pnl", descending=True).head(TRADES_SHOWN), inputs),
        worst=_lines(trades.filter(pl.col("pnl") < 0).sort("pnl").head(TRADES_SHOWN), inputs),
        controls=controls,
        incidents=incidents,
        proposals=propose(
            strategies,
            regimes,
            controls,
            fees_usd=desk.fees_usd_to_date or Decimal(0),
            gross_profit_usd=trade_record(trades.filter(pl.col("pnl") > 0)).pnl_usd,
            trades=trades.height,
        ),
        caveats=caveats(
            trades["pnl"].to_list(), sessions=account.height, has_benchmark=has_benchmark, incidents=len(incidents)
        ),
        thinking=thinking_of(inputs.mind, inputs.scores, inputs.votes, inputs.lessons),
    )


def _last(inputs: ReportInputs, account: pl.DataFrame) -> SessionLine | None:
    rows = account.tail(2).rows(named=True)
    if not rows or rows[-1]["session"] != inputs.session:
        return None
    row = rows[-1]
    before = rows[0]["equity"] if len(rows) > 1 else inputs.starting_cash
    return SessionLine(
        pnl_usd=row["equity"] - before,
        fees_usd=row["fees"],
        dividends_usd=row["dividends"],
        positions=row["positions"],
        decisions=row["decisions"],
        plans=row["plans"],
        vetoes=row["vetoes"],
        trades_closed=inputs.trades.filter(pl.col("session") == inputs.session).height,
    )


def _lines(trades: pl.DataFrame, inputs: ReportInputs) -> tuple[TradeLine, ...]:
    reasons = _reasons(inputs) if trades.height else {}
    return tuple(
        TradeLine(
            trade_id=row["trade_id"],
            session=row["session"],
            symbol=row["symbol"],
            strategy=row["strategy"],
            regime=row["regime"],
            exit_reason=row["exit_reason"],
            sessions_held=row["sessions_held"],
            pnl_usd=row["pnl"],
            return_fraction=row["return_fraction"],
            reasons=reasons.get(row["trade_id"], ()),
        )
        for row in trades.iter_rows(named=True)
    )


def _reasons(inputs: ReportInputs) -> dict[str, tuple[str, ...]]:
    """Trade id to the reasons of its plan: a trade carries the id of the intent that its lane made from the plan's id."""
    if inputs.plans is None:
        return {}
    rows = inputs.plans.filter(pl.col("action") == "enter").select("plan_id", "reasons").iter_rows()
    return {short_id(inputs.lane, plan_id): tuple(json.loads(reasons)) for plan_id, reasons in rows}


def _controls(verdicts: pl.DataFrame | None, vetoed: Sequence[VetoOutcome]) -> tuple[ControlRecord, ...]:
    """Vetoes by control, most frequent first; a veto counts under every control that it names."""
    if verdicts is None:
        return ()
    named = verdicts.filter(pl.col("ruling") == "veto").select(pl.col("controls").str.split(",").alias("control"))
    counts = named.explode("control").group_by("control").len().sort(["len", "control"], descending=[True, False])
    return tuple(_control(control or "unnamed", vetoes, vetoed) for control, vetoes in counts.iter_rows())


def _control(control: str, vetoes: int, vetoed: Sequence[VetoOutcome]) -> ControlRecord:
    own = [outcome for outcome in vetoed if control in outcome.controls]
    filled = [outcome for outcome in own if outcome.outcome != "not filled"]
    return ControlRecord(
        control=control,
        vetoes=vetoes,
        replayed=len(own),
        not_filled=len(own) - len(filled),
        would_have_won=sum(outcome.pnl_usd > 0 for outcome in filled),
        would_have_lost=sum(outcome.pnl_usd < 0 for outcome in filled),
        pnl_usd=sum((outcome.pnl_usd for outcome in filled), Decimal(0)),
    )


def _plain(value: object) -> float | str:
    return float(value) if isinstance(value, Decimal) else str(value)
