"""A venue that is killed half-way: what is there is whole and marked, and can be gone on from."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evaluator.domain.errors import EvaluatorError
from evaluator.stages.ingestion import Ingested, ingest_wallets
from evaluator.store.lake import Lake
from evaluator.venue.api.transport import Policy
from tests.acceptance.tiny_venue import (
    INGESTION,
    STEPS,
    Tables,
    client,
    control,
    new_lake,
    read_everything,
    source,
    venue,
)
from tests.acceptance.venue_process import started

HASTY = Policy(max_attempts=2, backoff_s=0.001, timeout_s=5.0, circuit_threshold=6)
BY_FIRST_SIGHT = ("wallets", "wallet_sources")
"""The first source of a wallet is kept: where the venue died between sources, another was first."""

SMALL = replace(
    INGESTION, concurrency=4, wallets_per_commit=2, batches_at_once=1, pages_per_walk=1,
    failures_until_stop=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, int]:
    """What one reading gives, and the number of requests that it takes."""
    lake = new_lake(tmp_path_factory.mktemp("undisturbed"))
    with venue() as url:
        read_everything(url, lake)
        groups = control(url, "requests")
    return lake, sum(len(groups[host]["at"]) for host in ("data", "gamma", "clob"))


def addresses(lake: Lake) -> list[str]:
    """The wallets whose histories were read, sorted."""
    with lake.snapshot() as now:
        rows = now.sql("SELECT proxy_wallet FROM ingest_state ORDER BY proxy_wallet")
    return rows["proxy_wallet"].to_list()


def told(lake: Lake, table: str, instant: str) -> pl.DataFrame:
    with lake.snapshot() as now:
        return now.sql(f"SELECT proxy_wallet, {instant} AS at FROM {table}")


def check_states_tell_the_truth(lake: Lake, whole: Lake) -> None:
    """Of every wallet, all that the venue has from its oldest instant covered on is there."""
    with lake.snapshot() as now:
        states = now.sql(
            "SELECT proxy_wallet, oldest_at, cursor, history_complete FROM ingest_state"
        )
    assert states.filter("history_complete", pl.col("cursor").is_not_null()).is_empty()
    for table, instant in (("fills", "filled_at"), ("activity", "happened_at")):
        mine, theirs = (told(each, table, instant) for each in (lake, whole))
        for wallet, oldest, _, is_complete in states.rows():
            own = pl.col("proxy_wallet") == wallet
            since = own if is_complete else own & (pl.col("at") >= oldest)
            found, expected = (each.filter(since)["at"].sort() for each in (mine, theirs))
            assert found.to_list() == expected.to_list(), (table, wallet)


def ingest(lake: Lake, url: str, wallets: list[str], on_progress: Any = None) -> Ingested:
    async def read() -> Ingested:
        async with client(url, policy=HASTY) as asker:
            return await ingest_wallets(lake, asker, wallets, SMALL, on_progress)

    return asyncio.run(read())


@pytest.mark.parametrize("commits", [2])
def test_a_venue_killed_in_mid_ingestion_leaves_whole_marked_wallets_that_the_next_reading_completes(
    tmp_path: Path, cache: Path, undisturbed: tuple[Lake, int], commits: int
):
    whole, lake = undisturbed[0], new_lake(tmp_path)
    wallets = addresses(whole)
    with started(cache) as (server, url):
        so_far: list[Any] = []

        def kill_later(progress: Any) -> None:
            so_far.append(progress)
            if len(so_far) == commits:
                server.send_signal(signal.SIGKILL)
                server.wait()

        first = ingest(lake, url, wallets, kill_later)
    assert len(first.commit_ids) == commits
    assert first.problems
    assert first.wallets_left
    assert sorted(first.wallets_done + first.wallets_left) == wallets
    assert set(addresses(lake)) < set(wallets)
    check_states_tell_the_truth(lake, whole)
    with started(cache) as (_, url):
        second = ingest(lake, url, wallets)
    assert (second.problems, second.wallets_left) == ((), ())
    found, expected = (Tables.of(each) for each in (lake, whole))
    assert found.hashes["activity"] == expected.hashes["activity"]
    assert found.hashes["ingest_state"] == expected.hashes["ingest_state"]
    check_states_tell_the_truth(lake, whole)


def read_until_it_dies(url: str, lake: Lake) -> None:
    """Steps in order, up to the first that the venue fails."""
    hasty = source(url, policy=HASTY)
    for step in STEPS.values():
        try:
            step(hasty, lake)
        except EvaluatorError:
            return


def die_and_read_on(lake: Lake, cache: Path, dies_at: int, undisturbed: Lake) -> None:
    with started(cache, dies_at=dies_at) as (server, url):
        read_until_it_dies(url, lake)
        assert server.wait(timeout=60) == -signal.SIGKILL
    check_states_tell_the_truth(lake, undisturbed)
    with started(cache) as (_, url):
        read_everything(url, lake)
    found, expected = (Tables.of(each) for each in (lake, undisturbed))
    assert found.rows == expected.rows
    others = [name for name in found.hashes if found.hashes[name] != expected.hashes[name]]
    assert [name for name in others if name not in BY_FIRST_SIGHT] == []


@pytest.mark.parametrize("part", [0.3, 0.7])
def test_a_venue_killed_during_any_step_leaves_what_reading_everything_again_completes(
    tmp_path: Path, cache: Path, undisturbed: tuple[Lake, int], part: float
):
    whole, count = undisturbed
    die_and_read_on(new_lake(tmp_path), cache, int(count * part), whole)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("number", range(20))
def test_a_venue_killed_at_twenty_places_leaves_what_reading_everything_again_completes(
    tmp_path: Path, cache: Path, undisturbed: tuple[Lake, int], number: int
):
    whole, count = undisturbed
    die_and_read_on(new_lake(tmp_path), cache, 1 + number * (count - 1) // 20, whole)
