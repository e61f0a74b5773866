"""The measures of a whole record in one value: for the command line's table and the report.

The same formulas as the dbt models (docs/metrics.md); a test compares them. Whatever is undefined is None.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

import polars as pl

from trading_assets.core.ids import short_id
from trading_assets.evaluation.model import EVIDENCE, Evidence

SESSIONS_PER_YEAR = 252
# Below this, a deviation of returns is rounding and no ratio is made from it.
DEVIATION_MIN = 1e-12
UNDEFINED = "n/a"
_DECISION = ("session", "slot", "evidence")


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """What a group of closed trades earned, USD; means and ratios are None where they are undefined."""

    trades: int
    wins: int
    losses: int
    pnl_usd: Decimal
    win_rate_fraction: float | None
    win_usd_mean: float | None
    loss_usd_mean: float | None
    payoff_ratio: float | None
    profit_factor: float | None
    expectancy_usd: float | None
    sessions_held_mean: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A record up to its last session. Fields carry the names of daily_metrics' columns; the benchmark has no trades."""

    equity_usd: Decimal
    return_fraction_to_date: float | None
    cagr_fraction: float | None
    volatility_fraction_annualised: float | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    max_drawdown_fraction: float | None
    trades_to_date: int | None = None
    win_rate_fraction: float | None = None
    profit_factor: float | None = None
    payoff_ratio: float | None = None
    exposure_fraction_mean: float | None = None
    turnover_fraction_annualised: float | None = None
    fees_usd_to_date: Decimal | None = None


def summarise(account: pl.DataFrame, trades: pl.DataFrame, *, starting_cash: Decimal) -> Summary:
    """The book's record, from rows of ACCOUNT and TRADES."""
    ordered = account.sort("session")
    equity: list[Decimal] = ordered["equity"].to_list()
    before = [starting_cash, *equity][: len(equity)]
    record = trade_record(trades)
    turnover = _mean(_quotients(ordered["traded_value"].to_list(), before))
    return replace(
        _of_equity(equity, starting_cash),
        trades_to_date=record.trades,
        win_rate_fraction=record.win_rate_fraction,
        profit_factor=record.profit_factor,
        payoff_ratio=record.payoff_ratio,
        exposure_fraction_mean=_mean(_quotients(ordered["market_value"].to_list(), equity)),
        turnover_fraction_annualised=None if turnover is None else turnover * SESSIONS_PER_YEAR,
        fees_usd_to_date=sum(ordered["fees"].to_list(), Decimal(0)),
    )


def summarise_equity(equity: pl.DataFrame, *, starting_cash: Decimal) -> Summary:
    """A record of which only equity is known: rows with `session` and `equity`, such as BENCHMARK."""
    return _of_equity(equity.sort("session")["equity"].to_list(), starting_cash)


def trade_record(trades: pl.DataFrame) -> TradeRecord:
    """The record of some rows of TRADES."""
    pnl: list[Decimal] = trades["pnl"].to_list()
    wins, losses = [p for p in pnl if p > 0], [p for p in pnl if p < 0]
    won, lost = float(sum(wins)), float(-sum(losses))
    win_mean, loss_mean = _over(won, len(wins)), _over(-lost, len(losses))
    return TradeRecord(
        trades=len(pnl),
        wins=len(wins),
        losses=len(losses),
        pnl_usd=sum(pnl, Decimal(0)),
        win_rate_fraction=_over(len(wins), len(pnl)),
        win_usd_mean=win_mean,
        loss_usd_mean=loss_mean,
        payoff_ratio=None if win_mean is None or loss_mean is None else win_mean / -loss_mean,
        profit_factor=_over(won, lost),
        expectancy_usd=_over(float(sum(pnl)), len(pnl)),
        sessions_held_mean=_mean([float(n) for n in trades["sessions_held"].to_list()]),
    )


def records_by(trades: pl.DataFrame, column: str) -> dict[str, TradeRecord]:
    """The record of each value of a column, such as strategy or regime, in alphabetical order."""
    groups = trades.sort("session", "trade_id").partition_by(column, as_dict=True)
    return {str(key[0]): trade_record(frame) for key, frame in sorted(groups.items())}


def evidence_labels(
    lane: str, trades: pl.DataFrame, plans: pl.DataFrame, evidence: pl.DataFrame
) -> dict[str, Evidence]:
    """Trade to what the decision that opened it rested on; unknown where plan or decision is not on record.

    Args:
        lane: The book: a trade carries the id that its lane made from the plan's.
        trades: Rows of TRADES.
        plans: Rows of TRADE_PLANS.
        evidence: Rows of DECISION_EVIDENCE.
    """
    told: dict[tuple[date, str], Evidence] = {row[:2]: row[2] for row in evidence.select(*_DECISION).iter_rows()}
    entries = plans.filter(pl.col("action") == "enter").select("plan_id", "session", "slot").iter_rows()
    decided = {short_id(lane, plan_id): (session, slot) for plan_id, session, slot in entries}
    nowhere = (date.min, "")
    return {id_: told.get(decided.get(id_, nowhere), "unknown") for id_ in trades["trade_id"].to_list()}


def records_by_evidence(trades: pl.DataFrame, labels: Mapping[str, Evidence]) -> dict[Evidence, TradeRecord]:
    """The record of each kind of evidence that occurs, never mixed; in the order of EVIDENCE."""
    kinds = pl.col("trade_id").replace_strict(dict(labels), default="unknown", return_dtype=pl.String)
    labelled = trades.with_columns(evidence=kinds)
    parts = {kind: labelled.filter(pl.col("evidence") == kind) for kind in EVIDENCE}
    return {kind: trade_record(part) for kind, part in parts.items() if part.height}


def drawdowns(equity: Sequence[Decimal], starting_cash: Decimal) -> list[float]:
    """Fraction lost since the highest value so far, the starting cash included."""
    peak, found = starting_cash, []
    for value in equity:
        peak = max(peak, value)
        found.append(1 - float(value) / float(peak))
    return found


def side_by_side(desk: Summary, benchmark: Summary | None) -> tuple[tuple[str, str, str], ...]:
    """Rows of label, the desk's value and buy-and-hold's, as a person reads them; undefined is n/a."""
    return tuple(
        (label, _shown(getattr(desk, name), form), _shown(getattr(benchmark, name, None), form))
        for name, label, form in _LINES
    )


_LINES = (
    ("equity_usd", "Equity, USD", "{:,.2f}"),
    ("return_fraction_to_date", "Total return", "{:+.2%}"),
    ("cagr_fraction", "Return per year (CAGR)", "{:+.2%}"),
    ("volatility_fraction_annualised", "Volatility per year", "{:.2%}"),
    ("sharpe_ratio", "Sharpe ratio", "{:.2f}"),
    ("sortino_ratio", "Sortino ratio", "{:.2f}"),
    ("max_drawdown_fraction", "Largest drawdown", "{:.2%}"),
    ("trades_to_date", "Closed trades", "{:d}"),
    ("win_rate_fraction", "Win rate", "{:.1%}"),
    ("profit_factor", "Profit factor", "{:.2f}"),
    ("payoff_ratio", "Mean win over mean loss", "{:.2f}"),
    ("exposure_fraction_mean", "Mean exposure", "{:.1%}"),
    ("turnover_fraction_annualised", "Turnover per year", "{:.1%}"),
    ("fees_usd_to_date", "Fees, USD", "{:,.2f}"),
)


def _shown(value: object, form: str) -> str:
    return UNDEFINED if value is None else form.format(value)


def _of_equity(equity: Sequence[Decimal], starting_cash: Decimal) -> Summary:
    last = equity[-1] if equity else starting_cash
    before = [starting_cash, *equity][: len(equity)]
    returns = list(_quotients([now - then for now, then in zip(equity, before, strict=True)], before))
    deviation = stdev(returns) if len(returns) > 1 else None
    downside = sqrt(fmean(min(r, 0.0) ** 2 for r in returns)) if len(returns) > 1 else None
    return Summary(
        equity_usd=last,
        return_fraction_to_date=_over(float(last - starting_cash), float(starting_cash)),
        cagr_fraction=_cagr(float(last) / float(starting_cash), len(equity)),
        volatility_fraction_annualised=None if deviation is None else deviation * sqrt(SESSIONS_PER_YEAR),
        sharpe_ratio=_annualised(returns, deviation),
        sortino_ratio=_annualised(returns, downside),
        max_drawdown_fraction=max(drawdowns(equity, starting_cash), default=None),
    )


def _cagr(growth: float, sessions: int) -> float | None:
    """Growth per year; a record shorter than a year is not stretched to one (GIPS forbids it, and so does sense)."""
    return growth ** (SESSIONS_PER_YEAR / sessions) - 1 if sessions >= SESSIONS_PER_YEAR else None


def _annualised(returns: Sequence[float], deviation: float | None) -> float | None:
    if deviation is None or deviation <= DEVIATION_MIN:
        return None
    return fmean(returns) / deviation * sqrt(SESSIONS_PER_YEAR)


def _quotients(numerators: Sequence[Decimal], denominators: Sequence[Decimal]) -> Iterator[float]:
    pairs = zip(numerators, denominators, strict=True)
    return (float(numerator) / float(denominator) for numerator, denominator in pairs if denominator)


def _mean(values: Iterator[float] | Sequence[float]) -> float | None:
    known = list(values)
    return fmean(known) if known else None


def _over(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None
