"""A young world is kept up with by the ticks of the schedules alone, each at its own time."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_PERSONAS
from evaluator.domain.tables.history import INGEST_STATE
from evaluator_assets import schedules
from sensors import personas_of_ingested
from tests.alive import world_and_tables as tables
from tests.alive.clockwork import Clockwork, SmallWorld, ticks

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = date(2026, 11, 18)
"""First day of the world: another start is another world."""


@pytest.fixture
def clockwork(tmp_path, monkeypatch) -> Iterator[Clockwork]:
    """The system over a world of 30 wallets, two days old or a bit more, on an own instance."""
    # Five minutes of collecting are five of this machine's clock, in which days go by here.
    monkeypatch.setattr(personas_of_ingested, "COLLECT_S", 0.0)
    folder = tmp_path / "instance"
    folder.mkdir()
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as instance:
        yield Clockwork(SmallWorld(tmp_path / "home", START, patch=monkeypatch), instance)


def check_that_all_is_fresh(clockwork: Clockwork, last_ledger: datetime) -> None:
    """Nothing is older than the last tick of what makes it."""
    end, today = clockwork.now, clockwork.now.date()
    with clockwork.world.lake().snapshot() as now:
        assert tables.age_of_newest_fill(now, end) < 3 * HOUR
        assert now.read(INGEST_STATE)["newest_at"].min() == last_ledger
        assert tables.finality(now, today) == {name: {False} for name in tables.DATED}
        assert tables.finality(now, today - DAY) == {name: {True} for name in tables.DATED}
        assert tables.windows(now, today) == tables.windows(now, today - DAY) == [7, 30, 90]


def check_that_tables_agree(clockwork: Clockwork, last_ledger: datetime) -> None:
    """What one table says of the number of something, the others and the world say too."""
    today, settings = clockwork.now.date(), clockwork.world.settings()
    world = tables.fills_of_world(settings, last_ledger)
    with clockwork.world.lake().snapshot() as now:
        assert tables.duplicates(now) == {}
        assert tables.unexplained_buys(now).is_empty()
        discovered = tables.wallets_of(now, WALLETS)
        assert tables.wallets_of(now, INGEST_STATE) == discovered
        assert discovered <= tables.wallets_of(now, WALLET_PERSONAS)
        assert tables.without_verdict(now, today) == []
        assert tables.rows_by_cell(now, "wallet_features", "feature_date") == tables.rows_by_cell(
            now, "wallet_scores", "score_date"
        )
        lake = tables.fills_of_lake(now)
    mine = pl.col("proxy_wallet").is_in(discovered)
    assert tables.counted(lake.filter(mine)).equals(tables.counted(world.filter(mine)))
    assert tables.more_than_there_are(lake, world).is_empty()


def check_that_checks_are_green(clockwork: Clockwork) -> None:
    """Every check that has been made passed the last time."""
    newest = {name: ok for done in clockwork.done for name, ok in done.ran.checks().items()}
    assert len(newest) > 40
    assert [name for name, is_ok in newest.items() if not is_ok] == []


def check_that_it_came_by_itself(clockwork: Clockwork, since: datetime, until: datetime) -> None:
    """Every schedule has had each of its ticks, and no run has another cause."""
    ran = Counter((done.asked_by, done.at) for done in clockwork.done)
    for schedule in (schedules.hourly_discovery, schedules.hourly_ledger):
        assert all(ran[schedule.name, at] == 1 for at in ticks(schedule, since, until))
    assert {done.asked_by for done in clockwork.done} <= clockwork.known


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_world_that_began_48_hours_ago_is_caught_up(clockwork):
    """Every tick of its two days, from its first hour on."""
    check(clockwork, hours=48, since=clockwork.world.first + HOUR)


def check(clockwork: Clockwork, *, hours: int, since: datetime) -> None:
    """Live through some hours; then everything is there that they should have brought."""
    until = since + hours * HOUR
    clockwork.between(since, until)
    last_ledger = max(ticks(schedules.hourly_ledger, since, until))
    check_that_it_came_by_itself(clockwork, since, until)
    check_that_all_is_fresh(clockwork, last_ledger)
    check_that_tables_agree(clockwork, last_ledger)
    check_that_checks_are_green(clockwork)
