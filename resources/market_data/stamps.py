"""Dates and times as files word them; what cannot be read becomes null, and the caller names its row."""

from typing import Final

import polars as pl

_NEW_YORK: Final = "America/New_York"
_OFFSET = r"(?:[Zz]|[+-]\d{2}:?\d{2})$"
_MINUTE_US = 60_000_000
_LOCAL_FORMATS = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")


def days(raw: pl.Series) -> pl.Series:
    """Dates from ISO text (2014-06-09), dates, or time stamps whose clock stands at midnight."""
    if raw.dtype == pl.String():
        return raw.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
    if raw.dtype == pl.Date():
        return raw
    if isinstance(raw.dtype, pl.Datetime):
        return (
            raw.to_frame("at")
            .select(pl.when(pl.col("at").dt.time() == pl.time(0)).then(pl.col("at").dt.date()))
            .to_series()
        )
    return pl.Series(raw.name, [None] * raw.len(), dtype=pl.Date())


def starts(raw: pl.Series) -> pl.Series:
    """UTC instants from ISO text or time stamps; without an offset they are New York local time.

    A local time that does not exist (clocks go forward) or exists twice (clocks go back) cannot be read.
    """
    if raw.dtype == pl.String():
        return _instants_of_text(raw)
    if not isinstance(raw.dtype, pl.Datetime):
        return pl.Series(raw.name, [None] * raw.len(), dtype=pl.Datetime("us", "UTC"))
    if raw.dtype.time_zone:
        return raw.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return _from_new_york(raw.dt.cast_time_unit("us"))


def _instants_of_text(raw: pl.Series) -> pl.Series:
    text = raw.str.strip_chars().str.replace(" ", "T")
    offset = text.str.extract(f"({_OFFSET})")
    naive = text.str.replace(_OFFSET, "")
    local = naive.str.to_datetime(_LOCAL_FORMATS[0], strict=False, time_unit="us")
    local = local.fill_null(naive.str.to_datetime(_LOCAL_FORMATS[1], strict=False, time_unit="us"))
    told = _from_offset(local, offset)
    return pl.select(pl.when(offset.is_null()).then(_from_new_york(local)).otherwise(told)).to_series()


def _from_new_york(local: pl.Series) -> pl.Series:
    placed = local.dt.replace_time_zone(_NEW_YORK, ambiguous="null", non_existent="null")
    return placed.dt.convert_time_zone("UTC")


def _from_offset(local: pl.Series, offset: pl.Series) -> pl.Series:
    digits = offset.str.replace("(?i)z", "+0000").str.replace(":", "")
    sign = digits.str.head(1).replace_strict({"+": 1, "-": -1}, default=None, return_dtype=pl.Int64())
    hours, minutes = digits.str.slice(1, 2).cast(pl.Int64()), digits.str.slice(3, 2).cast(pl.Int64())
    ahead = (sign * (hours * 60 + minutes) * _MINUTE_US).cast(pl.Duration("us"))
    return (local - ahead).dt.replace_time_zone("UTC")
