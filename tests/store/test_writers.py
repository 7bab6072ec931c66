"""Eight processes that append, upsert, fold and sweep the same buckets at once."""

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain import ids
from evaluator.store import partitions
from evaluator.store.lake import Lake
from tests.store.processes import opened
from tests.store.sample_tables import WALLET_LOG, WALLET_ROWS

SPAWN = multiprocessing.get_context("spawn")
WRITERS, WALLETS, NUMBERS, LOTS = 6, 24, 4_000, 3
"""Wallets lie in few buckets, so that all writers meet."""


@dataclass
class Done:
    """What a writer was told that its commits did."""

    given: set[int] = field(default_factory=set)
    added: int = 0
    upserts: dict[int, tuple[int, float]] = field(default_factory=dict)
    """By wallet: its last commit, and the stamp that this left."""


def wallet(number: int) -> int:
    """Its surrogate; four buckets."""
    return 16 * (number // 4) + number % 4


def log(numbers: list[int], writer: int) -> pl.DataFrame:
    wallets = [wallet(number % WALLETS) for number in numbers]
    return pl.DataFrame(
        {"number": numbers, "proxy_wallet": wallets, "writer": [writer] * len(numbers)}
    )


def lots(wallets: list[int], stamp: float) -> pl.DataFrame:
    """The rows of each wallet; all carry the stamp."""
    each = [(one, number, stamp) for one in wallets for number in range(LOTS)]
    return pl.DataFrame(each, schema=WALLET_ROWS.schema, orient="row")


def by_bucket(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The frame cut by the buckets of its wallets."""
    numbers = sorted({ids.bucket_of(each) for each in frame["proxy_wallet"]})
    return {
        partitions.bucket(number): frame.filter(ids.bucket_expr() == number) for number in numbers
    }


def write(root: Path, writer: int, seconds: float, barrier: Barrier) -> Done:
    """Append numbers that others append too, upsert wallets that others upsert too, or both."""
    lake, at, done = opened(root), random.Random(writer), Done()
    barrier.wait()
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        stamp = writer + turn / 1e6
        start = at.randrange(NUMBERS)
        numbers = list(range(start, min(start + 40, NUMBERS)))
        wallets = [wallet(number) for number in at.sample(range(WALLETS), 3)]
        append = {
            (WALLET_LOG, place): rows for place, rows in by_bucket(log(numbers, writer)).items()
        }
        upsert = {
            (WALLET_ROWS, place): rows for place, rows in by_bucket(lots(wallets, stamp)).items()
        }
        kind = at.choice(("append", "upsert", "both"))
        if kind != "upsert":
            done.given.update(numbers)
        commit = lake.commit(
            append=append if kind != "upsert" else {}, upsert=upsert if kind != "append" else {}
        )
        done.added += commit.rows(WALLET_LOG)
        if kind != "append":
            done.upserts |= dict.fromkeys(wallets, (commit.commit_id, stamp))
    return done


def fold(root: Path, seconds: float, barrier: Barrier) -> int:
    """Fold both tables again and again; partitions merged."""
    lake = opened(root)
    barrier.wait()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        count += lake.fold(WALLET_LOG) + lake.fold(WALLET_ROWS)
    return count


def sweep(root: Path, seconds: float, barrier: Barrier) -> int:
    """Sweep again and again, keeping nothing but what is pinned; files deleted."""
    lake = opened(root)
    barrier.wait()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        count += lake.sweep(keep_commits=1, keep_s=0).files
    return count


def check_whole(lake: Lake) -> tuple[pl.DataFrame, dict[int, float]]:
    """No number twice, every wallet with the rows of one upsert; the log, and stamps by wallet."""
    with lake.snapshot(pin=True) as now:
        found, rows = now.read(WALLET_LOG), now.read(WALLET_ROWS)
    assert found["number"].n_unique() == found.height
    wallets = rows.group_by("proxy_wallet").agg(
        pl.len(), pl.col("number").n_unique().alias("numbers"), pl.col("ratio").unique()
    )
    assert set(wallets["len"]) | set(wallets["numbers"]) <= {LOTS}
    assert set(wallets["ratio"].list.len()) <= {1}
    return found, dict(wallets.select("proxy_wallet", pl.col("ratio").list.first()).iter_rows())


def write_together(root: Path, seconds: float) -> None:
    """Eight processes for so long, watched meanwhile; then what they did is compared."""
    lake = opened(root)
    with SPAWN.Manager() as manager, ProcessPoolExecutor(WRITERS + 2, mp_context=SPAWN) as pool:
        barrier = manager.Barrier(WRITERS + 3)
        writers = [pool.submit(write, root, each, seconds, barrier) for each in range(WRITERS)]
        folds = pool.submit(fold, root, seconds, barrier)
        sweeps = pool.submit(sweep, root, seconds, barrier)
        barrier.wait()
        while not all(each.done() for each in writers):
            check_whole(lake)
        done = [each.result() for each in writers]
        folded, swept = folds.result(), sweeps.result()
    assert folded + lake.fold(WALLET_LOG) + lake.fold(WALLET_ROWS) > 0
    assert swept + lake.sweep(keep_commits=1, keep_s=0).files > 0
    found, stamps = check_whole(lake)
    assert set(found["number"]) == set().union(*(each.given for each in done))
    first = dict(found.group_by("writer").len().iter_rows())
    assert first == {writer: each.added for writer, each in enumerate(done) if each.added}
    last: dict[int, tuple[int, float]] = {}
    for each in done:
        for owner, upserted in each.upserts.items():
            last[owner] = max(upserted, last.get(owner, upserted))
    assert stamps == {owner: stamp for owner, (_, stamp) in last.items()}


def test_eight_processes_that_merge_into_the_same_buckets_lose_and_double_nothing(tmp_path: Path):
    write_together(tmp_path, 4.0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_processes_merging_for_a_minute_lose_and_double_nothing(tmp_path: Path):
    write_together(tmp_path, 60.0)
