"""Bars as traded, seen in the share count of one session, and on request with dividends reinvested.

A split is a step in prices as traded. Bars before its ex-date are brought into the new share count: prices are divided by
the ratio and volumes multiplied by it. A dividend is money that was paid, not another unit: `split_adjusted` leaves it alone,
and `adjusted` takes it out of the earlier prices where total returns are wanted.
"""

from datetime import date

import polars as pl

from trading_assets.core.errors import PermanentFailure

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
    shares = _step_of_each_bar(bars, splits.rename({"ratio": "step"}))
    return bars.with_columns(pl.col(*_PRICES) / shares, pl.col("volume") * shares)


def adjusted(bars: pl.DataFrame, actions: pl.DataFrame, *, as_of_session: date, dividends: bool = True) -> pl.DataFrame:
    """Daily bars in the share count of `as_of_session`, and with the dividends up to then taken out of earlier prices.

    The ratio of two adjusted closes is the total return of a holder who reinvests each dividend at the last close before its
    ex-date: prices before the ex-date are multiplied by 1 - amount / that close (both as traded on the day before; the rule of
    Lean's factor files). Volumes follow splits only. Columns, row order and types are those of `bars`.

    Args:
        bars: Rows of DAILY_BARS of any symbols, in any order; each dividend needs the bar before its ex-date to count.
        actions: Rows of CORPORATE_ACTIONS.
        as_of_session: The session whose prices stay as traded; later actions are not known yet.
        dividends: False gives `split_adjusted`.

    Raises:
        PermanentFailure: A dividend is as large as the close that it is paid from, or larger.
    """
    in_shares = split_adjusted(bars, actions, as_of_session=as_of_session)
    steps = _dividend_steps(bars, actions.filter(pl.col("session") <= as_of_session)) if dividends else None
    if steps is None or steps.is_empty():
        return in_shares
    return in_shares.with_columns(pl.col(*_PRICES) * _step_of_each_bar(bars, steps))


def _splits(actions: pl.DataFrame) -> pl.DataFrame:
    return actions.filter(pl.col("kind") == "split").select("symbol", pl.col("session").alias("ex_date"), "ratio")


def _dividend_steps(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Columns symbol, ex_date and step; a dividend without a bar before it moves nothing and has none."""
    sound = bars.filter(pl.col("close").is_finite() & (pl.col("close") > 0))
    closes = sound.select("symbol", "close", held_on="session").sort("held_on")
    paid = actions.filter(pl.col("kind") == "cash_dividend").select("symbol", "amount", ex_date="session")
    held = paid.sort("ex_date").join_asof(
        closes,
        left_on="ex_date",
        right_on="held_on",
        by="symbol",
        strategy="backward",
        allow_exact_matches=False,
        check_sortedness=False,
    )
    _refuse_more_than_the_price(held)
    return held.drop_nulls("close").select("symbol", "ex_date", step=1 - pl.col("amount") / pl.col("close"))


def _refuse_more_than_the_price(held: pl.DataFrame) -> None:
    impossible = held.filter(pl.col("amount") >= pl.col("close"))
    if impossible.height:
        row = impossible.row(0, named=True)
        raise PermanentFailure(
            f"{row['symbol']}: the dividend of {row['ex_date']} is not below the close that it is paid from",
            value=row["amount"],
            bound=row["close"],
        )


def _step_of_each_bar(bars: pl.DataFrame, steps: pl.DataFrame) -> pl.Series:
    """For each bar, in its order, the product of the steps whose ex-dates lie after its session; 1.0 for none.

    Args:
        bars: Columns symbol and session.
        steps: Columns symbol, ex_date and step.
    """
    running = steps.sort("ex_date").with_columns(
        product=pl.col("step").cum_prod(reverse=True).over("symbol"),
    )
    joined = (
        bars.select("symbol", "session")
        .with_row_index("position")
        .sort("session")
        .join_asof(
            running,
            left_on="session",
            right_on="ex_date",
            by="symbol",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
    )
    return joined.sort("position")["product"].fill_null(1.0)
