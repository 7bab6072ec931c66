"""Which rows of which files stand for partitions: a whole file, or parts of one.

Entries that follow each other and lie in one file are read by one query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from evaluator.store.catalog import FileEntry
from evaluator.store.data_files import PART


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one data file; of its parts that are named, else all."""

    first: FileEntry
    parts: tuple[int, ...]

    @property
    def path(self) -> str:
        """The file."""
        return self.first.path

    @property
    def condition(self) -> str:
        """SQL that picks the parts; empty for a whole file.

        Ranges, because zone maps prune them: a row group has one part or few.
        """
        ranges = [f"{PART} BETWEEN {first} AND {last}" for first, last in _runs(self.parts)]
        return f"({' OR '.join(ranges)})" if ranges else ""

    def select(self, table: str, columns: Iterable[str], more: str = "") -> str:
        """A query for these columns of the rows; `more` goes after the columns."""
        names = ", ".join(f'"{name}"' for name in columns)
        where = f" WHERE {self.condition}" if self.parts else ""
        return f"SELECT {names}{more} FROM {table}{where}"


def sources(entries: Sequence[FileEntry], *, apart: bool = False) -> list[Source]:
    """The entries as queries in the same order; `apart` keeps one query for each."""
    if apart:
        return [_source([entry]) for entry in entries]
    return [_source(list(group)) for _, group in groupby(entries, key=lambda entry: entry.path)]


def _source(entries: Sequence[FileEntry]) -> Source:
    return Source(entries[0], tuple(entry.part for entry in entries if entry.part is not None))


def _runs(parts: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers that follow each other, as first and last."""
    found: list[tuple[int, int]] = []
    for part in parts:
        if found and part == found[-1][1] + 1:
            found[-1] = (found[-1][0], part)
        else:
            found.append((part, part))
    return found
