"""Runs a job of the code location in this process, on the desk's own Dagster instance, so that the UI shows it afterwards."""

import os
import threading
import time
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.hardware import fit_libraries, fitted, measure
from trading_assets.core.errors import PermanentFailure, TransientFailure
from trading_assets.core.operations import load_operations
from trading_assets.core.ports import Span
from trading_assets.core.settings import PROJECT, Home, config_folder, desk_home

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg

_POLL_SECONDS = 0.3
_WARM = """
# Runs are forks of one process that has everything imported: `runs.launcher: warm` in config/operations.yaml.
run_launcher:
  module: resources.launching.warm
  class: WarmRunLauncher
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `failures` are sentences: failed checks first, then errors, without stack traces."""

    job: str
    run_id: str
    success: bool
    seconds: float
    failures: tuple[str, ...]


def prepare_home() -> Home:
    """The desk's home with Dagster's folder and configuration in it, and the environment that Dagster needs."""
    home = desk_home()
    home.dagster.mkdir(parents=True, exist_ok=True)
    os.umask(0o077)
    _replace(home.dagster / "dagster.yaml", instance_yaml())
    os.environ["DESK_HOME"] = str(home.root)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    fit_libraries(fitted(load_operations(config_folder()).hardware, measure()))
    return home


def instance_yaml() -> str:
    """The project's dagster.yaml, with the launcher that `config/operations.yaml` names; a change counts from the next start on."""
    text = (PROJECT / "dagster.yaml").read_text(encoding="utf-8")
    return text + _WARM if load_operations(config_folder()).runs.launcher == "warm" else text


def _replace(target: Path, text: str) -> None:
    """Several processes may start at once, and none may read half a file."""
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(target)


def run_job(
    name: str,
    span: Span,
    *,
    config: Mapping[str, Any] | None = None,
    selection: "Sequence[dg.AssetKey] | None" = None,
    label: str = "",
) -> Outcome:
    """Runs a job over the span's sessions in one run, with a progress line on stderr."""
    prepare_home()
    warnings.simplefilter("ignore")
    import dagster as dg

    from trading_assets.definitions import defs

    run_id = str(uuid.uuid4())
    run_config = {"ops": dict(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    tags = {
        "dagster/asset_partition_range_start": span.first.isoformat(),
        "dagster/asset_partition_range_end": span.last.isoformat(),
    }
    begun = time.monotonic()
    with _history_in_words(), dg.DagsterInstance.get() as instance, _progress(instance, run_id, label or name):
        result = defs.resolve_job_def(name).execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config=run_config,
            tags=tags,
            asset_selection=list(selection) if selection else None,
            raise_on_error=False,
        )
    return Outcome(name, run_id, result.success, time.monotonic() - begun, tuple(_failures(result)))


@contextmanager
def _history_in_words() -> "Iterator[None]":
    """Dagster's databases are a history that can be made anew; what is wrong with one is said in a sentence."""
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except DatabaseError as broken:
        what, where = f"Dagster's own history cannot be used: {broken.orig}", desk_home().dagster / "history"
        if "locked" in str(broken.orig):
            hint = "another process holds it; wait until that process ends, then run this again"
            raise TransientFailure(what, value=where, hint=hint) from broken
        hint = "move that folder away, then run this again; ledger and lake do not need it"
        raise PermanentFailure(what, value=where, hint=hint) from broken


def _failures(result: "dg.ExecuteInProcessResult") -> "Iterator[str]":
    for check in result.get_asset_check_evaluations():
        if not check.passed:
            yield f"check {check.check_name} on {check.asset_key.to_user_string()}: {check.description}"
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error:
            yield f"{event.step_key}: {_sentence(event.step_failure_data.error)}"


def _sentence(error: Any) -> str:
    """What the step itself raised: not Dagster's wrapping around it, and not the cause that the desk has put into words."""
    while error.cause and str(error.cls_name).startswith("Dagster"):
        error = error.cause
    words = " ".join(str(error.message).split())
    kind, _, sentence = words.partition(": ")
    return sentence if kind.startswith("trading_assets.") else words


@contextmanager
def _progress(instance: "dg.DagsterInstance", run_id: str, label: str) -> "Iterator[None]":
    """A bar on stderr that follows the run's steps in the event log; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    done = threading.Event()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        if not bar.console.is_terminal:
            yield
            return
        task = bar.add_task(label, total=None)
        follower = threading.Thread(target=_follow, args=(instance, run_id, bar, task, label, done), daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()


def _follow(instance: Any, run_id: str, bar: Any, task: Any, label: str, done: threading.Event) -> None:
    while not done.wait(_POLL_SECONDS):
        run = instance.get_run_by_id(run_id)
        if run is None or run.execution_plan_snapshot_id is None:
            continue
        plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
        steps = instance.get_run_step_stats(run_id)
        ended = [step for step in steps if step.end_time is not None]
        running = [step.step_key for step in steps if step.end_time is None]
        total = len(plan.step_keys_to_execute)
        bar.update(
            task, total=total, completed=len(ended), description=f"{label}: {running[0] if running else 'starting'}"
        )
