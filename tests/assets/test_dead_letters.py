"""Events that nobody could handle: given up after three attempts, handled after the fix."""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from click.testing import CliRunner

from evaluator.cli.events import events as commands
from evaluator.domain.errors import InvalidArgumentError
from evaluator.stages import dead_letters
from evaluator.store.lake import Lake
from evaluator_assets import event_log, events, replays
from evaluator_assets.events import TradesIngested
from evaluator_assets.replays import Wanted
from evaluator_assets.subscribers import Subscriber
from tests.assets.daemon import Daemon, Switched, request
from tests.assets.logged import address, log, log_raw

STATUS = dg.DagsterRunStatus
NEWER = {"type": "TradesIngested", "version": 2, "wallets": [address(7)], "count": 1}


@pytest.fixture
def handler() -> Switched:
    return Switched()


@pytest.fixture
def daemon(own_instance, tmp_path, handler) -> Daemon:
    subscriber = Subscriber("judge", (TradesIngested,), handler.work, request)
    return Daemon(own_instance, Lake(tmp_path / "lake", threads=1), subscriber)


def ingested(daemon: Daemon, number: int) -> None:
    log(daemon.instance, TradesIngested(wallets=(address(number),), count=1))


def letters(daemon: Daemon, status: str | None = None) -> list[dead_letters.Letter]:
    with daemon.lake.snapshot() as now:
        return dead_letters.letters(now, status)


def test_an_event_whose_handler_fails_is_given_up_after_three_attempts(daemon, handler):
    handler.is_broken = True
    ingested(daemon, 1)
    for _ in range(2):
        assert daemon.fact().startswith("1 events failed and are tried again")
        assert letters(daemon) == []
    assert daemon.fact().startswith("1 events are dead letters now")
    (letter,) = letters(daemon)
    assert letter.subscriber == "judge"
    assert letter.event_type == "TradesIngested"
    assert json.loads(letter.payload)["wallets"] == [address(1)]
    assert letter.error == "KeyError: 'planted'"
    assert letter.attempts == len(handler.seen) == 3
    assert letter.status == "dead"


def test_an_event_for_which_no_run_can_be_made_is_given_up_too(daemon, handler):
    def broken(order):
        raise OSError(order.key)

    daemon.subscriber = Subscriber("judge", (TradesIngested,), handler.work, broken)
    ingested(daemon, 1)
    ingested(daemon, 2)
    for _ in range(3):
        daemon.fact()
    assert [(each.error, each.attempts) for each in letters(daemon)] == [("OSError: today", 3)] * 2


def test_the_subscriber_goes_on_past_a_dead_letter(daemon, handler):
    handler.is_broken = True
    ingested(daemon, 1)
    for _ in range(3):
        daemon.tick()
    handler.is_broken = False
    ingested(daemon, 2)
    assert daemon.runs_one() == [address(2)]
    assert daemon.position.failed == {}


def test_attempts_are_counted_over_restarts(daemon, handler):
    """They are in the cursor, which is all that a new process has."""
    handler.is_broken = True
    ingested(daemon, 1)
    for _ in range(3):
        daemon = Daemon(daemon.instance, daemon.lake, daemon.subscriber, daemon.cursor)
        daemon.tick()
    assert len(letters(daemon)) == 1


def test_a_dead_letter_is_replayed_after_the_fix(daemon, handler):
    handler.is_broken = True
    ingested(daemon, 1)
    for _ in range(3):
        daemon.tick()
    (letter,) = letters(daemon)

    handler.is_broken = False
    assert replays.retry(daemon.instance, daemon.lake) == [letter]
    assert daemon.runs_one() == [address(1)]
    assert letters(daemon, "dead") == [letter]  # the run has been asked for, not seen to end
    daemon.tick()
    (replayed,) = letters(daemon)
    assert (replayed.event_id, replayed.status) == (letter.event_id, "replayed")
    assert replays.retry(daemon.instance, daemon.lake) == []


def test_a_dead_letter_that_fails_again_is_dead_once_more(daemon, handler):
    handler.is_broken = True
    ingested(daemon, 1)
    for _ in range(3):
        daemon.tick()
    (first,) = letters(daemon)
    replays.retry(daemon.instance, daemon.lake, [first.event_id])
    daemon.later(hours=1)
    for _ in range(3):
        daemon.tick()
    (again,) = letters(daemon, "dead")
    assert again.event_id == first.event_id
    assert again.failed_at - first.failed_at == timedelta(hours=1)


def test_a_malformed_event_is_given_up_and_replayed_after_the_fix(daemon, monkeypatch):
    log_raw(daemon.instance, "fills", [NEWER])
    for _ in range(3):
        daemon.tick()
    (letter,) = letters(daemon)
    assert letter.event_type is None
    assert letter.attempts == 3
    assert letter.error == "TradesIngested.version: Input should be 1"
    assert json.loads(letter.payload) == NEWER

    monkeypatch.setattr(
        event_log, "parsed", lambda raw: events.parsed(raw.replace('"version": 2', '"version": 1'))
    )
    assert replays.retry(daemon.instance, daemon.lake, [letter.event_id]) == [letter]
    assert daemon.runs_one() == [address(7)]
    daemon.tick()
    assert [each.status for each in letters(daemon)] == ["replayed"]


def test_an_event_whose_run_fails_every_time_is_given_up_and_replayed_after_the_fix(daemon):
    ingested(daemon, 1)
    for attempt in range(3):
        (wanted,) = daemon.asked()
        run_id = daemon.run(wanted, STATUS.FAILURE)
        assert len(letters(daemon)) == 0, attempt
    assert daemon.fact().startswith("1 events are dead letters now")
    (letter,) = letters(daemon)
    assert letter.error.startswith(f"run {run_id} of judging is FAILURE: ")
    assert letter.attempts == 3

    replays.retry(daemon.instance, daemon.lake)
    assert daemon.runs_one() == [address(1)]
    daemon.tick()
    assert [each.status for each in letters(daemon)] == ["replayed"]


def test_a_retry_is_for_the_subscriber_that_failed(daemon, handler):
    other = Daemon(daemon.instance, daemon.lake, daemon.subscriber)
    other.subscriber = Subscriber("other", (TradesIngested,), Switched().work, request)
    handler.is_broken = True
    ingested(daemon, 1)
    assert other.runs_one() == [address(1)]
    for _ in range(3):
        daemon.tick()
    replays.retry(daemon.instance, daemon.lake)
    assert not other.asked()
    handler.is_broken = False
    assert daemon.runs_one() == [address(1)]


def test_an_event_that_the_log_has_lost_is_given_up_and_said_to_be(daemon):
    daemon.cursor = '{"failed": {"999.0": 1}}'
    daemon.tick()
    (letter,) = letters(daemon)
    assert (letter.event_id, letter.error) == ("999.0", "the log has it no longer")


def test_retrying_what_is_no_dead_letter_is_a_mistake(daemon):
    with pytest.raises(InvalidArgumentError, match=r"EVENT_ID '1\.0': is no dead letter"):
        replays.retry(daemon.instance, daemon.lake, ["1.0"])


def test_a_replay_hands_past_events_over_again(daemon):
    for number in range(3):
        ingested(daemon, number)
    assert len(daemon.runs_one()) == 3
    daemon.tick()
    logged = event_log.read(daemon.instance, ["fills"], 0, 10).events
    wanted = Wanted("TradesIngested", since=logged[1].at)
    assert len(replays.replay(daemon.instance, wanted, is_dry_run=True)) == 2
    assert not daemon.asked()
    assert len(replays.replay(daemon.instance, wanted, is_dry_run=False)) == 2
    assert daemon.runs_one() == [address(1), address(2)]
    assert len(replays.replay(daemon.instance, wanted, is_dry_run=True)) == 2  # no repetitions


@pytest.fixture
def told(tmp_path, monkeypatch, handler) -> Daemon:
    """A home and an instance as the command line finds them, with one event told."""
    folder = tmp_path / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("EVALUATOR_HOME", str(tmp_path / "home"))
    subscriber = Subscriber("judge", (TradesIngested,), handler.work, request)
    lake = Lake(tmp_path / "home" / "lake", threads=1)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        daemon = Daemon(instance, lake, subscriber)
        ingested(daemon, 1)
        yield daemon


def answer(*arguments: str):
    done = CliRunner().invoke(commands, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_command_line_lists_replays_and_retries(told, handler):
    (event,) = answer("list")
    assert event["type"] == "TradesIngested"
    assert answer("list", "--type", "WalletsDiscovered") == []
    today = datetime.now(UTC).date()
    tomorrow = str(today + timedelta(days=1))
    assert answer("list", "--from", tomorrow) == []
    assert answer("replay", "--from", str(today), "--dry-run") == [event]
    assert len(event_log.read(told.instance, ["fills"], 0, 10).events) == 1

    handler.is_broken = True
    for _ in range(3):
        told.tick()
    handler.is_broken = False
    (letter,) = answer("retry", event["event_id"])
    assert letter["error"] == "KeyError: 'planted'"
    assert told.runs_one() == [address(1)]
    told.tick()
    assert answer("retry") == []
    assert len(answer("replay", "--to", tomorrow)) == 1
    assert told.runs_one() == [address(1)]


def test_an_unknown_type_is_a_mistake(told):
    with pytest.raises(InvalidArgumentError, match="--type 'Fills': is no event"):
        CliRunner().invoke(commands, ["list", "--type", "Fills"], catch_exceptions=False)
