"""A Dagster instance whose runs are forks, and what the tests do with it."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance import InstanceRef
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from resources.launching.forks import ForkServer
from resources.launching.warm import WORKER_TAG, WarmRunLauncher
from resources.launching.worker import Worker, parse_worker, worker_of
from tests.launching import location

PATIENCE_S = 40.0
LIGHT: Mapping[str, Any] = {
    "locations": [location.__name__],
    "preload": ["dagster._cli.api", "dagster._core.executor.in_process"],
    "warm": [],
    "pause_seconds": 1.0,
    "linger_seconds": 5.0,
    "kill_seconds": 1.0,
}
SILENT = {"fails"}


@dataclass(frozen=True, slots=True)
class Launched:
    """A run, and the file in which its op writes what it does."""

    run_id: str
    notes: Path

    def words(self) -> list[str]:
        """What the op wrote so far."""
        return [line.split()[0] for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    @property
    def pid(self) -> int:
        """The process that the op saw itself in."""
        return int(self.notes.read_text().split()[1])


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Waits until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


@contextmanager
def forking(home: Path, **config: object) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder of its own, with the warm launcher and the desk's event log."""
    home.mkdir(parents=True, exist_ok=True)
    launcher = {
        "module": "resources.launching.warm",
        "class": "WarmRunLauncher",
        "config": {**LIGHT, "watch": [str(home)], **config},
    }
    log = {"module": "resources.launching.run_files", "class": "QuickEventLogStorage"}
    written = {"telemetry": {"enabled": False}, "run_launcher": launcher, "event_log_storage": log}
    (home / "dagster.yaml").write_text(yaml.safe_dump({**written, "run_monitoring": {"enabled": True}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        patch.setenv("DESK_HOME", str(home.parent))
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home))) as instance:
            try:
                yield instance
            finally:
                server = launcher_of(instance)._server
                instance.dispose()
                if server is not None:
                    until(lambda: server.ended(0.1), "the fork server ends")


def launcher_of(instance: dg.DagsterInstance) -> WarmRunLauncher:
    """The instance's launcher."""
    assert isinstance(instance.run_launcher, WarmRunLauncher)
    return instance.run_launcher


def server_of(instance: dg.DagsterInstance) -> ForkServer:
    """The fork server that lives now."""
    server = launcher_of(instance)._server
    assert server is not None
    return server


def created(instance: dg.DagsterInstance, name: str, notes: Path, tags: Mapping[str, str] | None = None) -> str:
    """A run that is written down and not launched."""
    job = location.defs.get_job_def(name)
    pointer = ModuleCodePointer(location.__name__, "defs", str(Path.cwd()))
    origin = JobPythonOrigin(name, RepositoryPythonOrigin(sys.executable, pointer, entry_point=["dagster"]))
    config = {} if name in SILENT else {"ops": {node.name: {"config": {"path": str(notes)}} for node in job.nodes}}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    run = instance.create_run_for_job(
        job, run_config={**config, **quiet}, job_code_origin=origin, remote_job_origin=_remote(name), tags=tags
    )
    return run.run_id


def _remote(job: str) -> RemoteJobOrigin:
    return RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("tests"), "__repository__"), job)


def launch(instance: dg.DagsterInstance, name: str, folder: Path) -> Launched:
    """Launches a job of the location as Dagster does."""
    notes = folder / f"{uuid.uuid4()}.txt"
    run_id = created(instance, name, notes)
    instance.launch_run(run_id, None)  # type: ignore[arg-type]  # the warm launcher needs no workspace
    return Launched(run_id, notes)


def run_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun:
    """The run as history has it."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run


def worker_in(instance: dg.DagsterInstance, run_id: str) -> Worker:
    """The process that the run's tag names."""
    worker = parse_worker(run_of(instance, run_id).tags.get(WORKER_TAG))
    assert worker is not None
    return worker


def ended(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    """Waits for the run's end; how it ended."""
    until(lambda: run_of(instance, run_id).is_finished, "the run ends")
    return run_of(instance, run_id).status


def messages(instance: dg.DagsterInstance, run_id: str) -> str:
    """Everything that the run's history says."""
    return "\n".join(entry.message for entry in instance.all_logs(run_id))


def gone(pid: int) -> bool:
    """Whether nobody has this pid, or only an exit status is left of it."""
    return worker_of(pid) is None


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live."""
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [int(entry.name) for entry in entries if _parent(entry) == pid and worker_of(int(entry.name))]


def _parent(entry: Path) -> int:
    try:
        return int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
