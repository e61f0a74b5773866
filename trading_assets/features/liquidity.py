"""Liquidity by session: from quotes where a symbol has them, else what its daily bars betray.

All windows are the 20 exchange sessions before a session (or up to it), so a row depends on `HISTORY` sessions before it and
on nothing older, nothing later and no other symbol.
"""

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.features.grids import Grid, grid_of, sessions_before
from trading_assets.features.model import LIQUIDITY, LIQUIDITY_COLUMNS
from trading_assets.features.norms import LENGTH, cell_sums, mean_before, median_before, over
from trading_assets.features.quotes import BP, usable_quotes
from trading_assets.features.windows import Floats
from trading_assets.market.hours import session_hours

HISTORY = LENGTH + 1
LEAST = 10
MINUTES_SHARE_MIN = 0.5
AMIHUD_SCALE = 1e6
_CORWIN_SCHULTZ = 3 - 2 * math.sqrt(2)


def liquidity(bars: pl.DataFrame, actions: pl.DataFrame, quotes: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of LIQUIDITY: one for each usable daily bar of the span.

    Args:
        bars: Rows of DAILY_BARS of the span and of the `HISTORY` sessions before it; older rows change nothing.
        actions: Rows of CORPORATE_ACTIONS; a split changes shares and prices, not liquidity.
        quotes: Rows of QUOTE_BARS of the same sessions, or none.
        span: Sessions to return.
    """
    grid = grid_of(bars, actions, first=sessions_before(span.first, HISTORY), last=span.last)
    if grid.rows.is_empty():
        return LIQUIDITY.empty()
    quoted, depth_ratio = _quoted(quotes, grid)
    estimated = corwin_schultz(grid)
    by_quotes = np.isfinite(quoted)
    spread = np.where(by_quotes, quoted, estimated)
    norm = np.where(by_quotes, median_before(quoted, least=LEAST), median_before(estimated, least=LEAST))
    columns = {
        "spread_bp": spread,
        "spread_norm_20": norm,
        "spread_ratio": over(spread, norm),
        "depth_ratio": depth_ratio,
        "amihud_20": _mean_up_to(_price_impact(grid)),
        "participation": over(grid.volume, mean_before(grid.volume, least=LEAST, ratio=grid.ratio)),
        "dollar_volume_20": _mean_up_to(grid.dollars),
    }
    return _rows(grid, columns, by_quotes, span)


def _rows(grid: Grid, columns: dict[str, Floats], by_quotes: npt.NDArray[np.bool_], span: Span) -> pl.DataFrame:
    values = [pl.Series(c.name, columns[c.name][grid.at], nan_to_null=True) for c in LIQUIDITY_COLUMNS]
    basis = pl.Series("basis", by_quotes[grid.at])
    rows = grid.rows.with_columns(*values, basis).with_columns(
        basis=pl.when("basis").then(pl.lit("quotes")).otherwise(pl.lit("daily_bars"))
    )
    return LIQUIDITY.conform(rows.filter(pl.col("session") >= span.first).select(list(LIQUIDITY.polars_schema())))


def corwin_schultz(grid: Grid) -> Floats:
    """The spread that the highs and lows of two consecutive sessions imply, in basis points; negative estimates are 0.

    Corwin and Schultz, "A Simple Way to Estimate Bid-Ask Spreads from Daily High and Low Prices", Journal of Finance 67 (2012),
    equations 14 and 18 and their correction for a gap between the sessions. NaN without a bar in the session before.
    """
    high, low = grid.high.copy(), grid.low.copy()
    before_high, before_low, before_close = (_row_above(price) / grid.ratio for price in (high, low, grid.close))
    gap = np.fmax(low - before_close, 0.0) - np.fmax(before_close - high, 0.0)
    high, low = high - gap, low - gap
    beta = np.log(before_high / before_low) ** 2 + np.log(high / low) ** 2
    gamma = np.log(np.maximum(before_high, high) / np.minimum(before_low, low)) ** 2
    alpha = (np.sqrt(2 * beta) - np.sqrt(beta)) / _CORWIN_SCHULTZ - np.sqrt(gamma / _CORWIN_SCHULTZ)
    spread = BP * 2 * np.expm1(alpha) / (1 + np.exp(alpha))
    return np.where(spread < 0, 0.0, spread)


def _price_impact(grid: Grid) -> Floats:
    """Amihud's daily ratio, |return| over USD volume times 1e6; NaN without trade or without a bar in the session before.

    Amihud, "Illiquidity and stock returns", Journal of Financial Markets 5 (2002).
    """
    moved = np.abs(grid.close / (_row_above(grid.close) / grid.ratio) - 1)
    return AMIHUD_SCALE * over(moved, grid.dollars)


def _mean_up_to(values: Floats) -> Floats:
    """The mean over 20 sessions, this one included."""
    below = np.vstack([values, np.full((1, values.shape[1]), np.nan)])
    return mean_before(below, least=LEAST)[1:]


def _row_above(values: Floats) -> Floats:
    above = np.full(values.shape, np.nan)
    above[1:] = values[:-1]
    return above


def _quoted(quotes: pl.DataFrame, grid: Grid) -> tuple[Floats, Floats]:
    """Mean quoted spread (bp) and the share of depth on the bid side; NaN where half of the session's minutes lack a quote."""
    shape = (len(grid.days), len(grid.symbols))
    days, symbols = pl.Series(grid.days, dtype=pl.Date()), pl.Series(grid.symbols, dtype=pl.String())
    hours = session_hours(XNYS, grid.days[0], grid.days[-1])
    inside = pl.col("knowable_at") <= pl.col("session_close")
    known = usable_quotes(quotes.filter(pl.col("symbol").is_in(symbols.implode()))).join(hours, on="session")
    known = known.filter(inside).sort("symbol", "session", "start")
    places = days.search_sorted(known["session"]).to_numpy(), symbols.search_sorted(known["symbol"]).to_numpy()
    cells = places[0].astype(np.int64) * shape[1] + places[1]
    spread, minutes = cell_sums(cells, known["quoted_bp"], shape)
    bid, ask = (cell_sums(cells, known[name], shape)[0] for name in ("bid_depth", "ask_depth"))
    possible = (hours["session_close"] - hours["session_open"]).dt.total_minutes().to_numpy()
    enough = minutes >= MINUTES_SHARE_MIN * possible[:, np.newaxis]
    return np.where(enough, over(spread, minutes), np.nan), np.where(enough, over(bid, bid + ask), np.nan)
