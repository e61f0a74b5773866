"""What may be tuned, and inside which bounds: a closed list of numbers, each with its bounds, that no proposal can leave.

A book's parameters on a session are the values of `config/parameters.yaml`, changed by what was approved for that session or
before, and by the arm of an experiment that the session was assigned to. Limits are no parameters: a size above
`position_fraction_max` of the preferences is still refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from pydantic import Field, field_validator, model_validator

from trading_assets.core.calendar import NEW_YORK, XNYS
from trading_assets.core.settings import StrategyName
from trading_assets.core.strict_yaml import Strict, load_model

REWARD_TO_RISK_MIN = 1.5
SWITCHED_OFF = "switched_off"
LEAD = timedelta(minutes=5)
_PLACES = 6
_REGIME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a parameter may be moved, and by how much at a time."""

    low: float
    high: float
    step: float
    unit: str

    def moved(self, value: float, steps: int) -> float | None:
        """The value so many steps away; None outside the bounds."""
        there = round(value + steps * self.step, _PLACES)
        return there if self.low - 1e-9 <= there <= self.high + 1e-9 else None


BOUNDS: Mapping[str, Bound] = {
    "target_fraction": Bound(0.008, 0.030, 0.002, "fraction of the entry"),
    "stop_fraction": Bound(0.005, 0.020, 0.001, "fraction of the entry"),
    "position_fraction": Bound(0.03, 0.10, 0.01, "fraction of equity"),
    "stop_atr": Bound(1.0, 3.0, 0.25, "average true ranges"),
    "target_atr": Bound(1.6, 6.0, 0.4, "average true ranges"),
}


class Parameters(Strict):
    """The tuned numbers, all at once. `switched_off` names what the strategy monitor stopped, as STRATEGY or STRATEGY@REGIME."""

    target_fraction: Annotated[float, Field(ge=0.008, le=0.030)] = 0.014  # vwap_momentum
    stop_fraction: Annotated[float, Field(ge=0.005, le=0.020)] = 0.008  # vwap_momentum
    position_fraction: Annotated[float, Field(ge=0.03, le=0.10)] = 0.05  # wanted size of a position, before every limit
    stop_atr: Annotated[float, Field(ge=1.0, le=3.0)] = 2.0  # swing strategies
    target_atr: Annotated[float, Field(ge=1.6, le=6.0)] = 3.2  # swing strategies
    switched_off: tuple[str, ...] = ()

    @field_validator("switched_off", mode="after")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            strategy, at, regime = name.partition("@")
            if strategy not in get_args(StrategyName) or (at and not _REGIME.fullmatch(regime)):
                raise ValueError(f"{name} is no STRATEGY or STRATEGY@REGIME")
        return tuple(sorted(set(names)))

    @model_validator(mode="after")
    def _worth_the_risk(self) -> Self:
        for target, stop in (("target_fraction", "stop_fraction"), ("target_atr", "stop_atr")):
            ratio = getattr(self, target) / getattr(self, stop)
            if ratio < REWARD_TO_RISK_MIN - 1e-9:
                raise ValueError(f"{target} over {stop} is {ratio:.2f}, below {REWARD_TO_RISK_MIN}")
        return self

    def with_values(self, values: Mapping[str, Any]) -> "Parameters":
        """The same with some values replaced, checked again; raises pydantic's ValidationError outside the bounds."""
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return Parameters.model_validate({**self.model_dump(), **given})

    def stops(self, strategy: str, regime: str) -> bool:
        """Whether the strategy is switched off in the regime, or everywhere: it opens nothing then, and its exits go on."""
        return strategy in self.switched_off or f"{strategy}@{regime}" in self.switched_off

    def unlike(self, base: "Parameters") -> dict[str, Any]:
        """The values that differ from the base's, by name."""
        mine, theirs = self.model_dump(), base.model_dump()
        return {name: mine[name] for name in sorted(mine) if mine[name] != theirs[name]}


@dataclass(frozen=True, slots=True)
class Change:
    """One parameter from a session on."""

    name: str
    value: Any
    from_session: date


@dataclass(frozen=True, slots=True)
class Suggestion:
    """That a parameter should be moved, before anybody was asked: what, from where to where, why, and on how many observations.

    Args:
        name: A key of `BOUNDS`, or `switched_off`.
        before: The value in force when it was made.
        after: The value wanted; whoever stores it as a proposal refuses one outside the bounds.
        reason: One sentence.
        evidence: JSON values: the numbers behind it, and how many other moves were tried.
        observations: Trades or sessions behind it; 0 where it rests on none.
    """

    name: str
    before: Any
    after: Any
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    observations: int = 0


@dataclass(frozen=True, slots=True)
class Arm:
    """What an experiment does to the parameters on the sessions that it assigned to one of its arms."""

    experiment: str
    name: str
    values: Mapping[str, Any]
    sessions: frozenset[date]


@dataclass(frozen=True, slots=True)
class Tuned:
    """A book's parameters over time: a value, made before a run and fixed while it lasts.

    Args:
        base: What `config/parameters.yaml` says.
        changes: What was approved since, oldest first.
        arms: Arms of running experiments. Two experiments never move the same parameter.
    """

    base: Parameters = field(default_factory=Parameters)
    changes: Sequence[Change] = ()
    arms: Sequence[Arm] = ()

    def at(self, day: date) -> Parameters:
        """The parameters of a session."""
        values: dict[str, Any] = {c.name: c.value for c in self.changes if c.from_session <= day}
        for arm in self.arms:
            if day in arm.sessions:
                values.update(arm.values)
        return self.base.with_values(values) if values else self.base

    def arm_names(self, day: date) -> Mapping[str, str]:
        """Experiment to the arm that the session belongs to."""
        return {arm.experiment: arm.name for arm in self.arms if day in arm.sessions}


def effective_from(as_of: datetime) -> date:
    """The session from which a change made at an instant counts: the first that opens later than `LEAD` after it.

    A decision that is replayed later so finds what it found then.
    """
    day = as_of.astimezone(NEW_YORK).date()
    session = XNYS.session(day) if XNYS.is_session(day) else XNYS.next(day)
    return session.day if session.open > as_of + LEAD else XNYS.next(session.day).day


def load_parameters(folder: Path) -> Parameters:
    """The values in a configuration folder; a folder without the file has the defaults."""
    path = folder / "parameters.yaml"
    return load_model(path, Parameters) if path.exists() else Parameters()
