"""Ingestion by real processes: killed at any moment, and many at once."""

import asyncio
import random
import select
from contextlib import ExitStack
from pathlib import Path

import pytest

from evaluator.domain.tables.history import FILLS
from evaluator.stages import ledger
from evaluator.stages.ingestion import ingest_wallets
from evaluator.store.lake import Lake
from tests.stages.hand_made_venue import HandMadeVenue
from tests.stages.ingestion_processes import COUNT, SLOW, started
from tests.stages.ingestion_worlds import (
    check_states_tell_the_truth,
    hashes,
    row_counts,
    trading_venue,
    wallets,
)
from tests.stages.test_lots_of_wallets import check_equal_to_whole

LONGEST_S = 0.4


def ingest(lake: Lake, venue: HandMadeVenue) -> None:
    asyncio.run(ingest_wallets(lake, venue, wallets(COUNT), SLOW))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of the tables that one undisturbed reading makes."""
    lake = Lake(tmp_path_factory.mktemp("whole"), threads=1)
    ingest(lake, trading_venue(COUNT, page_rows=1000))
    return hashes(lake)


def kill_a_reader(root: Path, seed: int, at: random.Random) -> None:
    """Start a reader where the lake stands and kill it at a random moment."""
    with started("ingest", root, seed) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "begun\n"
        wait = at.random() * LONGEST_S
        while select.select([reader.stdout], [], [], wait)[0] and at.random() < 0.7:
            if not reader.stdout.readline():
                break
        reader.kill()


def kill_and_check(root: Path, whole: dict[str, str], times: int, seed: int) -> None:
    at, venue = random.Random(seed), trading_venue(COUNT)
    for number in range(times):
        kill_a_reader(root, number, at)
        check_states_tell_the_truth(Lake(root, threads=1), venue)
    lake = Lake(root, threads=1)
    ingest(lake, venue)
    assert hashes(lake) == whole


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_killed_at_any_moment_leaves_what_the_next_one_completes(
    tmp_path: Path, whole: dict[str, str], seed: int
):
    kill_and_check(tmp_path / "lake", whole, times=3, seed=seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3, 13))
def test_forty_readers_killed_leave_what_the_next_one_completes(
    tmp_path: Path, whole: dict[str, str], seed: int
):
    kill_and_check(tmp_path / "lake", whole, times=4, seed=seed)


def run_at_once(root: Path, verbs: tuple[str, ...], rounds: int) -> None:
    """Processes that all work on one lake; each must end well."""
    Lake(root, threads=1)
    with ExitStack() as stack:
        running = [
            stack.enter_context(started(verb, root, number, rounds))
            for number, verb in enumerate(verbs)
        ]
        for each in running:
            each.communicate()
    assert [each.returncode for each in running] == [0] * len(running)


def check_nothing_is_lost(root: Path, whole: dict[str, str]) -> None:
    lake, venue = Lake(root, threads=1), trading_venue(COUNT)
    check_states_tell_the_truth(lake, venue)
    found = hashes(lake)
    assert {name: found[name] for name in ("fills", "activity")} == {
        name: whole[name] for name in ("fills", "activity")
    }
    assert row_counts(lake)["fills"] == len(venue.trades)
    with lake.snapshot() as now:
        assert now.read(FILLS, columns=["fill_id"])["fill_id"].is_unique().all()
    ledger.refresh_lots(lake)
    check_equal_to_whole(lake)


def test_readers_watchers_and_builders_at_once_lose_no_row(tmp_path: Path, whole: dict[str, str]):
    run_at_once(tmp_path / "lake", ("follow", "follow", "watch", "build"), rounds=3)
    check_nothing_is_lost(tmp_path / "lake", whole)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_eight_writers_at_once_for_a_minute_lose_no_row(tmp_path: Path, whole: dict[str, str]):
    verbs = ("follow", "follow", "follow", "watch", "watch", "watch", "build", "build")
    run_at_once(tmp_path / "lake", verbs, rounds=40)
    check_nothing_is_lost(tmp_path / "lake", whole)
