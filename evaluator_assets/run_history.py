"""How long Dagster's own history is kept: which runs may go, and what goes with them.

Ticks of schedules and sensors are the instance's own retention (dagster.yaml).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from evaluator.stages.retention import RetentionRules

ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Pruned:
    """Runs deleted, and old runs kept because something was computed by them last."""

    deleted: int
    kept: int
    is_done: bool
    """Whether nothing else is old; else the next night goes on."""


def prune(instance: dg.DagsterInstance, rules: RetentionRules, now: datetime) -> Pruned:
    """Delete runs that ended longer ago than the rules say, with their events and logs.

    Never one in flight. One that computed a partition of an asset last, or is the newest of its
    job, stays for `newest_runs_days`: by it the UI shows what there is.
    """
    if not rules.runs_days:
        return Pruned(0, 0, is_done=True)
    ancient = now - timedelta(days=rules.newest_runs_days) if rules.newest_runs_days else None
    newest, going, kept = _newest_of_assets(instance), list[str](), 0
    is_done = True
    for run in _old_runs(instance, now - timedelta(days=rules.runs_days)):
        is_ancient = ancient is not None and run.updated_at < ancient
        if not is_ancient and (run.run_id in newest or run.run_id == _newest_of(instance, run)):
            kept += 1
        elif len(going) == rules.runs_per_night:
            is_done = False
            break
        else:
            going.append(run.run_id)
    for run_id in going:
        _delete(instance, run_id)
    return Pruned(len(going), kept, is_done=is_done)


@dataclass(frozen=True, slots=True)
class _Run:
    run_id: str
    job_name: str
    updated_at: datetime


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[_Run]:
    """Runs that ended before the instant, oldest first, read page by page."""
    wanted = dg.RunsFilter(statuses=ENDED, updated_before=before)
    cursor: str | None = None
    while page := instance.get_run_records(wanted, limit=_AT_ONCE, cursor=cursor, ascending=True):
        for record in page:
            run = record.dagster_run
            yield _Run(run.run_id, run.job_name, record.update_timestamp.replace(tzinfo=UTC))
        cursor = page[-1].dagster_run.run_id


def _newest_of(instance: dg.DagsterInstance, run: _Run) -> str:
    """The newest run of the same job: status pages show it, however old it is."""
    (newest,) = instance.get_run_records(dg.RunsFilter(job_name=run.job_name), limit=1)
    return newest.dagster_run.run_id


def _newest_of_assets(instance: dg.DagsterInstance) -> frozenset[str]:
    """Runs that materialised an asset, or a partition of one, last."""
    found: set[str] = set()
    for key in instance.get_asset_keys():
        if newest := instance.get_latest_materialization_event(key):
            found.add(newest.run_id)
        of_type = dg.DagsterEventType.ASSET_MATERIALIZATION
        storage_ids = instance.get_latest_storage_id_by_partition(key, of_type).values()
        found.update(_runs_of(instance, key, sorted(storage_ids)))
    return frozenset(found)


def _runs_of(
    instance: dg.DagsterInstance, key: dg.AssetKey, storage_ids: Sequence[int]
) -> Iterator[str]:
    for first in range(0, len(storage_ids), _AT_ONCE):
        some = storage_ids[first : first + _AT_ONCE]
        wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=some)
        for record in instance.fetch_materializations(wanted, limit=len(some)).records:
            yield record.event_log_entry.run_id


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """The run, its events, and what its steps printed.

    The SQLite storage empties the file of the run's events, and leaves it where it is.
    """
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
    for path in (Path(instance.root_directory) / "history" / "runs").glob(f"{run_id}.db*"):
        path.unlink(missing_ok=True)
