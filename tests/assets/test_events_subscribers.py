"""Subscribers: every event at least once, in few runs, whatever dies in between."""

from datetime import timedelta

import dagster as dg
import pytest

from evaluator.store.lake import Lake
from evaluator_assets import event_log, run_outcomes
from evaluator_assets.events import TradesIngested, WalletsDiscovered
from evaluator_assets.subscribers import Position, Subscriber
from tests.assets.daemon import Daemon, Switched, request
from tests.assets.logged import address, log

STATUS = dg.DagsterRunStatus


def subscriber(collect_s: float = 0.0) -> Subscriber:
    return Subscriber("judge", (TradesIngested,), Switched().work, request, collect_s)


@pytest.fixture
def daemon(own_instance, tmp_path) -> Daemon:
    return Daemon(own_instance, Lake(tmp_path / "lake", threads=1), subscriber())


def ingested(daemon: Daemon, *numbers: int) -> None:
    wallets = tuple(address(number) for number in numbers)
    log(daemon.instance, TradesIngested(wallets=wallets, count=len(numbers)))


def test_an_event_is_one_run(daemon):
    ingested(daemon, 1, 2)
    assert daemon.runs_one() == [address(1), address(2)]
    assert daemon.fact() == f"no run is needed for 0 events after {daemon.position.after}"
    assert daemon.position.asked == ()


def test_events_of_one_key_are_one_run_with_each_wallet_once(daemon):
    ingested(daemon, 2, 3)
    ingested(daemon, 1, 2)
    assert daemon.runs_one() == [address(1), address(2), address(3)]


def test_events_of_other_types_and_those_that_ask_for_nothing_are_passed_over(daemon):
    log(daemon.instance, WalletsDiscovered(day="2026-06-30", wallets=(address(1),)))
    log(daemon.instance, TradesIngested(wallets=(address(1),), count=0))
    assert daemon.fact() == "no run is needed for 1 events after 0"
    assert daemon.position == Position(after=2)


def test_a_tick_that_is_lost_is_made_again_with_the_same_run_key(daemon):
    ingested(daemon, 1)
    (first,) = daemon.asked()
    daemon.cursor = None
    (again,) = daemon.asked()
    daemon.cursor = "junk"
    (third,) = daemon.asked()
    assert first.run_key == again.run_key == third.run_key


def test_a_run_that_was_never_made_is_asked_for_again_with_the_same_key(daemon):
    ingested(daemon, 1)
    (first,) = daemon.asked()
    (again,) = daemon.asked()
    assert again.run_key == first.run_key
    daemon.run(again, STATUS.SUCCESS)
    assert not daemon.asked()


def test_events_wait_while_a_run_does(daemon):
    """One pending run per subscriber bounds the queue; what has begun does not see new fills."""
    ingested(daemon, 1)
    (first,) = daemon.asked()
    run_id = daemon.run(first, STATUS.NOT_STARTED)
    ingested(daemon, 2)
    ingested(daemon, 3)
    assert daemon.fact() == f"run {run_id} of judging is NOT_STARTED"
    started = event_log_of(daemon, run_id, STATUS.STARTED)
    assert daemon.runs_one() == [address(2), address(3)]
    assert {each.run_key for each in daemon.position.asked} > {started}


def event_log_of(daemon: Daemon, run_id: str, status: dg.DagsterRunStatus) -> str:
    """Bring the run into a state as its events do; returns its run key."""
    kinds = {
        STATUS.STARTED: dg.DagsterEventType.RUN_START,
        STATUS.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
    }
    event = dg.DagsterEvent(kinds[status].value, "judging")
    daemon.instance.report_dagster_event(event, run_id)
    return daemon.instance.get_run_by_id(run_id).tags["evaluator/request"]


def test_events_are_collected_for_their_time(daemon):
    daemon.subscriber = subscriber(collect_s=300)
    ingested(daemon, 1)
    ingested(daemon, 2)
    assert daemon.fact().startswith("2 events are collected for ")
    ingested(daemon, 2, 3)
    assert daemon.later(seconds=200).fact().startswith("3 events are collected for ")
    assert daemon.later(seconds=200).runs_one() == [address(1), address(2), address(3)]


def test_more_events_than_a_tick_takes_are_left_to_the_next(daemon, monkeypatch):
    monkeypatch.setattr("evaluator_assets.subscribers.ENTRIES_PER_TICK", 2)
    daemon.subscriber = subscriber(collect_s=300)
    for number in range(5):
        ingested(daemon, number)
    assert daemon.runs_one() == [address(0), address(1)]
    assert daemon.runs_one() == [address(2), address(3)]
    assert daemon.fact().startswith("1 events are collected for ")
    assert daemon.later(seconds=400).runs_one() == [address(4)]


def test_a_run_that_fails_is_asked_for_again_under_another_key(daemon):
    ingested(daemon, 1)
    (first,) = daemon.asked()
    daemon.run(first, STATUS.FAILURE)
    (second,) = daemon.asked()
    assert second.run_config == first.run_config
    assert second.run_key != first.run_key
    daemon.run(second, STATUS.SUCCESS)
    assert not daemon.asked()
    assert daemon.position.failed == {}


def test_a_run_that_dagster_retries_has_not_failed_yet(daemon):
    ingested(daemon, 1)
    (first,) = daemon.asked()
    daemon.run(first, STATUS.FAILURE, **{run_outcomes.WILL_RETRY: "true"})
    assert daemon.fact().endswith("is FAILURE, and will be retried")
    daemon.now += run_outcomes.RETRIED_WITHIN + timedelta(seconds=1)
    assert len(daemon.asked()) == 1


def test_new_events_are_not_held_up_by_one_that_is_tried_again(daemon):
    ingested(daemon, 1)
    (first,) = daemon.asked()
    daemon.run(first, STATUS.FAILURE)
    ingested(daemon, 2)
    wanted = daemon.asked()
    assert sorted(each.run_config["wallets"] for each in wanted) == [[address(1)], [address(2)]]


def test_an_event_logged_again_is_a_run_again(daemon):
    ingested(daemon, 1)
    daemon.runs_one()
    (event,) = event_log.read(daemon.instance, ["fills"], 0, 10).events
    event_log.log_again(daemon.instance, event)
    assert daemon.runs_one() == [address(1)]
