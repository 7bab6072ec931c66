from pathlib import Path

import polars as pl
import pytest

from evaluator.store import data_files
from evaluator.store.catalog import Folding
from evaluator.store.errors import SweptCommitError
from evaluator.store.lake import Lake
from evaluator.store.reading import Reading
from tests.store.processes import started
from tests.store.sample_tables import HOLDINGS, NOTES, TABLES


def note(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number], "writer": [number]})


def files(lake: Lake, table: str = "notes") -> set[Path]:
    return set(lake.root.glob(f"{table}/**/*.duckdb"))


def test_a_fold_leaves_one_file_and_the_same_content(lake: Lake):
    for number in (3, 1, 2):
        lake.commit(append={(NOTES, "all"): note(number)})
    with lake.snapshot() as before:
        assert lake.fold(NOTES) == 1
        with lake.snapshot() as after:
            assert len(after.entries) == 1
            assert after.content_hash(NOTES) == before.content_hash(NOTES)
            assert after.read(NOTES)["number"].to_list() == [1, 2, 3]
    assert lake.fold(NOTES) == 0


def test_only_partitions_of_more_files_than_asked_for_are_folded(lake: Lake):
    for number in range(4):
        lake.commit(append={(NOTES, "all"): note(number)})
    assert lake.crowded(NOTES, 4) == []
    assert lake.fold(NOTES, more_than=4) == 0
    assert lake.crowded(NOTES, 3) == ["all"]
    assert lake.fold(NOTES, more_than=3) == 1
    assert lake.crowded(NOTES, 1) == []


def test_a_delta_committed_during_a_fold_stays(lake: Lake):
    for number in (1, 2):
        lake.commit(append={(NOTES, "all"): note(number)})
    _, entries = lake.folder.catalog.snapshot()
    lake.commit(append={(NOTES, "all"): note(3)})
    fold_as_of(lake, entries)
    with lake.snapshot() as now:
        assert [entry.rows for entry in now.entries] == [2, 1]
        assert now.read(NOTES)["number"].to_list() == [1, 2, 3]


def test_a_partition_replaced_during_a_fold_stays_replaced(lake: Lake):
    for number in (1, 2):
        lake.commit(append={(NOTES, "all"): note(number)})
    _, entries = lake.folder.catalog.snapshot()
    lake.commit(replace={(NOTES, "all"): note(9)})
    fold_as_of(lake, entries)
    with lake.snapshot() as now:
        assert now.read(NOTES)["number"].to_list() == [9]


def fold_as_of(lake: Lake, entries: list) -> None:
    """What `fold` does after it has read these files."""
    folder = lake.folder
    rows = folder.reader.frame(entries, Reading(NOTES))
    place = folder.partition_folder(NOTES, "all")
    written = data_files.write(folder.writer(NOTES), place, NOTES, rows)
    path = written.path.relative_to(lake.root).as_posix()
    folder.catalog.fold([Folding(entries, path, written.rows, written.bytes)], "fold")


def test_a_sweep_deletes_what_no_recent_snapshot_names(lake: Lake):
    for number in range(5):
        lake.commit(replace={(NOTES, "all"): note(number)})
    assert lake.sweep().files == 0
    assert lake.sweep(keep_commits=2, keep_s=0).files == 3
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    with lake.snapshot() as now:
        assert now.read(NOTES)["number"].to_list() == [4]


def test_a_sweep_keeps_what_was_the_newest_within_the_time_given(lake: Lake):
    for number in range(3):
        lake.commit(replace={(NOTES, "all"): note(number)})
    assert lake.sweep(keep_commits=1, keep_s=3600).files == 0


def test_a_pinned_snapshot_outlives_sweeps_until_it_is_closed(lake: Lake):
    lake.commit(replace={(NOTES, "all"): note(1)})
    with lake.snapshot(pin=True) as pinned:
        lake.commit(replace={(NOTES, "all"): note(2)})
        lake.commit(replace={(NOTES, "all"): note(3)})
        assert lake.sweep(keep_commits=1, keep_s=0).files == 1
        assert pinned.read(NOTES)["number"].to_list() == [1]
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    assert not list(lake.root.glob("pins/*"))


def test_the_pin_of_a_living_process_counts_and_that_of_a_dead_one_does_not(lake: Lake):
    lake.commit(replace={(NOTES, "all"): note(1)})
    with started("pin", lake.root) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "1\n"
        lake.commit(replace={(NOTES, "all"): note(2)})
        assert lake.sweep(keep_commits=1, keep_s=0).files == 0
        reader.kill()
    assert len(list(lake.root.glob("pins/*"))) == 1
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    assert not list(lake.root.glob("pins/*"))


def test_a_sweep_deletes_files_without_a_commit(lake: Lake):
    lake.commit(replace={(NOTES, "all"): note(1)})
    (kept,) = files(lake)
    for name in ("left.duckdb", "left.tmp", "left.tmp.wal"):
        (kept.parent / name).write_bytes(b"x")
    assert lake.sweep().files == 3
    assert files(lake) == {kept}


def test_a_sweep_keeps_tables_that_this_version_does_not_know(lake: Lake):
    lake.commit(replace={(HOLDINGS, "all"): HOLDINGS.schema.to_frame()})
    narrow = Lake(lake.root, tables=(NOTES,), views=())
    assert narrow.sweep(keep_commits=1, keep_s=0).files == 0
    assert len(files(lake, "holdings")) == 1


def test_the_catalog_forgets_swept_files(lake: Lake):
    for number in range(10):
        lake.commit(replace={(NOTES, "all"): note(number)})
    lake.sweep(keep_commits=1, keep_s=0)
    with lake.folder.catalog._reading() as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (1,)
    assert Lake(lake.root, tables=TABLES, views=()).latest_commit_id() == 10


def test_a_held_commit_is_read_after_sweeps_and_one_between_is_refused(lake: Lake):
    for number in (1, 2, 3):
        lake.commit(replace={(NOTES, "all"): note(number)})
    lake.hold("report", 1)
    assert lake.sweep(keep_commits=1, keep_s=0).files == 1
    with lake.snapshot(at=1) as held, lake.snapshot(at=3) as newest:
        assert held.read(NOTES)["number"].to_list() == [1]
        assert newest.read(NOTES)["number"].to_list() == [3]
    for gone in (2, 9):
        with pytest.raises(SweptCommitError, match=f"commit {gone} is not in the catalog"):
            lake.snapshot(at=gone)
    assert lake.commit(replace={(NOTES, "all"): note(4)}).commit_id == 4
