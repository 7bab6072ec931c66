"""Which new wallets wait, and which partitions are dropped: pure decisions over the tables."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from evaluator.domain.features.history import Cell
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import FILLS, INGEST_STATE, ON_DEMAND_OUTCOMES
from evaluator.stages import features, parts
from evaluator.stages.new_wallets import droppable, last_final_day, pending
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.quarantine import no_rows
from tests.stages.hand_made_venue import NOW, _fills, address, fill

RULES = OnDemandRules()
MINUTE, DAYS = timedelta(minutes=1), timedelta(days=1)
DAY = NOW.date()


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


def discovered(lake: Lake, *wallets: int, at: datetime) -> None:
    rows = pl.DataFrame(
        {"proxy_wallet": list(map(address, wallets)), "discovered_at": at}
    ).with_columns(
        pl.lit("HOLDER", WALLETS.schema["discovered_from"]).alias("discovered_from"),
        pl.lit(None, pl.Int64).alias("discovered_in_market"),
    )
    columns = rows.select(WALLETS.schema.names())
    lake.commit(append={(WALLETS, partitions.day(at.date())): columns})


def traded(lake: Lake, *wallets: int) -> None:
    """Each of the wallets has a fill that has been read."""
    rows = _fills([fill(number, 1, NOW - DAYS) for number in wallets])
    states = pl.DataFrame(
        [
            {
                "proxy_wallet": address(number),
                "oldest_at": NOW - DAYS,
                "newest_at": NOW,
                "cursor": None,
                "history_complete": True,
                "ingested_at": NOW,
            }
            for number in wallets
        ],
        schema=no_rows(INGEST_STATE).schema,
    )
    append = {(FILLS, where): part for where, part in parts.by_bucket(rows) if part.height}
    lake.commit(append=append, upsert={(INGEST_STATE, partitions.SINGLE): states})


def batch(lake: Lake, at: datetime, day: date = DAY) -> None:
    """The features of the day, computed at an instant."""
    features.compute(lake, [Cell(day, 30)], Stamp(at, "thresholds", "0", is_frozen=False))


def decided(lake: Lake, wallet: int, outcome: str = "failed") -> None:
    row = {
        "proxy_wallet": address(wallet),
        "attempt": 1,
        "outcome": outcome,
        "run_id": "r",
        "discovered_at": NOW,
        "started_at": NOW,
        "ended_at": NOW,
        "fetch_s": 0.1,
        "settled_count": None,
        "error": None,
    }
    frame = pl.DataFrame([row], schema=no_rows(ON_DEMAND_OUTCOMES).schema)
    lake.commit(upsert={(ON_DEMAND_OUTCOMES, partitions.SINGLE): frame})


def waiting(lake: Lake, after: int = 0):
    with lake.snapshot() as now:
        return pending(now, after, RULES)


def test_before_the_first_features_all_wallets_go_to_the_batch(lake):
    discovered(lake, 1, 2, at=NOW)
    found = waiting(lake)
    assert found.wallets == ()
    assert found.fact == "no features have been computed yet; the batch takes all wallets"


def test_wallets_of_the_bootstrap_never_wait_and_those_found_later_do(lake):
    discovered(lake, 1, 2, at=NOW)
    traded(lake, 1)
    batch(lake, NOW + MINUTE)
    assert waiting(lake).wallets == ()
    discovered(lake, 5, at=NOW + 3 * MINUTE)
    discovered(lake, 4, 3, at=NOW + 2 * MINUTE)
    assert waiting(lake).wallets == (address(3), address(4), address(5))


@pytest.mark.parametrize("outcome", ["computed", "insufficient_trades", "not_found", "failed"])
def test_a_wallet_with_any_outcome_waits_no_longer(lake, outcome):
    batch_with_newcomers(lake, 3, 4)
    decided(lake, 3, outcome)
    assert waiting(lake).wallets == (address(4),)


def test_a_wallet_that_a_batch_has_come_to_waits_no_longer(lake):
    batch_with_newcomers(lake, 3, 4)
    traded(lake, 3)
    batch(lake, NOW + 5 * MINUTE, DAY + DAYS)
    assert waiting(lake).wallets == (address(4),)


def test_a_row_of_the_batch_from_before_the_discovery_does_not_count(lake):
    traded(lake, 1, 3)
    batch(lake, NOW + MINUTE)
    discovered(lake, 3, at=NOW + 2 * MINUTE)
    assert waiting(lake).wallets == (address(3),)


def test_a_row_of_the_batch_without_a_history_that_was_read_does_not_count(lake):
    batch_with_newcomers(lake, 3)
    lake.commit(append=dict(trades_of(3)))
    batch(lake, NOW + 5 * MINUTE, DAY + DAYS)
    assert waiting(lake).wallets == (address(3),)


def test_nothing_is_looked_for_behind_the_cursor(lake):
    batch_with_newcomers(lake, 3)
    seen = waiting(lake).seen
    assert waiting(lake, seen).wallets == ()
    assert waiting(lake, seen).fact == f"no wallet was discovered after commit {seen}"
    assert waiting(lake, seen + 40).wallets == (address(3),)
    discovered(lake, 9, at=NOW + 9 * MINUTE)
    assert waiting(lake, seen).wallets == (address(3), address(9))


def test_a_fold_is_no_discovery(lake):
    batch_with_newcomers(lake, 3)
    discovered(lake, 4, at=NOW + 4 * MINUTE)
    seen = waiting(lake).seen
    lake.fold(WALLETS)
    assert waiting(lake).seen == seen


def test_discoveries_of_days_ago_are_the_batchs(lake):
    batch_with_newcomers(lake, 3)
    for days in (1, 2, 3):
        discovered(lake, 10 + days, at=NOW + days * DAYS)
    assert waiting(lake).wallets == (address(11), address(12), address(13))


def test_partitions_are_dropped_once_a_final_day_has_come_to_them(lake):
    batch_with_newcomers(lake, 3, 4)
    decided(lake, 3)
    decided(lake, 4)
    discovered(lake, 5, at=NOW + DAYS)
    keys = [address(number) for number in (3, 4, 5, 77)]
    with lake.snapshot() as now:
        assert last_final_day(now, RULES) is None
        assert droppable(now, keys, RULES) == ()
    batch(lake, NOW + DAYS, DAY)
    with lake.snapshot() as now:
        assert last_final_day(now, RULES) == DAY
        assert droppable(now, keys, RULES) == (address(3), address(4), address(77))


def test_a_wallet_that_waits_keeps_its_partition(lake):
    batch_with_newcomers(lake, 3, 4)
    batch(lake, NOW + 2 * DAYS, DAY + DAYS)
    decided(lake, 3)
    with lake.snapshot() as now:
        assert droppable(now, [address(3), address(4)], RULES) == (address(3),)


def trades_of(wallet: int):
    rows = _fills([fill(wallet, 2, NOW - DAYS)])
    for where, part in parts.by_bucket(rows):
        if part.height:
            yield (FILLS, where), part


def batch_with_newcomers(lake: Lake, *wallets: int) -> None:
    """A first batch, and wallets discovered after it."""
    traded(lake, 1)
    batch(lake, NOW)
    discovered(lake, *wallets, at=NOW + MINUTE)
    with lake.snapshot() as now:
        assert now.read(WALLET_FEATURES).height == 1
