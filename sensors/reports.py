"""The improvement report appears after every post-close run, and above all after one that failed.

The report is its own job: a blocking check that stops the day's facts would otherwise stop the report that has to tell of it.
"""

import dagster as dg

from resources.desk import DESK
from trading_assets.jobs import REPORT, postclose, report

_DESCRIPTION = "Makes the session's improvement report when its post-close run has ended, well or badly."


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[postclose],
    request_jobs=[report],
    tags={"desk/role": "asks"},
    description=_DESCRIPTION,
)
def report_after_success(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """After a run that succeeded."""
    return request_report(context.dagster_run)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.FAILURE,
    monitored_jobs=[postclose],
    request_jobs=[report],
    tags={"desk/role": "asks"},
    description=_DESCRIPTION,
)
def report_after_failure(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """After a run that failed."""
    return request_report(context.dagster_run)


def request_report(run: dg.DagsterRun) -> dg.RunRequest | dg.SkipReason:
    """One report for each post-close run, of the run's session; a catch-up over a range reports on its last."""
    session = run.tags.get("dagster/partition") or run.tags.get("dagster/asset_partition_range_end")
    if session is None:
        return dg.SkipReason(f"run {run.run_id} has no session")
    tags = {"desk/book": DESK, "desk/part": f"{REPORT}/{session}"}
    return dg.RunRequest(run_key=run.run_id, job_name=REPORT, partition_key=session, tags=tags)
