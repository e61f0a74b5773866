"""Dagster's history is cut to what the settings keep; nothing that still runs, and nothing of the desk's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.runner import prepare_home
from resources.desk import DESK, DeskResource
from resources.housekeeping import prune
from trading_assets.core.errors import PermanentFailure
from trading_assets.core.settings import Home
from trading_assets.definitions import defs

SUCCESS, STARTED = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED


@dg.op
def works() -> int:
    return 1


@dg.job
def a_job() -> None:
    works()


def now() -> datetime:
    """The history stamps its rows by the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251


def files_of(home: Path, run_id: str) -> list[Path]:
    return [path for path in home.rglob(f"*{run_id}*") if path.exists()]


def test_old_runs_go_with_their_events_and_files_and_running_ones_stay(home: Home) -> None:
    prepare_home()
    engine = DeskResource().engine(DESK)
    with dg.DagsterInstance.get() as instance:
        ended = [a_job.execute_in_process(instance=instance).run_id for _ in range(3)]
        instance.add_run(dg.DagsterRun("a_job", run_id="working", status=STARTED))
        assert all(files_of(home.dagster / "history", run_id) for run_id in ended)
        young = prune(instance, older_than_days=7, machine=now() + timedelta(days=6), home=home.dagster)
        assert (young.runs, young.kept) == (0, 4)
        old = prune(instance, older_than_days=7, machine=now() + timedelta(days=8), home=home.dagster)
        assert (old.runs, old.kept) == (3, 1)
        assert old.bytes_after < old.bytes_before
        assert [run.run_id for run in instance.get_runs()] == ["working"]
        assert not any(files_of(home.dagster, run_id) for run_id in ended)
    assert home.ledger(DESK).exists()
    assert engine is DeskResource().engine(DESK)


@settings(deadline=None, max_examples=20)
@given(st.integers(7, 400), st.integers(0, 500))
def test_a_run_goes_exactly_when_it_is_older_than_the_settings_keep(keeps: int, age: int) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun("a_job", run_id="one", status=SUCCESS))
        pruned = prune(instance, older_than_days=keeps, machine=now() + timedelta(days=age, minutes=1))
    assert pruned.runs == (age >= keeps)
    assert pruned.runs + pruned.kept == 1


@pytest.mark.parametrize("days", [6, 0, -1])
def test_less_than_a_week_is_refused(days: int) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(PermanentFailure, match="must keep a week"):
        prune(instance, older_than_days=days, machine=now())


def test_the_job_measures_what_it_did(home: Home) -> None:
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("housekeep").execute_in_process(instance=instance)
        [output] = [event for event in result.all_events if event.is_successful_output]
    told = output.step_output_data.metadata
    assert {"runs_deleted", "runs_kept", "mb_before", "mb_after", "seconds"} <= set(told)
    assert told["runs_deleted"].value == 0
