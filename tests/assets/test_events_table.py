"""The table `events`: what the log of an instance holds, for SQL."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import polars as pl
import pytest
from click.testing import CliRunner

from evaluator.cli.events import events as commands
from evaluator.cli.questions import sql
from evaluator.domain.tables.discovery import WALLET_SOURCES
from evaluator.store.lake import Lake
from evaluator.store.partitions import SINGLE
from evaluator_assets import event_log, event_rows, replays
from evaluator_assets.assets.serving import sql_catalog
from evaluator_assets.events import MarketsScored, TradesIngested, WalletsDiscovered, emit
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from tests.assets.logged import address, log_raw

DAY = date(2026, 6, 30)
SHOWN = (
    "SELECT event_id, logged_at, event_type AS type, asset, run_id, replay_of, payload FROM events"
)


@dg.asset
def market_scores(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    scored = MarketsScored(day=DAY, market_count=3, selected_count=2)
    fills = TradesIngested(wallets=(address(1),), count=2)
    emit(context, "market_scores", scored, fills)
    return dg.MaterializeResult()


@dg.asset
def wallets(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    emit(context, "wallets", WalletsDiscovered(day=DAY, wallets=(address(1), address(2))))
    return dg.MaterializeResult()


@dg.asset
def fills() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"dagster/row_count": 0})


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home with a commit, as the command line finds it, and no instance."""
    monkeypatch.setenv("EVALUATOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    lake = Lake(tmp_path / "home" / "lake", threads=1)
    lake.commit(replace={(WALLET_SOURCES, SINGLE): WALLET_SOURCES.schema.to_frame()})
    return tmp_path / "home"


@pytest.fixture
def told(home, monkeypatch) -> Iterator[dg.DagsterInstance]:
    """Its instance: runs have told events, one was told again, two things are no events."""
    folder = home / "dagster_home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        for _ in range(2):
            assert dg.materialize([market_scores, wallets, fills], instance=instance).success
        (first, *_) = event_log.every(instance, replays.ASSETS)
        event_log.log_again(instance, first)
        log_raw(instance, "fills", [{"type": "TradesIngested", "version": 2}, "fills have come"])
        assert dg.materialize([wallets], instance=instance).success
        yield instance


def asked(query: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(sql, [query, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def listed() -> list[dict[str, Any]]:
    done = CliRunner().invoke(commands, ["list", "--limit", "1000", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_its_rows_are_what_the_command_lists(told):
    rows = asked(SHOWN)
    assert rows == listed()
    assert [row["type"] for row in rows] == [
        *("MarketsScored", "TradesIngested", "WalletsDiscovered") * 2,
        *("MarketsScored", None, None, "WalletsDiscovered"),
    ]


def test_what_is_no_event_has_no_type_and_is_kept_as_it_is(told):
    malformed = asked("FROM events WHERE event_type IS NULL ORDER BY event_id")
    assert [json.loads(row["payload"]) for row in malformed] == [
        {"type": "TradesIngested", "version": 2},
        "fills have come",
    ]
    assert {row["asset"] for row in malformed} == {"fills"}


def test_a_replay_names_what_it_repeats(told):
    (again,) = asked("FROM events WHERE replay_of IS NOT NULL")
    (first,) = asked(f"FROM events WHERE event_id = '{again['replay_of']}'")
    assert again["payload"] == first["payload"]
    assert (again["run_id"], bool(first["run_id"])) == ("", True)


def test_payloads_can_be_taken_apart(told):
    (row,) = asked(
        "SELECT payload->>'$.day' AS day, json_array_length(payload, '$.wallets') AS wallets "
        "FROM events WHERE event_type = 'WalletsDiscovered' LIMIT 1"
    )
    assert row == {"day": "2026-06-30", "wallets": 2}


def test_each_query_sees_what_has_been_logged_by_then(told):
    before = len(asked("FROM events"))
    log_raw(told, "wallets", "more")
    assert len(asked("FROM events")) == before + 1


def test_without_an_instance_there_are_no_events(home):
    assert asked("FROM events") == []
    assert asked("SELECT count(*) AS n FROM events JOIN dead_letters USING (event_id)") == [
        {"n": 0}
    ]


def test_the_log_is_left_alone_by_queries_that_do_not_name_it(told, monkeypatch):
    def read(_: dg.DagsterInstance) -> None:
        raise AssertionError

    monkeypatch.setattr(event_rows, "pages", read)
    assert asked("SELECT count(*) AS n FROM dead_letters") == [{"n": 0}]
    with pytest.raises(AssertionError):
        asked("FROM events")


def test_a_log_longer_than_a_page_is_read_whole_and_in_order(told, monkeypatch):
    whole = asked("FROM events")
    monkeypatch.setattr(event_rows, "_PAGE_ROWS", 2)
    monkeypatch.setattr(event_log, "_PAGE", 1)
    assert [page.height for page in event_rows.pages(told)] == [2] * 5
    assert asked("FROM events") == whole == sorted(whole, key=place)


def place(row: dict[str, Any]) -> list[int]:
    return [int(part) for part in row["event_id"].split(".")]


def test_the_catalog_for_people_has_the_events_logged_before_it(told, home):
    resources = {
        "lake": LakeResource(root=str(home / "lake"), thread_count=1),
        "configuration": ConfigurationResource(overrides={"home": str(home)}),
    }
    assert dg.materialize([sql_catalog], instance=told, resources=resources).success
    with duckdb.connect(home / "evaluator.duckdb", read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.sql("FROM events").pl()
    assert found.equals(pl.concat(event_rows.pages(told)))
    assert found.height == 10
