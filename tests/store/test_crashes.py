import random
import select
from pathlib import Path

import pytest

from evaluator.store.lake import Lake
from tests.store.processes import generation, generations_seen, opened, started

LONGEST_S = 0.12


def kill_a_writer(root: Path, at: random.Random) -> int:
    """Start a writer where the lake stands, kill it at a random moment; its last words."""
    lake = opened(root)
    first = max(generations_seen(lake), default=0) + 1
    with started("write_generations", root, first) as writer:
        assert writer.stdout is not None
        last = int(writer.stdout.readline())
        end = at.random() * LONGEST_S
        while select.select([writer.stdout], [], [], end)[0] and at.random() < 0.9:
            last = int(writer.stdout.readline())
        writer.kill()
        rest = writer.stdout.read().split()
    return int(rest[-1]) if rest and rest[-1].isdigit() else last


def check_the_last_complete_commit_is_there(root: Path, last: int) -> None:
    lake = opened(root)
    seen = generations_seen(lake)
    assert len(seen) == 1
    assert seen.pop() in (last, last + 1)


def check_nothing_is_left_of_the_dead(lake: Lake) -> None:
    lake.sweep(keep_commits=1, keep_s=0)
    with lake.snapshot() as now:
        named = {lake.root / entry.path for entry in now.entries}
    there = {path for path in lake.root.glob("*/**/*") if path.is_file()}
    assert {path for path in there if path.suffix in {".duckdb", ".tmp", ".wal"}} == named


def kill_and_check(root: Path, times: int, seed: int) -> None:
    at = random.Random(seed)
    for _ in range(times):
        last = kill_a_writer(root, at)
        check_the_last_complete_commit_is_there(root, last)
    lake = opened(root)
    check_nothing_is_left_of_the_dead(lake)
    following = generations_seen(lake).pop() + 1
    lake.commit(**generation(following))
    assert generations_seen(lake) == {following}


def test_a_killed_writer_leaves_the_last_complete_commit(tmp_path: Path):
    kill_and_check(tmp_path / "lake", times=3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_killed_writers_leave_the_last_complete_commit(tmp_path: Path):
    kill_and_check(tmp_path / "lake", times=50, seed=2)
