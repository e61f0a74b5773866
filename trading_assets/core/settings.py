"""How the desk is set up (`config/settings.yaml`) and where it keeps its state (`DESK_HOME`)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

ProviderName = Literal["embedded", "files", "yfinance", "simulated", "ib"]
StrategyName = Literal[
    "momentum_breakout",
    "mean_reversion",
    "pullback",
    "sector_rotation",
    "vwap_momentum",
    "correlation_convergence",
    "narrative_momentum",
    "weekly_portfolio",
]
Symbol = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.\-]{0,14}$")]
PROJECT = Path(__file__).parents[2]


class Instrument(Strict):
    """A symbol that the desk may trade. A sector that is unknown counts as one of its own.

    A ticker that changed hands is two instruments: the present owner keeps the ticker as its symbol, the earlier one is named
    TICKER-YYYYMMDD after its last session and says which ticker it traded under.
    """

    symbol: Symbol
    sector: Annotated[str, Field(min_length=1)]
    ticker: Symbol | None = None
    first_session: date | None = None
    last_session: date | None = None

    @model_validator(mode="after")
    def _life(self) -> Self:
        if self.first_session and self.last_session and self.first_session > self.last_session:
            raise ValueError(
                f"{self.symbol}: first_session {self.first_session} is after last_session {self.last_session}"
            )
        return self

    @property
    def traded_as(self) -> str:
        """The ticker that providers know."""
        return self.ticker or self.symbol


class CrossCheck(Strict):
    """A second source that must agree with the first; a difference beyond the tolerance closes the gate."""

    provider: ProviderName
    price_tolerance_bp: Annotated[float, Field(gt=0, le=1000)] = 25.0
    volume_tolerance_fraction: Annotated[float, Field(gt=0, le=10)] = 0.5


class InteractiveBrokersData(Strict):
    """Where historical bars of Interactive Brokers come from: a running TWS or Gateway."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 4002
    client_id: Annotated[int, Field(ge=1, le=999)] = 71


class Market(Strict):
    """Which bars, from whom."""

    provider: ProviderName
    fallbacks: tuple[ProviderName, ...] = ()
    cross_check: CrossCheck | None = None
    files_path: str | None = None
    simulated_seed: Annotated[int, Field(ge=0, lt=2**32)] = 7
    ib: InteractiveBrokersData = InteractiveBrokersData()
    instruments: Annotated[tuple[Instrument, ...], Field(min_length=1)]

    @field_validator("instruments")
    @classmethod
    def _unique(cls, instruments: tuple[Instrument, ...]) -> tuple[Instrument, ...]:
        symbols = [instrument.symbol for instrument in instruments]
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"a symbol stands twice in {symbols}")
        return instruments

    @model_validator(mode="after")
    def _files_need_a_path(self) -> Self:
        if "files" in self.sources and not self.files_path:
            raise ValueError("provider files needs files_path, the folder that holds daily/ and intraday/")
        return self

    @model_validator(mode="after")
    def _sources_differ(self) -> Self:
        if len(set(self.sources)) != len(self.sources):
            raise ValueError(
                f"provider, fallbacks and cross_check must be different sources: {', '.join(self.sources)}"
            )
        return self

    @property
    def sources(self) -> tuple[ProviderName, ...]:
        """Every source that may be asked, the second opinion last."""
        second = (self.cross_check.provider,) if self.cross_check else ()
        return (self.provider, *self.fallbacks, *second)

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, sorted."""
        return tuple(sorted(instrument.symbol for instrument in self.instruments))

    @property
    def sectors(self) -> Mapping[str, str]:
        """Symbol to sector."""
        return {instrument.symbol: instrument.sector for instrument in self.instruments}


class Decisions(Strict):
    """When the desk decides (New York times) and which strategies may act."""

    slots: Annotated[tuple[str, ...], Field(min_length=1)]
    slot_grace_minutes: Annotated[int, Field(ge=1, le=30)]
    strategies: Annotated[tuple[StrategyName, ...], Field(min_length=1)]

    @field_validator("slots")
    @classmethod
    def _times(cls, slots: tuple[str, ...]) -> tuple[str, ...]:
        for label in slots:
            if time.fromisoformat(label).isoformat("minutes") != label:
                raise ValueError(f"slot {label!r} is not HH:MM")
        if list(slots) != sorted(set(slots)):
            raise ValueError("slots must ascend without repetition")
        return slots

    @property
    def grace(self) -> timedelta:
        """How long after its time a slot may still run."""
        return timedelta(minutes=self.slot_grace_minutes)


class Paper(Strict):
    """The simulated broker's account and costs."""

    starting_cash_usd: Annotated[float, Field(gt=0)]
    fee_usd_per_share: Annotated[float, Field(ge=0)]
    fee_usd_min: Annotated[float, Field(ge=0)]
    fee_fraction_max: Annotated[float, Field(gt=0, le=1)]
    slippage_bp: Annotated[float, Field(ge=0, le=500)]
    volume_share_max: Annotated[float, Field(gt=0, le=1)]


class Settings(Strict):
    """Everything in `config/settings.yaml`."""

    market: Market
    decisions: Decisions
    paper: Paper


@dataclass(frozen=True, slots=True)
class Home:
    """The one folder that the desk writes to."""

    root: Path

    @property
    def lake(self) -> Path:
        """Columnar facts and results."""
        return self.root / "lake"

    @property
    def warehouse(self) -> Path:
        """DuckDB files for metrics and for people."""
        return self.root / "warehouse"

    @property
    def reports(self) -> Path:
        """Improvement reports."""
        return self.root / "reports"

    @property
    def dagster(self) -> Path:
        """Dagster's own home."""
        return self.root / "dagster"

    def journal(self, lane: str) -> Path:
        """The journal's markdown files; the desk's own need no folder of its own name."""
        return self.root / "journal" if lane == "desk" else self.root / "journal" / lane

    def ledger(self, lane: str) -> Path:
        """The ledger of a lane; facts share the desk's."""
        return self.root / "ledger" / f"{lane}.sqlite"


def desk_home() -> Home:
    """`DESK_HOME`, or `.desk` beside the project."""
    return Home(Path(os.environ.get("DESK_HOME") or PROJECT / ".desk").resolve())


def config_folder() -> Path:
    """`DESK_CONFIG`, or `config` beside the project."""
    return Path(os.environ.get("DESK_CONFIG") or PROJECT / "config").resolve()


def load_settings(folder: Path) -> Settings:
    """The settings in a configuration folder."""
    return load_model(folder / "settings.yaml", Settings)
