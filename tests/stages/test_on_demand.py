"""Features of new wallets at once: gate, outcomes, equality with the batch, and who waits."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from evaluator.domain import ids
from evaluator.domain.features.history import Cell
from evaluator.domain.tables.discovery import MARKETS, WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_FEATURES_ON_DEMAND
from evaluator.domain.tables.history import (
    FILLS,
    INGEST_STATE,
    ON_DEMAND_OUTCOMES,
    RESOLUTIONS,
)
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.stages import features, ingest, ledger, on_demand, parts
from evaluator.stages.ingestion import ingest_wallets
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.on_demand import Asked
from evaluator.stages.on_demand_reading import Reading
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.errors import StaleReplaceError
from evaluator.store.lake import Lake
from evaluator.store.locks import held
from tests.stages.hand_made_venue import NOW, HandMadeVenue, NoAnswerError, address, fill, market

DAY = NOW.date()
CELL = Cell(DAY, 30)
STAMP = Stamp(NOW, "thresholds", "0", is_frozen=False)
RULES = OnDemandRules()
TRADER, NEWCOMER, STRANGER = 1, 2, 3
HOUR, DAYS = timedelta(hours=1), timedelta(days=1)


def resolved(number: int, payouts: tuple[float, float] = (1.0, 0.0)) -> dict:
    return market(
        number,
        closed=True,
        resolved_at=NOW - 2 * DAYS,
        payouts=list(payouts),
        end_at=NOW - 2 * DAYS,
    )


def bought(wallet: int, *numbers: int) -> list[dict]:
    """A purchase in each of the markets, before they were resolved."""
    return [
        fill(wallet, number, NOW - 5 * DAYS - number * HOUR, price=0.4, size_shares=10.0 + number)
        for number in numbers
    ]


def a_venue() -> HandMadeVenue:
    """Six resolved markets and an open one; TRADER settled six times, NEWCOMER twice."""
    return HandMadeVenue(
        listed=[*(resolved(number) for number in range(1, 7)), market(7)],
        trades=[
            *bought(TRADER, 1, 2, 3, 4, 5, 6, 7),
            fill(TRADER, 7, NOW - HOUR, side="SELL", price=0.6, size_shares=5.0),
            *bought(NEWCOMER, 1, 2, 7),
        ],
    )


@pytest.fixture
def venue() -> HandMadeVenue:
    return a_venue()


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


def discovered(lake: Lake, *wallets: int, at: datetime = NOW - HOUR) -> None:
    rows = pl.DataFrame(
        {
            "proxy_wallet": [address(number) for number in wallets],
            "discovered_from": "HOLDER",
            "discovered_at": at,
            "discovered_in_market": None,
        },
        schema_overrides=dict(WALLETS.schema) | {"proxy_wallet": pl.String},
    )
    lake.commit(append={(WALLETS, partitions.day(at.date())): rows})


def compute(lake: Lake, venue: HandMadeVenue, *wallets: int, day: date = DAY, **more):
    reading = Reading(venue, IngestionRules(), more.pop("rules", RULES))
    asked = Asked(tuple(map(address, wallets)), day, **more)
    return asyncio.run(on_demand.compute(lake, reading, asked, STAMP))


def words(found) -> dict[str, str]:
    return {each.proxy_wallet: each.outcome for each in found.outcomes}


def read(lake: Lake, table, **options) -> pl.DataFrame:
    with lake.snapshot() as now:
        return now.read(table, **options)


def test_on_demand_features_computed_after_discovery(lake, venue):
    discovered(lake, TRADER)
    found = compute(lake, venue, TRADER)
    assert words(found) == {address(TRADER): "computed"}
    row = read(lake, WALLET_FEATURES_ON_DEMAND).row(0, named=True)
    assert row["proxy_wallet"] == ids.surrogate(address(TRADER))
    assert (row["feature_date"], row["window_days"], row["source"]) == (DAY, 30, "on_demand")
    assert (row["settled_count"], row["win_count"], row["fill_count"]) == (6, 6, 8)
    assert row["history_complete"] is True
    assert row["is_final"] is False


def test_on_demand_features_silent_skip_insufficient_trades(lake, venue):
    discovered(lake, TRADER, NEWCOMER)
    found = compute(lake, venue, TRADER, NEWCOMER)
    assert words(found)[address(NEWCOMER)] == "insufficient_trades"
    (told,) = [each for each in found.outcomes if each.proxy_wallet == address(NEWCOMER)]
    assert told.settled_count == 2
    assert told.warning == f"{address(NEWCOMER)}: no row, it has 2 settled trades"
    rows = read(lake, WALLET_FEATURES_ON_DEMAND)
    assert rows["proxy_wallet"].to_list() == [ids.surrogate(address(TRADER))]


def test_on_demand_features_idempotent(lake, venue):
    discovered(lake, TRADER, NEWCOMER)
    tables = (FILLS, CLOSED_LOTS, OPEN_LOTS, WALLET_FEATURES_ON_DEMAND, ON_DEMAND_OUTCOMES, MARKETS)
    compute(lake, venue, TRADER, NEWCOMER)
    with lake.snapshot() as now:
        first = {table.name: now.content_hash(table) for table in tables}
    again = compute(lake, venue, TRADER, NEWCOMER)
    with lake.snapshot() as now:
        assert {table.name: now.content_hash(table) for table in tables} == first
    assert again.new_fills.count == 0


def test_a_row_made_on_demand_equals_the_row_of_the_batch_bit_for_bit(lake, venue):
    compute(lake, venue, TRADER)
    features.compute(lake, [CELL], STAMP)
    row = read(lake, WALLET_FEATURES_ON_DEMAND).drop("source")
    assert row.equals(read(lake, WALLET_FEATURES).drop("source"))


def test_lots_built_on_demand_equal_those_of_whole_buckets(lake, venue):
    compute(lake, venue, TRADER, NEWCOMER)
    with lake.snapshot() as now:
        first = [now.content_hash(table) for table in (CLOSED_LOTS, OPEN_LOTS)]
    ledger.build_lots(lake)
    with lake.snapshot() as now:
        assert [now.content_hash(table) for table in (CLOSED_LOTS, OPEN_LOTS)] == first


def test_the_outcome_says_how_long_the_wallet_waited(lake, venue):
    discovered(lake, TRADER, at=NOW - 8 * timedelta(seconds=1))
    (outcome,) = compute(lake, venue, TRADER, attempt=2, run_id="r").outcomes
    assert outcome.seconds == 8.0
    row = read(lake, ON_DEMAND_OUTCOMES).row(0, named=True)
    assert (row["outcome"], row["attempt"], row["run_id"]) == ("computed", 2, "r")
    assert row["ended_at"] - row["discovered_at"] == timedelta(seconds=8)
    assert row["fetch_s"] > 0


def test_new_fills_are_reported_once(lake, venue):
    found = compute(lake, venue, TRADER, NEWCOMER)
    assert found.new_fills.wallets == (address(TRADER), address(NEWCOMER))
    assert (found.new_fills.count, found.new_fills.watermark) == (11, NOW - HOUR)


@pytest.mark.parametrize("name", [address(STRANGER), "0x1", "nobody|"])
def test_a_wallet_that_the_venue_knows_nothing_of_is_not_found(lake, venue, name):
    reading = Reading(venue, IngestionRules(), RULES)
    found = asyncio.run(on_demand.compute(lake, reading, Asked((name,), DAY), STAMP))
    assert words(found) == {name: "not_found"}
    assert read(lake, WALLET_FEATURES_ON_DEMAND).is_empty()
    with lake.snapshot() as now:
        shown = now.sql("SELECT proxy_wallet, outcome, discovered_at FROM on_demand_outcomes")
    assert shown.rows() == [(name, "not_found", None)]


def test_a_wallet_that_fails_costs_the_others_nothing(lake, venue):
    venue.failing[("wallet_trades", address(NEWCOMER))] = NoAnswerError("down")
    found = compute(lake, venue, TRADER, NEWCOMER)
    assert words(found) == {address(TRADER): "computed", address(NEWCOMER): "failed"}
    (failed,) = [each for each in found.outcomes if each.outcome == "failed"]
    assert failed.error == "NoAnswerError: down"
    assert read(lake, INGEST_STATE).height == 1


def test_a_venue_that_is_down_fails_every_wallet_and_says_so(lake, venue):
    venue.dies_after = 0
    found = compute(lake, venue, TRADER, NEWCOMER, STRANGER)
    assert set(words(found).values()) == {"failed"}
    assert read(lake, ON_DEMAND_OUTCOMES).height == 3
    assert read(lake, FILLS).is_empty()


def test_a_venue_that_stops_answering_is_not_asked_about_the_rest(lake, venue):
    venue.dies_after = 0
    reading = Reading(venue, IngestionRules(failures_until_stop=2), OnDemandRules(concurrency=1))
    asked = Asked(tuple(map(address, range(10, 20))), DAY)
    found = asyncio.run(on_demand.compute(lake, reading, asked, STAMP))
    assert len(venue.calls) == 2
    assert [each.error for each in found.outcomes][-1] == (
        "the venue stopped answering before it was asked"
    )


def test_markets_that_cannot_be_read_fail_the_wallets_that_need_them(lake, venue):
    ids_ = ",".join(sorted(row["condition_id"] for row in venue.listed))
    venue.failing[("markets", ids_)] = NoAnswerError("gamma")
    assert words(compute(lake, venue, TRADER)) == {address(TRADER): "failed"}


def test_a_lake_that_cannot_be_written_fails_the_wallets_with_the_reason(tmp_path, venue):
    lake = Lake(tmp_path / "lake", threads=1, lock_deadline_s=0.05)
    discovered(lake, TRADER)
    where = partitions.bucket(ids.bucket_of(ids.surrogate(address(TRADER))))
    with held(lake.folder.partition_lock(FILLS, where)):
        found = compute(lake, venue, TRADER)
    assert words(found) == {address(TRADER): "failed"}
    assert found.outcomes[0].error.startswith("LockTimeoutError: ")
    assert read(lake, FILLS).is_empty()
    assert words(compute(lake, venue, TRADER)) == {address(TRADER): "computed"}


def test_few_wallets_are_read_at_a_time(lake, venue):
    compute(lake, venue, *range(30, 60))
    assert venue.most_at_once == 10


def test_only_what_is_missing_is_read_again(lake, venue):
    compute(lake, venue, TRADER)
    venue.calls.clear()
    venue.at += timedelta(minutes=5)
    venue.trades.append(fill(TRADER, 7, NOW + timedelta(minutes=1), side="SELL", size_shares=1.0))
    found = compute(lake, venue, TRADER)
    assert found.new_fills.count == 1
    assert not venue.asked("markets")


def test_a_history_that_the_venue_does_not_give_whole_is_marked(lake, venue):
    venue.cap_rows = 6
    compute(lake, venue, TRADER, rules=OnDemandRules(min_settled=1))
    assert read(lake, WALLET_FEATURES_ON_DEMAND)["history_complete"].to_list() == [False]


def test_a_row_of_the_batch_is_neither_overwritten_nor_doubled(lake, venue):
    compute(lake, venue, TRADER)
    features.compute(lake, [CELL], STAMP)
    with lake.snapshot() as now:
        batch = now.content_hash(WALLET_FEATURES)
        early = now.version(WALLET_FEATURES_ON_DEMAND)
    assert words(compute(lake, venue, TRADER)) == {address(TRADER): "computed"}
    with lake.snapshot() as now:
        assert now.content_hash(WALLET_FEATURES) == batch
        assert now.version(WALLET_FEATURES_ON_DEMAND) == early
        shown = now.sql("SELECT source FROM current_wallet_features")
    assert shown["source"].to_list() == ["batch"]


def test_a_wallet_evaluated_again_below_the_gate_loses_its_row_of_the_day(lake, venue):
    compute(lake, venue, TRADER)
    compute(lake, venue, TRADER, rules=OnDemandRules(min_settled=50))
    assert read(lake, WALLET_FEATURES_ON_DEMAND).is_empty()


def test_the_batch_and_on_demand_runs_at_once_never_show_two_rows(lake, venue):
    """The view is read all the time: one row per wallet, and the batch's once there is one."""
    compute(lake, venue, TRADER)
    shown: list[list[str]] = []
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(lambda: [features.compute(lake, [CELL], STAMP) for _ in range(5)])
        while not batch.done():
            compute(lake, venue, TRADER)
            with lake.snapshot() as now:
                rows = now.sql("SELECT source FROM current_wallet_features")
            shown.append(rows["source"].to_list())
    assert len(batch.result()) == 5
    assert {len(each) for each in shown} == {1}
    first = shown.index(["batch"])
    assert all(each == ["batch"] for each in shown[first:])


class Overtaken(Lake):
    """Another writer adds a fill of the same wallet just before the histories are committed."""

    other: pl.DataFrame | None = None

    def commit(self, **changes):
        if changes.get("what") == "new wallets" and self.other is not None:
            rows, self.other = self.other, None
            super().commit(append=dict(parts_of(rows)), what="another writer")
        return super().commit(**changes)


def parts_of(rows: pl.DataFrame):
    for where, part in parts.by_bucket(rows):
        if part.height:
            yield (FILLS, where), part


def test_fills_that_another_writer_adds_meanwhile_are_in_the_lots(tmp_path, venue):
    lake = Overtaken(tmp_path / "lake", threads=1)
    late = fill(TRADER, 7, NOW - 2 * HOUR, side="SELL", price=0.7, size_shares=1.0)
    walk = asyncio.run(HandMadeVenue(trades=[late]).wallet_trades(address(TRADER), max_pages=1))
    lake.other = walk.found.rows
    compute(lake, venue, TRADER)
    with lake.snapshot() as now:
        made = [now.content_hash(table) for table in (CLOSED_LOTS, OPEN_LOTS)]
    ledger.build_lots(lake)
    with lake.snapshot() as now:
        assert [now.content_hash(table) for table in (CLOSED_LOTS, OPEN_LOTS)] == made
        assert now.read(FILLS).height == 9


class Dying(Lake):
    """Its process is killed just before a commit of that name."""

    dies_at = ""

    def commit(self, **changes):
        if changes.get("what") == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().commit(**changes)


KILLED = """
import sys
from pathlib import Path
from tests.stages.test_on_demand import NEWCOMER, TRADER, Dying, a_venue, compute
lake = Dying(Path(sys.argv[1]), threads=1)
lake.dies_at = sys.argv[2]
compute(lake, a_venue(), TRADER, NEWCOMER)
"""
MADE = (MARKETS, RESOLUTIONS, FILLS, CLOSED_LOTS, OPEN_LOTS, INGEST_STATE)


@pytest.mark.parametrize("commit", ["markets of new wallets", "new wallets", "on demand"])
def test_a_process_killed_between_commits_loses_nothing(lake, tmp_path, venue, commit):
    """Nobody has an outcome, so all are asked for again; then the tables are as without the kill."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "lake"), commit],
        env={**os.environ, "PYTHONPATH": "."}, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    with lake.snapshot() as now:
        assert now.read(ON_DEMAND_OUTCOMES).is_empty()
        assert now.read(WALLET_FEATURES_ON_DEMAND).is_empty()
        assert now.read(FILLS).is_empty() is now.read(INGEST_STATE).is_empty()
        assert now.read(FILLS).is_empty() is now.read(OPEN_LOTS).is_empty()
    compute(lake, venue, TRADER, NEWCOMER, attempt=2)
    other = Lake(tmp_path / "other", threads=1)
    compute(other, a_venue(), TRADER, NEWCOMER, attempt=2)
    tables = (*MADE, ON_DEMAND_OUTCOMES, WALLET_FEATURES_ON_DEMAND)
    with lake.snapshot() as now, other.snapshot() as expected:
        for table in tables:
            assert now.content_hash(table) == expected.content_hash(table), table.name


def test_the_hourly_ledger_and_on_demand_runs_at_once_agree_in_the_end(lake, venue):
    """Both read the same wallets and build their lots at the same time, several times over."""
    wallets = list(map(address, (TRADER, NEWCOMER)))

    def hourly():
        for _ in range(4):
            asyncio.run(ingest_wallets(lake, a_venue(), wallets, IngestionRules()))
            ingest.publish_resolutions(lake)
            with suppress(StaleReplaceError):  # Dagster tries the step again
                ledger.refresh_lots(lake)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(hourly)
        while not other.done():
            compute(lake, venue, TRADER, NEWCOMER)
        other.result()
    ledger.refresh_lots(lake)
    with lake.snapshot() as now:
        made = {table.name: now.content_hash(table) for table in MADE}
    alone = Lake(lake.root.parent / "alone", threads=1)
    compute(alone, a_venue(), TRADER, NEWCOMER)
    with alone.snapshot() as now:
        assert {table.name: now.content_hash(table) for table in MADE} == made
