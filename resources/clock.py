"""The only place that reads a clock."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Clock

VARIABLE = "DESK_CLOCK"


@dataclass(frozen=True, slots=True)
class RealClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """The current instant."""
        return datetime.now(UTC)  # noqa: TID251 - the one permitted reading


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still, for replays and tests on data of the past."""

    instant: datetime

    def now(self) -> datetime:
        """The fixed instant."""
        return self.instant


def desk_clock() -> Clock:
    """The real clock, or the instant in `DESK_CLOCK` (ISO 8601 with an offset) for the paper desk on past data."""
    text = os.environ.get(VARIABLE)
    if not text:
        return RealClock()
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as broken:
        raise ConfigurationError(f"{VARIABLE} is not an ISO 8601 instant", value=text) from broken
    if instant.tzinfo is None:
        raise ConfigurationError(f"{VARIABLE} has no offset", value=text, hint=f"{VARIABLE}=2013-02-28T09:31:00-05:00")
    return FixedClock(instant.astimezone(UTC))
