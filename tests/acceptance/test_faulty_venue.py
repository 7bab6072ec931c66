"""Whatever a venue does to single requests, the tables are those of a venue without faults.

Over real HTTP, with every step of a source, in both versions of the API.
"""

import asyncio
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.tables.history import FILLS
from evaluator.store.lake import Lake
from evaluator.venue.api.errors import VenueUnavailableError
from evaluator.venue.api.transport import Policy
from evaluator.venue.sim.faults import Faults
from tests.acceptance import tiny_venue
from tests.acceptance.tiny_venue import (
    MOST_ATTEMPTS,
    MOST_IN_A_ROW,
    READ,
    STEPS,
    Tables,
    asked,
    client,
    control,
    new_lake,
    read_everything,
    source,
    statuses,
    venue,
)

DIALECTS = ("v2", "v1")
KINDS = (
    *("rate_limited", "server_error", "slow", "stalled", "truncated", "dropped"),
    *("duplicated", "shifted", "shuffled"),
)
SAID_DIFFERENTLY = ("holders", "market_scores", "leaderboard", "positions")
"""Version 2 nets the tokens of a market, counts volume in shares and rounds average prices."""

RUNS_OF_BATCH = 10


def faults(seed: int) -> Faults:
    """Every kind at random; a stalled answer costs a whole timeout, so few runs have them."""
    return Faults(
        seed=seed,
        rate_limited=0.06,
        server_error=0.06,
        slow=0.05,
        stalled=0.015 if seed % 3 == 0 else 0.0,
        truncated=0.05,
        dropped=0.05,
        duplicated=0.4,
        shifted=0.3,
        shuffled=0.4,
        slow_s=0.01,
        stall_s=3.0,
        most_in_a_row=MOST_IN_A_ROW,
    )


def dialect_of(seed: int) -> str:
    return DIALECTS[seed // 3 % 2]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lake]:
    """What each version of the API gives without faults."""
    lakes = {}
    for dialect in DIALECTS:
        lakes[dialect] = new_lake(tmp_path_factory.mktemp(dialect))
        with venue() as url:
            read_everything(url, lakes[dialect], dialect)
    return lakes


def test_a_venue_without_faults_fills_every_table_with_all_it_has(calm: dict[str, Lake]):
    tables = Tables.of(calm["v2"])
    assert [name for name, rows in tables.rows.items() if not rows] == ["quarantine"]
    with calm["v2"].snapshot() as now:
        fills = now.sql("SELECT proxy_wallet, transaction_hash, size_shares FROM fills")
        wallets = now.sql("SELECT DISTINCT proxy_wallet FROM wallets")
    truth = tiny_venue.world().history(tiny_venue.NOW).fills
    own = truth.join(wallets, on="proxy_wallet", how="semi")
    assert own.height > 150
    assert fills.join(wallets, on="proxy_wallet", how="semi").height == own.height


def test_both_versions_of_the_api_give_the_same_rows_where_the_venue_says_the_same(
    calm: dict[str, Lake],
):
    new, old = (Tables.of(calm[dialect]) for dialect in DIALECTS)
    others = [name for name in new.hashes if new.hashes[name] != old.hashes[name]]
    assert sorted(others) == sorted(SAID_DIFFERENTLY)
    same = {name: count for name, count in new.rows.items() if name != "holders"}
    assert same == {name: count for name, count in old.rows.items() if name != "holders"}
    assert len(same) == len(READ) - 1


def check_requests_are_bounded(lake: Lake) -> None:
    """No request is repeated more often than the faults in a row make necessary."""
    requests = asked(lake)
    too_often = requests.filter(
        (pl.col("request_count") > pl.col("question_count") * MOST_ATTEMPTS)
        | (pl.col("retry_count") > pl.col("question_count") * MOST_IN_A_ROW)
    )
    assert too_often.is_empty(), too_often


def run(folder: Path, seed: int, calm: dict[str, Lake]) -> Counter[str]:
    """One faulty reading, checked; returns how often the server did what."""
    lake, dialect = new_lake(folder / str(seed)), dialect_of(seed)
    with venue(faults(seed)) as url:
        read_everything(url, lake, dialect)
        befallen = Counter(control(url, "befallen"))
    found, expected = Tables.of(lake), Tables.of(calm[dialect])
    assert found == expected, f"seed {seed}, {dialect}"
    with lake.snapshot() as now:
        assert now.read(FILLS, columns=["fill_id"])["fill_id"].is_unique().all()
    check_requests_are_bounded(lake)
    assert asked(lake)["request_count"].sum() >= befallen["asked"], "what was sent is in the tally"
    return befallen


def check_runs(folder: Path, seeds: range, calm: dict[str, Lake]) -> None:
    """Every fault must have happened somewhere in these runs."""
    befallen = sum((run(folder, seed, calm) for seed in seeds), Counter())
    assert [kind for kind in KINDS if not befallen[kind]] == []


@pytest.mark.parametrize("first", [0, 3])
def test_a_reading_under_faults_gives_the_tables_of_one_without(
    tmp_path: Path, calm: dict[str, Lake], first: int
):
    check_runs(tmp_path, range(first, first + 3), calm)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("batch", range(20))
def test_two_hundred_readings_under_faults_give_the_tables_of_one_without(
    tmp_path: Path, calm: dict[str, Lake], batch: int
):
    first = 1000 + batch * RUNS_OF_BATCH
    check_runs(tmp_path, range(first, first + RUNS_OF_BATCH), calm)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_reading_everything_again_adds_no_row(tmp_path: Path, calm: dict[str, Lake], dialect: str):
    lake = new_lake(tmp_path)
    with venue() as url:
        read_everything(url, lake, dialect)
        once = Tables.of(lake)
        read_everything(url, lake, dialect)
    assert once == Tables.of(lake) == Tables.of(calm[dialect])


def test_reading_again_under_faults_and_in_the_other_version_adds_no_fill(
    tmp_path: Path, calm: dict[str, Lake]
):
    lake = new_lake(tmp_path)
    with venue(faults(3)) as url:
        read_everything(url, lake, "v2")
        once = Tables.of(lake)
        read_everything(url, lake, "v1")
    assert once == Tables.of(calm["v2"])
    again = Tables.of(lake)
    for name in ("fills", "activity", "ingest_state", "prices", "comments", "resolutions"):
        assert again.hashes[name] == once.hashes[name], name


def test_all_markets_asked_for_by_id_come_from_a_host_that_gives_ten_at_once():
    markets = tiny_venue.world().history(tiny_venue.NOW).markets
    ids = markets["condition_id"].to_list()

    async def read(url: str) -> set[str]:
        async with client(url) as asker:
            found = await asker.markets(tiny_venue.DAY, [*ids, "0x" + "0" * 64])
            return set(found.rows["condition_id"])

    with venue() as url:
        assert asyncio.run(read(url)) == set(ids)
    assert len(ids) > 20


def test_a_venue_that_never_recovers_is_asked_no_more_often_than_allowed(tmp_path: Path):
    lake = new_lake(tmp_path)
    with venue(Faults(server_error=1.0, most_in_a_row=10**6)) as url:
        with pytest.raises(VenueUnavailableError):
            STEPS["markets"](source(url), lake)
        assert control(url, "befallen")["asked"] == MOST_ATTEMPTS
    assert asked(lake).rows() == [("gamma /markets", MOST_ATTEMPTS, MOST_ATTEMPTS - 1, 1)]
    assert statuses(lake) <= {"500", "502", "503", "504"}


def test_requests_in_flight_when_a_client_leaves_are_in_the_tally_too():
    async def leave(url: str) -> list[tuple[str, str]]:
        async with client(url, policy=Policy(timeout_s=60.0)) as asker:
            task = asyncio.create_task(asker.comments("event"))
            while not (await asyncio.to_thread(control, url, "befallen"))["asked"]:
                pass
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return asker.requests().select("endpoint", "status").rows()

    with venue(Faults(stalled=1.0, stall_s=3.0)) as url:
        assert asyncio.run(leave(url)) == [("gamma /events", "cancelled")]
