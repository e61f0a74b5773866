"""Pairs of symbols: how they move together, whether that broke lately, how wide their gap is and how such gaps ended.

Which pairs: all of them while at most `ALL_PAIRS_MAX` symbols trade in the session; else each symbol with its `PEERS` most
correlated ones, chosen at the last session of the month before from what was known then.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import combinations

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.ports import Span
from trading_assets.features.grids import Grid, grid_of
from trading_assets.features.model import CORRELATION_COLUMNS, CORRELATIONS
from trading_assets.features.norms import Places
from trading_assets.features.pairs import LONG, MEASURES, SHORT, measure_pairs
from trading_assets.features.windows import Floats

ALL_PAIRS_MAX = 30
PEERS = 10
FISHER_LOST = 3
NORMAL_95 = 1.959963984540054
_TIE_DIGITS = 9


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Rows to be made: pair by pair, sessions ascending; all are positions in the grid."""

    first: Places
    second: Places
    begins: Places
    sessions: Places


def correlations(bars: pl.DataFrame, actions: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of CORRELATIONS: one for each chosen pair and session of the span in which both symbols have a usable bar.

    Args:
        bars: Rows of DAILY_BARS from each symbol's first bar in the lake; a later start forgets past gaps.
        actions: Rows of CORPORATE_ACTIONS; a split is no return.
        span: Sessions to return; bars after it are not read.
    """
    earliest = bars["session"].min()
    if not isinstance(earliest, date) or earliest > span.last:
        return CORRELATIONS.empty()
    grid = grid_of(bars, actions, first=earliest, last=span.last)
    prices = np.ascontiguousarray(np.log(grid.close * np.cumprod(grid.ratio, axis=0)).T)
    wanted = _wanted(grid, prices, span)
    measures = np.full((wanted.sessions.size, len(MEASURES)), np.nan)
    measure_pairs(prices, wanted.first, wanted.second, wanted.begins, wanted.sessions, measures)
    return _rows(grid, wanted, dict(zip(MEASURES, measures.T, strict=True)))


def _rows(grid: Grid, wanted: _Wanted, measures: dict[str, Floats]) -> pl.DataFrame:
    lengths = np.diff(wanted.begins)
    first, second = np.repeat(wanted.first, lengths), np.repeat(wanted.second, lengths)
    low, high = wilson(measures["converged"], measures["episodes"])
    columns = {
        **measures,
        "divergence": divergence(measures["correlation_20"], measures["correlation_120"]),
        "convergence_odds": _share(measures["converged"], measures["episodes"]),
        "convergence_low": low,
        "convergence_high": high,
    }
    symbols, days = pl.Series(grid.symbols, dtype=pl.String()), pl.Series(grid.days, dtype=pl.Date())
    known = [_knowable(grid)[wanted.sessions, place] for place in (first, second)]
    frame = pl.DataFrame(
        [
            symbols.gather(first).alias("symbol_a"),
            symbols.gather(second).alias("symbol_b"),
            days.gather(wanted.sessions).alias("session"),
            *(pl.Series(c.name, columns[c.name], nan_to_null=True) for c in CORRELATION_COLUMNS),
            pl.Series("episodes", columns["episodes"].astype(np.int64)),
            pl.Series("knowable_at", np.maximum(*known)).cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
        ]
    )
    return CORRELATIONS.conform(frame)


def _knowable(grid: Grid) -> Places:
    """Microseconds since 1970 at which each bar of the grid is knowable."""
    instants = np.zeros(grid.close.shape, dtype=np.int64)
    instants[grid.at] = grid.rows["knowable_at"].dt.epoch("us").to_numpy()
    return instants


def divergence(short: Floats, long: Floats) -> Floats:
    """(atanh r20 - atanh r120) / sqrt(1/17 - 1/117): standard errors by which the last 20 sessions left the last 120.

    Fisher (1921): atanh r of n independent normal pairs has variance 1/(n - 3). The 20 sessions are among the 120, so
    the covariance of the two values is the variance of the longer one, and the variance of their difference is the difference
    of the variances; taking the windows as independent would understate every break by a fifth.
    """
    error = math.sqrt(1 / (SHORT - FISHER_LOST) - 1 / (LONG - FISHER_LOST))
    known = (np.abs(short) < 1) & (np.abs(long) < 1)
    inside = [np.arctanh(np.where(known, r, 0.0)) for r in (short, long)]
    return np.where(known, (inside[0] - inside[1]) / error, np.nan)


def wilson(hits: Floats, trials: Floats) -> tuple[Floats, Floats]:
    """The 95 % interval of a share, 0 to 1, after Wilson (1927); NaN without trials."""
    share, square = _share(hits, trials), NORMAL_95**2
    counted = np.where(trials > 0, trials, np.nan)
    middle = (share + square / (2 * counted)) / (1 + square / counted)
    reach = NORMAL_95 * np.sqrt(share * (1 - share) / counted + square / (4 * counted**2)) / (1 + square / counted)
    return np.where(share == 0, 0.0, middle - reach), np.where(share == 1, 1.0, middle + reach)


def _share(hits: Floats, trials: Floats) -> Floats:
    share: Floats = np.divide(hits, trials, out=np.full(hits.shape, np.nan), where=trials > 0)
    return share


def _wanted(grid: Grid, prices: Floats, span: Span) -> _Wanted:
    sessions: dict[tuple[int, int], list[int]] = {}
    for place, pairs in _pairs_by_session(grid, prices, span):
        for pair in pairs:
            sessions.setdefault(pair, []).append(place)
    ordered = sorted(sessions)
    lengths = [len(sessions[pair]) for pair in ordered]
    return _Wanted(
        first=np.array([a for a, _ in ordered], dtype=np.int64),
        second=np.array([b for _, b in ordered], dtype=np.int64),
        begins=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        sessions=np.array([place for pair in ordered for place in sessions[pair]], dtype=np.int64),
    )


def _pairs_by_session(grid: Grid, prices: Floats, span: Span) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    traded = np.isfinite(prices)
    chosen: dict[int, list[tuple[int, int]]] = {}
    for place, day in enumerate(grid.days):
        if day < span.first:
            continue
        present = np.flatnonzero(traded[:, place])
        if present.size <= ALL_PAIRS_MAX:
            yield place, list(combinations(present.tolist(), 2))
        else:
            month_end = _month_end_before(grid, place)
            if month_end not in chosen:
                chosen[month_end] = peer_pairs(prices, month_end)
            yield place, [(a, b) for a, b in chosen[month_end] if traded[a, place] and traded[b, place]]


def _month_end_before(grid: Grid, place: int) -> int:
    """The position of the last session of the month before; -1 where the grid begins later."""
    begins = date(grid.days[place].year, grid.days[place].month, 1)
    return sum(day < begins for day in grid.days[:place]) - 1


def peer_pairs(prices: Floats, place: int) -> list[tuple[int, int]]:
    """Each symbol with the `PEERS` symbols of the highest correlation over the 120 sessions that end at column `place`.

    Symbols that lack a session among them, or did not move, have no peers. Correlations that agree to nine digits count as
    equal, and the symbol that comes first wins.
    """
    if place < LONG:
        return []
    returns = np.diff(prices[:, place - LONG : place + 1], axis=1)
    apart = returns - returns.mean(axis=1, keepdims=True)
    length = np.sqrt((apart * apart).sum(axis=1))
    whole = np.flatnonzero(np.isfinite(length) & (length > 0))
    unit = apart[whole] / length[whole][:, np.newaxis]
    alike = np.round(unit @ unit.T, _TIE_DIGITS)
    np.fill_diagonal(alike, -np.inf)
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, : min(PEERS, whole.size - 1)]
    return _unordered(whole, nearest)


def _unordered(symbols: Places, nearest: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    pairs = {
        (min(a, b), max(a, b)) for a, row in zip(symbols.tolist(), nearest, strict=True) for b in symbols[row].tolist()
    }
    return sorted(pairs)
