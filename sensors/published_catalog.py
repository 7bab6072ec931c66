"""Renews the database of views after commits, for people with other DuckDB clients."""

import dagster as dg

from evaluator_assets import jobs, requests
from resources.lake import LakeResource


@dg.sensor(
    job=jobs.serving,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def published_catalog(
    context: dg.SensorEvaluationContext, lake: LakeResource
) -> dg.SensorResult | dg.SkipReason:
    """One run for all commits since the last tick.

    The cursor is the id of the newest commit when a run was requested; one that cannot be read
    is 0, and the run key keeps a commit from being published twice.
    """
    if wait := requests.in_progress(context.instance, jobs.serving.name):
        return wait
    newest = lake.open().latest_commit_id()
    if str(newest) == context.cursor or not newest:
        return dg.SkipReason(f"commit {newest} is the newest, and has been published")
    request = dg.RunRequest(run_key=f"sql_catalog/{newest}")
    return dg.SensorResult(run_requests=[request], cursor=str(newest))
