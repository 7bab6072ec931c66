"""Reads fills and builds lots as soon as the markets of a day are known."""

import dagster as dg

from evaluator.stages import due, ledger
from evaluator_assets import jobs, requests
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[jobs.discovery],
    request_job=jobs.ledger,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def ledger_after_discovery(
    context: dg.RunStatusSensorContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.RunRequest | dg.SkipReason:
    """One run per run of discovery; the cursor is Dagster's: the last run status seen."""
    if wait := requests.in_progress(context.instance, jobs.ledger.name):
        return wait
    tables = lake.open()
    with tables.snapshot() as now:
        found = due.ledger(now, tables.held_commit(ledger.HOLD))
    if configuration.is_frozen() and not found.is_due:
        return dg.SkipReason(found.fact)
    return requests.for_all_buckets(run_key=f"ledger/{context.dagster_run.run_id}")
