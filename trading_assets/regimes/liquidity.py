"""Liquidity regimes: how easily a symbol could be traded in a session, by rules and against its own past.

With quotes, a spread of more than twice its 20-session median is stress, and a book that leans to one side names that side.
With daily bars there is no book: the month's Corwin-Schultz spread and Amihud's illiquidity (daily return over dollars traded),
each against its own year, stand in for the spread, and nothing is said about sides. Months are compared because a
single session's estimate from highs and lows is mostly noise.

Whatever is missing makes the regime unknown, which executors treat like stressed.
"""

from functools import reduce
from operator import add
from typing import get_args

import polars as pl

from trading_assets.core.ports import Span
from trading_assets.regimes.model import LIQUIDITY_REGIMES, LiquidityRegime

STRESSED_ABOVE = 2.0
BUYERS_ABOVE = 0.7
SELLERS_BELOW = 0.3
MONTH_SESSIONS = 20
MONTH_SESSIONS_MIN = 15
YEAR_SESSIONS = 252
YEAR_SESSIONS_MIN = 126
QUOTES, DAILY_BARS_BASIS = "quotes", "daily_bars"
LIQUIDITY_WORDS: tuple[LiquidityRegime, ...] = get_args(LiquidityRegime)


def liquidity_regimes(liquidity: pl.DataFrame, *, span: Span) -> pl.DataFrame:
    """Rows of LIQUIDITY_REGIMES for the sessions of the span.

    Args:
        liquidity: Rows of LIQUIDITY from each symbol's first session in the lake; a later start can give another `since`.
        span: Sessions to return; rows after it are not read.
    """
    rows = liquidity.filter(pl.col("session") <= span.last).sort("symbol", "session")
    months = rows.with_columns(_month_mean("spread_bp").over("symbol", "basis").alias("spread_month"))
    measured = months.with_columns(
        spread_ratio=pl.when(_quoted()).then("spread_ratio").otherwise(_against_its_year("spread_month")),
        depth_ratio=pl.when(_quoted()).then("depth_ratio"),
        amihud_ratio=_against_its_year("amihud_20"),
    )
    judged = measured.with_columns(_judged().struct.field("regime", "evidence"))
    changed = (pl.col("regime") != pl.col("regime").shift(1)).fill_null(value=True)
    begun = judged.with_columns(since=pl.when(changed.over("symbol")).then("session").forward_fill().over("symbol"))
    told = begun.filter(pl.col("session") >= span.first)
    return LIQUIDITY_REGIMES.conform(told.select(*LIQUIDITY_REGIMES.polars_schema()))


def _judged() -> pl.Expr:
    """Regime and what decided it, as one value: the first case that holds counts."""
    spread, depth, amihud = (pl.col(name) for name in ("spread_ratio", "depth_ratio", "amihud_ratio"))
    quoted, estimated = _quoted(), pl.col("basis") == DAILY_BARS_BASIS
    cases: list[tuple[pl.Expr, LiquidityRegime, str]] = [
        (~(quoted | estimated), "unknown", "unknown basis"),
        (spread > STRESSED_ABOVE, "stressed", "spread"),
        (estimated & (amihud > STRESSED_ABOVE), "stressed", "amihud"),
        (spread.is_null(), "unknown", "no spread"),
        (estimated & amihud.is_null(), "unknown", "no amihud"),
        (quoted & depth.is_null(), "unknown", "no depth"),
        (depth > BUYERS_ABOVE, "buyer_dominated", "depth"),
        (depth < SELLERS_BELOW, "seller_dominated", "depth"),
        (quoted, "normal", "spread and depth"),
        (estimated, "normal", "spread and amihud"),
    ]
    return pl.coalesce(
        pl.when(holds).then(pl.struct(regime=pl.lit(regime), evidence=pl.lit(evidence)))
        for holds, regime, evidence in cases
    )


def _quoted() -> pl.Expr:
    return pl.col("basis") == QUOTES


def _month_mean(name: str) -> pl.Expr:
    """The mean of the last 20 rows; empty with fewer than 15 values.

    Added up one after the other, as polars adds across columns in whatever order its threads come.
    """
    window = [pl.col(name).shift(back) for back in range(MONTH_SESSIONS)]
    count = reduce(add, (value.is_not_null().cast(pl.Int64) for value in window))
    total = reduce(add, (value.fill_null(0.0) for value in window))
    return pl.when(count >= MONTH_SESSIONS_MIN).then(total / count)


def _against_its_year(name: str) -> pl.Expr:
    """The value over the median of the 252 rows before it (126 at least) of the same symbol and basis; empty over a median of 0."""
    usual = pl.col(name).shift(1).rolling_median(YEAR_SESSIONS, min_samples=YEAR_SESSIONS_MIN)
    return pl.when(usual > 0).then(pl.col(name) / usual).over("symbol", "basis")
