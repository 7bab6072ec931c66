"""Run requests: which partitions a schedule or sensor asks for, and when it must wait."""

from collections.abc import Sequence
from datetime import date, datetime

import dagster as dg

from evaluator_assets import partitions

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def in_progress(instance: dg.DagsterInstance, *job_names: str) -> dg.SkipReason | None:
    """The reason to wait where a run of one of the jobs has not ended; None where none has."""
    for name in job_names:
        runs = instance.get_runs(dg.RunsFilter(job_name=name, statuses=UNFINISHED), limit=1)
        if runs:
            return dg.SkipReason(f"run {runs[0].run_id} of {name} is {runs[0].status.value}")
    return None


def for_day(
    day: date, run_key: str | None = None, assets: Sequence[str] | None = None
) -> dg.RunRequest:
    """A run of a job by day, of all of its assets or of some."""
    keys = [dg.AssetKey(name) for name in assets] if assets else None
    return dg.RunRequest(run_key=run_key, partition_key=day.isoformat(), asset_selection=keys)


def for_hour(instant: datetime, run_key: str | None = None) -> dg.RunRequest:
    """A run of a job by hour, for the hour that holds the instant."""
    return dg.RunRequest(run_key=run_key, partition_key=partitions.hour_key(instant))


def for_all_buckets(run_key: str | None = None) -> dg.RunRequest:
    """One run over all wallet buckets."""
    return dg.RunRequest(run_key=run_key, tags=partitions.all_buckets_tags())


def for_all_windows(
    day: date, run_key: str | None = None, *, first: date | None = None
) -> dg.RunRequest:
    """One run over all windows of a day, or of all days from `first` up to it."""
    return dg.RunRequest(run_key=run_key, tags=partitions.windows_tags(first or day, day))
