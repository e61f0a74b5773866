"""Who is told (`config/notifications.yaml`). Addresses hold secrets and stand in the environment; the file names the variables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from resources.notify.model import SEVERITIES, Severity
from trading_assets.core.strict_yaml import Strict, load_model

LOCAL = frozenset({"console", "file"})


class Channel(Strict):
    """One address outside this machine, as Apprise knows them."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    url_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] = SEVERITIES


class Notifications(Strict):
    """Everything in `config/notifications.yaml`. Console or file stays: they need nobody else."""

    console: bool = True
    file: bool = True
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    channels: Annotated[tuple[Channel, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _somebody_hears(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len({*names, *LOCAL}) != len(names) + len(LOCAL):
            raise ValueError(f"names of channels must differ, also from {', '.join(sorted(LOCAL))}: {', '.join(names)}")
        if not (self.console or self.file):
            raise ValueError("console or file must be true: a failure of the others is told there")
        return self

    def secrets(self, environment: Mapping[str, str]) -> frozenset[str]:
        """Variables whose values are addresses."""
        return frozenset(channel.url_variable for channel in self.channels if environment.get(channel.url_variable))


def load_notifications(folder: Path) -> Notifications:
    """The settings in a configuration folder."""
    return load_model(folder / "notifications.yaml", Notifications)
