from pathlib import Path

import polars as pl

from evaluator.store.disk import DiskUse, TableUse, disk_use
from evaluator.store.lake import Lake
from tests.store.sample_tables import HOLDINGS, NOTES


def note(number: int) -> pl.DataFrame:
    return pl.DataFrame({"number": [number], "writer": [number]})


def test_the_bytes_of_each_table_and_of_all_are_those_on_disk(lake: Lake):
    for number in (1, 2):
        lake.commit(append={(NOTES, "all"): note(number)})
    lake.commit(replace={(HOLDINGS, "all"): HOLDINGS.schema.to_frame()})
    use = disk_use(lake.root)
    with lake.snapshot() as now:
        named = sum(entry.bytes for entry in now.files(NOTES))
    assert use.tables["notes"] == TableUse(2, named)
    assert list(use.tables) == ["holdings", "notes"]
    assert use.files == 3
    assert use.bytes == sum(path.stat().st_size for path in lake.root.rglob("*") if path.is_file())
    assert use.metadata()["bytes_by_table"] == {
        name: table.bytes for name, table in use.tables.items()
    }


def test_what_the_next_sweep_deletes_counts_until_then(lake: Lake):
    for number in (1, 2):
        lake.commit(replace={(NOTES, "all"): note(number)})
    assert disk_use(lake.root).tables["notes"].files == 2
    lake.sweep(keep_commits=1, keep_s=0)
    assert disk_use(lake.root).tables["notes"].files == 1


def test_where_there_is_no_lake_nothing_is_used(tmp_path: Path):
    assert disk_use(tmp_path / "nowhere") == DiskUse({}, 0)
