"""The floor of a Dagster run: one sensor, one job, one asset that writes a line, in a code location that imports nothing else."""

import os
from pathlib import Path

import dagster as dg

from resources.clock import RealClock

FOLDER = "DESK_BENCH_FOLDER"
DUE, DONE, JOB = "due", "done", "empty_job"


@dg.asset
def empty() -> None:
    """Writes down when it ran."""
    now = RealClock().now()
    (Path(os.environ[FOLDER]) / DONE).write_text(now.isoformat())


empty_job = dg.define_asset_job(JOB, selection=[empty], executor_def=dg.in_process_executor)


@dg.sensor(job=empty_job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def empty_due() -> dg.RunRequest | dg.SkipReason:
    """Asks for one run for each thing that the bench says is due."""
    due = Path(os.environ[FOLDER]) / DUE
    return dg.RunRequest(run_key=due.read_text()) if due.exists() else dg.SkipReason("nothing is due")


defs = dg.Definitions(assets=[empty], jobs=[empty_job], sensors=[empty_due])
