"""The code location as text: assets with what they need, jobs, schedules, sensors."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from evaluator.domain.tables.registry import BY_NAME
from evaluator_assets.definitions import defs
from evaluator_assets.metadata import COLUMN_SCHEMA

SNAPSHOT = Path(__file__).with_name("definitions_snapshot.txt")
MAPPINGS = {
    "AllPartitionMapping": "all",
    "LastPartitionMapping": "last",
    "IdentityPartitionMapping": "same",
}
PARTITIONS = {
    "DailyPartitionsDefinition": "day",
    "StaticPartitionsDefinition": "bucket",
    "MultiPartitionsDefinition": "day × window",
    "HourlyPartitionsDefinition": "hour",
    "DynamicPartitionsDefinition": "new wallet",
}


def described() -> Iterator[str]:
    graph = defs.resolve_asset_graph()
    yield "assets: partitions; what they need, of which partitions"
    for spec in sorted(
        defs.resolve_all_asset_specs(), key=lambda each: (each.group_name, each.key)
    ):
        kind = type(spec.partitions_def).__name__
        deps = [f"{dep.asset_key.to_user_string()} {_mapping(dep)}" for dep in spec.deps]
        head = f"  {spec.group_name}/{spec.key.to_user_string()}: {PARTITIONS.get(kind, '–')}"
        yield "; ".join([head, ", ".join(sorted(deps))]) if deps else head
    yield "checks: of each asset, blocking ones with !"
    checks: dict[str, list[str]] = {}
    for key in sorted(graph.asset_check_keys):
        mark = "!" if graph.get(key).blocking else ""
        checks.setdefault(key.asset_key.to_user_string(), []).append(key.name + mark)
    yield from (f"  {asset}: {', '.join(names)}" for asset, names in checks.items())
    yield "jobs: executor, lane, seconds at most; assets"
    for job in sorted(defs.resolve_all_job_defs(), key=lambda each: each.name):
        if not job.name.startswith("__"):
            yield _job(job)
    yield "schedules: cron, job, status"
    for schedule in sorted(defs.schedules or [], key=lambda each: each.name):
        status = schedule.default_status.value
        yield f"  {schedule.name}: {schedule.cron_schedule} {schedule.job_name} {status}"
    yield "sensors: jobs, seconds between ticks, status"
    for sensor in sorted(defs.sensors or [], key=lambda each: each.name):
        names = ", ".join(target.job_name for target in sensor.targets)
        status = sensor.default_status.value
        yield f"  {sensor.name}: {names} {sensor.minimum_interval_seconds} {status}"


def _mapping(dep: dg.AssetDep) -> str:
    return MAPPINGS[type(dep.partition_mapping).__name__]


def _job(job: dg.JobDefinition) -> str:
    made = sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys)
    tags = job.tags
    return f"  {job.name}: {job.executor_def.name} {tags['lane']} {tags['dagster/max_runtime']}" + (
        f"; {', '.join(made)}" if made else ""
    )


def test_the_definitions_are_as_described():
    """Run this file as a script to renew the description."""
    assert SNAPSHOT.read_text(encoding="utf-8").splitlines() == list(described())


def test_the_description_is_short_enough_to_read():
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
    assert max(map(len, lines)) <= 160


def test_every_asset_says_what_its_columns_mean():
    for spec in defs.resolve_all_asset_specs():
        name = spec.key.to_user_string()
        if name in BY_NAME:
            columns = {each.name: each for each in spec.metadata[COLUMN_SCHEMA].columns}
            assert list(columns) == [column.name for column in BY_NAME[name].columns]
            assert all(each.description for each in columns.values())


def test_everything_loads_as_dagster_loads_it():
    dg.Definitions.validate_loadable(defs)


def test_every_schedule_and_sensor_is_on():
    for each in [*(defs.schedules or []), *(defs.sensors or [])]:
        assert each.default_status.value == "RUNNING", each.name


def test_every_job_has_a_lane_and_an_end():
    for job in defs.resolve_all_job_defs():
        if not job.name.startswith("__"):
            assert job.tags["lane"] in {"fast", "normal", "background"}
            assert int(job.tags["dagster/max_runtime"]) > 0


def test_dynamic_jobs_are_retried_whole():
    for name in ("personas", "personas_serial"):
        assert defs.resolve_job_def(name).tags["dagster/retry_strategy"] == "ALL_STEPS"


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(described()) + "\n", encoding="utf-8")
