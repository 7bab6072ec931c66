"""A machine that was off for days makes up for every final day it missed, in one run."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
import polars as pl
import pytest

from evaluator.domain.tables.evaluation import WALLET_SCORES
from evaluator.domain.tables.history import FILLS, INGEST_STATE
from evaluator.stages import due, ledger, parts
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.quarantine import no_rows
from evaluator_assets import schedules
from evaluator_assets.definitions import defs
from evaluator_assets.partitions import (
    RANGE_END,
    RANGE_START,
    SINGLE_KEY,
    WINDOW_DAYS,
    all_windows,
)
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors import personas_of_ingested
from sensors.final_scoring import final_scoring
from tests.alive import world_and_tables as tables
from tests.alive.clockwork import Clockwork, SmallWorld
from tests.stages.hand_made_venue import _fills, address, fill

LAST = date(2026, 9, 20)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
COMPUTED_AT = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


def traded(lake: Lake, on: date) -> None:
    """Somebody traded on a day, before anybody else, and there are lots."""
    rows = _fills([fill(1, 1, datetime.combine(on, time(9), UTC))])
    append = {(FILLS, where): part for where, part in parts.by_bucket(rows) if part.height}
    lake.commit(append=append)
    ledger.refresh_lots(lake)


def scored(lake: Lake, day: date, *, is_final: bool, windows=WINDOW_DAYS, by="thresholds") -> None:
    """There are scores of a day, of one wallet."""
    known = {
        "proxy_wallet": address(1),
        "score_date": day,
        "score_version": "v1",
        "components_used": "",
        "is_final": is_final,
        "config_hash": by,
        "computed_at": COMPUTED_AT,
        **dict.fromkeys(("win_rate_multiplier", "trust_multiplier", "obscurity_multiplier"), 1.0),
        **dict.fromkeys(("support_events", "support_fills"), 1),
        "is_rankable": False,
    }
    for window in windows:
        frame = pl.DataFrame(
            [{**known, "window_days": window}], schema=no_rows(WALLET_SCORES).schema
        )
        lake.commit(replace={(WALLET_SCORES, partitions.day_window(day, window)): frame})


def first_of(lake: Lake) -> date:
    with lake.snapshot() as now:
        return due.first_missed_day(now, LAST, WINDOW_DAYS)


def test_without_any_scores_only_the_last_day_is_scored(lake):
    traded(lake, LAST - 50 * DAY)
    assert first_of(lake) == LAST


def test_every_day_after_the_last_final_one_is_scored(lake):
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 9 * DAY, is_final=False)
    scored(lake, LAST - 6 * DAY, is_final=True, by="others")
    scored(lake, LAST - 5 * DAY, is_final=False)
    assert first_of(lake) == LAST - 5 * DAY


def test_a_day_that_lacks_a_window_is_not_final(lake):
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 6 * DAY, is_final=True)
    scored(lake, LAST - 5 * DAY, is_final=True, windows=(30,))
    assert first_of(lake) == LAST - 5 * DAY


def test_where_no_day_was_ever_final_the_first_with_scores_comes_first(lake):
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 4 * DAY, is_final=False)
    scored(lake, LAST - 2 * DAY, is_final=False)
    assert first_of(lake) == LAST - 4 * DAY


def test_of_a_standstill_of_a_year_the_last_90_days_are_scored(lake):
    traded(lake, LAST - 500 * DAY)
    scored(lake, LAST - 365 * DAY, is_final=True)
    assert first_of(lake) == LAST - 89 * DAY


def test_no_day_before_the_first_fill_is_scored(lake):
    traded(lake, LAST - 3 * DAY)
    scored(lake, LAST - 30 * DAY, is_final=True)
    assert first_of(lake) == LAST - 3 * DAY


def test_a_last_day_before_the_first_fill_is_not_due(lake):
    traded(lake, LAST + DAY)
    with lake.snapshot() as now:
        found = due.final_scores(now, all_windows(LAST), "thresholds", is_frozen=False)
        after = due.final_scores(now, all_windows(LAST + DAY), "thresholds", is_frozen=False)
    assert (found.is_due, found.fact) == (False, f"there is no fill up to {LAST}")
    assert after.is_due


def read_up_to(lake: Lake, *instants: datetime) -> None:
    """One wallet for each of the instants up to which it has been read."""
    rows = [
        {
            "proxy_wallet": address(number),
            "oldest_at": COMPUTED_AT - 50 * DAY,
            "newest_at": at,
            "history_complete": True,
            "ingested_at": at,
        }
        for number, at in enumerate(instants)
    ]
    states = pl.DataFrame(rows, schema=no_rows(INGEST_STATE).schema)
    lake.commit(upsert={(INGEST_STATE, partitions.SINGLE): states})


def asked(lake: Lake, at: datetime) -> dict[str, list[tuple[str, str]]]:
    """The ranges that sensor and fallback ask for at an instant."""
    sim = {"now": at.isoformat(), "start": "2026-07-01"}
    overrides = {"home": str(lake.root.parent), "source": "sim", "sim": sim}
    with dg.DagsterInstance.local_temp(overrides={"telemetry": {"enabled": False}}) as instance:
        known = {
            "instance": instance,
            "resources": {
                "lake": LakeResource(root=str(lake.root)),
                "configuration": ConfigurationResource(overrides=overrides),
            },
            "repository_def": defs.get_repository_def(),
        }
        answers = {
            "sensor": final_scoring.evaluate_tick(dg.build_sensor_context(**known)),
            "fallback": schedules.final_scoring_fallback.evaluate_tick(
                dg.build_schedule_context(scheduled_execution_time=at, **known)
            ),
        }
    return {
        name: [(each.tags[RANGE_START], each.tags[RANGE_END]) for each in answer.run_requests or ()]
        for name, answer in answers.items()
    }


HALF_PAST = datetime.combine(LAST + DAY, time(0, 30), UTC)


def test_sensor_and_fallback_ask_for_all_missed_days_in_one_run(lake):
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 6 * DAY, is_final=True)
    read_up_to(lake, HALF_PAST, HALF_PAST)
    missed = [(f"{LAST - 5 * DAY}|7d", f"{LAST}|90d")]
    assert asked(lake, HALF_PAST) == {"sensor": missed, "fallback": missed}


def test_a_wallet_that_cannot_be_read_holds_up_the_sensor_but_not_the_fallback(lake):
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 1 * DAY, is_final=True)
    read_up_to(lake, HALF_PAST - HOUR, HALF_PAST)
    found = asked(lake, HALF_PAST)
    assert found["fallback"] == [(f"{LAST}|7d", f"{LAST}|90d")]
    assert (f"{LAST}|7d", f"{LAST}|90d") not in found["sensor"]


def test_a_venue_silent_since_before_midnight_leaves_the_day_open(lake):
    """Its last fills may be missing, and a final day is never computed again."""
    traded(lake, LAST - 50 * DAY)
    scored(lake, LAST - 1 * DAY, is_final=True)
    read_up_to(lake, HALF_PAST - HOUR, HALF_PAST - HOUR)
    found = asked(lake, HALF_PAST)
    assert all(end == f"{LAST - DAY}|90d" for ranges in found.values() for _, end in ranges)


@pytest.fixture
def clockwork(tmp_path, monkeypatch) -> Iterator[Clockwork]:
    monkeypatch.setattr(personas_of_ingested, "COLLECT_S", 0.0)
    folder = tmp_path / "instance"
    folder.mkdir()
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as instance:
        start = date(2026, 11, 13)
        world = SmallWorld(tmp_path / "home", start, patch=monkeypatch)
        yield Clockwork(world, instance)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_days_off_are_made_up_for_by_one_run_and_a_verdict_each(clockwork):
    """One hour on the second day; off until the sixth; the sensors of its first hour."""
    begin = clockwork.world.first
    clockwork.between(begin + DAY, begin + DAY + HOUR)
    clockwork.between(begin + 5 * DAY + 2 * HOUR, begin + 5 * DAY + 3 * HOUR)
    days = [clockwork.world.start + number * DAY for number in range(5)]
    ranges = [
        (done.tags[RANGE_START], done.tags[RANGE_END])
        for done in clockwork.done
        if done.asked_by == "final_scoring"
    ]
    assert ranges == [(f"{days[0]}|7d", f"{days[0]}|90d"), (f"{days[1]}|7d", f"{days[4]}|90d")]
    judged = [d.tags[SINGLE_KEY] for d in clockwork.done if d.asked_by == "personas_after_scoring"]
    assert sorted(judged) == [day.isoformat() for day in days]
    with clockwork.world.lake().snapshot() as now:
        for day in days:
            assert tables.finality(now, day) == {name: {True} for name in tables.DATED}
            assert tables.windows(now, day) == [7, 30, 90]
        assert tables.duplicates(now) == {}
