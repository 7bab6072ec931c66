"""How much room a lake takes on disk, table by table.

Counts what lies there, whether a commit names it or not: what the next sweep deletes included.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluator.store.errors import mapped

_NO_TABLES = frozenset({"locks", "pins", "tmp"})


@dataclass(frozen=True, slots=True)
class TableUse:
    """Data files of one table and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Tables that have files, by name, and everything else: catalog, locks, spill."""

    tables: Mapping[str, TableUse]
    other_bytes: int

    @property
    def files(self) -> int:
        """Data files of all tables."""
        return sum(table.files for table in self.tables.values())

    @property
    def bytes(self) -> int:
        """All bytes under the root."""
        return self.other_bytes + sum(table.bytes for table in self.tables.values())

    def metadata(self) -> dict[str, int | dict[str, int]]:
        """Plain values for the metadata of a step."""
        return {
            "disk_bytes": self.bytes,
            "data_file_count": self.files,
            "other_bytes": self.other_bytes,
            "bytes_by_table": {name: table.bytes for name, table in self.tables.items()},
            "files_by_table": {name: table.files for name, table in self.tables.items()},
        }


def disk_use(root: Path) -> DiskUse:
    """What lies under the root of a lake now; nothing where there is none.

    Files that vanish while it counts, as those of a sweep, do not count.
    """
    with mapped(root):
        sizes = {path.name: list(_sizes(path)) for path in root.glob("*") if path.is_dir()}
        tables = {
            name: TableUse(len(found), sum(found))
            for name, found in sorted(sizes.items())
            if found and name not in _NO_TABLES
        }
        top = sum(_size(path) for path in root.glob("*") if path.is_file())
        other = sum(sum(found) for name, found in sizes.items() if name in _NO_TABLES)
        return DiskUse(tables, top + other)


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            yield _size(Path(place) / name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
