"""Runs as forks of one server: they begin, end, fail and are stopped as runs of the stock launcher do."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.instance import InstanceRef
from dagster._core.launcher.base import WorkerStatus

from resources.launching.warm import CODE_TAG, WORKER_TAG
from tests.launching.parts import (
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

SUCCESS, FAILURE, CANCELED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """One instance, and one fork server, for the tests of this file."""
    with forking(tmp_path_factory.mktemp("runs") / "dagster") as one:
        launcher_of(one).prepare()
        yield one


def test_a_run_is_a_fork_and_its_tags_say_which_of_what_code(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    code = launcher_of(instance).prepare()
    runs = [launch(instance, "says", tmp_path) for _ in range(3)]
    assert [ended(instance, run.run_id) for run in runs] == [SUCCESS] * 3
    for run in runs:
        assert run.words() == ["said"]
        assert run_of(instance, run.run_id).tags[CODE_TAG] == code
        assert worker_in(instance, run.run_id).pid == run.pid
    assert len({run.pid for run in runs}) == 3
    assert os.getpid() not in {run.pid for run in runs}


def test_the_process_that_is_forked_has_one_thread_after_its_runs(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert ended(instance, launch(instance, "says", tmp_path).run_id) == SUCCESS
    assert len(list(Path(f"/proc/{server_of(instance).pid}/task").iterdir())) == 1


def test_the_server_does_not_grow_with_its_runs(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    def resident_mb() -> float:
        pages = Path(f"/proc/{server_of(instance).pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE") / 2**20

    assert ended(instance, launch(instance, "says", tmp_path).run_id) == SUCCESS
    before = resident_mb()
    for _ in range(3):
        assert ended(instance, launch(instance, "says", tmp_path).run_id) == SUCCESS
    assert resident_mb() < before + 2


def test_a_fork_that_was_ready_before_takes_the_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    until(lambda: len(children(server_of(instance).pid)) == 1, "one fork waits")
    (waiting,) = children(server_of(instance).pid)
    run = launch(instance, "says", tmp_path)
    assert ended(instance, run.run_id) == SUCCESS
    assert run.pid == waiting


def test_a_run_that_fails_is_a_failure_with_its_own_words(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = launch(instance, "fails", tmp_path)
    assert ended(instance, run.run_id) == FAILURE
    until(lambda: not worker_in(instance, run.run_id).lives, "its process ends")
    assert "nothing is retried" not in messages(instance, run.run_id)


def test_a_run_that_is_stopped_cleans_up_and_is_cancelled(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = launch(instance, "waits", tmp_path)
    until(lambda: run.words() == ["began"], "it has begun")
    assert launcher_of(instance).terminate(run.run_id) is True
    assert ended(instance, run.run_id) == CANCELED
    assert run.words() == ["began", "cleaned"]
    until(lambda: gone(run.pid), "no process is left")
    assert launcher_of(instance).terminate(run.run_id) is False


def test_a_run_that_hears_no_signal_is_killed_and_cancelled(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run = launch(instance, "ignores", tmp_path)
    until(lambda: run.words() == ["began"], "it has begun")
    assert launcher_of(instance).terminate(run.run_id) is True
    assert ended(instance, run.run_id) == CANCELED
    until(lambda: gone(run.pid), "no process is left")


def test_a_run_whose_process_is_killed_fails_at_once_and_nothing_is_retried(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = launch(instance, "waits", tmp_path)
    until(lambda: run.words() == ["began"], "it has begun")
    os.kill(run.pid, signal.SIGKILL)
    assert ended(instance, run.run_id) == FAILURE
    assert "ended before its run did (signal 9); nothing is retried" in messages(instance, run.run_id)
    assert run.words() == ["began"]
    assert not launcher_of(instance).supports_resume_run


def test_whoever_opens_the_instance_sees_the_run_alive_and_can_stop_it(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """The web server, or a daemon that was started anew."""
    run = launch(instance, "waits", tmp_path)
    until(lambda: run.words() == ["began"], "it has begun")
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(instance.root_directory)) as another:
        told = launcher_of(another).check_run_worker_health(run_of(another, run.run_id))
        assert told.status == WorkerStatus.RUNNING
        assert launcher_of(another).terminate(run.run_id) is True
        assert ended(another, run.run_id) == CANCELED
        until(lambda: gone(run.pid), "no process is left")
        told = launcher_of(another).check_run_worker_health(run_of(another, run.run_id))
        assert told.status == WorkerStatus.NOT_FOUND


def test_a_process_that_was_given_the_pid_later_does_not_keep_a_dead_run_alive(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run_id = created(instance, "waits", tmp_path / "notes")
    said = launch(instance, "says", tmp_path)
    assert ended(instance, said.run_id) == SUCCESS
    impostor = replace(worker_in(instance, said.run_id), pid=os.getpid())
    instance.add_run_tags(run_id, {WORKER_TAG: str(impostor)})
    told = launcher_of(instance).check_run_worker_health(run_of(instance, run_id))
    assert told.status == WorkerStatus.NOT_FOUND
    assert launcher_of(instance).terminate(run_id) is False


def test_a_tag_that_cannot_be_read_is_a_dead_process(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    run_id = created(instance, "says", tmp_path / "notes", tags={WORKER_TAG: "who knows"})
    assert launcher_of(instance).check_run_worker_health(run_of(instance, run_id)).status == WorkerStatus.NOT_FOUND


def test_a_run_of_the_command_line_is_left_alone(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """`desk backtest` runs in its own process, of which the daemon knows nothing: its monitoring must not end it."""
    run_id = created(instance, "says", tmp_path / "notes")
    assert launcher_of(instance).check_run_worker_health(run_of(instance, run_id)).status == WorkerStatus.RUNNING
    assert launcher_of(instance).terminate(run_id) is False


def test_a_fork_that_is_not_told_its_run_ends_without_a_deed(instance: dg.DagsterInstance) -> None:
    fork = server_of(instance).fork("no run of anybody")
    assert fork.worker.lives
    fork.drop()
    until(lambda: not fork.worker.lives, "it ends")
