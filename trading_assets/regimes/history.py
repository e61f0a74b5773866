"""What past labels say: how regimes follow one another, how long they last, and how sure that is.

Intervals are 95 % Wilson intervals of a share, as if sessions were drawn independently. They are not quite: read them as the least
that is uncertain.
"""

import polars as pl

INTERVAL_Z = 1.959964


def transitions(labels: pl.DataFrame) -> pl.DataFrame:
    """How often each regime was followed by each, session to session, staying included.

    Takes rows with symbol, session and regime (of one symbol, or of several that are counted together). Columns: from, to, count,
    probability, which adds up to 1 over each `from`, and its interval probability_low to probability_high. The last session of a
    symbol has no successor and does not count.
    """
    counted = _steps(labels).group_by("from", "to").agg(pl.len().cast(pl.Int64).alias("count"))
    total = pl.col("count").sum().over("from")
    shares = counted.with_columns((pl.col("count") / total).alias("probability"), total.alias("of"))
    return _with_interval(shares, "probability").drop("of").sort("from", "to")


def persistence(labels: pl.DataFrame) -> pl.DataFrame:
    """How long regimes last: regime, spells, sessions, mean_sessions per spell, and how long one can be expected to last.

    A spell is an unbroken run of one symbol's rows with the same regime; the spell that is still running counts as it stands, so
    mean_sessions is a little short. expected_sessions is 1 / (1 - the chance to stay), with its interval expected_low to
    expected_high, all in sessions; empty where a regime never ended or, for expected_high, where the chance to stay may be 1.
    """
    changed = (pl.col("regime") != pl.col("regime").shift(1).over("symbol")).fill_null(value=True)
    spells = labels.sort("symbol", "session").select("regime", changed.alias("begins"))
    counted = spells.group_by("regime").agg(
        pl.col("begins").sum().cast(pl.Int64).alias("spells"), pl.len().cast(pl.Int64).alias("sessions")
    )
    told = counted.with_columns((pl.col("sessions") / pl.col("spells")).alias("mean_sessions"))
    return told.join(_expected(labels), on="regime", how="left").sort("regime")


def _expected(labels: pl.DataFrame) -> pl.DataFrame:
    stays = pl.col("from") == pl.col("to")
    shares = (
        _steps(labels).group_by(pl.col("from").alias("regime")).agg(stays.mean().alias("stay"), pl.len().alias("of"))
    )
    bounded = _with_interval(shares, "stay").rename(
        {"stay": "expected_sessions", "stay_low": "expected_low", "stay_high": "expected_high"}
    )
    names = ("expected_sessions", "expected_low", "expected_high")
    return bounded.select("regime", *(pl.when(pl.col(n) < 1).then(1 / (1 - pl.col(n))).alias(n) for n in names))


def _steps(labels: pl.DataFrame) -> pl.DataFrame:
    steps = labels.sort("symbol", "session").select(
        pl.col("regime").alias("from"), pl.col("regime").shift(-1).over("symbol").alias("to")
    )
    return steps.drop_nulls()


def _with_interval(shares: pl.DataFrame, name: str) -> pl.DataFrame:
    """The Wilson interval (1927) of a share of `of` trials, as name_low and name_high, 0 to 1."""
    share, trials = pl.col(name), pl.col("of")
    square = INTERVAL_Z**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    reach = INTERVAL_Z / (1 + square / trials) * (share * (1 - share) / trials + square / (4 * trials**2)).sqrt()
    low, high = (middle - reach).clip(0, 1), (middle + reach).clip(0, 1)
    return shares.with_columns(low.alias(f"{name}_low"), high.alias(f"{name}_high"))
