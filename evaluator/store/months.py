"""Sealed days of daily tables as month files: many partitions, few open files.

A month file holds several partitions, numbered; each has its own entry in the catalog. Files of
a month are merged while that is cheap, and wholly once the month is over, so a row is rewritten
a few times and a month ends as one file.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from evaluator.domain.schema import Partitioning, Table
from evaluator.store import data_files, partitions
from evaluator.store.catalog import FileEntry, Folding
from evaluator.store.errors import mapped
from evaluator.store.folder import Folder
from evaluator.store.reading import Reading

SEALED_DAYS = 2
SMALL_BYTES = 64 << 20
"""A file up to this size is rewritten whenever a day joins its month."""

_DAILY = (Partitioning.DAY, Partitioning.DAY_WINDOW)

Days = Mapping[str, Sequence[FileEntry]]
"""Files by partition."""


@dataclass(frozen=True, slots=True)
class MonthsFolded:
    """What was merged: months, partitions, the files they lay in, bytes written."""

    months: int = 0
    partitions: int = 0
    files: int = 0
    bytes: int = 0

    def __add__(self, other: "MonthsFolded") -> "MonthsFolded":
        return MonthsFolded(
            self.months + other.months,
            self.partitions + other.partitions,
            self.files + other.files,
            self.bytes + other.bytes,
        )


def fold_months(folder: Folder, table: Table, today: date, sealed_days: int) -> MonthsFolded:
    """Merge the files of each month of a daily table, as far as it is sealed and worth it.

    No lock of a partition is held: one that is replaced or dropped meanwhile is passed over,
    and what is added to one meanwhile stays behind its part of the month file. Days of another
    schema version stay as they are: only their readers can say what to do.
    """
    if sealed_days < SEALED_DAYS:
        problem = f"today and yesterday are never sealed: {sealed_days} days are too few"
        raise ValueError(problem)
    if table.partitioned_by not in _DAILY:
        return MonthsFolded()
    last = today - timedelta(days=sealed_days)
    _, entries = folder.catalog.snapshot(tables={table.name})
    found = {month for entry in entries if (month := _sealed_month(entry, last))}
    return sum((_fold_month(folder, table, each, last) for each in sorted(found)), MonthsFolded())


def _fold_month(folder: Folder, table: Table, month: date, last: date) -> MonthsFolded:
    """One commit for the month, or none. Behind the gate, so that no sweep takes its files."""
    with mapped(folder.root), folder.writing():
        _, entries = folder.catalog.snapshot(tables={table.name})
        drifted = {each.partition for each in entries if each.schema_version != table.version}
        mine = [
            entry
            for entry in entries
            if entry.partition not in drifted and _sealed_month(entry, last) == month
        ]
        days = worth_merging(mine, _sizes(folder, mine), is_over=_end(month) <= last)
        if not days:
            return MonthsFolded()
        return _merge(folder, table, month, days)


def _merge(folder: Folder, table: Table, month: date, days: Days) -> MonthsFolded:
    name = f"month={month:%Y-%m}"
    entries = [entry for files in days.values() for entry in files]
    written = data_files.write_parts(
        folder.writer(table),
        folder.root / table.name / name,
        table,
        _frames(folder, table, days),
        sum(entry.rows for entry in entries),
    )
    folder.catalog.fold(_foldings(folder, written, days), f"fold {table.name} {name}")
    files = len({entry.path for entry in entries})
    return MonthsFolded(1, len(days), files, written.file.bytes)


def _frames(folder: Folder, table: Table, days: Days) -> Iterator[tuple[str, pl.DataFrame]]:
    """One partition in memory at a time."""
    for partition, files in days.items():
        yield partition, folder.reader.frame(files, Reading(table))


def _foldings(folder: Folder, written: data_files.WrittenParts, days: Days) -> list[Folding]:
    path = written.file.path.relative_to(folder.root).as_posix()
    shares = _shares(written.file.bytes, tuple(written.rows.values()))
    return [
        Folding(days[partition], path, rows, share, part)
        for part, ((partition, rows), share) in enumerate(
            zip(written.rows.items(), shares, strict=True)
        )
    ]


def _shares(size: int, rows: Sequence[int]) -> list[int]:
    """The size divided by rows, to the last byte; evenly where there are none.

    >>> _shares(100, (1, 1, 1))
    [33, 33, 34]
    """
    weights = rows if any(rows) else (1,) * len(rows)
    ends = [size * sum(weights[: end + 1]) // sum(weights) for end in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def worth_merging(entries: Iterable[FileEntry], sizes: Mapping[str, int], *, is_over: bool) -> Days:
    """Partitions to merge, by name; none where there would be as many files as before.

    Smaller files first: one joins while it is small, or not larger than what joined before it.
    A file of which less than half is still in use joins, if only to be rewritten.
    """
    days: dict[str, list[FileEntry]] = defaultdict(list)
    live: dict[str, int] = defaultdict(int)
    for entry in entries:
        days[entry.partition].append(entry)
        live[entry.path] += entry.bytes
    joined: set[str] = set()
    total = 0
    for path in sorted(live, key=lambda path: (live[path], path)):
        if is_over or live[path] <= max(SMALL_BYTES, total):
            joined.add(path)
            total += live[path]
    wasted = {path for path in live if 2 * live[path] < sizes.get(path, 0)}
    chosen = {
        partition: files
        for partition, files in sorted(days.items())
        if joined.union(wasted).issuperset(entry.path for entry in files)
    }
    paths = {entry.path for files in chosen.values() for entry in files}
    return chosen if len(paths) > 1 or paths & wasted else {}


def _sizes(folder: Folder, entries: Iterable[FileEntry]) -> dict[str, int]:
    """Bytes of the files that hold several partitions, those included that are gone."""
    paths = {entry.path for entry in entries if entry.part is not None}
    return {path: _size(folder.root / path) for path in paths}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0  # a missing file is named when it is read


def _sealed_month(entry: FileEntry, last: date) -> date | None:
    day = partitions.day_of(entry.partition)
    return day.replace(day=1) if day <= last else None


def _end(month: date) -> date:
    """Last day of the month."""
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
