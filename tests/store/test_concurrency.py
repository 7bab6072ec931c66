import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.errors import TransientError
from evaluator.store import partitions
from evaluator.store.errors import LockTimeoutError
from evaluator.store.lake import Lake
from tests.store.processes import append_overlapping, generation, started, watch
from tests.store.sample_tables import HOLDINGS, NOTES, TABLES

SPAWN = multiprocessing.get_context("spawn")
WRITERS = 8
GENERATIONS = 200


def test_eight_processes_appending_overlapping_rows_lose_and_double_nothing(lake: Lake):
    with SPAWN.Manager() as manager, ProcessPoolExecutor(WRITERS, mp_context=SPAWN) as pool:
        barrier = manager.Barrier(WRITERS)
        running = [
            pool.submit(append_overlapping, lake.root, writer, barrier) for writer in range(WRITERS)
        ]
        added = sum(each.result() for each in running)
    with lake.snapshot() as now:
        numbers = now.read(NOTES)["number"].sort().to_list()
    assert numbers == list(range(240))
    assert added == 240


def test_readers_never_see_a_mix_of_commits(lake: Lake):
    with SPAWN.Manager() as manager, ProcessPoolExecutor(2, mp_context=SPAWN) as pool:
        barrier = manager.Barrier(3)
        readers = [pool.submit(watch, lake.root, GENERATIONS, barrier) for _ in range(2)]
        barrier.wait()
        for number in range(1, GENERATIONS + 1):
            lake.commit(**generation(number))
            if number % 20 == 0:
                lake.fold(NOTES)
                lake.fold(HOLDINGS)
                lake.sweep(keep_commits=20, keep_s=0)
        assert [each.result() for each in readers] == [[], []]


def test_who_holds_a_lock_for_too_long_is_named(tmp_path: Path):
    lake = Lake(tmp_path, tables=TABLES, views=(), lock_deadline_s=0.05)
    lock = lake.folder.partition_lock(NOTES, partitions.SINGLE)
    with started("hold", lock) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        rows = pl.DataFrame({"number": [1], "writer": [1]})
        with pytest.raises(LockTimeoutError) as caught:
            lake.commit(append={(NOTES, partitions.SINGLE): rows})
        holder.kill()
    assert str(caught.value) == f"waited 0.05 s for {lock}, held by process {holder.pid}"
    assert isinstance(caught.value, TransientError)
    assert lake.commit(append={(NOTES, partitions.SINGLE): rows}).rows() == 1
