"""Prices as a provider words them, shaped into rows of the market tables; shared by all providers."""

import polars as pl

from trading_assets.core.calendar import XNYS
from trading_assets.core.ports import Span
from trading_assets.core.tables import Table
from trading_assets.market.hours import BAR_LENGTH, session_hours
from trading_assets.market.model import CORPORATE_ACTIONS, DAILY_BARS, INTRADAY_BARS, Frequency
from trading_assets.market.ports import EmptyAnswer

VALUES = ("open", "high", "low", "close", "volume")


def daily_rows(prices: pl.DataFrame, *, symbol: str, source: str) -> pl.DataFrame:
    """Rows of DAILY_BARS from columns session and VALUES; days without a session fall out."""
    return _shaped(
        prices.join(_hours_of(prices), on="session"),
        DAILY_BARS,
        symbol=pl.lit(symbol),
        start=pl.col("session_open"),
        source=pl.lit(source),
        knowable_at=pl.col("session_close"),
    )


def intraday_rows(prices: pl.DataFrame, *, symbol: str, frequency: Frequency, source: str) -> pl.DataFrame:
    """Rows of INTRADAY_BARS from columns start (UTC) and VALUES; bars outside the session's hours fall out.

    A bar ends after its length or with the session, whichever is first: the last hour of a day is half an hour.
    """
    dated = prices.with_columns(session=pl.col("start").dt.convert_time_zone("America/New_York").dt.date())
    timed = dated.join(_hours_of(dated), on="session").filter(
        pl.col("start").is_between(pl.col("session_open"), pl.col("session_close"), closed="left")
    )
    return _shaped(
        timed,
        INTRADAY_BARS,
        symbol=pl.lit(symbol),
        frequency=pl.lit(frequency),
        source=pl.lit(source),
        knowable_at=pl.min_horizontal(pl.col("start") + BAR_LENGTH[frequency], "session_close"),
    )


def action_rows(actions: pl.DataFrame, *, symbol: str, source: str) -> pl.DataFrame:
    """Rows of CORPORATE_ACTIONS from columns session (the ex-date), kind, ratio and amount."""
    return _shaped(
        actions.join(_hours_of(actions), on="session"),
        CORPORATE_ACTIONS,
        symbol=pl.lit(symbol),
        source=pl.lit(source),
        knowable_at=pl.col("session_open"),
    )


def within(rows: pl.DataFrame, span: Span) -> pl.DataFrame:
    """The rows whose session lies in the span."""
    return rows.filter(pl.col("session").is_between(span.first, span.last))


def not_empty(rows: pl.DataFrame, *, provider: str, symbol: str, frequency: Frequency, span: Span) -> pl.DataFrame:
    """The rows, or EmptyAnswer when there is none."""
    if rows.is_empty():
        raise EmptyAnswer(f"{provider} has no {frequency} bar of {symbol} from {span.first} to {span.last}")
    return rows


def _hours_of(rows: pl.DataFrame) -> pl.DataFrame:
    days = rows["session"].filter(rows["session"].is_between(XNYS.first, XNYS.last)).sort()
    first, last = (days[0], days[-1]) if days.len() else (XNYS.first, XNYS.first)
    return session_hours(XNYS, first, last)


def _shaped(rows: pl.DataFrame, table: Table, **columns: pl.Expr) -> pl.DataFrame:
    schema = dict(table.polars_schema())
    return table.conform(rows.with_columns(**columns).select(pl.col(name).cast(kind) for name, kind in schema.items()))
