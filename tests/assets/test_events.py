"""Typed events: what is logged with a materialisation is read again, in order, or said malformed."""

import json
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from pydantic import ValidationError

from evaluator_assets import event_log, events
from evaluator_assets.events import (
    KINDS,
    MAX_WALLETS,
    Malformed,
    MarketsScored,
    OnDemandEvaluated,
    TradesIngested,
    WalletsClassified,
    WalletsDiscovered,
    emit,
    emitted,
)
from tests.assets.logged import address, log, log_raw

DAY = date(2026, 6, 30)
NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)
ONE_OF_EACH = (
    MarketsScored(day=DAY, market_count=3, selected_count=2),
    WalletsDiscovered(day=DAY, wallets=(address(1),)),
    TradesIngested(wallets=(address(1), address(2)), count=5, watermark=NOON),
    OnDemandEvaluated(
        day=DAY, attempt=1, outcomes={address(1): "computed", address(2): "not_found"}
    ),
    WalletsClassified(day=DAY, count=2, is_whole=True),
)


def test_one_of_each_is_all_there_are():
    assert [type(each).__name__ for each in ONE_OF_EACH] == list(KINDS)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda each: each.type)
def test_an_event_is_read_as_it_was_logged(own_instance, event):
    log(own_instance, event)
    page = event_log.read(own_instance, type(event).emitted_by, 0, 10)
    (found,) = page.events
    assert found.event == event
    assert found.kind == event.type
    assert found.event_id == f"{page.last_id}.0"
    assert events.parsed(found.payload) == event


@pytest.mark.parametrize(
    "event",
    [
        MarketsScored(day=DAY, market_count=0, selected_count=0),
        WalletsDiscovered(day=DAY, wallets=()),
        TradesIngested(wallets=(), count=0, watermark=NOON),
        OnDemandEvaluated(day=DAY, attempt=1, outcomes={}),
        WalletsClassified(day=DAY, count=0, is_whole=False),
    ],
    ids=lambda each: each.type,
)
def test_what_has_changed_no_row_is_not_logged(event):
    assert emitted(event) == {}


def test_more_wallets_than_fit_are_told_in_several_events():
    wallets = [address(number) for number in range(2 * MAX_WALLETS + 1)]
    parts = TradesIngested.of([*wallets, wallets[0]], count=9_000, watermark=NOON)
    assert [len(part.wallets) for part in parts] == [MAX_WALLETS, MAX_WALLETS, 1]
    assert sum(part.count for part in parts) == 9_000
    assert sorted(wallet for part in parts for wallet in part.wallets) == sorted(wallets)
    with pytest.raises(ValidationError):
        TradesIngested(wallets=tuple(wallets), count=1)


def test_an_event_of_the_bound_takes_under_100_kilobytes():
    (event,) = WalletsDiscovered.of(map(address, range(MAX_WALLETS)), day=DAY)
    assert len(event.model_dump_json()) < 100_000


def test_events_of_several_assets_come_in_the_order_of_the_log(own_instance):
    for number in range(6):
        log(own_instance, ONE_OF_EACH[number % 3])
    assets = events.assets_of([MarketsScored, WalletsDiscovered, TradesIngested])
    read, after = [], 0
    while (page := event_log.read(own_instance, assets, after, 2)).events:
        assert len(page.events) == 2
        read += page.events
        after = page.last_id
    ids = [each.storage_id for each in read]
    assert ids == sorted(ids)
    assert [each.event for each in read] == [ONE_OF_EACH[number % 3] for number in range(6)]


def test_entries_without_events_move_the_page_on(own_instance):
    own_instance.report_runless_asset_event(dg.AssetMaterialization("wallets"))
    page = event_log.read(own_instance, ["wallets"], 0, 10)
    assert page.events == ()
    assert page.last_id > 0


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ([{"type": "TradesIngested", "version": 2, "wallets": [], "count": 0}], "version"),
        ([{"type": "SomethingElse", "version": 1}], "SomethingElse"),
        ([{"version": 1}], "Unable to extract tag"),
        ("fills have come", "should be an object"),
        ([{"type": "TradesIngested", "wallets": ["0xAB"], "count": 1}], "wallets.0"),
        ([{"type": "WalletsClassified", "day": "2026-06-30", "count": -1}], "count"),
    ],
)
def test_what_is_no_event_is_malformed_and_kept_as_it_is(own_instance, raw, problem):
    log_raw(own_instance, "fills", raw)
    (found,) = event_log.read(own_instance, ["fills"], 0, 10).events
    assert isinstance(found.event, Malformed)
    assert problem in found.event.error
    assert json.loads(found.payload) == (raw[0] if isinstance(raw, list) else raw)
    assert found.kind is None


def test_an_event_logged_again_names_the_first(own_instance):
    log(own_instance, ONE_OF_EACH[2])
    (first,) = event_log.read(own_instance, ["fills"], 0, 10).events
    event_log.log_again(own_instance, first, "somebody")
    (again,) = event_log.read(own_instance, ["fills"], first.storage_id, 10).events
    event_log.log_again(own_instance, again)
    (third,) = event_log.read(own_instance, ["fills"], again.storage_id, 10).events
    assert (again.replay_of, again.only_for) == (first.event_id, "somebody")
    assert (third.replay_of, third.only_for) == (first.event_id, "")
    assert again.event == third.event == first.event


def test_events_are_found_by_id_and_by_time(own_instance):
    for number in range(3):
        log(own_instance, TradesIngested(wallets=(address(number),), count=1))
    page = event_log.read(own_instance, ["fills"], 0, 10).events
    ids = [each.event_id for each in page]
    assert event_log.some(own_instance, ["fills", "wallets"], [ids[1], "999.0"]) == {
        ids[1]: page[1]
    }
    since, until = page[0].at - timedelta(minutes=1), page[2].at + timedelta(minutes=1)
    found = event_log.between(own_instance, ["fills"], since, until, 2)
    assert [each.event_id for each in found] == ids[1:]
    assert event_log.between(own_instance, ["fills"], until, None, 2) == []


def test_a_run_over_a_range_tells_once(own_instance):
    """It makes one materialisation per partition."""
    buckets = dg.StaticPartitionsDefinition([f"{number:02d}" for number in range(16)])

    @dg.asset(partitions_def=buckets, backfill_policy=dg.BackfillPolicy.single_run())
    def fills(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        emit(context, "fills", *ONE_OF_EACH[2:3])
        return dg.MaterializeResult(metadata={"dagster/row_count": 5})

    job = dg.Definitions([fills]).resolve_implicit_global_asset_job_def()
    tags = {
        "dagster/asset_partition_range_start": "00",
        "dagster/asset_partition_range_end": "15",
    }
    assert job.execute_in_process(instance=own_instance, tags=tags).success
    made = own_instance.fetch_materializations(dg.AssetKey("fills"), limit=100).records
    assert len(made) == 16
    (found,) = event_log.read(own_instance, ["fills"], 0, 100).events
    assert found.event == ONE_OF_EACH[2]
    assert found.run_id == made[0].run_id
