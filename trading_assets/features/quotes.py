"""Quotes that can be reckoned with."""

import polars as pl

BP = 1e4


def usable_quotes(quotes: pl.DataFrame) -> pl.DataFrame:
    """The QUOTE_BARS that can be reckoned with, sorted by symbol, session and start, with `quoted_bp` beside.

    Left out: prices that are not finite and positive, and a bid above the ask. Depths that are not finite, below zero or both
    zero become null.
    """
    sound = pl.all_horizontal(pl.col("bid", "ask").is_finite() & (pl.col("bid", "ask") > 0))
    shown = pl.all_horizontal(pl.col("bid_depth", "ask_depth").is_finite() & (pl.col("bid_depth", "ask_depth") >= 0))
    kept = quotes.filter(sound & (pl.col("bid") <= pl.col("ask"))).sort("symbol", "session", "start")
    depths = [pl.when(shown).then(pl.col(name)).alias(name) for name in ("bid_depth", "ask_depth")]
    middle = (pl.col("bid") + pl.col("ask")) / 2
    return kept.with_columns(*depths, quoted_bp=BP * (pl.col("ask") - pl.col("bid")) / middle)
