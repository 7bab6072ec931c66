"""The nightly job, and what it leaves of Dagster's own history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.stages.retention import RetentionRules
from evaluator.store.disk import disk_use
from evaluator_assets import run_history
from evaluator_assets.maintenance import maintenance

RULES = RetentionRules(runs_days=30, newest_runs_days=400)
DAYS = dg.StaticPartitionsDefinition(["mon", "tue"])


@dg.asset(partitions_def=DAYS)
def daily() -> None:
    """One row per nothing."""


@dg.asset
def whole() -> None:
    """One row per nothing."""


@dg.op
def nothing(context: dg.OpExecutionContext) -> None:
    """Print a line."""
    print("a line for the log of the step")  # noqa: T201 - what the log of a step captures


@dg.job
def tick() -> None:
    """Do nothing."""
    nothing()


DEFS = dg.Definitions(
    assets=[daily, whole],
    jobs=[
        dg.define_asset_job("days", [daily], executor_def=dg.in_process_executor),
        dg.define_asset_job("all_of_it", [whole], executor_def=dg.in_process_executor),
        tick,
    ],
)


def ran(instance: dg.DagsterInstance, job: str, partition: str | None = None) -> str:
    done = DEFS.resolve_job_def(job).execute_in_process(instance=instance, partition_key=partition)
    assert done.success
    return done.run_id


def run_ids(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs()}


def days_on(days: float) -> datetime:
    """So long after the runs of a test, which have just ended."""
    return datetime.now(UTC) + timedelta(days=days)


def test_the_newest_run_of_a_partition_an_asset_and_a_job_stays(own_instance):
    instance = own_instance
    old = [ran(instance, "days", day) for day in ("mon", "tue")]
    older_tick, older_whole = ran(instance, "tick"), ran(instance, "all_of_it")
    kept = {old[1], ran(instance, "days", "mon"), ran(instance, "all_of_it")}
    kept.add(ran(instance, "tick"))
    pruned = run_history.prune(instance, RULES, days_on(31))
    assert run_ids(instance) == kept
    assert {old[0], older_tick, older_whole}.isdisjoint(kept)
    assert (pruned.deleted, pruned.kept, pruned.is_done) == (3, 4, True)
    assert instance.get_materialized_partitions(dg.AssetKey("daily")) == {"mon", "tue"}
    assert run_history.prune(instance, RULES, days_on(31)).deleted == 0


def test_no_run_younger_than_its_days_goes(own_instance):
    before = {ran(own_instance, "tick") for _ in range(3)}
    assert run_history.prune(own_instance, RULES, days_on(29)).deleted == 0
    assert run_ids(own_instance) == before


def test_even_the_newest_run_goes_in_the_end(own_instance):
    ran(own_instance, "days", "mon")
    assert run_history.prune(own_instance, RULES, days_on(399)).deleted == 0
    for_ever = replace(RULES, newest_runs_days=0)
    assert run_history.prune(own_instance, for_ever, days_on(4000)).deleted == 0
    assert run_history.prune(own_instance, RULES, days_on(401)).deleted == 1
    assert run_ids(own_instance) == set()


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_in_flight_stays_however_old_it_is(own_instance, status):
    job = DEFS.resolve_job_def("tick")
    running = own_instance.create_run_for_job(job, status=status).run_id
    ended = ran(own_instance, "tick")
    assert run_history.prune(own_instance, RULES, days_on(10_000)).deleted == 1
    assert run_ids(own_instance) == {running}
    assert ended != running


def test_nothing_of_a_deleted_run_is_left_on_disk(own_instance):
    root = Path(own_instance.root_directory)
    gone, kept = ran(own_instance, "tick"), ran(own_instance, "tick")
    assert [path for path in root.rglob("*") if gone in path.name]
    run_history.prune(own_instance, RULES, days_on(31))
    assert not [path for path in root.rglob("*") if gone in path.name]
    assert [path for path in root.rglob("*") if kept in path.name]


def test_a_night_deletes_so_many_runs_and_the_next_goes_on_with_the_oldest(own_instance):
    runs = [ran(own_instance, "tick") for _ in range(6)]
    rules = replace(RULES, runs_per_night=2)
    nights = [run_history.prune(own_instance, rules, days_on(31)) for _ in range(3)]
    assert [(night.deleted, night.is_done) for night in nights] == [
        (2, False),
        (2, False),
        (1, True),
    ]
    assert run_ids(own_instance) == {runs[-1]}


def test_pages_of_runs_that_stay_do_not_hide_those_that_go(own_instance, monkeypatch):
    monkeypatch.setattr(run_history, "_AT_ONCE", 2)
    kept = [ran(own_instance, "days", day) for day in ("mon", "tue")]
    gone = [ran(own_instance, "tick") for _ in range(4)]
    rules = replace(RULES, runs_per_night=3)
    assert run_history.prune(own_instance, rules, days_on(31)).deleted == 3
    assert run_ids(own_instance) == {*kept, gone[-1]}


def test_where_runs_are_kept_for_ever_none_goes(own_instance):
    ran(own_instance, "tick")
    ran(own_instance, "tick")
    rules = replace(RULES, runs_days=0)
    assert run_history.prune(own_instance, rules, days_on(4000)).deleted == 0
    assert len(run_ids(own_instance)) == 2


def outputs(instance: dg.DagsterInstance, run_id: str) -> dict[str, dict]:
    """What each step of a run said of itself."""
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
    return {
        entry.step_key: {
            name: value.value
            for name, value in entry.dagster_event.step_output_data.metadata.items()
        }
        for entry in entries
    }


def test_the_nightly_job_folds_months_and_says_what_it_did_and_what_the_disk_holds(scored_home):
    before = scored_home.hashes()
    done = scored_home.run("maintenance", {})
    assert done.success, done.failures()
    assert scored_home.hashes() == before
    said = outputs(done.instance, done.run_id)
    assert list(said) == [
        "fold_deltas",
        "fold_months",
        "apply_retention",
        "sweep_files",
        "prune_runs",
        "measure_disk_use",
    ]
    assert said["fold_months"]["folded"][WALLET_FEATURES.name] == 3
    assert said["fold_months"]["merged_file_count"] >= 3
    assert said["apply_retention"]["dropped_partition_count"] == 0
    use = disk_use(scored_home.folder / "lake")
    assert said["measure_disk_use"]["files_by_table"] == {
        name: table.files for name, table in use.tables.items()
    }
    with scored_home.lake().snapshot() as now:
        assert len({entry.path for entry in now.files(WALLET_FEATURES)}) == 1
        assert len(now.partitions(WALLET_FEATURES)) == 3


def test_the_job_waits_in_the_lane_of_background_work():
    assert maintenance.tags["lane"] == "background"
