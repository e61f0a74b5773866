"""Universes as the operator writes them down: `config/universes.yaml`, strict."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from trading_assets.core.settings import Symbol
from trading_assets.core.strict_yaml import Strict, load_model
from trading_assets.market.universe.lists import catalog
from trading_assets.market.universe.model import NumberField, TextField

INSTRUMENTS = "instruments"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Rebalance = Literal["daily", "weekly", "monthly"]
Correction = Literal["none", "holm", "benjamini_hochberg"]


class Compare(Strict):
    """Keeps securities whose value is strictly above, or strictly below, a number."""

    field: NumberField
    operator: Literal["greater_than", "less_than"]
    value: float


class Between(Strict):
    """Keeps securities whose value lies between two numbers, both included."""

    field: NumberField
    operator: Literal["between"]
    value: tuple[float, float]

    @field_validator("value")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the lower end {value[0]} is above the upper end {value[1]}")
        return value


class Extreme(Strict):
    """Keeps the n securities with the highest, or lowest, values; equal values are taken in the order of their symbols."""

    field: NumberField
    operator: Literal["top_n", "bottom_n"]
    value: Annotated[int, Field(ge=1, le=10_000)]


class InSet(Strict):
    """Keeps securities whose word is one of some words."""

    field: TextField
    operator: Literal["in_set"]
    value: Annotated[tuple[str, ...], Field(min_length=1)]


Filter = Annotated[Compare | Between | Extreme | InSet, Field(discriminator="operator")]


class RankBy(Strict):
    """The order in which members are ranked, and cut where there are too many."""

    field: NumberField
    order: Literal["ascending", "descending"] = "descending"


class Universe(Strict):
    """One universe: a base, an ordered chain of filters, bounds on the count, and how often the membership is computed anew.

    Args:
        base: A static list, `instruments` (config/settings.yaml), or another universe.
        filters: Applied in this order.
        min_securities: With fewer the universe refuses.
        max_securities: With more it is cut by `rank_by`.
        rank_by: The field that ranks the members.
        rebalance: The membership is computed on the first session of the day, ISO week or month, and carried through it.
        required: Whether a refusal fails the check on the asset.
        base_carried_sessions_max: For how many sessions after the last known one a static list may stand in.
    """

    base: Name
    filters: tuple[Filter, ...] = ()
    min_securities: Annotated[int, Field(ge=1)] = 1
    max_securities: Annotated[int, Field(ge=1)] | None = None
    rank_by: RankBy | None = None
    rebalance: Rebalance
    required: bool = True
    base_carried_sessions_max: Annotated[int, Field(ge=0, le=2600)] = 0

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max_securities is not None and self.max_securities < self.min_securities:
            raise ValueError(f"max_securities {self.max_securities} is below min_securities {self.min_securities}")
        if self.max_securities is not None and self.rank_by is None:
            raise ValueError("max_securities needs rank_by: which ones are cut must be said")
        return self

    @property
    def fields(self) -> frozenset[str]:
        """All fields that the universe looks at."""
        ranked = {self.rank_by.field} if self.rank_by else set()
        return frozenset({step.field for step in self.filters} | ranked)


class Pairs(Strict):
    """Cointegrated pairs of the members of a universe (Engle-Granger).

    Args:
        base: A universe of the same file.
        look_back_sessions: Sessions up to and including the rebalancing one.
        p_value_max: Both orderings must be at or below it, after the correction.
        correction: For the number of pairs tested in one session.
        correlation_min: Pairs whose daily log returns correlate less are not tested.
        tests_max: Only the most correlated pairs are tested, up to this number.
        pairs_max: At most this many pairs, smallest p-value first.
        half_life_sessions_max: A spread that decays more slowly is left out.
        rebalance: As for universes.
    """

    base: Name
    look_back_sessions: Annotated[int, Field(ge=60, le=1260)] = 252
    p_value_max: Annotated[float, Field(gt=0, lt=1)] = 0.05
    correction: Correction = "none"
    correlation_min: Annotated[float, Field(ge=-1, le=1)] = 0.5
    tests_max: Annotated[int, Field(ge=1, le=20_000)] = 500
    pairs_max: Annotated[int, Field(ge=1, le=1000)] = 50
    half_life_sessions_max: Annotated[float, Field(gt=0)] = 126.0
    rebalance: Rebalance


class Universes(Strict):
    """Everything in `config/universes.yaml`.

    Args:
        aliases: Ticker in a static list to instrument, where the list names a company otherwise than the desk.
        universes: By name.
        pairs: By name.
    """

    aliases: Mapping[Symbol, Symbol] = {}
    universes: Annotated[Mapping[Name, Universe], Field(min_length=1)]
    pairs: Mapping[Name, Pairs] = {}

    @model_validator(mode="after")
    def _names(self) -> Self:
        taken = {INSTRUMENTS, *catalog()}
        for name in (*self.universes, *self.pairs):
            if name in taken:
                raise ValueError(f"{name} is a base and cannot name a universe")
        if both := sorted(self.universes.keys() & self.pairs.keys()):
            raise ValueError(f"{both[0]} names both a universe and pairs")
        for name, pairs in self.pairs.items():
            if pairs.base not in self.universes:
                raise ValueError(f"pairs {name}: {pairs.base} is not one of the universes {', '.join(self.universes)}")
        return self

    @model_validator(mode="after")
    def _bases(self) -> Self:
        for name, universe in self.universes.items():
            if universe.base not in {INSTRUMENTS, *catalog(), *self.universes}:
                known = ", ".join([INSTRUMENTS, *sorted(catalog()), *self.universes])
                raise ValueError(f"universe {name}: unknown base {universe.base}; known are {known}")
            if universe.base_carried_sessions_max and universe.base not in catalog():
                raise ValueError(f"universe {name}: base_carried_sessions_max is for static lists, not {universe.base}")
            self._refuse_circle(name)
        return self

    def _refuse_circle(self, name: str) -> None:
        seen = [name]
        while (base := self.universes[seen[-1]].base) in self.universes:
            if base in seen:
                raise ValueError(f"universes rest on each other in a circle: {' -> '.join([*seen, base])}")
            seen.append(base)


def load_universes(folder: Path) -> Universes:
    """The universes in a configuration folder.

    Raises:
        ConfigurationError: It names file, key, value and rule.
    """
    return load_model(folder / "universes.yaml", Universes)
