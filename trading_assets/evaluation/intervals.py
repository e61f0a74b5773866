"""How sure the headline measures are: their block-bootstrap intervals, apart for each kind of evidence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.evaluation.model import EVIDENCE, METRIC_INTERVALS
from trading_assets.evaluation.statistics import (
    Statistic,
    block_bootstrap_of,
    mean_of,
    profit_factor_of,
    sharpe_of,
    win_rate_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
SEED = 7
ALL = "all"
_PLACES = 9


class Observed(NamedTuple):
    """One number of the record and what it rests on."""

    value: float
    evidence: str


MEASURES: Mapping[str, tuple[str, Statistic]] = {
    "return_fraction_mean": ("returns", mean_of),
    "sharpe_ratio": ("returns", sharpe_of),
    "excess_return_fraction_mean": ("excess", mean_of),
    "expectancy_usd": ("pnl", mean_of),
    "win_rate_fraction": ("pnl", win_rate_of),
    "profit_factor": ("pnl", profit_factor_of),
    "slippage_bp_mean": ("slippage", mean_of),
}


def metric_intervals(
    account: pl.DataFrame,
    benchmark: pl.DataFrame,
    shares: pl.DataFrame,
    slippage: pl.DataFrame,
    evidence: pl.DataFrame,
    *,
    session: date,
    starting_cash: Decimal,
) -> pl.DataFrame:
    """Rows of METRIC_INTERVALS for the record up to `session`; no row for a measure of which nothing was observed.

    Args:
        account: Rows of ACCOUNT to date.
        benchmark: Rows of BENCHMARK to date.
        shares: Rows of ATTRIBUTION to date: trades with their evidence.
        slippage: Rows of SLIPPAGE to date.
        evidence: Rows of DECISION_EVIDENCE to date; a session without one is unknown.
        session: The session that the rows are for.
        starting_cash: What the book began with, USD.
    """
    books = dict(evidence.select("session", "book_evidence").iter_rows())
    labels = {day: books.get(day, "unknown") for day in account["session"]}
    returns = _returns(account, starting_cash)
    held = _returns(benchmark, starting_cash)
    observed: Mapping[str, Sequence[Observed]] = {
        "returns": [Observed(value, labels[day]) for day, value in returns.items()],
        "excess": [Observed(value - held[day], labels[day]) for day, value in returns.items() if day in held],
        "pnl": _trades(shares),
        "slippage": _fills(slippage, evidence),
    }
    rows = (row for name, (series, of) in MEASURES.items() for row in _rows(name, of, observed[series]))
    known = XNYS.session(session).close
    return METRIC_INTERVALS.frame([{"session": session, **row, "knowable_at": known} for row in rows])


def _rows(measure: str, statistic: Statistic, observed: Sequence[Observed]) -> Iterator[dict[str, Any]]:
    """The measure over each kind of evidence, and over everything only where there is more than one kind."""
    kinds = [kind for kind in EVIDENCE if any(each.evidence == kind for each in observed)]
    for kind in [*kinds, *([ALL] if len(kinds) > 1 else [])]:
        values = [each.value for each in observed if kind in {ALL, each.evidence}]
        found = block_bootstrap_of(statistic, values, level=LEVEL, seed=SEED)
        yield {
            "measure": measure,
            "evidence": kind,
            "estimate": _estimate(statistic, values) if found is None else round(found.mean, _PLACES),
            "low": None if found is None else round(found.low, _PLACES),
            "high": None if found is None else round(found.high, _PLACES),
            "level": LEVEL,
            "observations": len(values),
        }


def _estimate(statistic: Callable[["NDArray[Any]"], "NDArray[Any]"], values: Sequence[float]) -> float | None:
    """The measure alone, where the record is too short for an interval; None where it is undefined."""
    import numpy as np

    if len(values) < 2:  # the smallest record that every measure is made from
        return None
    estimate = float(statistic(np.asarray(values, dtype=np.float64)[None, :])[0])
    return round(estimate, _PLACES) if np.isfinite(estimate) else None


def _returns(equity: pl.DataFrame, starting_cash: Decimal) -> dict[date, float]:
    """By session, the change of equity over equity before."""
    before, found = float(starting_cash), {}
    for day, amount in equity.sort("session").select("session", "equity").iter_rows():
        if before > 0:
            found[day] = float(amount) / before - 1
        before = float(amount)
    return found


def _trades(shares: pl.DataFrame) -> list[Observed]:
    of_trades = shares.filter(pl.col("dimension") == "evidence").sort("session", "trade_id")
    return [Observed(float(pnl), name) for pnl, name in of_trades.select("pnl", "name").iter_rows()]


def _fills(slippage: pl.DataFrame, evidence: pl.DataFrame) -> list[Observed]:
    """Fills with a known reference by the evidence of the book that they belong to."""
    books = dict(evidence.select("session", "book_evidence").iter_rows())
    known = slippage.filter((pl.col("fill_id") != "") & pl.col("shortfall_bp").is_not_null())
    ordered = known.sort("session", "order_id", "fill_id").select("session", "shortfall_bp")
    return [Observed(bp, books.get(day, "unknown")) for day, bp in ordered.iter_rows()]
