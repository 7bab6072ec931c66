import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path

import duckdb
import polars as pl
import pytest

from evaluator.store.errors import LockTimeoutError
from evaluator.store.lake import Lake
from evaluator.store.published import write_sql_catalog
from tests.store.processes import opened, started
from tests.store.sample_tables import EVERY_TYPE, HOLDINGS, NOTES, TABLES
from tests.store.test_identifiers import row as every_type_row

SPAWN = multiprocessing.get_context("spawn")
WRITERS, ROUNDS = 3, 8


def note(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number], "writer": [number]})


def published(path: Path, query: str) -> list:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def publish_often(root: Path, path: Path, writer: int, barrier: Barrier) -> list[int]:
    """Commit and publish in turns with others; the ids published."""
    lake = opened(root)
    ids = []
    for number in range(writer * ROUNDS, (writer + 1) * ROUNDS):
        barrier.wait()
        lake.commit(append={(NOTES, "all"): note(number)})
        ids.append(write_sql_catalog(lake, path))
    return ids


def test_any_client_opens_views_over_the_newest_commit(lake: Lake, tmp_path: Path):
    path = tmp_path / "evaluator.duckdb"
    frame = every_type_row(1, an_id="0xaa", money_usdc=1_500_000, side="SELL")
    lake.commit(replace={(EVERY_TYPE, "all"): frame}, append={(NOTES, "all"): note(1)})
    assert write_sql_catalog(lake, path) == 1
    assert published(path, "SELECT an_id, money_usdc, side FROM every_type") == [
        ("0xaa", Decimal("1.500000"), "SELL")
    ]
    assert published(path, "SELECT count(*) FROM holdings") == [(0,)]
    comment = "SELECT comment FROM duckdb_views() WHERE view_name = 'notes'"
    assert published(path, comment) == [(NOTES.grain,)]


def test_superseded_rows_are_not_shown(lake: Lake, tmp_path: Path):
    path = tmp_path / "evaluator.duckdb"
    for amount in (1, 2):
        rows = pl.DataFrame({"owner": [1], "item": [amount], "amount": [amount]})
        lake.commit(upsert={(HOLDINGS, "all"): rows})
    write_sql_catalog(lake, path)
    assert published(path, "FROM holdings") == [(1, 2, 2)]


def test_its_commit_is_kept_until_it_is_written_again(lake: Lake, tmp_path: Path):
    path = tmp_path / "evaluator.duckdb"
    lake.commit(replace={(NOTES, "all"): note(1)})
    write_sql_catalog(lake, path)
    lake.commit(replace={(NOTES, "all"): note(2)})
    assert lake.sweep(keep_commits=1, keep_s=0).files == 0
    assert published(path, "SELECT number FROM notes") == [(1,)]
    write_sql_catalog(lake, path)
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    assert published(path, "SELECT number FROM notes") == [(2,)]
    assert [each.name for each in tmp_path.glob("*evaluator*")] == ["evaluator.duckdb"]


def test_of_writers_at_once_the_last_shows_the_newest_commit_and_holds_it(
    lake: Lake, tmp_path: Path
):
    path = tmp_path / "evaluator.duckdb"
    with SPAWN.Manager() as manager, ProcessPoolExecutor(WRITERS, mp_context=SPAWN) as pool:
        barrier = manager.Barrier(WRITERS)
        running = [
            pool.submit(publish_often, lake.root, path, writer, barrier)
            for writer in range(WRITERS)
        ]
        ids = [each.result() for each in running]
    newest = WRITERS * ROUNDS
    assert all(each == sorted(each) for each in ids)
    assert max(each[-1] for each in ids) == lake.latest_commit_id() == newest
    lake.fold(NOTES)
    lake.commit(replace={(NOTES, "all"): note(0)})
    lake.sweep(keep_commits=1, keep_s=0)
    assert published(path, "SELECT count(*) FROM notes") == [(newest,)]


def test_a_writer_waits_its_turn_and_reads_the_newest_commit_in_it(lake: Lake, tmp_path: Path):
    path = tmp_path / "evaluator.duckdb"
    lake.commit(replace={(NOTES, "all"): note(1)})
    write_sql_catalog(lake, path)
    lake.commit(replace={(NOTES, "all"): note(2)})
    hasty = Lake(lake.root, tables=TABLES, views=(), lock_deadline_s=0.05)
    with started("hold", lake.root / "locks" / "sql_catalog.lock") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockTimeoutError, match=f"held by process {holder.pid}$"):
            write_sql_catalog(hasty, path)
        holder.kill()
    assert lake.sweep(keep_commits=1, keep_s=0).files == 0
    assert published(path, "SELECT number FROM notes") == [(1,)]
    assert write_sql_catalog(hasty, path) == 2


def test_a_folder_may_have_an_apostrophe_in_its_name(tmp_path: Path):
    folder = tmp_path / "a trader's home"
    lake = Lake(folder / "lake", tables=TABLES, views=())
    lake.commit(replace={(NOTES, "all"): note(1)})
    write_sql_catalog(lake, folder / "evaluator.duckdb")
    assert published(folder / "evaluator.duckdb", "SELECT number FROM notes") == [(1,)]
