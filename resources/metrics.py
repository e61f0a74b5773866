"""The metrics: dbt models over one lane's tables, in one DuckDB file for each lane.

dbt compiles the project once (`resources/metrics_plan.py`). A build loads the lane's rows into schema `raw`, makes the models from
the compiled SQL and runs the data tests, all in one transaction: a reader of the file sees the build before or this one, whole.
The file is closed again, so that the next step or a person can open it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from resources.metrics_plan import CheckSql, ModelSql, Plan, invoke_dbt, one_line, plan_of
from trading_assets.core.errors import PermanentFailure, TableMismatch, TransientFailure
from trading_assets.core.money import usd
from trading_assets.core.tables import Table
from trading_assets.evaluation.model import EVALUATED
from trading_assets.execution.model import ACCOUNT, FILLS, POSITIONS, TRADES

if TYPE_CHECKING:
    import duckdb
    import polars as pl

RAW_TABLES: tuple[Table, ...] = (ACCOUNT, TRADES, POSITIONS, FILLS, *EVALUATED)


@dataclass(frozen=True)
class RawTables:
    """What the models are made from: one lane's rows by table name, and the cash that its book began with.

    A table of RAW_TABLES that is not given is empty.
    """

    lane: str
    starting_cash: Decimal
    frames: Mapping[str, pl.DataFrame]

    def of(self, table: Table) -> pl.DataFrame:
        """The frame of one of RAW_TABLES, in declared column order."""
        frame = self.frames.get(table.name)
        if frame is None:
            return table.empty()
        declared = dict(table.polars_schema())
        if dict(frame.schema) != declared:
            raise TableMismatch(f"a frame does not fit table {table.name}", value=dict(frame.schema), bound=declared)
        return frame


@dataclass(frozen=True, slots=True)
class ModelRun:
    """One built model."""

    name: str
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
        target: Where dbt keeps its log and what it compiled, where it has to.
        raw: The lane's rows.

    Raises:
        PermanentFailure: dbt cannot compile the project, or DuckDB cannot run what it compiled; the message is theirs.
        TransientFailure: another process holds the warehouse file.
    """
    begun, plan = time.perf_counter(), plan_of(project, target)
    frames = _frames(raw)
    with _opened(warehouse) as connection:
        connection.execute("begin")
        _load(connection, frames, raw)
        _clear(connection)
        models = tuple(_made(connection, model) for model in plan.models)
        checks = tuple(_checked(connection, plan))
        connection.execute("commit")
    return MetricsRun(models, checks, time.perf_counter() - begun)


def load_raw(warehouse: Path, raw: RawTables) -> None:
    """Replaces schema `raw` of the warehouse by the lane's rows, all tables or none."""
    frames = _frames(raw)
    with _opened(warehouse) as connection:
        connection.execute("begin")
        _load(connection, frames, raw)
        connection.execute("commit")


def read_model(warehouse: Path, model: str) -> pl.DataFrame:
    """The rows of a built model, ordered by its columns from the first on."""
    with _opened(warehouse, read_only=True) as connection:
        frame: pl.DataFrame = connection.table(model).order("all").pl()
    return frame


def write_docs(*, project: Path, warehouse: Path, target: Path) -> Path:
    """The documentation that dbt makes of models, measures, tests and exposures as one HTML page that needs no network.

    Raises:
        PermanentFailure: dbt cannot write it; the message is dbt's.
    """
    invoke_dbt(project, target, "docs generate", "--static", "--write-json", warehouse=warehouse)
    page = target / "static_index.html"
    if not page.is_file():
        raise PermanentFailure("dbt wrote no documentation", value=page, hint=f"see {target / 'logs' / 'dbt.log'}")
    return page


def _frames(raw: RawTables) -> Mapping[str, pl.DataFrame]:
    return {table.name: raw.of(table) for table in RAW_TABLES}


def _load(connection: duckdb.DuckDBPyConnection, frames: Mapping[str, pl.DataFrame], raw: RawTables) -> None:
    connection.execute("drop schema if exists raw cascade")
    connection.execute("create schema raw")
    for name, frame in frames.items():
        connection.from_arrow(frame.to_arrow()).create(f"raw.{name}")
    connection.execute("create table raw.book (lane varchar, starting_cash decimal(18, 4))")
    connection.execute("insert into raw.book values (?, ?)", [raw.lane, usd(raw.starting_cash)])


def _clear(connection: duckdb.DuckDBPyConnection) -> None:
    """Drops what builds before made: a model that is gone leaves nothing behind, and a table may become a view."""
    found = connection.execute(
        "select table_type, table_name from information_schema.tables where table_schema = 'main' order by all"
    ).fetchall()
    for kind, name in found:
        connection.execute(f'drop {"view" if kind == "VIEW" else "table"} main."{name}"')


def _made(connection: duckdb.DuckDBPyConnection, model: ModelSql) -> ModelRun:
    import duckdb

    begun = time.perf_counter()
    try:
        connection.execute(f"create {'view' if model.view else 'table'} main.{model.name} as {model.sql}")
        types = {name: kind.lower() for name, kind, *_ in connection.execute(f"describe main.{model.name}").fetchall()}
        rows = len(connection.table(f"main.{model.name}"))
    except duckdb.Error as broken:
        raise PermanentFailure(
            f"dbt cannot build the metrics: {model.name}: {one_line(broken)}", hint="mend the model"
        ) from broken
    if model.promised and types != dict(model.promised):
        wrong = sorted(
            name for name in types.keys() | model.promised.keys() if types.get(name) != model.promised.get(name)
        )
        raise PermanentFailure(
            f"dbt cannot build the metrics: {model.name} breaks the promise of its columns",
            value={name: types.get(name, "missing") for name in wrong},
            bound={name: model.promised.get(name, "not promised") for name in wrong},
            hint="mend the model or its .yml file",
        )
    return ModelRun(model.name, rows, time.perf_counter() - begun)


def _checked(connection: duckdb.DuckDBPyConnection, plan: Plan) -> Iterator[CheckRun]:
    for check in plan.checks:
        failures = _failures(connection, check)
        yield CheckRun(
            name=check.name,
            model=check.model,
            column=check.column,
            passed=failures == 0,
            failures=failures,
            severity=check.severity,
            message=f"Got {failures} rows that break it" if failures else "",
        )


def _failures(connection: duckdb.DuckDBPyConnection, check: CheckSql) -> int:
    import duckdb

    try:
        found = len(connection.sql(check.sql))
    except duckdb.Error as broken:
        raise PermanentFailure(
            f"dbt cannot build the metrics: {check.name}: {one_line(broken)}", hint="mend the data test"
        ) from broken
    return found


@contextmanager
def _opened(warehouse: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    warehouse.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(str(warehouse), read_only=read_only)
    except duckdb.IOException as held:
        raise TransientFailure(
            f"the warehouse cannot be opened: {one_line(held)}",
            value=warehouse,
            hint="close other programs that use it",
        ) from held
    try:
        yield connection
    finally:
        connection.close()
