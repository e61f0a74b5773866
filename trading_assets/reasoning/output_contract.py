"""A type as a table that people write and read in a skill, and where such a table and the type disagree.

The table has the columns field, type and bounds; further columns are free words. It is compared with the type's JSON schema, field
by field; a fenced JSON schema in its place must equal the type's own, titles and descriptions aside. Types that contain themselves
are followed eight fields deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

Rows = dict[str, tuple[str, str]]
Schema = Mapping[str, Any]

_HEAD = ("field", "type", "bounds")
_WORDS = {"string": "text", "boolean": "true or false"}
_FORMATS = {"date": "date", "date-time": "instant", "time": "time", "duration": "duration"}
_FREE_WORDS = frozenset({"title", "description", "default", "examples"})
# Keywords that the words below say; any other is written out, so that no bound goes unsaid.
_SAID = _FREE_WORDS | {
    *("type", "format", "pattern", "enum", "const", "anyOf", "items", "properties", "required", "additionalProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "$defs"),
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
}
_DEPTH_MAX = 8
_FENCED_JSON = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)


@lru_cache(maxsize=256)
def schema_of(model: type[BaseModel]) -> str:
    """The type's JSON schema as canonical JSON; part of every hash that an answer carries."""
    return json.dumps(model.model_json_schema(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def rows_of(model: type[BaseModel]) -> Rows:
    """The rows of the type's table: field to type and bounds, nested fields by path (`prices[].value`)."""
    schema = model.model_json_schema()
    known = schema.get("$defs", {})
    return dict(_fields(_resolved(schema, known), known, ""))


def table_of(model: type[BaseModel]) -> str:
    """The type's table in markdown, to be pasted into a skill."""
    lines = [f"| {' | '.join(_HEAD)} |", "| --- | --- | --- |"]
    cells = ((f"`{name}`", *row) for name, row in rows_of(model).items())
    return "\n".join([*lines, *(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in cells)])


def disagreements(section: str, model: type[BaseModel]) -> tuple[str, ...]:
    """Where a section's table or JSON schema differs from the type; empty when they agree."""
    schemas = _FENCED_JSON.findall(section)
    if schemas:
        return _of_schema(schemas, model)
    table = _table(section)
    if table is None:
        return ("it holds neither a table with the columns field, type, bounds nor a JSON schema in a ```json fence",)
    written, twice = table
    return (*(f"the field {name} stands twice" for name in twice), *_of_table(written, rows_of(model)))


def has_table(section: str) -> bool:
    """Whether a section holds a table of fields."""
    return _table(section) is not None


def _of_schema(schemas: list[str], model: type[BaseModel]) -> tuple[str, ...]:
    if len(schemas) > 1:
        return ("it holds more than one JSON schema",)
    try:
        written = json.loads(schemas[0])
    except json.JSONDecodeError as broken:
        return (f"its JSON schema is not JSON: {broken}",)
    same = _bare(written) == _bare(model.model_json_schema())
    return () if same else (f"its JSON schema is not that of {model.__name__}",)


def _of_table(written: Rows, expected: Rows) -> tuple[str, ...]:
    missing = [f"the field {name} is missing" for name in expected if name not in written]
    foreign = [f"the type has no field {name}" for name in written if name not in expected]
    wrong = [
        f"{name} is said to be {_words(written[name])} and is {_words(expected[name])}"
        for name in expected
        if name in written and written[name] != expected[name]
    ]
    return (*missing, *foreign, *wrong)


def _words(row: tuple[str, str]) -> str:
    return f"({', '.join(row)})"


def _bare(schema: Any, *, names: bool = False) -> Any:
    """The schema without titles and descriptions; `names` says that the keys are field names and not keywords."""
    if isinstance(schema, dict):
        return {
            key: _bare(inner, names=not names and key in {"properties", "$defs"})
            for key, inner in schema.items()
            if names or key not in _FREE_WORDS
        }
    return [_bare(inner) for inner in schema] if isinstance(schema, list) else schema


def _table(section: str) -> tuple[Rows, list[str]] | None:
    """The rows of the first table with the right columns, and the fields that stand in it twice."""
    lines = [_cells(line) for line in section.splitlines() if line.lstrip().startswith("|")]
    starts = [at for at, cells in enumerate(lines) if tuple(cell.lower() for cell in cells[:3]) == _HEAD]
    if not starts:
        return None
    rows = [cells for cells in lines[starts[0] + 2 :] if len(cells) >= len(_HEAD)]
    names = [cells[0].strip("`") for cells in rows]
    written = {name: (cells[1], cells[2]) for name, cells in zip(names, rows, strict=True)}
    return written, sorted({name for name in names if names.count(name) > 1})


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _fields(schema: Schema, known: Schema, path: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if path.count(".") > _DEPTH_MAX:
        return
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}{name}"
        what, bounds = _described(inner, known)
        yield here, (what, ", ".join(part for part in (bounds, "" if name in required else "may be left out") if part))
        yield from _nested(inner, known, here)


def _nested(schema: Schema, known: Schema, path: str) -> Iterator[tuple[str, tuple[str, str]]]:
    resolved = _resolved(schema, known)
    for arm in (*resolved.get("anyOf", ()), *resolved.get("oneOf", ()), *resolved.get("prefixItems", ())):
        yield from _nested(arm, known, path)
    if "items" in resolved:
        yield from _nested(resolved["items"], known, f"{path}[]")
    elif isinstance(resolved.get("additionalProperties"), dict):
        yield from _nested(resolved["additionalProperties"], known, f"{path}{{}}")
    elif "properties" in resolved:
        yield from _fields(resolved, known, f"{path}.")


def _resolved(schema: Schema, known: Schema) -> Schema:
    reference = schema.get("$ref")
    return known[reference.rsplit("/", 1)[-1]] if reference else schema


def _described(schema: Schema, known: Schema) -> tuple[str, str]:
    """Type and bounds of one value in words."""
    schema = _resolved(schema, known)
    what, bounds = _worded(schema, known)
    unsaid = (f"{key} {json.dumps(schema[key], sort_keys=True)}" for key in sorted(schema.keys() - _SAID))
    return what, ", ".join(part for part in (bounds, *unsaid) if part)


def _worded(schema: Schema, known: Schema) -> tuple[str, str]:
    if "anyOf" in schema:
        arms = [_described(arm, known) for arm in schema["anyOf"]]
        return " or ".join(what for what, _ in arms), "; ".join(bounds for _, bounds in arms if bounds)
    if "const" in schema or "enum" in schema:
        return "one of", ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return _list_of(schema, known)
    if schema.get("type") == "object":
        return "object", _counted(schema, "minProperties", "maxProperties", "entries")
    if schema.get("type") == "null":
        return "null", ""
    if schema.get("type") == "string":
        what = _FORMATS.get(schema.get("format", ""), "text")
        pattern = [f"matching `{schema['pattern']}`"] if "pattern" in schema else []
        counted = _counted(schema, "minLength", "maxLength", "characters")
        return what, ", ".join(part for part in (counted, *pattern) if part)
    kind = str(schema.get("type", "anything"))
    return _WORDS.get(kind, kind), _range(schema)


def _list_of(schema: Schema, known: Schema) -> tuple[str, str]:
    what, bounds = _described(schema.get("items", {}), known)
    counted = _counted(schema, "minItems", "maxItems", "items")
    return f"list of {what}", ", ".join(part for part in (counted, f"each {bounds}" if bounds else "") if part)


def _counted(schema: Schema, least: str, most: str, unit: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
    if low is not None:
        return f"at least {low} {unit}"
    return f"at most {high} {unit}" if high is not None else ""


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    words = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
    return ", ".join(f"{word} {_number(schema[key])}" for key, word in words.items() if key in schema)


def _number(value: float) -> str:
    return f"{value:g}"
