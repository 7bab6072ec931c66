"""Where the newest answer lies: days and windows that have been computed, texts of ids."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import polars as pl

from evaluator.domain.errors import InvalidArgumentError, PermanentError
from evaluator.domain.schema import Table
from evaluator.store import partitions
from evaluator.store.internal_tables import IDENTIFIERS
from evaluator.store.snapshot import Snapshot


class NoDataError(PermanentError):
    """Nothing has been computed yet."""

    code = "no_data"
    hint = "make run"

    def __init__(self, home: Path) -> None:
        self.home = home
        super().__init__(f"there are no tables in {home} yet")


class NotComputedError(PermanentError):
    """The table has no partition yet."""

    code = "not_computed"
    hint = "make run"

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(f"{table} has not been computed yet")


def days(now: Snapshot, table: Table) -> list[date]:
    """Days of a table by day, or by day and window, oldest first."""
    names = (name.removeprefix("date=").partition("/")[0] for name in now.partitions(table))
    return sorted({date.fromisoformat(name) for name in names})


def newest_day(now: Snapshot, table: Table) -> date:
    """The last day computed; raises NotComputedError where there is none."""
    known = days(now, table)
    if not known:
        raise NotComputedError(table.name)
    return known[-1]


def windows(now: Snapshot, table: Table, day: date) -> list[int]:
    """Windows computed for a day, shortest first."""
    start = f"{partitions.day(day)}/window="
    names = (name for name in now.partitions(table) if name.startswith(start))
    return sorted(int(name.removeprefix(start)) for name in names)


def cell(now: Snapshot, table: Table, window: int, day: date | None = None) -> str:
    """The partition of a day (the newest where None) and window.

    Raises InvalidArgumentError, with what there is, where it has not been computed.
    """
    on = _known_day(now, table, day)
    known = windows(now, table, on)
    if window not in known:
        there = ", ".join(str(each) for each in known)
        raise InvalidArgumentError(
            "--window", window, f"not computed for {on}", f"there are {there}"
        )
    return partitions.day_window(on, window)


def _known_day(now: Snapshot, table: Table, day: date | None) -> date:
    newest = newest_day(now, table)
    if day is None or day in (known := days(now, table)):
        return day or newest
    hint = f"there are {known[0]} to {newest}" if len(known) > 1 else f"there is {newest}"
    raise InvalidArgumentError("--day", day.isoformat(), f"{table.name} has no such day", hint)


def day_partition(now: Snapshot, table: Table, day: date | None = None) -> tuple[date, str]:
    """A day (the newest where None) and its partition; raises as `cell`."""
    on = _known_day(now, table, day)
    return on, partitions.day(on)


def texts(now: Snapshot, keys: Iterable[int | None]) -> dict[int, str]:
    """The texts of a few surrogates."""
    wanted = sorted({key for key in keys if key is not None})
    if not wanted:
        return {}
    marks = ", ".join("?" * len(wanted))
    rows = now.read(IDENTIFIERS, where=f"key IN ({marks})", parameters=wanted)
    return dict(rows.select("key", "text").iter_rows())


def in_words(now: Snapshot, rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Columns of surrogates as the texts they stand for."""
    known = texts(now, (key for column in columns for key in rows[column].unique()))
    return rows.with_columns(
        pl.col(column).replace_strict(known, default=None, return_dtype=pl.String)
        for column in columns
    )
