"""Recorded answers of the real venue, served over HTTP by a host that fails: no row is lost."""

import asyncio
from collections import Counter

import polars as pl
import pytest

from evaluator.venue.api import reading
from evaluator.venue.api.gamma import flattened
from evaluator.venue.quarantine import Parsed
from evaluator.venue.sim.faults import Faults, Plan
from evaluator.venue.venue import MarketFilter
from tests.acceptance.recorded_host import (
    HISTORIES,
    MARKETS,
    host,
    movements,
    recorded,
    trades,
)
from tests.acceptance.test_faulty_venue import KINDS, faults
from tests.acceptance.tiny_venue import DAY, MOST_IN_A_ROW, NOW, client
from tests.venue.api.test_loopback import served
from tests.venue.api.test_recorded import page

pytestmark = pytest.mark.usefixtures("archive_folder")

SHOWN = tuple(kind for kind in KINDS if kind != "duplicated")
"""What befalls listings by offset: only cursors can show the end of a page again."""

PAGE_ROWS = 25
"""More than happened in any second of the recorded histories (20): else twins stay in doubt."""

Frames = dict[str, pl.DataFrame]


def rows_of(found: list[Parsed], key: str) -> pl.DataFrame:
    assert sum(each.counts.quarantined_count for each in found) == 0
    assert sum(each.counts.possible_undercount for each in found) == 0
    return pl.concat([each.rows for each in found]).sort(key)


def read_all(given: Faults | None) -> tuple[Frames, Counter[str], pl.DataFrame]:
    """Every table of the recorded answers, what the host did, and what it was asked."""
    plan = Plan(given)

    async def read(url: str) -> tuple[Frames, pl.DataFrame]:
        options = {"has_roles": False, "leaderboard_rows": 120, "feed_page_rows": PAGE_ROWS}
        async with client(url, "v1", **options) as asker:
            fills = [await asker.wallet_trades(one, max_pages=200) for one in HISTORIES]
            moved = [await asker.wallet_activity(one, max_pages=200) for one in HISTORIES]
            assert all(walk.is_exhausted for walk in (*fills, *moved))
            held = [await asker.wallet_positions(DAY, one) for one in HISTORIES]
            closed = sorted(row["conditionId"] for row in recorded(MARKETS) if row["closed"])
            frames = {
                "fills": rows_of([walk.found for walk in fills], "fill_id"),
                "activity": rows_of([walk.found for walk in moved], "activity_id"),
                "positions": pl.concat([each.rows for each in held]),
                "leaderboard": rows_of([await asker.leaderboard(DAY, "OVERALL", "WEEK")], "rank"),
                "open markets": (await asker.open_markets(DAY, MarketFilter())).rows,
                "closed markets": (await asker.markets(DAY, closed)).rows,
            }
            return frames, asker.requests()

    with served(host(plan)) as url:
        frames, asked = asyncio.run(read(url))
    return frames, plan.befallen, asked


@pytest.fixture(scope="module")
def calm() -> Frames:
    return read_all(None)[0]


def test_a_host_without_faults_gives_every_row_that_was_recorded(calm: Frames):
    fills = [reading.union([page(trades(one), reading.TRADES)], reading.TRADES).rows
             for one in HISTORIES]  # fmt: skip
    assert calm["fills"].equals(pl.concat(fills).sort("fill_id"))
    moved = [reading.union([page(movements(one), reading.MOVEMENTS)], reading.MOVEMENTS).rows
             for one in HISTORIES]  # fmt: skip
    assert calm["activity"].equals(pl.concat(moved).sort("activity_id"))
    raw = [flattened(row) for row in recorded(MARKETS)]
    markets = reading.markets([page(raw, reading.MARKETS)], day=DAY, seen_at=NOW).rows
    both = pl.concat([calm["open markets"], calm["closed markets"]])
    assert set(both["condition_id"]) == set(markets["condition_id"])
    heights = {name: rows.height for name, rows in calm.items()}
    assert heights["fills"] == 350
    assert heights["positions"] == 12
    assert calm["leaderboard"]["rank"].sort().to_list() == list(range(1, 121))


def check(seeds: range, calm: Frames) -> None:
    befallen: Counter[str] = Counter()
    for seed in seeds:
        found, happened, asked = read_all(faults(seed))
        assert [name for name in calm if not found[name].equals(calm[name])] == [], seed
        retries, requests = asked["retry_count"].sum(), asked["request_count"].sum()
        assert retries <= MOST_IN_A_ROW * (requests - retries)
        befallen += happened
    assert [kind for kind in SHOWN if not befallen[kind]] == []


def test_faults_change_no_row_of_recorded_answers(calm: Frames):
    check(range(10), calm)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("batch", range(10))
def test_faults_of_two_hundred_runs_change_no_row_of_recorded_answers(calm: Frames, batch: int):
    check(range(100 + 20 * batch, 120 + 20 * batch), calm)
