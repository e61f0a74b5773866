"""Who thinks and what it takes to trade on it (`config/agents.yaml`)."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from trading_assets.core.strict_yaml import Strict, load_model

SkillName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=64)]
Share = Annotated[float, Field(gt=0, le=1)]


class Analyst(Strict):
    """One analyst: its folder under `skills/`, and the log-odds that its full signal at full confidence adds to a thesis."""

    skill: SkillName
    weight: Annotated[float, Field(ge=0, le=3)]


class Quorum(Strict):
    """How many voices must be heard before anything is opened."""

    analysts_min: Annotated[int, Field(ge=1, le=20)] = 2
    personas_min: Annotated[int, Field(ge=1, le=20)] = 3


class Scaling(Strict):
    """Rules of size over thesis confidence and price; fractions of the entry price and of the base size."""

    exit_confidence: Annotated[float, Field(ge=0, le=0.5)] = 0.3
    add_confidence: Annotated[float, Field(ge=0.5, le=1)] = 0.7
    add_drop_fraction: Annotated[float, Field(gt=0, le=0.2)] = 0.02
    add_size_fraction: Share = 0.5
    size_multiple_max: Annotated[float, Field(ge=1, le=3)] = 3.0
    trim_confidence: Share = 0.6
    trim_gain_fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.03
    trim_size_fraction: Share = 0.3


class AgentsSettings(Strict):
    """Everything in `config/agents.yaml`."""

    analysts: Annotated[tuple[Analyst, ...], Field(min_length=1)]
    debate_weight: Annotated[float, Field(ge=0, le=3)] = 0.6
    personas: Annotated[tuple[SkillName, ...], Field(min_length=1)]
    candidates_max: Annotated[int, Field(ge=1, le=50)] = 8
    quorum: Quorum = Quorum()
    consensus_min: Annotated[float, Field(ge=0, lt=1)] = 0.1
    agent_seconds_max: Annotated[float, Field(gt=0, le=600)] = 30.0
    scaling: Scaling = Scaling()

    @field_validator("analysts")
    @classmethod
    def _differ(cls, analysts: tuple[Analyst, ...]) -> tuple[Analyst, ...]:
        names = [analyst.skill for analyst in analysts]
        if len(set(names)) != len(names):
            raise ValueError(f"an analyst stands twice in {names}")
        return analysts

    @field_validator("personas")
    @classmethod
    def _all_differ(cls, personas: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(personas)) != len(personas):
            raise ValueError(f"a persona stands twice in {list(personas)}")
        return personas

    @property
    def weights_by_agent(self) -> Mapping[str, float]:
        """Agent (see `agent_of`) to log-odds."""
        return {agent_of(analyst.skill): analyst.weight for analyst in self.analysts}

    @property
    def patience(self) -> timedelta:
        """How long one round of questions may take."""
        return timedelta(seconds=self.agent_seconds_max)


def agent_of(skill: str) -> str:
    """What an analyst is called in briefs: its folder's name without "-analyst"."""
    return skill.removesuffix("-analyst")


def load_agents(folder: Path) -> AgentsSettings:
    """The agents in a configuration folder."""
    return load_model(folder / "agents.yaml", AgentsSettings)
