"""Times as publishers word them, as UTC instants; where a time is not exact, the range of what it can mean.

A time without a zone can be any from UTC-12 to UTC+14. A day without a time lasts until its end in New York.
"""

import math
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from trading_assets.core.calendar import NEW_YORK
from trading_assets.market.documents.ports import Published, SeriesWanted

_WEST: Final = timedelta(hours=12)
_EAST: Final = timedelta(hours=14)
_LAST_MINUTE: Final = time(23, 59)
_DAY_CHARACTERS = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS: Final = (1e8, 1e11)
_MILLISECONDS: Final = (1e11, 1e14)


def published(raw: object) -> Published | None:
    """Reads ISO 8601, RFC 822 and epoch numbers (seconds or milliseconds); None when it is none of these."""
    if isinstance(raw, bool) or raw is None:
        return None
    if isinstance(raw, int | float):
        return _of_epoch(float(raw)) if abs(raw) < _MILLISECONDS[1] else None
    text = str(raw).strip()
    try:
        if len(text) == _DAY_CHARACTERS and (day := _day(text)):
            return of_day(day)
        at = _iso(text) or _rfc_822(text)
        return _of_time(at) if at else None
    except OverflowError:
        return None


def of_day(day: date) -> Published:
    """Some time of a day, in whatever zone: knowable at the end of the day in New York; OverflowError at the ends of time."""
    begins = datetime.combine(day, time(), UTC) - _EAST
    return Published(end_of_day(day), earliest=begins)


def end_of_day(day: date) -> datetime:
    """23:59 in New York, as a UTC instant; OverflowError at the ends of time."""
    return datetime.combine(day, _LAST_MINUTE, NEW_YORK).astimezone(UTC)


def usual_release(observed_on: date, wanted: SeriesWanted) -> Published:
    """When a value that has no known release is taken to be out: the end of the day, so many days after its date."""
    released = end_of_day(observed_on + timedelta(days=wanted.release_lag_days))
    return Published(released, earliest=datetime.combine(observed_on, time(), UTC) - _EAST)


def instant(raw: str) -> datetime | None:
    """The UTC instant of ISO 8601 text with an offset or Z; None without one."""
    try:
        at = _iso(raw.strip())
        return at.astimezone(UTC) if at and at.tzinfo else None
    except OverflowError:
        return None


def _of_time(at: datetime) -> Published:
    if at.tzinfo:
        return Published(at.astimezone(UTC))
    told = at.replace(tzinfo=UTC)
    return Published(told + _WEST, earliest=told - _EAST)


def _of_epoch(number: float) -> Published | None:
    if not math.isfinite(number):
        return None
    if _SECONDS[0] <= number < _SECONDS[1]:
        return Published(_EPOCH + timedelta(seconds=number))
    if _MILLISECONDS[0] <= number < _MILLISECONDS[1]:
        return Published(_EPOCH + timedelta(milliseconds=number))
    return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _rfc_822(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
