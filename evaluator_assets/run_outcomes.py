"""What has become of a run that was asked for, told by a tag of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

WILL_RETRY = "dagster/will_retry"
RETRIED_WITHIN = timedelta(minutes=5)
"""Time in which Dagster makes the retry of a run that it has said to retry."""

_QUEUED = {
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
}


@dataclass(frozen=True, slots=True)
class Waits:
    """The run has not ended."""

    fact: str
    is_started: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """The run has ended; `error` is empty where it did so well."""

    error: str


def of(
    instance: dg.DagsterInstance, tags: Mapping[str, str], now: datetime
) -> Waits | Ended | None:
    """The newest run of these tags, its retries included; None where there is none."""
    records = instance.get_run_records(dg.RunsFilter(tags=dict(tags)), limit=1)
    if not records:
        return None
    run, changed_at = records[0].dagster_run, records[0].update_timestamp
    fact = f"run {run.run_id} of {run.job_name} is {run.status.value}"
    if not run.is_finished:
        return Waits(fact, is_started=run.status not in _QUEUED)
    if run.status is dg.DagsterRunStatus.SUCCESS:
        return Ended("")
    if run.tags.get(WILL_RETRY) == "true" and now - changed_at < RETRIED_WITHIN:
        return Waits(f"{fact}, and will be retried", is_started=False)
    return Ended(f"{fact}: {_why(instance, run.run_id)}")


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """The first line of the first failure in the log of a run."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event:
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            return _first_line(told or data.error_display_string)
    return "no step of it says why"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
