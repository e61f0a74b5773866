"""Session hours as a frame, and bar lengths: what turns a date or a start into the instants of a bar."""

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import polars as pl

from trading_assets.core.calendar import NEW_YORK, Calendar
from trading_assets.market.model import Frequency

BAR_LENGTH: Mapping[Frequency, timedelta] = MappingProxyType(
    {"1h": timedelta(hours=1), "5m": timedelta(minutes=5), "1m": timedelta(minutes=1)}
)
_INSTANT = pl.Datetime("us", "UTC")
_HOURS = {"session": pl.Date(), "session_open": _INSTANT, "session_close": _INSTANT}


def session_hours(calendar: Calendar, first: date, last: date) -> pl.DataFrame:
    """One row per session from `first` to `last`: session, session_open and session_close (UTC), ascending."""
    sessions = calendar.sessions(first, last)
    columns = ([s.day for s in sessions], [s.open for s in sessions], [s.close for s in sessions])
    return pl.DataFrame(dict(zip(_HOURS, columns, strict=True)), schema=_HOURS)


def resampled(bars: pl.DataFrame, *, length: timedelta | None, calendar: Calendar) -> pl.DataFrame:
    """Bars of one series put together into longer ones: session, start, open, high, low, close, volume, ascending.

    Longer bars begin at the session's open, so the last one of a session may be short; bars outside the session's hours fall
    out. A longer bar exists where at least one bar lies in it: nothing is filled.

    Args:
        bars: Columns start (UTC), open, high, low, close and volume of one symbol in one length, in any order.
        length: Of the longer bars; None for one bar per session.
        calendar: Sessions of the exchange.
    """
    dated = bars.sort("start").with_columns(session=pl.col("start").dt.convert_time_zone(NEW_YORK.key).dt.date())
    days = dated["session"]
    first, last = (days[0], days[-1]) if days.len() else (calendar.first, calendar.first)
    timed = dated.join(session_hours(calendar, first, last), on="session", maintain_order="left").filter(
        pl.col("start").is_between("session_open", "session_close", closed="left")
    )
    since = (pl.col("start") - pl.col("session_open")).dt.total_seconds()
    behind = since if length is None else since % int(length.total_seconds())
    longer = timed.with_columns(start=pl.col("session_open") + pl.duration(seconds=since - behind))
    return longer.group_by("session", "start", maintain_order=True).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
