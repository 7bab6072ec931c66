"""Histories of wallets: what is read, what is remembered of it, and what cannot harm it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from evaluator.domain.errors import PermanentError, TransientError
from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE, POSITIONS, QUARANTINE
from evaluator.stages import ingestion_fetch
from evaluator.stages.ingestion import Ingested, Progress, ingest_positions, ingest_wallets
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.store import partitions
from evaluator.store.lake import Lake
from tests.stages.hand_made_venue import NOW, HandMadeVenue, address, fill, movement
from tests.stages.ingestion_worlds import (
    SMALL,
    as_of,
    check_states_tell_the_truth,
    hashes,
    row_counts,
    trading_venue,
    wallets,
)

HOUR = timedelta(hours=1)


class GoneError(PermanentError):
    code = "gone"


class DownError(TransientError):
    code = "down"


def ingest(lake: Lake, venue: HandMadeVenue, names=None, rules=SMALL, **given) -> Ingested:
    asked = wallets(12) if names is None else names
    return asyncio.run(ingest_wallets(lake, venue, asked, rules, **given))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the tables when everything is read at once without any fault."""
    lake = Lake(tmp_path_factory.mktemp("whole"), threads=1)
    generous = replace(SMALL, pages_per_walk=1000, wallets_per_commit=100)
    ingest(lake, trading_venue(page_rows=1000), rules=generous)
    return hashes(lake)


def state_of(lake: Lake, wallet: int) -> dict[str, object]:
    with lake.snapshot() as now:
        rows = now.sql("SELECT * FROM ingest_state WHERE proxy_wallet = ?", [address(wallet)])
    return rows.row(0, named=True)


def test_every_fill_and_movement_of_every_wallet_is_read_once(lake: Lake):
    venue = trading_venue()
    done = ingest(lake, venue)
    expected = {"fills": len(venue.trades), "activity": len(venue.movements)}
    counts = row_counts(lake)
    assert {name: counts[name] for name in expected} == expected
    assert done.rows == sum(expected.values())
    assert done.new_fills.count == expected["fills"]
    assert done.new_fills.wallets == tuple(wallets(12)[1:])
    assert done.new_fills.watermark == max(row["filled_at"] for row in venue.trades)
    assert (done.problems, done.wallets_left) == ((), ())


def test_a_wallet_read_to_its_first_row_is_complete_and_covers_from_that_row_to_now(lake: Lake):
    first = NOW - 50 * HOUR
    venue = HandMadeVenue(
        trades=[fill(1, 1, NOW - 3 * HOUR)], movements=[movement(1, "SPLIT", first)]
    )
    ingest(lake, venue, [address(1)])
    state = state_of(lake, 1)
    assert state["history_complete"]
    assert state["cursor"] is None
    assert (state["oldest_at"], state["newest_at"]) == (first, NOW)


def test_a_wallet_without_any_row_is_complete_and_covers_nothing_but_now(lake: Lake):
    ingest(lake, HandMadeVenue(), [address(1)])
    state = state_of(lake, 1)
    assert (state["history_complete"], state["oldest_at"], state["newest_at"]) == (True, NOW, NOW)


def test_reading_everything_again_adds_no_row_and_reports_none(lake: Lake, whole: dict[str, str]):
    ingest(lake, trading_venue())
    again = ingest(lake, trading_venue(shuffle=3))
    assert hashes(lake) == whole
    assert (again.rows, again.new_fills.count, again.new_fills.wallets) == (0, 0, ())


@pytest.mark.parametrize("seed", range(2))
def test_shuffled_repeated_and_shifting_pages_give_the_same_tables(
    lake: Lake, whole: dict[str, str], seed: int
):
    ingest(lake, trading_venue(shuffle=seed))
    assert hashes(lake) == whole


@pytest.mark.parametrize(
    "rules",
    [
        replace(SMALL, concurrency=1, batches_at_once=1),
        replace(SMALL, concurrency=9, batches_at_once=3, wallets_per_commit=1),
        replace(SMALL, wallets_per_commit=100, pages_per_walk=7),
    ],
)
def test_order_concurrency_and_size_of_batches_change_nothing(
    lake: Lake, whole: dict[str, str], rules: IngestionRules
):
    names = wallets(12)
    Random(rules.concurrency).shuffle(names)
    venue = trading_venue()
    ingest(lake, venue, names, rules)
    assert hashes(lake) == whole
    assert venue.most_at_once <= rules.concurrency


def test_reading_hour_by_hour_equals_reading_everything_at_the_end(
    lake: Lake, whole: dict[str, str]
):
    venue = trading_venue()
    for hours in (40, 11, 10, 3, 0):
        ingest(lake, as_of(venue, NOW - hours * HOUR))
    assert hashes(lake) == whole


def test_only_the_time_since_the_last_reading_is_read_again(lake: Lake):
    venue = trading_venue()
    ingest(lake, as_of(venue, NOW - HOUR))
    asked = []

    class Listening(HandMadeVenue):
        async def wallet_trades(self, proxy_wallet, *, max_pages, start=None, end=None):
            asked.append((start, end))
            return await HandMadeVenue.wallet_trades(
                self, proxy_wallet, max_pages=max_pages, start=start, end=end
            )

    ingest(lake, Listening(trades=venue.trades, movements=venue.movements))
    since = NOW - HOUR - SMALL.overlap
    assert asked
    assert set(asked) == {(since, NOW)}


def test_a_fill_that_the_venue_shows_late_is_found_within_the_overlap(lake: Lake):
    ingest(lake, HandMadeVenue(), [address(1)])
    late = fill(1, 1, NOW - timedelta(seconds=SMALL.overlap_s - 1))
    done = ingest(lake, HandMadeVenue(trades=[late], at=NOW + HOUR), [address(1)])
    assert done.new_fills.count == 1


def test_a_wallet_counts_as_ingested_when_its_rows_change_and_not_when_they_are_read(lake: Lake):
    venue = HandMadeVenue(trades=[fill(1, 1), fill(2, 1)])
    ingest(lake, venue, wallets(3))
    later = replace(venue, at=NOW + HOUR, trades=[*venue.trades, fill(2, 2, NOW + HOUR / 2)])
    ingest(lake, later, wallets(3))
    assert [state_of(lake, wallet)["ingested_at"] for wallet in (1, 2)] == [NOW, NOW + HOUR]
    assert [state_of(lake, wallet)["newest_at"] for wallet in (1, 2)] == [NOW + HOUR] * 2


def test_a_history_that_the_venue_caps_is_kept_marked_and_not_asked_for_again(lake: Lake):
    hours = [NOW - number * HOUR for number in range(1, 11)]
    venue = HandMadeVenue(trades=[fill(1, 1, at) for at in hours], page_rows=4, cap_rows=6)
    ingest(lake, venue, [address(1)], replace(SMALL, pages_per_walk=9))
    state = state_of(lake, 1)
    assert not state["history_complete"]
    assert state["cursor"] is None
    assert state["oldest_at"] == hours[5] + timedelta(seconds=1)
    later = replace(venue, at=NOW + HOUR)
    assert ingest(lake, later, [address(1)]).rows == 0
    assert not state_of(lake, 1)["history_complete"]


def test_an_activity_listing_that_is_capped_leaves_the_history_incomplete(lake: Lake):
    moved = [movement(1, "SPLIT", NOW - number * HOUR) for number in range(1, 9)]
    venue = HandMadeVenue(trades=[fill(1, 1)], movements=moved, page_rows=4, cap_rows=5)
    ingest(lake, venue, [address(1)], replace(SMALL, pages_per_walk=9))
    assert not state_of(lake, 1)["history_complete"]


def test_a_wallet_that_fails_is_a_problem_and_the_others_are_read(lake: Lake):
    bad = address(7)
    failing = {("wallet_trades", bad): GoneError("no such wallet")}
    done = ingest(lake, trading_venue(failing=failing))
    assert [(each.subject, each.error) for each in done.problems] == [
        (bad, "GoneError: no such wallet")
    ]
    assert done.wallets_left == (bad,)
    assert len(done.wallets_done) == 11
    with lake.snapshot() as now:
        asked = now.sql("SELECT count(*) AS n FROM fills WHERE proxy_wallet = ?", [bad])
        assert asked.item() == 0
        assert now.read(INGEST_STATE).height == 11


def test_nothing_is_kept_of_a_wallet_whose_activity_fails(lake: Lake):
    failing = {("wallet_activity", address(7)): DownError("no answer")}
    ingest(lake, trading_venue(failing=failing))
    with lake.snapshot() as now:
        asked = now.sql("SELECT count(*) AS n FROM fills WHERE proxy_wallet = ?", [address(7)])
    assert asked.item() == 0


@pytest.mark.parametrize("calls", [0, 9, 33])
def test_a_venue_that_dies_half_way_leaves_a_state_that_the_next_pass_completes(
    lake: Lake, whole: dict[str, str], calls: int
):
    dying = trading_venue(dies_after=calls)
    done = ingest(lake, dying)
    assert done.wallets_left
    assert {each.subject for each in done.problems} <= set(done.wallets_left)
    check_states_tell_the_truth(lake, trading_venue())
    rest = ingest(lake, trading_venue())
    assert rest.wallets_left == ()
    assert hashes(lake) == whole


def test_a_venue_that_is_down_is_asked_a_few_times_and_then_no_more(lake: Lake):
    dead = trading_venue(60, dies_after=0)
    rules = replace(SMALL, failures_until_stop=5)
    done = ingest(lake, dead, wallets(60), rules)
    assert len(dead.calls) <= 5 + rules.concurrency
    assert (len(done.wallets_left), done.commit_ids) == (60, ())


def test_wallets_that_do_not_exist_do_not_stop_the_pass(lake: Lake):
    failing = {("wallet_trades", name): GoneError("unknown") for name in wallets(40)}
    venue = HandMadeVenue(trades=[fill(41, 1)], failing=failing)
    done = ingest(lake, venue, wallets(42), replace(SMALL, failures_until_stop=2))
    assert len(done.problems) == 40
    assert set(done.wallets_done) == {address(40), address(41)}


def test_news_are_read_although_the_backfill_is_not_finished(lake: Lake):
    hours = [NOW - number * HOUR for number in range(1, 40)]
    venue = HandMadeVenue(trades=[fill(1, 1, at) for at in hours], page_rows=4)
    one = fetched(venue, {}, walks=1)
    with lake.snapshot() as now:
        places = one.places(now)
    lake.commit(append=places.append, upsert=places.upsert)
    unfinished = state_of(lake, 1)
    assert unfinished["cursor"] is not None
    assert not unfinished["history_complete"]
    assert unfinished["oldest_at"] == hours[7] + timedelta(seconds=1)
    news = [fill(1, 2, NOW + HOUR * number / 10) for number in range(1, 11)]
    later = replace(venue, trades=[*venue.trades, *news], at=NOW + HOUR)
    ingest(lake, later, [address(1)])
    assert row_counts(lake)["fills"] == len(hours) + len(news)
    assert state_of(lake, 1)["history_complete"]


def test_an_interval_between_two_unfinished_readings_stays_open(lake: Lake):
    hours = [NOW - number * HOUR for number in range(1, 40)]
    venue = HandMadeVenue(trades=[fill(1, 1, at) for at in hours], page_rows=4)
    first = fetched(venue, {}, walks=1)
    news = [fill(1, 2, NOW + HOUR * number) for number in range(1, 40)]
    later = replace(venue, trades=[*venue.trades, *news], at=NOW + 40 * HOUR)
    second = fetched(later, first.coverages, walks=1)
    coverage = second.coverages[address(1)]
    assert [gap.end > NOW for gap in coverage.gaps["trades"]] == [True, False]
    assert coverage.oldest_at == coverage.gaps["trades"][0].end
    rest = fetched(later, second.coverages, walks=30)
    assert rest.coverages[address(1)].is_complete
    found = pl.concat([first.fills, second.fills, rest.fills])["fill_id"].n_unique()
    assert found == len(hours) + len(news)


def fetched(venue, coverages, walks) -> ingestion_fetch.Fetched:
    asking = ingestion_fetch.fetch_wallets(venue, [address(1)], coverages, SMALL, walks=walks)
    return asyncio.run(asking)


def test_a_listing_that_cannot_be_read_past_an_instant_is_a_problem_and_loses_nothing(lake: Lake):
    crowd = [fill(1, number, NOW - HOUR) for number in range(20)]
    venue = HandMadeVenue(trades=[fill(1, 1, NOW - HOUR / 2), *crowd], page_rows=4)
    done = ingest(lake, venue, [address(1)])
    (problem,) = done.problems
    assert problem.error.startswith("StuckWalkError: the trades of 0x")
    assert done.wallets_left == (address(1),)
    assert row_counts(lake)["fills"] == 8
    assert not state_of(lake, 1)["history_complete"]
    ingest(lake, venue, [address(1)], replace(SMALL, pages_per_walk=20))
    assert row_counts(lake)["fills"] == 21
    assert state_of(lake, 1)["history_complete"]


def test_an_unreadable_cursor_starts_over(lake: Lake, whole: dict[str, str]):
    ingest(lake, trading_venue(dies_after=30))
    with lake.snapshot() as now:
        broken = now.read(INGEST_STATE).with_columns(cursor=pl.lit("{nonsense"))
    lake.commit(upsert={(INGEST_STATE, partitions.SINGLE): broken})
    ingest(lake, trading_venue())
    assert hashes(lake) == whole


def test_the_rows_and_the_state_of_a_batch_are_one_commit(lake: Lake):
    done = ingest(lake, trading_venue())
    assert len(done.commit_ids) >= 3
    for commit_id in done.commit_ids:
        with lake.snapshot(at=commit_id) as now:
            known = now.read(INGEST_STATE, columns=["proxy_wallet"])
            for table in (FILLS, ACTIVITY):
                rows = now.read(table, columns=["proxy_wallet"])
                assert rows.join(known, on="proxy_wallet", how="anti").is_empty()


def test_wallets_of_a_bucket_are_read_together_so_that_commits_add_few_files(lake: Lake):
    venue = HandMadeVenue(trades=[fill(number, 1) for number in range(200)])
    done = ingest(lake, venue, wallets(200), replace(SMALL, wallets_per_commit=50))
    assert len(done.commit_ids) == 4
    with lake.snapshot() as now:
        assert len(now.partitions(FILLS)) == 16
        assert len(now.files(FILLS)) <= 16 + 3


def test_progress_is_told_after_each_batch(lake: Lake):
    told: list[Progress] = []
    ingest(lake, trading_venue(), on_progress=told.append)
    assert told[-1] == Progress(12, 0, row_counts(lake)["fills"] + row_counts(lake)["activity"])
    assert [each.rows for each in told] == sorted(each.rows for each in told)


def test_what_was_refused_is_in_quarantine_once(lake: Lake):
    row = {"source": "/v2/trades", "row_key": "1-0", "rule": "bad_side", "payload": "{}"}
    refused = pl.DataFrame([row | {"seen_at": NOW}], QUARANTINE.schema)

    class Refusing(HandMadeVenue):
        async def wallet_trades(self, *args, **given):
            walk = await HandMadeVenue.wallet_trades(self, *args, **given)
            return replace(walk, found=replace(walk.found, quarantine=refused))

    for _ in range(2):
        ingest(lake, Refusing(trades=[fill(1, 1)]), wallets(3))
    assert row_counts(lake)["quarantine"] == 1


def position(number: int, size: float) -> dict[str, object]:
    return {
        "token_id": str(number), "condition_id": f"0x{number:064x}", "event_slug": None,
        "size_shares": round(size * 10**6), "bought_shares": None, "average_price": 0.5,
        "current_price": 0.6, "realised_pnl_usdc": 0, "unrealised_pnl_usdc": 0.0,
    }  # fmt: skip


def read_positions(lake: Lake, venue: HandMadeVenue, names, rules=SMALL):
    return asyncio.run(ingest_positions(lake, venue, venue.at.date(), names, rules))


def test_positions_are_read_of_wallets_that_changed_and_replace_the_older_ones(lake: Lake):
    trades = [fill(1, 1), fill(2, 1)]
    official = {address(1): [position(1, 5), position(2, 6)], address(2): [position(1, 7)]}
    venue = HandMadeVenue(trades=trades, official=official)
    ingest(lake, venue, wallets(3))
    assert read_positions(lake, venue, wallets(3)).commit.rows(POSITIONS) == 3
    tomorrow = replace(
        venue,
        at=NOW + 24 * HOUR,
        trades=[*trades, fill(1, 3, NOW + 20 * HOUR)],
        official=official | {address(1): [position(3, 1)]},
        calls=[],
    )
    assert ingest(lake, tomorrow, wallets(3)).new_fills.wallets == (address(1),)
    read_positions(lake, tomorrow, wallets(3))
    after = replace(tomorrow, at=NOW + 48 * HOUR, calls=[])
    read_positions(lake, after, wallets(3))
    asked = [name for name in after.asked("wallet_positions") if name != address(0)]
    assert asked == [address(1)]  # it changed on the day of its positions
    with lake.snapshot() as now:
        rows = now.sql("SELECT proxy_wallet, token_id FROM positions ORDER BY ALL").rows()
    assert rows == [(address(1), "3"), (address(2), "1")]


def test_positions_that_are_not_there_any_more_are_removed(lake: Lake):
    venue = HandMadeVenue(trades=[fill(1, 1)], official={address(1): [position(1, 5)]})
    ingest(lake, venue, wallets(2))
    read_positions(lake, venue, wallets(2))
    read_positions(lake, replace(venue, official={}), wallets(2))
    with lake.snapshot() as now:
        assert now.read(POSITIONS).is_empty()


def test_wallets_over_the_bound_of_a_pass_are_counted_and_read_by_the_next(lake: Lake):
    venue = HandMadeVenue(
        trades=[fill(number, 1) for number in range(9)],
        official={address(number): [position(number, 1)] for number in range(9)},
    )
    ingest(lake, venue, wallets(9))
    rules = replace(SMALL, positions_per_pass=6)
    first = read_positions(lake, venue, wallets(9), rules)
    assert first.commit.rows(POSITIONS) == 6
    assert [each.subject for each in first.problems] == ["3 wallets"]
    read_positions(lake, venue, wallets(9), rules)
    with lake.snapshot() as now:
        assert now.read(POSITIONS)["proxy_wallet"].n_unique() == 9


def test_a_venue_that_gives_no_positions_leaves_them_all_and_says_so(lake: Lake):
    venue = HandMadeVenue(trades=[fill(1, 1)])
    ingest(lake, venue, wallets(9))
    found = read_positions(lake, replace(venue, dies_after=0), wallets(9))
    assert found.commit.rows() == 0
    named = [each.subject for each in found.problems]
    assert len(set(named)) == SMALL.known_wallets_per_commit + 1
    assert named[-1] == "4 wallets"
