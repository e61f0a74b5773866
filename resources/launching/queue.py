"""Dagster's run queue, past which a due slot walks.

Problem: a queued run waits for the next look of the dequeuer, up to a second, and behind as many other runs as may go on at once:
four long backfills would make the desk miss its slot. Decision: a decision run that a sensor or a schedule of the daemon asks for
is launched by the daemon thread that asks, unless another decision run is under way; then it queues like every other run, and the
queue's limit of one holds. Two that pass at the same instant are harmless: the pool `desk_book` lets one step at a time in, and
the ledger takes one decision for a slot. Remaining gap: the limit of runs at once is exceeded by that one run.
"""

import logging
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import SCHEDULE_NAME_TAG, SENSOR_NAME_TAG

from resources.launching.warm import WarmRunLauncher
from trading_assets.core.errors import DeskError

if TYPE_CHECKING:
    from collections.abc import Mapping

JOB_TAG, FIRST = "desk/job", "decide"
_LOG = logging.getLogger("desk.launching")


class SlotQueue(QueuedRunCoordinator):
    """Dagster's queue for everything but the due slot."""

    _prepared = False

    @property
    def dequeue_use_threads(self) -> bool:
        """Dagster's setting. Only the process that dequeues reads it: there the first run shall find the launcher ready."""
        if not self._prepared:
            self._prepared = True
            self._prepare()
        return bool(super().dequeue_use_threads)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Launches a due slot now, and queues everything else. A slot that could not be launched is a failed run."""
        run = context.dagster_run
        if not self._goes_first(run):
            return super().submit_run(context)
        try:
            return self._instance.launch_run(run.run_id, context.workspace)
        except Exception:  # noqa: BLE001 - the tick that asked must not end on it: the run says what happened
            _LOG.exception("the decision run %s could not be launched", run.run_id)
            failed = self._instance.get_run_by_id(run.run_id)
            return failed or run

    def _goes_first(self, run: dg.DagsterRun) -> bool:
        asked_by_daemon = SENSOR_NAME_TAG in run.tags or SCHEDULE_NAME_TAG in run.tags
        fresh = run.status == dg.DagsterRunStatus.NOT_STARTED
        return fresh and asked_by_daemon and run.tags.get(JOB_TAG) == FIRST and not self._others(run)

    def _others(self, run: dg.DagsterRun) -> bool:
        """Whether another decision run waits or runs."""
        alike: Mapping[str, str] = {JOB_TAG: FIRST}
        under_way = dg.RunsFilter(tags=alike, statuses=[s for s in NOT_FINISHED_STATUSES if s != run.status])
        return self._instance.get_runs_count(under_way) > 0

    def _prepare(self) -> None:
        launcher = self._instance.run_launcher
        if isinstance(launcher, WarmRunLauncher):
            try:
                launcher.prepare()
            except DeskError as refused:
                _LOG.warning("runs cannot be forked yet: %s", refused)
