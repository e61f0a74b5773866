"""Bounds that are about the machine, on a clock that runs faster than the machine.

Problem: at sixty times the machine's speed a process that is silent for a tenth of a second has said nothing for six seconds of
the desk's time, and everything would halt. Decision: what bounds the machine (signs of life, leases, the validity of a seal, the
age of a quote, skew, the rhythm of reconciling, the grace of a slot) is multiplied by the speed, here and nowhere else, so that it
stays what it is in the machine's time. What bounds the market (losses, sizes, hours, breakers, minutes before the close) stays as
it is. Remaining gap: a fast replay proves less about latency than a day at the machine's speed.

It happens only where DESK_CLOCK replays, and only in mode paper: a live desk with any clock but the machine's is refused.
"""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from pydantic import BaseModel

from resources.clock import VARIABLE, RealClock, ReplayedClock
from trading_assets.broker.settings import ExecutionSettings
from trading_assets.core.errors import ConfigurationError
from trading_assets.core.ports import Clock
from trading_assets.core.preferences import Preferences
from trading_assets.core.settings import Settings

Model = TypeVar("Model", bound=BaseModel)
RHYTHM = (
    "reconcile_seconds",
    "heartbeat_seconds",
    "lease_seconds",
    "probe_seconds",
    "send_deadline_seconds",
    "absence_seconds",
    "signature_seconds",
)
REACTIONS = ("naked_seconds", "exit_seconds")
WATCH = (
    "every_seconds",
    "desk_seconds",
    "daemon_seconds",
    "gateway_seconds",
    "feed_seconds",
    "watchdog_seconds",
)
LIMITS = ("quote_age_seconds_max", "clock_skew_seconds_max", "reconciled_seconds_max")
SESSION_MINUTES = 390


def pace_of(clock: Clock, execution: ExecutionSettings) -> float:
    """By how much bounds are stretched: the speed of a replay that is faster than the machine, otherwise 1.

    Raises:
        ConfigurationError: Mode live on any clock but the machine's.
    """
    if execution.mode == "live" and not isinstance(clock, RealClock):
        raise ConfigurationError(
            "mode live knows no clock but the machine's",
            value=f"{VARIABLE} is set",
            bound=f"no {VARIABLE}",
            hint=f"unset {VARIABLE}, or set mode: paper in config/execution.yaml",
        )
    return max(1.0, clock.speed) if isinstance(clock, ReplayedClock) else 1.0


def stretched(
    execution: ExecutionSettings, preferences: Preferences, settings: Settings, speed: float
) -> tuple[ExecutionSettings, Preferences, Settings]:
    """All three with their technical bounds multiplied; the values themselves where the speed is at most 1."""
    return (
        stretched_execution(execution, speed),
        stretched_preferences(preferences, speed),
        stretched_settings(settings, speed),
    )


def stretched_execution(execution: ExecutionSettings, speed: float) -> ExecutionSettings:
    """How long processes may be silent, how often they look, how long a seal is good."""
    if not speed > 1:
        return execution
    changes = {
        "rhythm": _times(execution.rhythm, RHYTHM, speed),
        "reactions": _times(execution.reactions, REACTIONS, speed),
        "watch": _times(execution.watch, WATCH, speed),
    }
    return execution.model_copy(update=changes)


def stretched_preferences(preferences: Preferences, speed: float) -> Preferences:
    """How old a quote, a look or a bar may be, and how far clocks may differ; every limit of money stays.

    A bar's age is told in intervals: one of them passes by itself, and what is above one is the machine's.
    """
    if not speed > 1:
        return preferences
    intervals = 1 + (preferences.bar_age_intervals_max - 1) * speed
    return _times(preferences, LIMITS, speed).model_copy(update={"bar_age_intervals_max": intervals})


def stretched_settings(settings: Settings, speed: float) -> Settings:
    """How long a slot stays due: never beyond the next one."""
    if not speed > 1:
        return settings
    decisions = settings.decisions
    minutes = min(int(decisions.slot_grace_minutes * speed), _least_gap(decisions.slots))
    longer = decisions.model_copy(update={"slot_grace_minutes": max(minutes, decisions.slot_grace_minutes)})
    return settings.model_copy(update={"decisions": longer})


def _least_gap(slots: tuple[str, ...]) -> int:
    """Minutes between the two neighbouring slots that lie closest together."""
    times = [datetime.strptime(label, "%H:%M") for label in slots]  # noqa: DTZ007 - a time of day
    gaps = [(later - earlier) // timedelta(minutes=1) for earlier, later in pairwise(times)]
    return min(gaps, default=SESSION_MINUTES)


def _times(model: Model, names: tuple[str, ...], speed: float) -> Model:
    return model.model_copy(update={name: getattr(model, name) * speed for name in names})
