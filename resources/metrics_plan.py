"""What dbt makes of the project: SQL for every model and data test, compiled once and kept.

Compiling asks dbt, which takes seconds to import and 20 ms for each node that it runs itself; what it compiles depends on nothing
but the project's files and dbt's version. So the SQL is kept under the digest of both and executed here, models in the order of
their lineage, in a few milliseconds each. Where dbt runs the project by itself (`dbt build`), it makes the same tables and finds
the same failures: a test compares the two.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trading_assets.core.errors import PermanentFailure

WAREHOUSE_VARIABLE = "DESK_WAREHOUSE"
_FORMAT = "1"
_COMPILED_FOR = "metrics"  # the database that dbt compiles for; its name is taken out again
_QUIET = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}
_SUFFIXES = {".sql", ".yml", ".md"}
_SWITCHES = (
    *("--quiet", "--log-level", "none", "--log-level-file", "info", "--no-use-colors"),
    *("--no-version-check", "--no-write-json"),
)
# dbtRunner keeps its state in module globals and is not safe for parallel calls.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class ModelSql:
    """A model as dbt compiled it. `promised` maps column to DuckDB's type where the project promises types, else it is empty."""

    name: str
    view: bool
    sql: str
    promised: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckSql:
    """A data test as dbt compiled it: each row that its query finds is a failure."""

    name: str
    model: str
    column: str | None
    severity: str
    sql: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a build executes; models in the order in which they can be made."""

    models: tuple[ModelSql, ...]
    checks: tuple[CheckSql, ...]


def plan_of(project: Path, target: Path) -> Plan:
    """The project's plan: from the Python environment's cache or the target folder, else compiled by dbt and kept there.

    Args:
        project: The folder of the dbt project; nothing is written there.
        target: Where dbt's log goes, and the plan where the environment keeps none.

    Raises:
        PermanentFailure: dbt cannot parse or compile the project; the message is dbt's.
    """
    name = f"dbt-{_digest(project)}.json"
    shared = Path(sys.prefix) / "cache" / "desk"
    folder = shared if os.access(shared, os.W_OK | os.X_OK) else target
    kept = _read(folder / name)
    if kept is not None:
        return kept
    plan = compiled(project, target)
    _keep(folder / name, plan)
    return plan


def compiled(project: Path, target: Path) -> Plan:
    """What dbt compiles now."""
    results = invoke_dbt(project, target, "compile", "--no-introspect", "--no-populate-cache")
    nodes = {result.node.unique_id: result.node for result in results}
    for result in results:
        if str(result.status) not in {"success", "pass"}:
            raise PermanentFailure(f"dbt cannot build the metrics: {result.node.name}: {one_line(result.message)}")
    models = {id_: node for id_, node in nodes.items() if node.resource_type == "model"}
    checks = sorted((node for node in nodes.values() if node.resource_type == "test"), key=lambda node: node.name)
    return Plan(
        models=tuple(_model_sql(models[id_]) for id_ in _in_order(models)),
        checks=tuple(_check_sql(node) for node in checks),
    )


def invoke_dbt(project: Path, target: Path, command: str, *options: str, warehouse: Path | None = None) -> Any:
    """The results of one dbt command in this process; PermanentFailure with dbt's words where it fails as a whole."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    folders = {
        "--project-dir": project,
        "--profiles-dir": project,
        "--target-path": target,
        "--log-path": target / "logs",
    }
    arguments = [text for option, folder in folders.items() for text in (option, str(folder.resolve()))]
    with _ONE_AT_A_TIME, TemporaryDirectory() as aside:
        database = warehouse or Path(aside) / f"{_COMPILED_FOR}.duckdb"
        with _environment({**_QUIET, WAREHOUSE_VARIABLE: str(database)}):
            try:
                outcome = dbtRunner().invoke([*command.split(), *arguments, *_SWITCHES, *options])
            finally:
                DuckDBConnectionManager.close_all_connections()
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        raise outcome.exception  # an interruption of this process is not dbt's failure
    if outcome.exception is not None or outcome.result is None:
        raise PermanentFailure(
            f"dbt cannot build the metrics: {one_line(outcome.exception)}",
            hint=f"the whole log is {target / 'logs' / 'dbt.log'}",
        ) from outcome.exception
    return getattr(outcome.result, "results", outcome.result)


def one_line(message: object) -> str:
    """A message of dbt or DuckDB without its line breaks."""
    return " ".join(str(message or "").split())


def _digest(project: Path) -> str:
    """A name for everything that the compiled SQL depends on."""
    digest = hashlib.sha256("|".join((_FORMAT, *map(version, ("dbt-core", "dbt-duckdb")))).encode())
    for path in sorted(each for each in project.rglob("*") if each.suffix in _SUFFIXES):
        digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def _in_order(models: Mapping[str, Any]) -> Iterator[str]:
    """Model ids, each after those that it selects from; among equals by name."""
    made: set[str] = set()
    waiting = sorted(models)
    while waiting:
        ready = [id_ for id_ in waiting if made.issuperset(set(models[id_].depends_on.nodes) & models.keys())]
        yield from ready
        made.update(ready)
        waiting = [id_ for id_ in waiting if id_ not in made]


def _model_sql(node: Any) -> ModelSql:
    promised = (
        {name: column.data_type.lower() for name, column in node.columns.items()} if node.contract.enforced else {}
    )
    return ModelSql(node.name, node.config.materialized == "view", _plain(node.compiled_code), promised)


def _check_sql(node: Any) -> CheckSql:
    config = node.config
    if (config.fail_calc, config.error_if, config.limit, config.where) != ("count(*)", "!= 0", None, None):
        raise PermanentFailure("a data test counts rows that break it, and knows no other rule", value=node.name)
    attached = getattr(node, "attached_node", None)
    return CheckSql(
        name=node.name,
        model=attached.rsplit(".", 1)[-1] if attached else config.meta["model"],
        column=getattr(node, "column_name", None),
        severity=config.severity.lower(),
        sql=_plain(node.compiled_code),
    )


def _plain(sql: str) -> str:
    """Without the database's name, so that the same SQL serves every file, and views still work where it is attached."""
    return sql.replace(f'"{_COMPILED_FOR}".', "").strip()


def _read(path: Path) -> Plan | None:
    """A plan that was kept; None where there is none, or none that can be read."""
    try:
        kept = json.loads(path.read_text())
        return Plan(
            tuple(ModelSql(**model) for model in kept["models"]), tuple(CheckSql(**check) for check in kept["checks"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, plan: Plan) -> None:
    """Under a temporary name first: two processes that compile at once replace each other's plan by an equal one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    aside.write_text(json.dumps(asdict(plan), indent=0))
    aside.replace(path)


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
