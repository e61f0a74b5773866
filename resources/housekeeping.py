"""Dagster's own history, cut to what the settings keep: runs that ended long ago, with their events and files.

Ledger, lake, journal and reports are the desk's memory and are never touched. A run that has not ended stays, however old it
is.
"""

import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.core.errors import PermanentFailure

if TYPE_CHECKING:
    from dagster import DagsterInstance

_PAGE = 200
_DAYS_MIN = 7


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, and what it took."""

    runs: int
    kept: int
    bytes_before: int
    bytes_after: int
    seconds: float

    @property
    def metadata(self) -> dict[str, float]:
        """For the run's page."""
        megabyte = 1_000_000
        return {
            "runs_deleted": self.runs,
            "runs_kept": self.kept,
            "mb_before": round(self.bytes_before / megabyte, 3),
            "mb_after": round(self.bytes_after / megabyte, 3),
            "seconds": round(self.seconds, 3),
        }


def prune(instance: "DagsterInstance", *, older_than_days: int, machine: datetime, home: Path | None = None) -> Pruned:
    """Deletes ended runs that were last touched more than so many days before `machine`.

    Args:
        home: Dagster's home, whose files are counted and cleaned; None leaves files alone.

    Raises:
        PermanentFailure: Fewer than seven days would cut into the running week.
    """
    from dagster import DagsterRunStatus, RunsFilter

    if not older_than_days >= _DAYS_MIN:
        raise PermanentFailure("history must keep a week", value=older_than_days, bound=_DAYS_MIN)
    begun, before = time.monotonic(), _size(home)
    ended = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
    old = RunsFilter(statuses=ended, updated_before=machine - timedelta(days=older_than_days))
    deleted = 0
    while runs := instance.get_runs(old, limit=_PAGE):
        for run in runs:
            instance.delete_run(run.run_id)
            _forget_files(home, run.run_id)
        deleted += len(runs)
    return Pruned(deleted, instance.get_runs_count(), before, _size(home), time.monotonic() - begun)


def _forget_files(home: Path | None, run_id: str) -> None:
    """A run's events are a file of their own, with its log files beside it; deleting their rows leaves them there."""
    if home is None:
        return
    for file in (home / "history" / "runs").glob(f"{run_id}.db*"):
        file.unlink(missing_ok=True)
    shutil.rmtree(home / "storage" / run_id, ignore_errors=True)


def _size(home: Path | None) -> int:
    files = home.rglob("*") if home is not None and home.is_dir() else ()
    return sum(file.stat().st_size for file in files if file.is_file())
