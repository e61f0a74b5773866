"""What came of earlier portfolios: each is judged once, by the first run after its horizon, close to close.

Returns are of prices with splits taken out; dividends are left out on both sides, as in the paths. A symbol whose bars end
within the horizon counts with its last close; one without any bar in it has no outcome, and is cash in the total.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.day import Outline
from trading_assets.regimes.moves import daily_moves
from trading_assets.weekly.model import PLACES, QUANTILES, TOTAL, WEEKLY_RESULTS
from trading_assets.weekly.runs import ends_on, run_before

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often outcomes lay where the paths expected them. Shares are None where nothing was judged.

    Args:
        judged: Simulated symbols with an outcome.
        inside_50: Share of them inside the middle half of their paths; 0.5 is right.
        inside_90: Share inside nine tenths; 0.9 is right.
        lost: Share that ended below where it began.
        lost_expected: Mean p_loss of them.
        portfolios: Portfolios that held something and were judged.
        hit_rate: Share of holdings that gained.
        beat_universe: Share of those portfolios that earned more than buy-and-hold of the universe.
    """

    judged: int
    inside_50: float | None
    inside_90: float | None
    lost: float | None
    lost_expected: float | None
    portfolios: int
    hit_rate: float | None
    beat_universe: float | None


def weekly_results(
    portfolios: pl.DataFrame,
    screens: pl.DataFrame,
    bars: pl.DataFrame,
    actions: pl.DataFrame,
    outline: Outline,
    *,
    days: Sequence[date],
) -> pl.DataFrame:
    """Rows of WEEKLY_RESULTS that run days add.

    Args:
        portfolios: Rows of WEEKLY_PORTFOLIO, as far back as a horizon and an interval reach.
        screens: Rows of WEEKLY_SCREEN of the same sessions: the universe.
        bars: Rows of DAILY_BARS since then.
        actions: Rows of CORPORATE_ACTIONS since then.
        outline: When the weekly desk works.
        days: Run days.
    """
    if not days or portfolios.is_empty():
        return WEEKLY_RESULTS.empty()
    moves = daily_moves(bars, actions, last=max(days))
    horizons = portfolios.filter(pl.col("symbol") == TOTAL).select("session", "horizon_sessions").sort("session").rows()
    rows: list[Row] = []
    for day in sorted(days):
        since = run_before(outline, day)
        for made, horizon in horizons:
            ended = ends_on(made, horizon)
            if ended is not None and since < ended <= day:
                own, universe = (frame.filter(pl.col("session") == made) for frame in (portfolios, screens))
                rows += _judged(own.rows(named=True), universe["symbol"], moves, made, ended, day)
    return WEEKLY_RESULTS.frame(rows)


def calibration(results: pl.DataFrame) -> Calibration:
    """What rows of WEEKLY_RESULTS show together."""
    rows = results.rows(named=True)
    named = [row for row in rows if row["symbol"] != TOTAL and row["outcome"] is not None]
    shown = [row for row in named if row["inside_90"] is not None]
    held = [row for row in named if row["weight"] > 0]
    totals = [row for row in rows if row["symbol"] == TOTAL and row["weight"] > 0 and row["universe"] is not None]
    return Calibration(
        judged=len(shown),
        inside_50=_mean(row["inside_50"] for row in shown),
        inside_90=_mean(row["inside_90"] for row in shown),
        lost=_mean(row["outcome"] < 0 for row in shown),
        lost_expected=_mean(row["p_loss"] for row in shown),
        portfolios=len(totals),
        hit_rate=_mean(row["outcome"] > 0 for row in held),
        beat_universe=_mean(row["outcome"] > row["universe"] for row in totals),
    )


def _judged(
    rows: Sequence[Row], universe: pl.Series, moves: pl.DataFrame, made: date, ended: date, day: date
) -> Iterator[Row]:
    within = moves.filter((pl.col("session") > made) & (pl.col("session") <= ended)).sort("symbol", "session")
    by_symbol: dict[str, list[float]] = {}
    for symbol, move in within.select("symbol", "move").drop_nulls().iter_rows():
        by_symbol.setdefault(symbol, []).append(move)
    came = {symbol: math.expm1(math.fsum(of)) for symbol, of in by_symbol.items()}
    all_of_it = _mean(came[symbol] for symbol in sorted(universe) if symbol in came)
    held = {row["symbol"]: row["weight"] for row in rows if row["symbol"] != TOTAL}
    earned = math.fsum(weight * came.get(symbol, 0.0) for symbol, weight in sorted(held.items()))
    shared = {"session": day, "made": made, "ended": ended, "knowable_at": XNYS.session(day).close}
    for row in rows:
        total = row["symbol"] == TOTAL
        if total or row["p_loss"] is not None:
            yield {**shared, **_beside(row, earned if total else came.get(row["symbol"]), all_of_it)}


def _beside(row: Row, outcome: float | None, universe: float | None) -> dict[str, Any]:
    """The outcome beside what was expected."""
    expected = {name: row[name] for name in ("expected_return", "p_loss", *QUANTILES)}
    return {
        "symbol": row["symbol"],
        "weight": row["weight"],
        "outcome": None if outcome is None else round(outcome, PLACES),
        "universe": None if universe is None else round(universe, PLACES),
        **expected,
        "inside_50": _inside(row["low_50"], outcome, row["high_50"]),
        "inside_90": _inside(row["low_90"], outcome, row["high_90"]),
    }


def _inside(low: float | None, outcome: float | None, high: float | None) -> bool | None:
    if low is None or high is None or outcome is None:
        return None
    return low <= round(outcome, PLACES) <= high


def _mean(values: Any) -> float | None:
    found = [float(value) for value in values]
    return math.fsum(found) / len(found) if found else None
