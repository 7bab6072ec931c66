"""Classifies in one process after the processes of shards have died every time."""

import dagster as dg

from evaluator_assets import jobs, serial
from evaluator_assets.partitions import SINGLE_KEY


@dg.run_failure_sensor(
    monitored_jobs=[jobs.personas],
    request_job=jobs.personas_serial,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def serial_fallback(context: dg.RunFailureSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Once per failed run, retries of it included; the cursor is Dagster's.

    A step that raised would raise again in one process, so such a run is left failed.
    """
    run = context.dagster_run
    reason = serial.why_died(context.instance, run.run_id)
    if not reason:
        return dg.SkipReason(f"a step of run {run.run_id} raised; one process would not help")
    first = run.root_run_id or run.run_id
    return dg.RunRequest(
        run_key=f"personas_serial/{first}",
        partition_key=run.tags.get(SINGLE_KEY),
        run_config=_without_execution(run.run_config),
        tags={serial.TAG: f"{reason}, in run {run.run_id}"},
    )


def _without_execution(config: object) -> dict[str, object]:
    """The configuration of the failed run; the other executor has another one."""
    given = dict(config) if isinstance(config, dict) else {}
    given.pop("execution", None)
    return given
