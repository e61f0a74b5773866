"""Signs that a feed stands still or repeats itself: columns that the rules of the gate look at.

A body that returns constants makes bars that are sound one by one. What gives it away is sameness: the same bar day after day,
the same bar under two symbols, a session in which nothing moves, an action that everybody has.
"""

import polars as pl

REPEATED_TRADED_MAX = 2
REPEATED_MAX = 19
REPEATED_INTRADAY_MAX = 19
SESSION_BARS_MIN = 5
SYMBOLS_MIN = 3
ACTIONS_IN_A_ROW_MAX = 2
_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume")


def repeated(held: pl.DataFrame, *, within: str | list[str]) -> pl.DataFrame:
    """Columns bar, `repeated` (bars in a row that hold the same numbers, itself included), `repeated_traded` (if it has volume).

    Args:
        held: Columns bar, series, and prices and volume, each series in order of time and without copies.
        within: What a run may not reach across.
    """
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1).over(within)) for name in _NUMBERS)
    runs = held.with_columns(run=(~same).cum_sum())
    counted = runs.with_columns(repeated=pl.col("bar").cum_count().over("run").cast(pl.Int64()))
    traded = pl.when(_has_volume()).then("repeated")
    return counted.select("bar", "repeated", repeated_traded=traded)


def repeated_within_session(held: pl.DataFrame) -> pl.DataFrame:
    """Like `repeated`, but a run longer than allowed is told of once, at its first bar too many."""
    runs = repeated(held, within=["series", "session"])
    told = pl.col("repeated_traded") <= REPEATED_INTRADAY_MAX + 1
    return runs.with_columns(repeated_traded=pl.when(told).then("repeated_traded"))


def daily_twins(held: pl.DataFrame) -> pl.DataFrame:
    """Columns bar, and `twin`: another symbol whose bar of the session holds the same numbers, or "none".

    Bars without volume are quotations, which may well be equal; they have no twin.
    """
    same = ("session", *_NUMBERS)
    first, last = (pl.col("symbol").min().over(same), pl.col("symbol").max().over(same))
    other = pl.when(first == pl.col("symbol")).then(last).otherwise(first)
    alone = (first == last) | ~_has_volume()
    return held.select("bar", twin=pl.when(alone).then(pl.lit("none")).otherwise(other))


def still_sessions(held: pl.DataFrame) -> pl.DataFrame:
    """Columns bar, and `market`: "moving", or what stands still; one row for the first bar of each session."""
    flat = (pl.col("high") == pl.col("low")).all()
    equal = pl.struct(_PRICES).n_unique() == 1
    actions = pl.struct("ratio", "amount").n_unique() == 1
    acted = ((pl.col("ratio") != 1) | (pl.col("amount") != 0)).all()
    return (
        held.group_by("session")
        .agg(
            pl.col("bar").min(),
            symbols=pl.col("symbol").n_unique(),
            market=pl.when(equal)
            .then(pl.lit("all symbols have the same prices"))
            .when(flat)
            .then(pl.lit("no symbol's price moves within the session"))
            .when(actions & acted)
            .then(pl.lit("all symbols have the same split or dividend"))
            .otherwise(pl.lit("moving")),
        )
        .select("bar", market=pl.when(pl.col("symbols") >= SYMBOLS_MIN).then("market").otherwise(pl.lit("moving")))
    )


def actions_in_a_row(held: pl.DataFrame) -> pl.DataFrame:
    """Columns bar, and `acted_in_a_row`: sessions in a row, this one included, in which the symbol had an action."""
    acted = (pl.col("ratio") != 1) | (pl.col("amount") != 0)
    runs = held.with_columns(acted=acted, run=(~acted).cum_sum().over("series"))
    return runs.select("bar", acted_in_a_row=pl.col("acted").cum_sum().over("series", "run").cast(pl.Int64()))


def still_series(held: pl.DataFrame) -> pl.DataFrame:
    """Columns bar, `moves_within` ("moving" or "still") and `session_twin`; one row for the first bar of each series and session.

    A series is still when at least five bars of a session hold the same numbers throughout. Its twin is another symbol whose
    bars of the session and frequency are the same ones.
    """
    told = held.sort("series", "start").group_by("series", "session", "symbol", "frequency", maintain_order=True)
    sums = told.agg(
        pl.col("bar").first(),
        pl.len().alias("bars"),
        pl.struct(_NUMBERS).n_unique().alias("kinds"),
        *(pl.col(name).sum().alias(f"{name}_sum") for name in _NUMBERS),
    )
    same = ("session", "frequency", "bars", *(f"{name}_sum" for name in _NUMBERS))
    first, last = (pl.col("symbol").min().over(same), pl.col("symbol").max().over(same))
    long_enough = pl.col("bars") >= SESSION_BARS_MIN
    traded = pl.col("volume_sum") > 0
    other = pl.when(first == pl.col("symbol")).then(last).otherwise(first)
    return sums.select(
        "bar",
        moves_within=pl.when(long_enough & (pl.col("kinds") == 1)).then(pl.lit("still")).otherwise(pl.lit("moving")),
        session_twin=pl.when(long_enough & traded & (first != last)).then(other).otherwise(pl.lit("none")),
    )


def _has_volume() -> pl.Expr:
    return pl.col("volume").is_finite() & (pl.col("volume") > 0)
