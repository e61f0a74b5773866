"""Bars as traded, seen in the share count of one session.

A split is a step in prices as traded. Bars before its ex-date are brought into the new share count: prices are divided by
the ratio and volumes multiplied by it. Dividends are left alone: a dividend is money that was paid, not another unit.
"""

from datetime import date

import polars as pl

_PRICES = ("open", "high", "low", "close")


def split_adjusted(bars: pl.DataFrame, actions: pl.DataFrame, *, as_of_session: date) -> pl.DataFrame:
    """Daily bars in the share count of `as_of_session`; columns, row order and types are those of `bars`.

    A split counts from its ex-date, and splits after `as_of_session` are not known yet. A bar later than `as_of_session`
    comes back as it was traded. Price ratios between two sessions do not depend on `as_of_session`, nor does
    price × volume.

    Args:
        bars: Rows of DAILY_BARS of any symbols, in any order.
        actions: Rows of CORPORATE_ACTIONS; those that are not splits are ignored.
        as_of_session: The session whose share count is wanted.
    """
    splits = _splits(actions).filter(pl.col("ex_date") <= as_of_session)
    if splits.is_empty():
        return bars
    factor = pl.col("shares").fill_null(1.0)
    return (
        bars.with_row_index("position")
        .sort("session")
        .join_asof(
            _share_counts(splits),
            left_on="session",
            right_on="ex_date",
            by="symbol",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("position")
        .with_columns(pl.col(*_PRICES) / factor, pl.col("volume") * factor)
        .select(bars.columns)
    )


def split_epochs(actions: pl.DataFrame, symbol: str) -> list[date]:
    """Ex-dates of the splits of `symbol`, ascending: the sessions in which its share count changed."""
    return _splits(actions).filter(pl.col("symbol") == symbol)["ex_date"].sort().to_list()


def _splits(actions: pl.DataFrame) -> pl.DataFrame:
    return actions.filter(pl.col("kind") == "split").select("symbol", pl.col("session").alias("ex_date"), "ratio")


def _share_counts(splits: pl.DataFrame) -> pl.DataFrame:
    """For each ex-date, how many shares of the end one share from before it became."""
    return splits.sort("ex_date").with_columns(pl.col("ratio").cum_prod(reverse=True).over("symbol").alias("shares"))
