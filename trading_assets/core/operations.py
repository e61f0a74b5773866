"""When the desk works, how its runs start, and what it looks after (`config/operations.yaml`).

Nothing here sets a limit of what may be traded: those are in `config/preferences.yaml`.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri"]
EventTopic = Literal["fill", "alert", "news", "regime", "halt"]


class Runs(Strict):
    """How Dagster starts a run, and what becomes of one that ends badly or not at all.

    `warm` forks runs from a process that has the code location imported; `stock` starts an interpreter for each.
    """

    launcher: Literal["stock", "warm"] = "stock"
    hang_minutes: Annotated[float, Field(gt=0, le=240)] = 30.0
    history_days: Annotated[int, Field(ge=7, le=3660)] = 90  # of Dagster's own history; ledger and lake keep everything


class Day(Strict):
    """The fixed points of a session, New York."""

    premarket_from: ClockTime = "08:30"
    premarket_every_minutes: Annotated[int, Field(ge=5, le=60)] = 15
    postclose_minutes: Annotated[int, Field(ge=1, le=240)] = 20  # after the close, an early one as well
    late_minutes: Annotated[float, Field(gt=0, le=60)] = 2.0  # what its schedule did not start by then, a sensor starts


class Events(Strict):
    """Which messages of the bus make the desk look between its slots; what it does there only reduces."""

    topics: tuple[EventTopic, ...] = ("fill", "alert", "news", "regime", "halt")
    pause_minutes: Annotated[float, Field(gt=0, le=60)] = 5.0  # between two looks


class Adaptor(Strict):
    """The hourly review."""

    enabled: bool = True
    minute: Annotated[int, Field(ge=0, le=59)] = 5
    first_hour: Annotated[int, Field(ge=9, le=15)] = 10
    last_hour: Annotated[int, Field(ge=9, le=15)] = 15

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first_hour > self.last_hour:
            raise ValueError(f"first_hour {self.first_hour} is after last_hour {self.last_hour}")
        return self


class Weekly(Strict):
    """The weekly desk: after the close of which days it works, and what share of the capital it may use.

    On a closed run day it works after the session before. `capital_fraction` 0 makes its portfolio and trades nothing of it.
    """

    enabled: bool = True
    run_days: Annotated[tuple[Weekday, ...], Field(min_length=1)] = ("fri",)
    every_weeks: Annotated[int, Field(ge=1, le=13)] = 1
    capital_fraction: Annotated[float, Field(ge=0, le=1)] = 0.0
    holdings_max: Annotated[int, Field(ge=1, le=50)] = 5
    horizon_sessions: Annotated[int, Field(ge=1, le=63)] = 5
    p_loss_max: Fraction = 0.45  # a symbol whose simulated paths lose more often is left out
    turnover_min_fraction: Annotated[float, Field(ge=0, le=1)] = 0.02  # a smaller change of weight is not traded


class Evolution(Strict):
    """The monthly review of every bounded parameter on the record of the months before."""

    enabled: bool = True
    sessions: Annotated[int, Field(ge=21, le=756)] = 126


class Drift(Strict):
    """How far the book may stand from the broker before somebody is told."""

    shares: Annotated[int, Field(ge=0, le=1000)] = 0
    minutes: Annotated[float, Field(gt=0, le=60)] = 1.0  # a difference must last so long


class Health(Strict):
    """The check of process, memory, disk, broker and data."""

    every_seconds: Annotated[float, Field(ge=5, le=3600)] = 60.0
    memory_warning_fraction: Fraction = 0.80
    memory_critical_fraction: Fraction = 0.92
    disk_warning_gb: Annotated[float, Field(gt=0)] = 5.0
    disk_critical_gb: Annotated[float, Field(gt=0)] = 1.0
    failures_warning_fraction: Fraction = 0.2  # of an agent's answers on one day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.memory_warning_fraction >= self.memory_critical_fraction:
            raise ValueError("memory_warning_fraction must be below memory_critical_fraction")
        if self.disk_warning_gb <= self.disk_critical_gb:
            raise ValueError("disk_warning_gb must be above disk_critical_gb")
        return self


class Telemetry(Strict):
    """Where traces, metrics and logs go. `traces: file` writes OpenTelemetry spans below DESK_HOME; `otlp` needs an endpoint."""

    traces: Literal["off", "file", "otlp"] = "file"
    otlp_variable: str = "OTEL_EXPORTER_OTLP_ENDPOINT"  # the environment variable that holds the endpoint
    prometheus_port: Annotated[int, Field(ge=0, le=65535)] = 9464  # of desk health; loopback only
    logs: Literal["text", "json"] = "json"
    logs_days: Annotated[int, Field(ge=1, le=366)] = 14


class Hardware(Strict):
    """How much of the machine the desk takes; `auto` measures it."""

    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = "auto"
    memory_gb: Literal["auto"] | Annotated[float, Field(ge=1, le=4096)] = "auto"


class OperationsSettings(Strict):
    """Everything in `config/operations.yaml`."""

    runs: Runs = Runs()
    day: Day = Day()
    events: Events = Events()
    adaptor: Adaptor = Adaptor()
    weekly: Weekly = Weekly()
    evolution: Evolution = Evolution()
    drift: Drift = Drift()
    health: Health = Health()
    telemetry: Telemetry = Telemetry()
    hardware: Hardware = Hardware()

    @property
    def late(self) -> timedelta:
        """How long a part of the day may wait for its schedule."""
        return timedelta(minutes=self.day.late_minutes)


def load_operations(folder: Path) -> OperationsSettings:
    """The settings in a configuration folder; a folder without the file has the defaults."""
    path = folder / "operations.yaml"
    return load_model(path, OperationsSettings) if path.exists() else OperationsSettings()
