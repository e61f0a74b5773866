"""The due slot walks past the queue; nothing else does, and never two."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster._core.run_coordinator import SubmitRunContext
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG

from desk.runner import instance_yaml
from resources.launching.queue import FIRST, JOB_TAG, SlotQueue
from tests.launching.parts import created, ended, forking, launcher_of, run_of, server_of
from trading_assets.core.settings import PROJECT

QUEUED = dg.DagsterRunStatus.QUEUED
SLOT = {JOB_TAG: FIRST, SENSOR_NAME_TAG: "decision_slots"}


def _submitted(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    queue = SlotQueue()
    queue.register_instance(instance)
    queue.submit_run(SubmitRunContext(run_of(instance, run_id), workspace=None))  # type: ignore[arg-type]  # not needed
    return run_of(instance, run_id).status


def test_a_slot_goes_at_once_and_the_next_waits_its_turn(tmp_path: Path) -> None:
    with forking(tmp_path / "dagster") as instance:
        _who_dequeues_has_the_launcher_ready(instance)
        slot = created(instance, "says", tmp_path / "one", tags=SLOT)
        assert _submitted(instance, slot) != QUEUED
        assert ended(instance, slot) == dg.DagsterRunStatus.SUCCESS
        assert (tmp_path / "one").read_text().split()[0] == "said"
        again = run_of(instance, slot)
        assert _submitted(instance, slot) == again.status
        _while_one_is_under_way(instance, tmp_path)


def _who_dequeues_has_the_launcher_ready(instance: dg.DagsterInstance) -> None:
    queue = SlotQueue(dequeue_use_threads=True)
    queue.register_instance(instance)
    assert launcher_of(instance)._server is None
    assert queue.dequeue_use_threads is True
    assert server_of(instance).lives


def _while_one_is_under_way(instance: dg.DagsterInstance, folder: Path) -> None:
    first = created(instance, "waits", folder / "first", tags=SLOT)
    assert _submitted(instance, first) != QUEUED
    second = created(instance, "says", folder / "second", tags=SLOT)
    assert _submitted(instance, second) == QUEUED
    third = created(instance, "says", folder / "third", tags=SLOT)
    launcher_of(instance).terminate(first)
    ended(instance, first)
    assert _submitted(instance, third) == QUEUED
    assert not (folder / "second").exists()


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {JOB_TAG: FIRST},
        {JOB_TAG: "postclose", SENSOR_NAME_TAG: "decision_slots"},
        {SCHEDULE_NAME_TAG: "postclose_schedule"},
    ],
)
def test_what_is_no_slot_of_the_daemon_waits_in_the_queue(tmp_path: Path, tags: Mapping[str, str]) -> None:
    """A decision that a person starts in the UI would be launched by the web server, whose runs nobody keeps warm."""
    with forking(tmp_path / "dagster") as instance:
        run_id = created(instance, "says", tmp_path / "notes", tags=tags)
        assert _submitted(instance, run_id) == QUEUED
        assert launcher_of(instance)._server is None


def test_a_slot_that_cannot_be_launched_is_a_failed_run_and_no_error_of_the_sensor(tmp_path: Path) -> None:
    with forking(tmp_path / "dagster", locations=["no_such_module_anywhere"]) as instance:
        run_id = created(instance, "says", tmp_path / "notes", tags=SLOT)
        assert _submitted(instance, run_id) == dg.DagsterRunStatus.FAILURE
        assert not (tmp_path / "notes").exists()


def test_the_desk_keeps_the_limits_of_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(instance_yaml())
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path))) as instance:
        assert isinstance(instance.run_coordinator, SlotQueue)
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        assert limits.max_concurrent_runs == 4
        assert {"key": JOB_TAG, "value": FIRST, "limit": 1} in limits.tag_concurrency_limits
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert not instance.run_retries_enabled
        assert instance.run_monitoring_enabled


def test_the_project_has_one_file_for_dagster_that_needs_nothing_of_the_machine() -> None:
    told = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert "run_launcher" not in told
    assert told["run_coordinator"]["class"] == SlotQueue.__name__
