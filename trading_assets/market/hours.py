"""Session hours as a frame, and bar lengths: what turns a date or a start into the instants of a bar."""

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

import polars as pl

from trading_assets.core.calendar import Calendar
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
