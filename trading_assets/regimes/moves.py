"""Daily moves of each symbol and of MARKET, splits taken out: what the second opinion, the scores and the pictures are made of."""

import math
from datetime import date

import numpy as np
import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.features.epochs import usable_bars
from trading_assets.features.windows import Floats, window_deviation, window_sum
from trading_assets.regimes.model import MARKET

VOLATILITY_SESSIONS = 15
TREND_SESSIONS = 30
_KEY = ["symbol", "session"]


def daily_moves(bars: pl.DataFrame, actions: pl.DataFrame, *, last: date) -> pl.DataFrame:
    """symbol, session, knowable_at and move, sorted by symbol and session: one row for each usable bar, and those of MARKET.

    move is the natural logarithm of the close over the symbol's close before, in one share count; empty at a symbol's first bar.
    MARKET moves by the mean of the relatives of the symbols with a bar in the session and in the exchange's session before, and
    has a row where there is one. A later bar, symbol or split leaves earlier moves as they are, to the bit.

    Args:
        bars: Rows of DAILY_BARS.
        actions: Rows of CORPORATE_ACTIONS.
        last: Later sessions are not read.
    """
    rows = usable_bars(bars, last=last).select(*_KEY, "close", "knowable_at").sort(_KEY)
    splits = _split_bars(rows, actions)
    before = [pl.col(name).shift(1).over("symbol").alias(f"{name}_before") for name in ("close", "session")]
    based = rows.with_columns(before).join(splits, on=_KEY, how="left", maintain_order="left")
    relative = pl.col("close") / (pl.col("close_before") / pl.col("ratio").fill_null(1.0))
    related = based.with_columns(relative.alias("relative"))
    both = pl.concat([related.select(*_KEY, "knowable_at", "relative"), _market(related)])
    moves = pl.Series("move", np.log(both["relative"].to_numpy()), nan_to_null=True)
    return both.drop("relative").with_columns(moves).sort(_KEY)


def volatility_and_trend(moves: Floats) -> tuple[Floats, Floats]:
    """Sample deviation of 15 daily moves, and 30-session move over (deviation of the 30 times sqrt(30)), 0 where nothing moved.

    NaN until the windows are full; docs/features.md defines both.
    """
    scale = window_deviation(moves, TREND_SESSIONS) * math.sqrt(TREND_SESSIONS)
    total = window_sum(moves, TREND_SESSIONS)
    trend = np.divide(total, scale, out=np.where(scale == 0, 0.0, np.nan), where=scale > 0)
    return window_deviation(moves, VOLATILITY_SESSIONS), trend


def _split_bars(rows: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """symbol, session, ratio: new shares per old share since the bar before, at the first bar from the ex-date on."""
    splits = actions.filter(pl.col("kind") == "split").select("symbol", pl.col("session").alias("ex_date"), "ratio")
    bars = rows.select(*_KEY).sort("session")
    ordered = splits.sort("ex_date")
    found = ordered.join_asof(
        bars, left_on="ex_date", right_on="session", by="symbol", strategy="forward", check_sortedness=False
    )
    return found.drop_nulls("session").group_by(_KEY).agg(pl.col("ratio").product())


def _market(related: pl.DataFrame) -> pl.DataFrame:
    """MARKET's relatives. Sums run in row order, so that no other row can change their rounding."""
    calendar = pl.DataFrame({"session": XNYS.days[1:], "session_before": XNYS.days[:-1]})
    paired = related.join(calendar, on=["session", "session_before"], how="semi").sort("session", "symbol")
    sessions = paired.group_by("session").agg(pl.col("knowable_at").max(), pl.len()).sort("session")
    place = sessions["session"].search_sorted(paired["session"]).to_numpy()
    totals = np.bincount(place, weights=paired["relative"].to_numpy(), minlength=sessions.height)
    relative = pl.Series("relative", totals / sessions["len"].to_numpy(), dtype=pl.Float64)
    return sessions.select(pl.lit(MARKET).alias("symbol"), "session", "knowable_at", relative)
