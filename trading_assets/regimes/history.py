"""What past labels say: how regimes follow one another and how long they last."""

import polars as pl


def transitions(labels: pl.DataFrame) -> pl.DataFrame:
    """How often each regime was followed by each, session to session, staying included.

    Takes rows of REGIME_LABELS (of one symbol, or of several that are counted together). Columns: from, to, count, and
    probability, which adds up to 1 over each `from`. The last session of a symbol has no successor and does not count.
    """
    steps = labels.sort("symbol", "session").select(
        pl.col("regime").alias("from"), pl.col("regime").shift(-1).over("symbol").alias("to")
    )
    counted = steps.drop_nulls().group_by("from", "to").agg(pl.len().cast(pl.Int64).alias("count"))
    share = pl.col("count") / pl.col("count").sum().over("from")
    return counted.with_columns(share.alias("probability")).sort("from", "to")


def persistence(labels: pl.DataFrame) -> pl.DataFrame:
    """How long regimes last: regime, spells, sessions, mean_sessions per spell.

    A spell is an unbroken run of one symbol's rows with the same regime; the spell that is still running counts as it stands.
    """
    changed = (pl.col("regime") != pl.col("regime").shift(1).over("symbol")).fill_null(value=True)
    spells = labels.sort("symbol", "session").select("regime", changed.alias("begins"))
    return (
        spells.group_by("regime")
        .agg(pl.col("begins").sum().cast(pl.Int64).alias("spells"), pl.len().cast(pl.Int64).alias("sessions"))
        .with_columns((pl.col("sessions") / pl.col("spells")).alias("mean_sessions"))
        .sort("regime")
    )
