"""What each model can know of the past (`config/models.yaml`): its knowledge cutoff, and where that is written."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trading_assets.core.strict_yaml import Strict, load_model

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.\-]*$")]


class KnownModel(Strict):
    """One model. Days are the last of their month, because vendors state months; `cutoff` None is unknown.

    `trained_through` is the end of the training data where the vendor states it apart from the day up to which knowledge is
    reliable: what was seen can be recalled, reliably or not.
    """

    provider: Literal["anthropic", "openai", "google", "deepseek"]
    cutoff: date | None
    trained_through: date | None = None
    source: Annotated[str, Field(min_length=10)]
    read_on: date

    @property
    def knows_until(self) -> date | None:
        """The last day that the model may have seen; None when the cutoff is unknown."""
        return None if self.cutoff is None else max(self.cutoff, self.trained_through or self.cutoff)

    @model_validator(mode="after")
    def _days(self) -> Self:
        for name, day in (("cutoff", self.cutoff), ("trained_through", self.trained_through)):
            if day is None:
                continue
            if day.day != monthrange(day.year, day.month)[1]:
                raise ValueError(f"{name} {day} is not the last day of its month")
            if day >= self.read_on:
                raise ValueError(f"{name} {day} is not before the day on which it was read, {self.read_on}")
        if self.cutoff is None and self.trained_through is not None:
            raise ValueError("trained_through needs a cutoff beside it")
        return self


class ModelRegistry(Strict):
    """The models whose knowledge is on record. Names are exact: a dated variant is another model until it is listed."""

    models: Annotated[Mapping[ModelName, KnownModel], Field(min_length=1)]

    @classmethod
    def load(cls, path: Path) -> ModelRegistry:
        """The registry in a file; ConfigurationError when it is missing or wrong."""
        return load_model(path, cls)

    def cutoff(self, model: str) -> date | None:
        """The last day that the model may have seen; None when that is unknown or the model is not listed."""
        known = self.models.get(model)
        return known.knows_until if known else None
