"""Years of daily partitions with few open files."""

import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.schema import DATE, Partitioning, Table
from evaluator.domain.tables.registry import TABLES as DECLARED
from evaluator.store import partitions
from evaluator.store.catalog import Change, Mode
from evaluator.store.lake import Lake
from tests.store.processes import started
from tests.store.sample_tables import CELLS, TABLES

LIMIT = 1024
WINDOWS = (7, 30, 90)
FIRST, TODAY = date(2023, 1, 1), date(2026, 1, 1)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="counts open files by /proc")


def cells(day: date, window: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "proxy_wallet": [1, 2],
            "on_date": [day] * 2,
            "window_days": [window] * 2,
            "ratio": [0.5, None],
        }
    )


def answers(root: Path, limit: int, *names: str) -> list[str]:
    """What a process says that may open so many files."""
    with started("ask_for_everything", root, limit, *names) as process:
        return process.communicate(timeout=600)[0].splitlines()


@on_linux
def test_days_of_three_windows_open_once_their_months_are_folded(tmp_path: Path):
    lake = Lake(tmp_path, threads=1, tables=TABLES, views=())
    days = [TODAY - timedelta(days=number) for number in range(1, 101)]
    rows = {
        (CELLS, partitions.day_window(day, window)): cells(day, window)
        for day in days
        for window in WINDOWS
    }
    lake.commit(replace=rows)
    problem = "QueryError: the query reads 300 files, and this process may not open as many"
    assert answers(tmp_path, 256, "cells") == [problem, "0", "[600]"]
    lake.fold_months(CELLS, TODAY)
    # Four month files, and yesterday in three of its own.
    assert answers(tmp_path, 256, "cells") == ["[600]", "600", "7", "[600]"]


def one_row(table: Table) -> pl.DataFrame:
    """Of the first day, with some value in every column that must have one."""
    values = {pl.Date: FIRST, pl.Boolean: True, pl.String: "x", pl.List: []}
    columns = {
        column.name: pl.Series(
            [None if column.null else _value(column.dtype.frame, values)],
            dtype=column.dtype.frame,
        )
        for column in table.columns
    }
    return pl.DataFrame(columns)


def _value(dtype: pl.DataType, values: dict) -> object:
    if isinstance(dtype, pl.Enum):
        return dtype.categories[0]
    if isinstance(dtype, pl.Datetime):
        return FIRST
    return values.get(type(dtype), 7)


def places(table: Table) -> list[str]:
    days = [FIRST + timedelta(days=number) for number in range((TODAY - FIRST).days)]
    if table.partitioned_by is Partitioning.DAY:
        return [partitions.day(day) for day in days]
    return [partitions.day_window(day, window) for day in days for window in WINDOWS]


def fill(lake: Lake, table: Table) -> int:
    """Three years of one table, of one row each; the same one, because files are copied."""
    rows = one_row(table)
    if table.partitioned_by is Partitioning.DAY_WINDOW:
        rows = rows.with_columns(pl.lit(WINDOWS[0], pl.Int32).alias("window_days"))
    every = places(table)
    lake.commit(replace={(table, every[0]): rows})
    (first,) = lake.root.glob(f"{table.name}/**/*.duckdb")
    changes = []
    for number, place in enumerate(every[1:]):
        path = lake.folder.partition_folder(table, place) / f"{number}.duckdb"
        path.parent.mkdir(parents=True)
        shutil.copyfile(first, path)
        name = path.relative_to(lake.root).as_posix()
        changes.append(Change(table, place, name, Mode.BASE, 1, path.stat().st_size))
    lake.folder.catalog.commit(changes, "copied")
    return len(every)


@on_linux
@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_three_years_of_every_daily_table_open_with_the_usual_limit(tmp_path: Path):
    lake = Lake(tmp_path, threads=1)
    daily = [
        table
        for table in DECLARED
        if table.partitioned_by in (Partitioning.DAY, Partitioning.DAY_WINDOW)
    ]
    assert any(column.dtype == DATE for table in daily for column in table.columns)
    counts = [fill(lake, table) for table in daily]
    files = 0
    for table in daily:
        lake.fold_months(table, TODAY)
        with lake.snapshot() as now:
            own = len({entry.path for entry in now.files(table)})
            assert own <= 40
            files += own
    lake.sweep(keep_commits=1, keep_s=0)
    names = [table.name for table in daily]
    found = answers(tmp_path, LIMIT, *names)
    assert found[:2] == [str(counts), str(sum(counts))]
    assert files < int(found[2]) + 3 < LIMIT
    assert found[3] == str(counts)
