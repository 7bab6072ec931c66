"""A wallet that appears at the venue, under a running `dagster dev`: found, evaluated, judged.

Discovery, sensors, queue, runs and the venue's HTTP-shaped answers are the real ones; only the
schedules are stopped, so that nothing else could have judged the wallet.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from bench.dev_server import DevServer, dagster_dev
from bench.on_demand import IN_THE_WAY
from evaluator.domain.schema import Table
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import (
    WALLET_FEATURES,
    WALLET_FEATURES_ON_DEMAND,
    WALLET_PERSONAS,
)
from evaluator.domain.tables.history import ON_DEMAND_OUTCOMES
from evaluator.settings import load_settings
from evaluator.store.lake import Lake
from evaluator_assets.partitions import SINGLE_KEY
from tests.alive.clockwork import SmallWorld
from tests.alive.world_and_tables import wallets_of

FIRST_SEEN = datetime(2026, 11, 14, 9, 20, tzinfo=UTC)
"""When the system is started, on the fifth day of the world."""

AWAY = timedelta(days=3)
"""How much later discovery looks again: time for newcomers to close enough trades."""

WINDOW_DAYS = 30
PATIENCE_S = 600.0


@pytest.fixture
def world(tmp_path) -> SmallWorld:
    return SmallWorld(
        tmp_path / "home", date(2026, 11, 10), events_per_day=6.0, new_wallets_per_day=60.0
    )


@pytest.fixture
def server(world: SmallWorld, tmp_path) -> Iterator[DevServer]:
    """The system after its first start, with the triggers that classify in bulk stopped."""
    with dagster_dev(tmp_path, world.variables(), FIRST_SEEN) as running:
        running.wait(lambda: bool(running.succeeded("personas")), PATIENCE_S, "the first verdicts")
        running.stop_schedules()
        for name in IN_THE_WAY:
            running.stop_sensor(name)
        come_to_rest(running)
        yield running


def come_to_rest(server: DevServer) -> None:
    server.wait(lambda: all(run.ended_at for run in server.runs()), PATIENCE_S, "rest")


def rows(lake: Lake, table: Table) -> pl.DataFrame:
    with lake.snapshot() as now:
        return now.read(table)


def wallets(lake: Lake, table: Table) -> set[int]:
    with lake.snapshot() as now:
        return wallets_of(now, table)


def discover(server: DevServer, lake: Lake, at: datetime) -> set[int]:
    """What the venue shows at that instant, found by discovery; the wallets nobody knew."""
    known = wallets(lake, WALLETS)
    server.show(at)
    asked = server.launch("discovery", {SINGLE_KEY: at.date().isoformat()})
    assert server.ended(asked, PATIENCE_S).status == "SUCCESS"
    found = wallets(lake, WALLETS) - known
    assert found
    return found


def outcomes_of(lake: Lake, found: set[int]) -> pl.DataFrame:
    return rows(lake, ON_DEMAND_OUTCOMES).filter(pl.col("proxy_wallet").is_in(found))


def computed(outcomes: pl.DataFrame) -> set[int]:
    return set(outcomes.filter(pl.col("outcome") == "computed")["proxy_wallet"])


def check_rows_and_verdicts(server: DevServer, lake: Lake, found: set[int], day: date) -> None:
    """A row of window 30 and today for each computed wallet, then a verdict of today."""
    server.wait(lambda: found <= wallets(lake, ON_DEMAND_OUTCOMES), PATIENCE_S, "the outcomes")
    outcomes = outcomes_of(lake, found)
    assert computed(outcomes), "nobody has traded enough to be evaluated"
    assert set(outcomes["outcome"]) <= {"computed", "insufficient_trades"}
    server.wait(
        lambda: computed(outcomes) <= wallets(lake, WALLET_PERSONAS), PATIENCE_S, "the verdicts"
    )
    come_to_rest(server)
    mine = pl.col("proxy_wallet").is_in(found)
    features = rows(lake, WALLET_FEATURES_ON_DEMAND).filter(mine)
    assert set(features["proxy_wallet"]) == computed(outcomes)
    assert features.height == len(computed(outcomes))
    assert set(features["feature_date"]) == {day}
    assert set(features["window_days"]) == {WINDOW_DAYS}
    assert rows(lake, WALLET_FEATURES).filter(mine).is_empty()
    verdicts = rows(lake, WALLET_PERSONAS).filter(mine)
    assert set(verdicts["proxy_wallet"]) == computed(outcomes)
    assert set(verdicts["persona_date"]) == {day}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_wallet_that_appears_has_its_row_and_then_its_verdict(
    server: DevServer, world: SmallWorld
):
    lake = load_settings(home=world.folder, source="sim").open_lake()
    later = FIRST_SEEN + AWAY
    found = discover(server, lake, later)
    check_rows_and_verdicts(server, lake, found, later.date())

    # The row is what does it: while nobody computes one, nobody is judged.
    server.stop_sensor("new_wallets")
    later += AWAY
    held_back = discover(server, lake, later)
    come_to_rest(server)
    assert not held_back & wallets(lake, ON_DEMAND_OUTCOMES)
    assert not held_back & wallets(lake, WALLET_PERSONAS)
    server.start_sensor("new_wallets")
    check_rows_and_verdicts(server, lake, held_back, later.date())
