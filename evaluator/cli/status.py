"""`evaluator status`: how fresh the tables are, what the jobs did, what waits, what the disk holds."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from evaluator.cli.shared import as_json, instance_of, newest_tables
from evaluator.reports import status
from evaluator.settings import load_settings
from evaluator.store.disk import disk_use
from evaluator.terminal import answers, output

if TYPE_CHECKING:
    from dagster import DagsterInstance, RunRecord

_RUNS_LOOKED_AT = 1000
_SHOWN_ERROR = 80


@click.command(name="status")
@as_json
def show_status(*, is_json: bool) -> None:
    """Rows and freshness of every table, the last run of every job, what waits in each lane."""
    settings = load_settings()
    with newest_tables() as now:
        tables = status.table_statuses(now)
        commit_id = now.commit_id
    used = disk_use(settings.lake_root)
    with instance_of(settings) as instance:
        jobs = _last_runs(instance) if instance else []
        lanes, warnings = _lanes(instance) if instance else ([], [])
    if is_json:
        rows = [asdict(table) for table in tables]
        found = {"commit_id": commit_id, "tables": rows, "jobs": jobs, "lanes": lanes}
        output.print_json({**found, "warnings": warnings, "disk": used.metadata()})
        return
    answers.status(commit_id, tables)
    output.say(f"Disk: {used.bytes / 1e6:.1f} MB in {used.files} data files")
    for title, rows in (("Jobs", jobs), ("Lanes", lanes)):
        if rows:
            output.say(f"\n{title}")
            output.print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    for warning in warnings:
        output.say(f"warning: {warning}")


def _last_runs(instance: "DagsterInstance") -> list[dict[str, Any]]:
    """The newest run of each job."""
    newest: dict[str, Any] = {}
    for record in instance.get_run_records(limit=_RUNS_LOOKED_AT):
        newest.setdefault(record.dagster_run.job_name, record)
    return [_last_run(instance, name, record) for name, record in sorted(newest.items())]


def _last_run(instance: "DagsterInstance", job: str, record: "RunRecord") -> dict[str, Any]:
    start, end, run = record.start_time, record.end_time, record.dagster_run
    return {
        "job": job,
        "status": run.status.value,
        "started_at": datetime.fromtimestamp(start, UTC) if start else None,
        "seconds": round(end - start, 1) if start and end else None,
        "run_id": run.run_id,
        "error": _error(instance, run.run_id) if run.is_failure else None,
    }


def _error(instance: "DagsterInstance", run_id: str) -> str:
    """The first line of what the first failed step of a run said of itself."""
    from dagster import DagsterEventType

    for entry in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        if entry.dagster_event:
            data = entry.dagster_event.step_failure_data
            known, error = data.user_failure_data, data.error
            text = (known.description if known else None) or (error.message if error else "")
            return text.strip().partition("\n")[0][:_SHOWN_ERROR]
    return "the run failed outside its steps"


def _lanes(instance: "DagsterInstance") -> tuple[list[dict[str, Any]], list[str]]:
    """Depth and age of each lane, and what is filling up."""
    from evaluator_assets import lanes

    depths = lanes.lane_depths(instance, datetime.now(UTC))
    return [asdict(each) for each in depths], lanes.warnings(depths)
