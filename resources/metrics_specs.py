"""The dbt project as its YAML, SQL and docs blocks describe it, read as text: loading the code location imports no dbt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trading_assets.core.errors import PermanentFailure

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# dbt hashes longer names of its own making; such a test must be given a name.
_OWN_NAME_LENGTH_MAX = 63
_UPSTREAM = re.compile(r"\b(ref|source)\(\s*'(\w+)'\s*(?:,\s*'(\w+)'\s*)?\)")
_DOCS_BLOCK = re.compile(r"{%\s*docs\s+(\w+)\s*%}(.*?){%\s*enddocs\s*%}", re.DOTALL)
_DOC_CALL = re.compile(r"{{\s*doc\('(\w+)'\)\s*}}")


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A documented column; `type` is DuckDB's, empty when the project does not promise one.

    A measure that has a docs block carries that block whole: what it is, its unit, formula and source.
    """

    name: str
    type: str
    description: str


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A data test under the name that a run reports; `column` is None when it speaks about whole rows."""

    name: str
    model: str
    column: str | None
    severity: str
    description: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as its YAML and SQL describe it.

    Args:
        layer: The folder that it stands in: staging (views) or marts (tables).
        refs: Models that it selects from.
        sources: Raw tables that it rests on, directly or through other models.
    """

    name: str
    layer: str
    description: str
    columns: tuple[ColumnSpec, ...]
    refs: tuple[str, ...]
    sources: tuple[str, ...]
    checks: tuple[CheckSpec, ...]


@dataclass(frozen=True, slots=True)
class ExposureSpec:
    """Who uses the models: a report, a command, the UI."""

    name: str
    description: str
    models: tuple[str, ...]


def model_specs(project: Path) -> tuple[ModelSpec, ...]:
    """All models of the project with columns, lineage and data tests, sorted by name; reads YAML and SQL only.

    Raises:
        PermanentFailure: A test with arguments or a long name has no `name`, so that dbt would make one up.
    """
    blocks = docs_blocks(project)
    described = {model["name"]: (path, model) for path, model in _entries(project / "models", "models")}
    upstream = {name: _upstream_of(path.with_name(f"{name}.sql")) for name, (path, _) in described.items()}
    singular = [_singular_check(test) for _, test in _entries(project / "tests", "data_tests")]
    return tuple(
        ModelSpec(
            name=name,
            layer=path.parent.name,
            description=model["description"],
            columns=tuple(
                ColumnSpec(column["name"], column.get("data_type", ""), _told(column["description"], blocks))
                for column in model.get("columns", ())
            ),
            refs=upstream[name][0],
            sources=_sources_below(name, upstream),
            checks=(*_generic_checks(model), *(check for check in singular if check.model == name)),
        )
        for name, (path, model) in sorted(described.items())
    )


def exposure_specs(project: Path) -> tuple[ExposureSpec, ...]:
    """Who uses the models, sorted by name."""
    found = (
        ExposureSpec(
            entry["name"], entry["description"], tuple(_UPSTREAM.findall(ref)[0][1] for ref in entry["depends_on"])
        )
        for _, entry in _entries(project / "models", "exposures")
    )
    return tuple(sorted(found, key=lambda each: each.name))


def docs_blocks(project: Path) -> Mapping[str, str]:
    """The docs blocks of the project by name."""
    pages = (path.read_text() for path in sorted((project / "models").rglob("*.md")))
    return {name: text.strip() for page in pages for name, text in _DOCS_BLOCK.findall(page)}


def _told(description: str, blocks: Mapping[str, str]) -> str:
    """A description with the docs blocks that it names in it; PermanentFailure for a block that nobody wrote."""

    def block(found: re.Match[str]) -> str:
        if found[1] not in blocks:
            raise PermanentFailure("a description names a docs block that does not exist", value=found[1])
        return blocks[found[1]]

    return _DOC_CALL.sub(block, description)


def _entries(folder: Path, key: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for path in sorted(folder.rglob("*.yml")):
        for entry in yaml.load(path.read_text(), Loader=_LOADER).get(key, ()):  # noqa: S506 - both loaders are safe
            yield path, entry


def _upstream_of(sql: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Models and raw tables that a model's SQL selects from."""
    found = _UPSTREAM.findall(sql.read_text())
    refs = {first for kind, first, _ in found if kind == "ref"}
    sources = {table for kind, _, table in found if kind == "source"}
    return tuple(sorted(refs)), tuple(sorted(sources))


def _sources_below(name: str, upstream: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> tuple[str, ...]:
    refs, sources = upstream[name]
    return tuple(sorted({*sources, *(source for ref in refs for source in _sources_below(ref, upstream))}))


def _generic_checks(model: Mapping[str, Any]) -> Iterator[CheckSpec]:
    for column in model.get("columns", ()):
        for test in column.get("data_tests", ()):
            kind, details = (test, {}) if isinstance(test, str) else next(iter(test.items()))
            yield CheckSpec(
                name=_test_name(kind, model["name"], column["name"], details),
                model=model["name"],
                column=column["name"],
                severity=_severity(details),
                description=_in_words(kind, column["name"], details),
            )


def _test_name(kind: str, model: str, column: str, details: Mapping[str, Any]) -> str:
    made_up = f"{kind}_{model}_{column}"
    if "name" not in details and ("arguments" in details or len(made_up) > _OWN_NAME_LENGTH_MAX):
        raise PermanentFailure("a data test needs a name of its own", value=made_up, hint="give it `name:` in the YAML")
    return str(details.get("name", made_up))


def _in_words(kind: str, column: str, details: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{name} {value}" for name, value in details.get("arguments", {}).items())
    return f"{column}: {kind.replace('_', ' ')}" + (f" ({arguments})" if arguments else "")


def _singular_check(test: Mapping[str, Any]) -> CheckSpec:
    return CheckSpec(
        name=test["name"],
        model=test["config"]["meta"]["model"],
        column=None,
        severity=_severity(test),
        description=test["description"],
    )


def _severity(details: Mapping[str, Any]) -> str:
    return str(details.get("config", {}).get("severity", "error")).lower()
