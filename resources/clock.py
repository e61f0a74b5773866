"""The only place that reads a clock: the machine's, one that stands, or one that replays the past at a speed."""

import asyncio
import math
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Clock

VARIABLE = "DESK_CLOCK"
SPEED_MAX = 3600.0
_EXAMPLE = f"{VARIABLE}=2013-02-28T09:31:00-05:00"
_REPLAY = f"{VARIABLE}=2024-03-25T09:29:00-04:00@60/$(date -u +%FT%TZ)"
_LOOK_S = 0.5
_LOOK_FIXED_S = 0.05


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


@dataclass(slots=True)
class ReplayedClock:
    """The past, running again. Every process with the same three values reads the same instant, for nothing is kept between them.

    It never steps back, whatever the machine's clock does, and it stands at `start` before the real instant `began`.

    Args:
        start: The replayed instant that the real instant `began` stands for, UTC.
        speed: Replayed seconds in a real second.
        began: The machine's clock when the replay began, UTC.
        real: The machine's clock.
    """

    start: datetime
    speed: float
    began: datetime
    real: Clock = field(default_factory=RealClock)
    _newest: datetime | None = field(default=None, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def now(self) -> datetime:
        """The replayed instant, in UTC."""
        passed = max(self.real.now() - self.began, timedelta(0))
        with self._lock:
            self._newest = max(self.start + passed * self.speed, self._newest or self.start)
            return self._newest


def speed_of(clock: Clock) -> float:
    """Seconds of the clock in a real second; 0 for one that stands."""
    if isinstance(clock, ReplayedClock):
        return clock.speed
    return 0.0 if isinstance(clock, FixedClock) else 1.0


async def until(clock: Clock, instant: datetime) -> None:
    """Waits, in real time, until the clock shows the instant; for ever where it stands. Steps of the clock are noticed."""
    speed = speed_of(clock)
    while (left := instant - clock.now()) > timedelta(0):
        await asyncio.sleep(min(left.total_seconds() / speed, _LOOK_S) if speed else _LOOK_FIXED_S)


async def pause(clock: Clock, length: timedelta) -> None:
    """Waits until so much of the clock's time has passed; for ever where it stands."""
    await until(clock, clock.now() + length)


def desk_clock() -> Clock:
    """The real clock, or the one in `DESK_CLOCK`, for the paper desk on past data.

    `<instant>` stands still; `<instant>@<speed>/<real instant>` runs: at the real instant it showed the first one, and every
    process that is given the same text shows the same time. Instants are ISO 8601 with an offset.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return RealClock()
    start, at, pace = text.partition("@")
    if not at:
        return FixedClock(_instant(text))
    speed, slash, began = pace.partition("/")
    if not slash:
        raise ConfigurationError(
            f"{VARIABLE} does not say when the replay began, so two processes could not agree", value=text, hint=_REPLAY
        )
    return ReplayedClock(_instant(start), _speed(speed), _instant(began))


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as broken:
        raise ConfigurationError(f"{VARIABLE} is not an ISO 8601 instant", value=text, hint=_EXAMPLE) from broken
    if instant.tzinfo is None:
        raise ConfigurationError(f"{VARIABLE} has no offset", value=text, hint=_EXAMPLE)
    return instant.astimezone(UTC)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= SPEED_MAX:
        raise ConfigurationError(
            f"{VARIABLE} has no speed between @ and /",
            value=text,
            bound=f"above 0, at most {SPEED_MAX:g}",
            hint=_REPLAY,
        )
    return speed
