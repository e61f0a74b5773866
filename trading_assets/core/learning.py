"""How the desk learns from its record (`config/learning.yaml`)."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from trading_assets.core.errors import ConfigurationError
from trading_assets.core.strict_yaml import Strict, load_model

Share = Annotated[float, Field(ge=0, le=1)]


class ProposalRules(Strict):
    """What a proposal needs."""

    trades_min: Annotated[int, Field(ge=5, le=1000)] = 20
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.90
    days_open: Annotated[int, Field(ge=1, le=250)] = 10


class MonitorRules(Strict):
    """When a strategy is switched off in a regime, and when on again: the way back asks for more than the way out."""

    window_trades: Annotated[int, Field(ge=5, le=500)] = 30
    win_rate_min: Share = 0.35
    net_pnl_usd_min: float = 0.0
    trades_between_switches: Annotated[int, Field(ge=1, le=500)] = 10
    resume_win_rate_min: Share = 0.40

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.resume_win_rate_min < self.win_rate_min:
            raise ValueError("resume_win_rate_min must not be below win_rate_min")
        return self


class LearningSettings(Strict):
    """Everything in `config/learning.yaml`."""

    automatic: bool = False
    proposal: ProposalRules = ProposalRules()
    monitor: MonitorRules = MonitorRules()


def refuse_automatic_live(settings: LearningSettings, mode: str) -> None:
    """Stops a desk that would move its own parameters with real money.

    Raises:
        ConfigurationError: `automatic` is on, and the mode is anything but paper.
    """
    if settings.automatic and mode != "paper":
        raise ConfigurationError(
            "parameters move without the operator on the paper desk only",
            value=f"automatic: true in mode {mode}",
            bound="mode paper",
            hint="set automatic: false in config/learning.yaml",
        )


def load_learning(folder: Path) -> LearningSettings:
    """The settings in a configuration folder; a folder without the file has the defaults."""
    path = folder / "learning.yaml"
    return load_model(path, LearningSettings) if path.exists() else LearningSettings()
