"""How models are asked (`config/reasoning.yaml`): routes in their order, models for each tier, budgets, breaker, masking."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model
from trading_assets.reasoning.model import RouteName, Tier
from trading_assets.reasoning.ports import BreakerPolicy

Mode = Literal["rules", "models", "replay_only"]
Dollars = Annotated[float, Field(gt=0, le=1_000)]


class RouteSettings(Strict):
    """One route. `key_variable` is the NAME of the environment variable that holds the key; `command` is for the two CLI routes."""

    name: RouteName
    enabled: bool
    models: Annotated[Mapping[Tier, str], Field(min_length=1)]
    key_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")] | None = None
    command: str | None = None
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    search: bool = False
    effort: Literal["low", "medium", "high"] | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        by_command = self.name in {"claude-cli", "codex-cli"}
        if by_command != (self.command is not None) or by_command == (self.key_variable is not None):
            raise ValueError(f"route {self.name} needs {'command' if by_command else 'key_variable'} and not the other")
        if self.name == "rules":
            raise ValueError("rules is always the last route and is not listed")
        if self.search and self.name != "gemini":
            raise ValueError(f"route {self.name} has no search grounding; only gemini has")
        return self


class BudgetSettings(Strict):
    """Caps, USD. A decision's and a day's hold for the desk, a decision's and a backfill's for a backfill."""

    decision_usd: Dollars = 0.05
    day_usd: Dollars = 5.0
    backfill_usd: Dollars = 20.0
    calls_per_decision_max: Annotated[int, Field(ge=1, le=100)] = 40
    output_tokens_max: Annotated[int, Field(ge=64, le=32_000)] = 2_000
    output_tokens_min: Annotated[int, Field(ge=16, le=4_000)] = 300


class BreakerSettings(Strict):
    """When a route is left alone."""

    failures_max: Annotated[int, Field(ge=1, le=20)] = 3
    cooldown_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    cooldown_s_max: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    trial_lease_s: Annotated[float, Field(gt=0, le=3600)] = 120.0

    @property
    def policy(self) -> BreakerPolicy:
        """As the breakers take it."""
        return BreakerPolicy(
            self.failures_max,
            timedelta(seconds=self.cooldown_s),
            timedelta(seconds=self.cooldown_s_max),
            timedelta(seconds=self.trial_lease_s),
        )


class ReasoningSettings(Strict):
    """Everything in `config/reasoning.yaml`."""

    mode: Mode
    routes: tuple[RouteSettings, ...]
    budget: BudgetSettings = BudgetSettings()
    breaker: BreakerSettings = BreakerSettings()
    mask: Literal["backtests", "always", "never"] = "backtests"
    in_flight_max: Annotated[int, Field(ge=1, le=64)] = 8
    panel_max: Annotated[int, Field(ge=1, le=16)] = 8

    @model_validator(mode="after")
    def _routes_differ(self) -> Self:
        names = [route.name for route in self.routes]
        if len(set(names)) != len(names):
            raise ValueError(f"a route stands twice in {names}")
        return self

    @property
    def enabled(self) -> tuple[RouteSettings, ...]:
        """The routes that may be asked, in their order."""
        return tuple(route for route in self.routes if route.enabled)


def load_reasoning(folder: Path) -> ReasoningSettings:
    """The reasoning settings in a configuration folder."""
    return load_model(folder / "reasoning.yaml", ReasoningSettings)
