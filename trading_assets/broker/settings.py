"""How orders reach a broker (`config/execution.yaml`): which broker, how often it is looked at, and when the desk reacts by itself.

The limits of what may be sent are not here but in `config/preferences.yaml`.
"""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

BrokerName = Literal["bars", "paper", "ib"]
Mode = Literal["paper", "live"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Fraction = Annotated[float, Field(gt=0, le=1)]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class InteractiveBrokers(Strict):
    """Where TWS or the Gateway listens, and which account must answer. Client ids are fences: fixed, one for each process."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 4002
    account: Annotated[str, Field(pattern=r"^([A-Z]{1,2}\d{4,12})?$")] = ""
    gateway_client_id: Annotated[int, Field(ge=1, le=999)] = 11
    watchdog_client_id: Annotated[int, Field(ge=1, le=999)] = 12
    timeout_seconds: Seconds = 4.0
    messages_per_second_max: Annotated[int, Field(ge=5, le=45)] = 40
    messages_reserved_for_cancels: Annotated[int, Field(ge=1, le=20)] = 10
    restart_from: ClockTime = "23:40"  # New York; refused connections are expected in the window
    restart_until: ClockTime = "00:15"

    @model_validator(mode="after")
    def _two_processes(self) -> Self:
        if self.gateway_client_id == self.watchdog_client_id:
            raise ValueError("gateway_client_id and watchdog_client_id must differ")
        return self


class PaperFeed(Strict):
    """Where the paper broker's quotes come from."""

    quotes: Literal["lake", "yfinance", "simulated"] = "lake"
    spread_bp: Annotated[float, Field(ge=0, le=200)] = 2.0
    poll_seconds: Seconds = 2.0


class Rhythm(Strict):
    """How often the gateway does what it does."""

    reconcile_seconds: Seconds = 5.0
    heartbeat_seconds: Seconds = 2.0
    lease_seconds: Seconds = 10.0
    probe_seconds: Seconds = 30.0
    send_deadline_seconds: Seconds = 2.0
    absence_seconds: Seconds = 30.0
    absences: Annotated[int, Field(ge=3, le=20)] = 3
    signature_seconds: Seconds = 60.0


class Reactions(Strict):
    """What the gateway does by itself, and only ever to reduce risk."""

    flatten_minutes_before_close: Annotated[int, Field(ge=1, le=60)] = 5
    breaker_fraction: Fraction = 0.05  # a symbol that moves so far in breaker_minutes is closed to entries
    breaker_minutes: Annotated[int, Field(ge=1, le=60)] = 5
    crash_fraction: Fraction = 0.03  # so many symbols fall so far at once: a flash crash
    crash_seconds: Seconds = 60.0
    crash_symbols_share: Fraction = 0.5
    trim_gain_fraction: Fraction = 0.03
    trim_share: Fraction = 0.30
    protective_stop_fraction: Fraction = 0.05  # for shares that have no stop of a plan
    naked_seconds: Seconds = 10.0
    exit_seconds: Seconds = 15.0  # a limit that takes shares off and did not fill gives way to a market order


class Watch(Strict):
    """The watchdog's bounds. A breach reduces; three times the bound halts."""

    every_seconds: Seconds = 1.0
    desk_seconds: Seconds = 15.0
    daemon_seconds: Seconds = 60.0
    gateway_seconds: Seconds = 30.0
    feed_seconds: Seconds = 10.0
    watchdog_seconds: Seconds = 15.0  # older than this, the desk opens nothing
    cash_fraction: Annotated[float, Field(gt=0, le=0.01)] = 0.0001
    fill_bp: Annotated[float, Field(gt=0, le=1000)] = 50.0
    margin_fraction: Fraction = 0.8
    page_minutes: Annotated[int, Field(ge=1, le=120)] = 10
    repeat_minutes: Annotated[int, Field(ge=1, le=120)] = 5
    processes: tuple[Literal["gateway", "daemon", "feed"], ...] = ("gateway", "feed")


class ExecutionSettings(Strict):
    """Everything in `config/execution.yaml`."""

    broker: BrokerName = "bars"
    mode: Mode = "paper"
    capital_usd: Annotated[float, Field(gt=0, le=1e9)] = 100_000.0
    second_prices: Literal["lake", "yfinance"] = "lake"
    foreign_positions: Literal["protect", "warn"] = "protect"
    ib: InteractiveBrokers = InteractiveBrokers()
    feed: PaperFeed = PaperFeed()
    rhythm: Rhythm = Rhythm()
    reactions: Reactions = Reactions()
    watch: Watch = Watch()

    @model_validator(mode="after")
    def _live_is_ib(self) -> Self:
        if self.mode == "live" and self.broker != "ib":
            raise ValueError(f"mode live needs broker ib, not {self.broker}")
        return self

    @property
    def dispatches(self) -> bool:
        """Whether intents go to the gateway; `bars` fills them after the close from the day's own bars."""
        return self.broker != "bars"

    @property
    def lease(self) -> timedelta:
        """How long the gateway's lease runs without being renewed."""
        return timedelta(seconds=self.rhythm.lease_seconds)


def load_execution(folder: Path) -> ExecutionSettings:
    """The settings in a configuration folder."""
    return load_model(folder / "execution.yaml", ExecutionSettings)


def clock_time(text: str) -> time:
    """`HH:MM` as a time of day."""
    return time.fromisoformat(text)
