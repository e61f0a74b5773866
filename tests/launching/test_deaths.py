"""What becomes of runs when the fork server, the launcher or the code goes away under them. No process is left in the end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._daemon.daemon import get_default_daemon_logger
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from resources.launching.warm import CODE_TAG
from tests.launching.parts import (
    Launched,
    children,
    created,
    ended,
    forking,
    gone,
    launch,
    launcher_of,
    messages,
    run_of,
    server_of,
    until,
    worker_in,
)
from trading_assets.core.errors import PermanentFailure

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
LAUNCHER = """
    import os, signal, sys
    from pathlib import Path
    from tests.launching.parts import forking, launch, server_of, until
    with forking(Path(sys.argv[1]), linger_seconds=6.0) as instance:
        runs = [launch(instance, name, Path(sys.argv[2])) for name in ("waits", "lingers")]
        until(lambda: all(run.words() for run in runs), "both have begun")
        said = [server_of(instance).pid, *(f"{run.run_id} {run.notes}" for run in runs)]
        print(*said, sep="\\n", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.fault(102)
def test_dead_servers_dead_runs_and_changed_code(tmp_path: Path) -> None:
    """One server after another: each is started anew when it is needed, and never forks code of yesterday."""
    (tmp_path / "code").mkdir()
    with forking(tmp_path / "dagster", watch=[str(tmp_path / "code")], spare=False) as instance:
        first = launch(instance, "waits", tmp_path)
        until(lambda: first.words() == ["began"], "the run has begun")
        _its_server_dies_and_the_run_goes_on(instance, first, tmp_path)
        _then_the_run_dies_and_monitoring_says_so(instance, first)
        _changed_code_is_read_before_the_next_run(instance, tmp_path)


def _its_server_dies_and_the_run_goes_on(instance: dg.DagsterInstance, first: Launched, folder: Path) -> None:
    dead = server_of(instance)
    os.kill(dead.pid, signal.SIGKILL)
    until(lambda: gone(dead.pid), "the server is dead")
    second = launch(instance, "says", folder)
    assert ended(instance, second.run_id) == SUCCESS
    assert server_of(instance).pid != dead.pid
    assert worker_in(instance, first.run_id).lives
    assert launcher_of(instance).check_run_worker_health(run_of(instance, first.run_id)).status == WorkerStatus.RUNNING


def _then_the_run_dies_and_monitoring_says_so(instance: dg.DagsterInstance, first: Launched) -> None:
    """Nobody is left who would notice but Dagster's own monitoring; it neither resumes nor retries."""
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: gone(first.pid), "the run's process is dead")
    record = instance.get_run_record_by_id(first.run_id)
    assert record is not None
    monitor_started_run(instance, None, record, get_default_daemon_logger("test"))  # type: ignore[arg-type]  # resumes nothing
    assert run_of(instance, first.run_id).status == FAILURE
    assert "NOT_FOUND" in messages(instance, first.run_id)
    assert first.words() == ["began"]


def _changed_code_is_read_before_the_next_run(instance: dg.DagsterInstance, folder: Path) -> None:
    former, code = server_of(instance), launcher_of(instance).prepare()
    (folder / "code" / "strategy.py").write_text("version = 2\n")
    run = launch(instance, "says", folder)
    assert ended(instance, run.run_id) == SUCCESS
    assert run_of(instance, run.run_id).tags[CODE_TAG] != code
    assert server_of(instance).pid != former.pid
    until(lambda: former.ended(0.1), "the server with the former code ends")


def test_a_location_that_starts_a_thread_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    module = tmp_path / "threaded_for_a_test.py"
    module.write_text("import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        with forking(tmp_path / "dagster", preload=[module.stem]) as instance:
            run_id = created(instance, "says", tmp_path / "notes")
            with pytest.raises(PermanentFailure, match="2 threads run after the imports"):
                instance.launch_run(run_id, None)  # type: ignore[arg-type]  # the warm launcher needs no workspace
            assert run_of(instance, run_id).status == FAILURE
            assert launcher_of(instance)._server is None
    assert not (tmp_path / "notes").exists()


def test_a_launcher_that_is_killed_leaves_its_runs_time_and_no_process_behind(tmp_path: Path) -> None:
    """The daemon dies: what ends soon ends well, what does not is stopped, and everybody is gone."""
    program = [sys.executable, "-c", textwrap.dedent(LAUNCHER), str(tmp_path / "dagster"), str(tmp_path)]
    with forking(tmp_path / "dagster") as instance:
        with (tmp_path / "told").open("w") as told_in:
            assert subprocess.run(program, stdout=told_in, check=False).returncode == -signal.SIGKILL
        server, *told = (line for line in (tmp_path / "told").read_text().splitlines() if "DEBUG" not in line)
        stays, ends = (Launched(line.split()[0], Path(line.split()[1])) for line in told)
        found = [launcher_of(instance).check_run_worker_health(run_of(instance, r.run_id)) for r in (stays, ends)]
        assert [health.status for health in found] == [WorkerStatus.RUNNING, WorkerStatus.RUNNING]
        assert ended(instance, ends.run_id) == SUCCESS
        until(lambda: run_of(instance, stays.run_id).is_finished, "the run without an end is stopped")
        until(lambda: gone(int(server)), "the server ends after its last run")
        assert ends.words() == ["began", "ended"]
        assert stays.words() == ["began", "cleaned"]
        assert gone(stays.pid)
        assert gone(ends.pid)


@pytest.mark.slow
def test_a_server_that_is_told_to_end_takes_its_waiting_fork_along(tmp_path: Path) -> None:
    with forking(tmp_path / "dagster") as instance:
        launcher_of(instance).prepare()
        server = server_of(instance)
        until(lambda: len(children(server.pid)) == 1, "one fork waits")
        waiting = children(server.pid)
        os.kill(server.pid, signal.SIGTERM)
        until(lambda: server.ended(0.1), "the server ends")
        assert all(gone(pid) for pid in waiting)
