"""Fold and sweep: fewer files with the same content, and no files that nobody can read."""

import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from evaluator.domain.schema import Table
from evaluator.store import data_files, locks
from evaluator.store.catalog import FileEntry, Folding
from evaluator.store.errors import mapped
from evaluator.store.folder import Folder
from evaluator.store.reading import Reading

_SPILL_KEPT_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep deleted."""

    files: int
    bytes: int


def fold(folder: Folder, table: Table, partitions: Collection[str] | None, more_than: int) -> int:
    """Merge the files of each partition that has many; partitions changed meanwhile too.

    No lock is held: deltas committed meanwhile stay behind the merged file, and a partition
    replaced meanwhile is passed over. One of another schema version stays as it is.
    """
    found = crowded(folder, table, more_than)
    chosen = [name for name in found if partitions is None or name in partitions]
    for partition in chosen:
        _fold_partition(folder, table, partition)
    return len(chosen)


def crowded(folder: Folder, table: Table, more_than: int) -> list[str]:
    """Partitions of more files than that, all of the declared schema version."""
    _, entries = folder.catalog.snapshot(tables={table.name})
    return [
        partition
        for partition, files in _by_partition(entries).items()
        if len(files) > more_than and all(entry.schema_version == table.version for entry in files)
    ]


def _fold_partition(folder: Folder, table: Table, partition: str) -> None:
    """One commit. Behind the gate, so that no sweep takes the files that are being read."""
    with mapped(folder.root), folder.writing():
        _, entries = folder.catalog.snapshot(tables={table.name})
        files = _by_partition(entries).get(partition, [])
        if len(files) < 2:  # noqa: PLR2004 - another process has folded them
            return
        rows = folder.reader.frame(files, Reading(table))
        place = folder.partition_folder(table, partition)
        written = data_files.write(folder.writer(table), place, table, rows)
        path = written.path.relative_to(folder.root).as_posix()
        folding = Folding(files, path, written.rows, written.bytes)
        folder.catalog.fold([folding], f"fold {table.name} {partition}")


def _by_partition(entries: Sequence[FileEntry]) -> dict[str, list[FileEntry]]:
    return {
        name: list(group) for name, group in groupby(entries, key=lambda entry: entry.partition)
    }


def sweep(folder: Folder, *, keep_commits: int, keep_s: float) -> Swept:
    """Delete data files that no kept commit names, and temporary ones.

    Alone behind the gate, so every file without a commit was left by a dead writer.
    """
    since = datetime.now(UTC) - timedelta(seconds=keep_s)
    with mapped(folder.root), folder.sweeping():
        kept = folder.catalog.kept_commits(last=keep_commits, since=since)
        kept |= locks.pinned_commits(folder.pins)
        named = {folder.root / path for path in folder.catalog.paths_at(kept)}
        garbage = [path for path in _data_files(folder) if path not in named]
        size = sum(path.stat().st_size for path in garbage)
        data_files.discard(garbage)
        folder.catalog.forget(kept)
        _sweep_spill(folder.spill)
        return Swept(len(garbage), size)


def _data_files(folder: Folder) -> Iterator[Path]:
    """Published and temporary files of all tables, whether declared or not."""
    for pattern in ("*.duckdb", f"*{data_files.TEMPORARY}", f"*{data_files.TEMPORARY}.wal"):
        for path in folder.root.glob(f"*/**/{pattern}"):
            if not path.is_relative_to(folder.spill):
                yield path


def _sweep_spill(spill: Path) -> None:
    """Delete what readers that died a day ago or earlier had set aside."""
    oldest = time.time() - _SPILL_KEPT_S
    for path in spill.glob("*"):
        if path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)
