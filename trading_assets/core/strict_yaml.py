"""YAML read so that a slip of the hand is an error and never a silent default.

Refused: duplicate keys, unknown keys (by the models), NaN and infinities. YAML 1.1 surprises do not happen: `NO` and `on` stay
text, `12:30` stays text instead of becoming 750.
"""

import json
import math
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from trading_assets.core.errors import ConfigurationError


class Strict(BaseModel):
    """Base of every settings model: unknown keys refused, values frozen, numbers finite, no silent coercion.

    The models are strict in JSON's sense: a list may become a tuple, but "5" never becomes 5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class StrictLoader(yaml.SafeLoader):
    """The safe loader with YAML 1.2 booleans, decimal numbers and no sexagesimal or date types."""


StrictLoader.yaml_implicit_resolvers = {}
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(null|~|)$"), ["n", "~", ""])
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]+)?$"), list("-+0123456789")
)


def _unique_mapping(loader: StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise ConfigurationError(f"the key {key!r} stands twice{key_node.start_mark}".replace("\n", " "))
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


StrictLoader.add_constructor("tag:yaml.org,2002:map", _unique_mapping)

Model = TypeVar("Model", bound=BaseModel)


def load_model(path: Path, model: type[Model]) -> Model:
    """The file as a validated model; ConfigurationError names file, key, value and bound."""
    try:
        with path.open() as file:
            raw = yaml.load(file, Loader=StrictLoader)  # noqa: S506 - StrictLoader derives from SafeLoader
    except FileNotFoundError as missing:
        raise ConfigurationError("a settings file is missing", value=path) from missing
    except (yaml.YAMLError, UnicodeDecodeError) as broken:
        raise ConfigurationError(f"{path.name} is not YAML: {broken}".replace("\n", " ")) from broken
    _refuse_non_finite(raw, path.name)
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as invalid:
        raise _explained(path, model, invalid) from invalid


def _explained(path: Path, model: type[BaseModel], invalid: ValidationError) -> ConfigurationError:
    problems = []
    for error in invalid.errors():
        where = ".".join(str(part) for part in error["loc"])
        problems.append(f"{where}: {error['msg']} (value {error['input']!r})")
    known = ", ".join(sorted(model.model_fields))
    return ConfigurationError(f"{path.name}: " + "; ".join(problems), hint=f"keys of this file: {known}")


def _refuse_non_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{where} must be a finite number", value=value)
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_non_finite(inner, f"{where}.{key}")
    if isinstance(value, list):
        for inner in value:
            _refuse_non_finite(inner, where)
