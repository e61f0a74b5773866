"""The smallest value that fits a JSON schema, for a model that answers whatever it is asked."""

from collections.abc import Mapping
from typing import Any

_PLAIN: Mapping[str, Any] = {"string": "x", "integer": 0, "number": 0.0, "boolean": False, "null": None}


def smallest(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A value for the schema: first alternative, one item in each array, lower bounds where there are some."""
    root = schema if root is None else root
    if "$ref" in schema:
        return smallest(_resolved(str(schema["$ref"]), root), root)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return smallest(schema[key][0], root)
    return _of_type(schema, root)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: smallest(inner, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        items = [smallest(inner, root) for inner in schema.get("prefixItems", [])]
        return items or [smallest(schema.get("items", {"type": "string"}), root)] * max(1, schema.get("minItems", 1))
    if kind == "string":
        return "x" * max(1, schema.get("minLength", 1))
    return max(_PLAIN[kind], schema["minimum"]) if "minimum" in schema else _PLAIN[kind]


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    assert isinstance(found, Mapping)
    return found
