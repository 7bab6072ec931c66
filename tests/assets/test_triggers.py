"""Schedules and sensors: real ticks, what they request, and the fact behind every skip."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from evaluator.domain.tables.history import INGEST_STATE
from evaluator.store import partitions
from evaluator.venue.quarantine import no_rows
from evaluator_assets import schedules
from evaluator_assets.definitions import defs
from evaluator_assets.maintenance import MOST_FILES
from evaluator_assets.partitions import RANGE_END, RANGE_START, SINGLE_KEY
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors import final_scoring as final_scoring_file
from sensors import personas_after_scoring as personas_file
from sensors.ledger_after_discovery import ledger_after_discovery
from sensors.published_catalog import published_catalog
from sensors.serial_fallback import serial_fallback
from tests.assets import dying_shards, failing_wallet
from tests.assets.runs import Home

NOW = datetime(2026, 8, 1, 5, 30, tzinfo=UTC)
final_scoring = final_scoring_file.final_scoring
personas_after_scoring = personas_file.personas_after_scoring


class GoingOn(ConfigurationResource):
    """A source that has not ended."""

    def is_frozen(self) -> bool:
        return False


def resources(home: Home, *, goes_on: bool = False) -> dict:
    kind = GoingOn if goes_on else ConfigurationResource
    return {
        "lake": LakeResource(root=str(home.folder / "lake")),
        "configuration": kind(overrides=home.overrides()),
    }


def tick(home: Home, schedule: dg.ScheduleDefinition, instance=None, **options):
    """(requests, skip reason) of one tick."""
    context = dg.build_schedule_context(
        instance=instance or home.instance,
        scheduled_execution_time=NOW,
        resources=resources(home, **options),
        repository_def=defs.get_repository_def(),
    )
    done = schedule.evaluate_tick(context)
    return done.run_requests or [], done.skip_message


def sense(home: Home, sensor: dg.SensorDefinition, cursor=None, instance=None, **options):
    """(requests, skip reason, cursor) of one tick."""
    context = dg.build_sensor_context(
        instance=instance or home.instance,
        cursor=cursor,
        resources=resources(home, **options),
        repository_def=defs.get_repository_def(),
    )
    done = sensor.evaluate_tick(context)
    return done.run_requests or [], done.skip_message, done.cursor


def key_of(request: dg.RunRequest) -> str:
    return request.partition_key or request.tags[SINGLE_KEY]


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START], request.tags[RANGE_END]


def test_discovery_reads_the_last_day_of_a_source_that_has_ended(empty_home, day):
    (request,), _ = tick(empty_home, schedules.hourly_discovery)
    assert key_of(request) == day.isoformat()


def test_discovery_of_a_source_that_has_ended_happens_once(ledger_home, day):
    requests, reason = tick(ledger_home, schedules.hourly_discovery)
    assert not requests
    assert reason == f"the markets of {day} are there, and the source has ended"


def test_discovery_without_a_folder_skips_with_the_remedy(tmp_path, instance):
    home = Home(tmp_path / "home", tmp_path / "nowhere", instance)
    requests, reason = tick(home, schedules.hourly_discovery)
    assert not requests
    assert "nowhere" in reason


def test_discovery_of_a_source_that_goes_on_takes_today(empty_home):
    (request,), _ = tick(empty_home, schedules.hourly_discovery, goes_on=True)
    assert key_of(request) == "2026-08-01"


def test_the_ledger_takes_all_buckets_in_one_run(empty_home):
    (request,), _ = tick(empty_home, schedules.hourly_ledger)
    assert span(request) == ("00", "15")


def test_a_ledger_that_is_up_to_date_rests(ledger_home):
    requests, reason = tick(ledger_home, schedules.hourly_ledger)
    assert not requests
    assert "no fill or market is newer" in reason
    assert tick(ledger_home, schedules.hourly_ledger, goes_on=True)[0]


def test_a_source_that_has_ended_has_no_provisional_scores(ledger_home):
    requests, reason = tick(ledger_home, schedules.provisional_scoring)
    assert not requests
    assert reason == "the source has ended: none of its days is provisional"


def test_provisional_scores_are_of_today_over_all_windows(ledger_home):
    (request,), _ = tick(ledger_home, schedules.provisional_scoring, goes_on=True)
    assert span(request) == ("2026-08-01|7d", "2026-08-01|90d")


def test_the_fallback_scores_the_last_day_that_was_read_to_its_end(ledger_home, day):
    """A venue that has not answered since leaves no day final, whatever the clock says."""
    (request,), _ = tick(ledger_home, schedules.final_scoring_fallback, goes_on=True)
    before = day - timedelta(days=1)
    assert span(request) == (f"{before}|7d", f"{before}|90d")


def test_the_fallback_has_nothing_to_do_after_the_final_scores(scored_home, empty_home, day):
    requests, reason = tick(scored_home, schedules.final_scoring_fallback)
    assert (requests, reason) == ([], f"the scores of {day} are final")
    _, reason = tick(empty_home, schedules.final_scoring_fallback)
    assert reason == "the ledger has no fill yet"


def test_personas_follow_the_features(ledger_home, scored_home, day):
    (request,), _ = tick(scored_home, schedules.hourly_personas)
    assert key_of(request) == day.isoformat()
    _, reason = tick(ledger_home, schedules.hourly_personas)
    assert reason == f"there are no features of {day} over 30 days"


def test_maintenance_is_due_every_night(empty_home):
    assert len(tick(empty_home, schedules.nightly_maintenance)[0]) == 1


def test_a_partition_of_many_files_is_folded_by_day(empty_home):
    lake = empty_home.lake()
    row = {"proxy_wallet": "0x" + "1" * 40, "oldest_at": NOW, "newest_at": NOW, "cursor": None,
           "history_complete": True, "ingested_at": NOW}  # fmt: skip
    frame = pl.DataFrame([row], no_rows(INGEST_STATE).schema)
    for _ in range(MOST_FILES):
        lake.commit(upsert={(INGEST_STATE, partitions.SINGLE): frame})
    requests, reason = tick(empty_home, schedules.folding_by_day)
    assert (requests, reason) == ([], f"no partition has more than {MOST_FILES} files")
    lake.commit(upsert={(INGEST_STATE, partitions.SINGLE): frame})
    assert len(tick(empty_home, schedules.folding_by_day)[0]) == 1
    assert empty_home.run("folding", {}).success
    with lake.snapshot() as now:
        assert len(now.files(INGEST_STATE)) == 1
        assert now.read(INGEST_STATE).height == 1


@pytest.mark.parametrize("schedule", schedules.ALL, ids=lambda each: each.name)
def test_a_schedule_waits_for_the_run_in_progress(scored_home, own_instance, schedule):
    job = defs.resolve_job_def(schedule.job_name)
    run = own_instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    requests, reason = tick(scored_home, schedule, own_instance)
    assert not requests
    assert reason == f"run {run.run_id} of {schedule.job_name} is STARTED"


def test_a_day_is_scored_once_its_fills_are_there(ledger_home, day):
    (request,), _, cursor = sense(ledger_home, final_scoring)
    assert span(request) == (f"{day}|7d", f"{day}|90d")
    assert request.run_key == f"final_scoring/{cursor}"
    requests, reason, _ = sense(ledger_home, final_scoring, cursor)
    assert not requests
    assert reason.startswith(f"{day} has been requested for the lots of commit")


def test_an_unreadable_cursor_asks_for_the_same_run_again(ledger_home):
    (first,), _, _ = sense(ledger_home, final_scoring)
    (second,), _, _ = sense(ledger_home, final_scoring, "junk")
    assert first.run_key == second.run_key


def test_a_source_that_goes_on_is_scored_up_to_the_day_that_all_wallets_are_read_to(ledger_home):
    (request,), _, _ = sense(ledger_home, final_scoring, goes_on=True)
    with ledger_home.lake().snapshot() as now:
        first = now.read(INGEST_STATE, columns=["newest_at"]).min().item()
    before = first.date() - timedelta(days=1)
    assert span(request) == (f"{before}|7d", f"{before}|90d")


def test_final_scores_are_not_asked_for_again(scored_home, empty_home, day):
    assert sense(scored_home, final_scoring)[1] == f"the scores of {day} are final"
    assert sense(empty_home, final_scoring)[1] == "the ledger has no fill yet"


def test_scores_of_other_thresholds_are_asked_for_again(scored_home, day):
    other = Home(scored_home.folder, scored_home.history, scored_home.instance)
    context = dg.build_sensor_context(
        instance=other.instance,
        resources=resources(other)
        | {
            "configuration": ConfigurationResource(
                overrides=other.overrides(scoring={"full_roi": 0.5})
            )
        },
        repository_def=defs.get_repository_def(),
    )
    assert len(final_scoring.evaluate_tick(context).run_requests) == 1


def test_a_request_of_a_sensor_is_a_run_that_works(ledger_home):
    (request,), _, _ = sense(ledger_home, final_scoring)
    assert ledger_home.run("scoring", dict(request.tags)).success
    assert sense(ledger_home, final_scoring)[1].endswith("are final")


def scores(instance, day: date, *, is_final: bool) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            "wallet_scores", partition=f"{day}|30d", metadata={"is_final": is_final}
        )
    )


def test_final_scores_bring_the_personas_of_their_day(scored_home, own_instance, day):
    scores(own_instance, day, is_final=True)
    (request,), _, cursor = sense(scored_home, personas_after_scoring, None, own_instance)
    assert key_of(request) == day.isoformat()
    requests, reason, _ = sense(scored_home, personas_after_scoring, cursor, own_instance)
    assert not requests
    assert reason == f"no scores after materialisation {cursor}"
    (again,), _, _ = sense(scored_home, personas_after_scoring, "junk", own_instance)
    assert again.run_key == request.run_key


def test_provisional_scores_bring_no_personas(scored_home, own_instance, day):
    scores(own_instance, day, is_final=False)
    requests, reason, cursor = sense(scored_home, personas_after_scoring, None, own_instance)
    assert not requests
    assert reason == "1 materialisations of scores, none final without newer verdicts"
    assert int(cursor) > 0


def test_personas_that_are_there_are_not_asked_for_again(scored_home, own_instance, day):
    assert scored_home.run("personas", scored_home.on(day)).success
    scores(own_instance, day, is_final=True)
    assert not sense(scored_home, personas_after_scoring, None, own_instance)[0]


def test_the_catalog_is_published_once_per_commit(scored_home, empty_home):
    (request,), _, cursor = sense(scored_home, published_catalog)
    assert request.run_key == f"sql_catalog/{cursor}"
    requests, reason, _ = sense(scored_home, published_catalog, cursor)
    assert not requests
    assert reason == f"commit {cursor} is the newest, and has been published"
    assert not sense(empty_home, published_catalog)[0]


def after_discovery(home: Home, **options):
    done = dg.DagsterRunStatus.SUCCESS
    run = home.instance.create_run_for_job(defs.resolve_job_def("discovery"), status=done)
    event = dg.DagsterEvent("PIPELINE_SUCCESS", "discovery")
    context = dg.build_run_status_sensor_context(
        sensor_name="ledger_after_discovery",
        dagster_event=event,
        dagster_instance=home.instance,
        dagster_run=run,
        resources=resources(home, **options),
    )
    return run, ledger_after_discovery(context)


def test_the_ledger_follows_discovery(empty_home, ledger_home):
    run, request = after_discovery(empty_home)
    assert span(request) == ("00", "15")
    assert request.run_key == f"ledger/{run.run_id}"
    _, skipped = after_discovery(ledger_home)
    assert "no fill or market is newer" in skipped.skip_message
    assert span(after_discovery(ledger_home, goes_on=True)[1]) == ("00", "15")


def after_failure(home: Home, module, day, **personas):
    """What the sensor answers to a personas run that has failed."""
    ran = home.run("personas", home.on(day), module=module, personas=personas)
    assert not ran.success
    run = home.instance.get_run_by_id(ran.run_id)
    context = dg.build_run_status_sensor_context(
        sensor_name="serial_fallback",
        dagster_event=ran.events(dg.DagsterEventType.RUN_FAILURE)[0],
        dagster_instance=home.instance,
        dagster_run=run,
    ).for_run_failure()
    return run, serial_fallback(context)


def test_dead_shards_bring_one_serial_run_that_completes(scored_home, day):
    run, request = after_failure(scored_home, dying_shards.__name__, day, forced_tasks=2)
    assert request.run_key == f"personas_serial/{run.run_id}"
    assert request.partition_key == day.isoformat()
    assert "died every time" in request.tags["evaluator/serial"]
    tags = {**scored_home.on(day), **request.tags}
    ran = scored_home.run("personas_serial", tags)
    assert ran.success, ran.failures()
    assert "died every time" in ran.metadata("wallet_personas")["shard_reason"]


def test_a_shard_that_raises_brings_no_serial_run(ledger_home, day):
    """A known bot that is no address: every process says so."""
    _, answer = after_failure(
        ledger_home, failing_wallet.__name__, day, forced_tasks=2, window_days=30
    )
    assert "one process would not help" in answer.skip_message
