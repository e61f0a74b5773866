"""The metrics: dbt models over one lane's tables, built by dbt inside this process.

A lane has one DuckDB file. Its lake rows are loaded into schema `raw`, dbt builds and tests the models of the project, and the file
is closed again, so that the next step or a person can open it. The models' specifications are read from the project's YAML and SQL
as text: loading the code location imports no dbt.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from trading_assets.core.errors import PermanentFailure, TableMismatch, TransientFailure
from trading_assets.core.money import usd
from trading_assets.core.tables import Table
from trading_assets.evaluation.model import BENCHMARK
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES

if TYPE_CHECKING:
    import duckdb
    import polars as pl

RAW_TABLES: tuple[Table, ...] = (ACCOUNT, TRADES, POSITIONS, FILLS, BENCHMARK)
_WAREHOUSE_VARIABLE = "DESK_WAREHOUSE"
_QUIET = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# dbt hashes longer names of its own making; such a test must be given a name.
_OWN_NAME_LENGTH_MAX = 63
_UPSTREAM = re.compile(r"\b(ref|source)\(\s*'(\w+)'\s*(?:,\s*'(\w+)'\s*)?\)")
# dbtRunner keeps its state in module globals and is not safe for parallel calls.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class RawTables:
    """What the models are made from: one lane's rows, columns as their tables declare, and the cash its book began with."""

    lane: str
    starting_cash: Decimal
    account: pl.DataFrame
    trades: pl.DataFrame
    positions: pl.DataFrame
    fills: pl.DataFrame
    benchmark: pl.DataFrame

    def of(self, table: Table) -> pl.DataFrame:
        """The frame of one of RAW_TABLES, in declared column order."""
        frame: pl.DataFrame = getattr(self, table.name)
        declared = dict(table.polars_schema())
        if dict(frame.schema) != declared:
            raise TableMismatch(f"a frame does not fit table {table.name}", value=dict(frame.schema), bound=declared)
        return frame


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A documented column; `type` is DuckDB's, empty when the project does not promise one."""

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
class ModelRun:
    """One built model."""

    name: str
    status: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One data test that ran; `failures` counts the rows that it found."""

    name: str
    model: str
    column: str | None
    passed: bool
    failures: int
    severity: str
    message: str


@dataclass(frozen=True, slots=True)
class MetricsRun:
    """What one build did. Failed tests are values here, and never keep a model from being built."""

    models: tuple[ModelRun, ...]
    checks: tuple[CheckRun, ...]
    seconds: float

    @property
    def failed(self) -> tuple[CheckRun, ...]:
        """The tests that did not pass, warnings included."""
        return tuple(check for check in self.checks if not check.passed)


def run_metrics(*, project: Path, warehouse: Path, target: Path, raw: RawTables) -> MetricsRun:
    """Loads the lane's tables, builds all models and runs all data tests.

    Args:
        project: The folder of the dbt project; nothing is written there.
        warehouse: The lane's DuckDB file, made when it is missing.
        target: Where dbt keeps what it parsed (reused while the project is unchanged), compiled SQL and logs; one per warehouse.
        raw: The lane's rows.

    Raises:
        PermanentFailure: dbt cannot parse, compile or run the project; the message is dbt's.
        TransientFailure: another process holds the warehouse file.
    """
    load_raw(warehouse, raw)
    with _ONE_AT_A_TIME, _environment({**_QUIET, _WAREHOUSE_VARIABLE: str(warehouse)}):
        outcome = _build(project, target)
    nodes = outcome.results
    _refuse_broken(nodes)
    models = [result for result in nodes if result.node.resource_type == "model"]
    rows = _row_counts(warehouse, [result.node.name for result in models])
    return MetricsRun(
        models=tuple(ModelRun(r.node.name, str(r.status), rows[r.node.name], r.execution_time) for r in models),
        checks=tuple(_check_run(result) for result in nodes if result.node.resource_type == "test"),
        seconds=outcome.elapsed_time,
    )


def load_raw(warehouse: Path, raw: RawTables) -> None:
    """Replaces schema `raw` of the warehouse by the lane's rows, all tables or none."""
    frames = {table.name: raw.of(table) for table in RAW_TABLES}
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with _opened(warehouse) as connection:
        connection.execute("begin")
        connection.execute("drop schema if exists raw cascade")
        connection.execute("create schema raw")
        for name, frame in frames.items():
            connection.from_arrow(frame.to_arrow()).create(f"raw.{name}")
        connection.execute("create table raw.book (lane varchar, starting_cash decimal(18, 4))")
        connection.execute("insert into raw.book values (?, ?)", [raw.lane, usd(raw.starting_cash)])
        connection.execute("commit")


def read_model(warehouse: Path, model: str) -> pl.DataFrame:
    """The rows of a built model, ordered by its columns from the first on."""
    with _opened(warehouse, read_only=True) as connection:
        frame: pl.DataFrame = connection.table(model).order("all").pl()
    return frame


def model_specs(project: Path) -> tuple[ModelSpec, ...]:
    """All models of the project with columns, lineage and data tests, sorted by name; reads YAML and SQL only.

    Raises:
        PermanentFailure: A test with arguments or a long name has no `name`, so that dbt would make one up.
    """
    described = {model["name"]: (path, model) for path, model in _entries(project / "models", "models")}
    upstream = {name: _upstream_of(path.with_name(f"{name}.sql")) for name, (path, _) in described.items()}
    singular = [_singular_check(test) for _, test in _entries(project / "tests", "data_tests")]
    return tuple(
        ModelSpec(
            name=name,
            layer=path.parent.name,
            description=model["description"],
            columns=tuple(
                ColumnSpec(column["name"], column.get("data_type", ""), column["description"])
                for column in model.get("columns", ())
            ),
            refs=upstream[name][0],
            sources=_sources_below(name, upstream),
            checks=(*_generic_checks(model), *(check for check in singular if check.model == name)),
        )
        for name, (path, model) in sorted(described.items())
    )


def _build(project: Path, target: Path) -> Any:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folders = {
        "--project-dir": project,
        "--profiles-dir": project,
        "--target-path": target,
        "--log-path": target / "logs",
    }
    arguments = [text for option, folder in folders.items() for text in (option, str(folder.resolve()))]
    switches = [
        "--quiet",
        "--log-level",
        "none",
        "--log-level-file",
        "info",
        "--no-use-colors",
        "--no-version-check",
        "--no-write-json",
    ]
    try:
        outcome = dbtRunner().invoke(["build", *arguments, *switches])
    finally:
        DuckDBConnectionManager.close_all_connections()
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        raise outcome.exception  # an interruption of this process is not dbt's failure
    if outcome.exception is not None or outcome.result is None:
        raise PermanentFailure(
            f"dbt cannot build the metrics: {_one_line(outcome.exception)}",
            hint=f"the whole log is {target / 'logs' / 'dbt.log'}",
        ) from outcome.exception
    return outcome.result


def _refuse_broken(nodes: Any) -> None:
    broken = [result for result in nodes if str(result.status) == "error"]
    if broken:
        sentences = "; ".join(f"{result.node.name}: {_one_line(result.message)}" for result in broken)
        raise PermanentFailure(f"dbt cannot build the metrics: {sentences}", hint="mend the model or the test")


def _check_run(result: Any) -> CheckRun:
    node = result.node
    attached = getattr(node, "attached_node", None)
    return CheckRun(
        name=node.name,
        model=attached.rsplit(".", 1)[-1] if attached else node.config.meta["model"],
        column=getattr(node, "column_name", None),
        passed=str(result.status) == "pass",
        failures=result.failures or 0,
        severity=node.config.severity.lower(),
        message=_one_line(result.message),
    )


def _row_counts(warehouse: Path, models: list[str]) -> Mapping[str, int]:
    with _opened(warehouse, read_only=True) as connection:
        return {name: len(connection.table(name)) for name in models}


@contextmanager
def _opened(warehouse: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    try:
        connection = duckdb.connect(str(warehouse), read_only=read_only)
    except duckdb.IOException as held:
        raise TransientFailure(
            f"the warehouse cannot be opened: {_one_line(held)}",
            value=warehouse,
            hint="close other programs that use it",
        ) from held
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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


def _one_line(message: object) -> str:
    return " ".join(str(message or "").split())
