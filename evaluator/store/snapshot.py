"""A snapshot: the files of one commit, and everything that is read through them."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, groupby
from types import TracebackType
from typing import Self

import polars as pl
from polars.io.plugins import register_io_source

from evaluator.domain.schema import Table
from evaluator.domain.tables.registry import OUTSIDE
from evaluator.store import content_hash, outside, views
from evaluator.store.catalog import FileEntry
from evaluator.store.folder import Folder
from evaluator.store.internal_tables import IDENTIFIERS
from evaluator.store.reading import Reading
from evaluator.store.sandbox import Sandbox, UnopenedError

_HASHED_AT_ONCE = 2
_SANDBOXES_KEPT = 4
_FILES_KEPT = 512
"""Attached in all sandboxes together, unless one query needs more."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A sandbox, the tables whose files it has attached, and how many files these are."""

    form: str
    opened: frozenset[str]
    files: int
    sandbox: Sandbox


class Snapshot:
    """All tables as one commit left them. Use as a context manager.

    Frames of `scan` must be collected inside. A snapshot without pin stays readable for as
    long as `sweep` keeps recent commits; one with a pin for as long as it is open.
    """

    def __init__(
        self,
        folder: Folder,
        commit_id: int,
        entries: Sequence[FileEntry],
        *,
        release: Callable[[], None] | None = None,
        outside: outside.Sources = outside.NOTHING,
    ) -> None:
        self.commit_id = commit_id
        self.entries = tuple(entries)
        self._folder, self._outside = folder, outside
        self._files = {
            name: tuple(group) for name, group in groupby(entries, key=lambda entry: entry.table)
        }
        self._sandboxes: list[_Kept] = []
        self._starting = threading.Lock()
        self._open = ExitStack()
        if release:
            self._open.callback(release)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the pin and the connections; twice is once."""
        with self._starting:
            for kept in self._sandboxes:
                kept.sandbox.close()
            self._sandboxes.clear()
        self._open.close()

    def files(
        self, table: Table, partitions: Collection[str] | None = None
    ) -> tuple[FileEntry, ...]:
        """Files of a table in reading order; of all its partitions where none are named."""
        files = self._files.get(table.name, ())
        if partitions is None:
            return files
        return tuple(entry for entry in files if entry.partition in partitions)

    def partitions(self, table: Table) -> tuple[str, ...]:
        """Partitions that have been written, in order; some may have no rows."""
        return tuple(dict.fromkeys(entry.partition for entry in self.files(table)))

    def version(self, table: Table, partitions: Collection[str] | None = None) -> int:
        """The newest commit that changed the content; 0 where nothing was ever written."""
        return max((entry.content_commit for entry in self.files(table, partitions)), default=0)

    def scan(
        self,
        table: Table,
        *,
        partitions: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Sequence[object] = (),
    ) -> pl.LazyFrame:
        """Rows of a table in its declared schema, in the order of files.

        Only the columns that the frame's query uses are read. `where` is SQL over stored
        columns (surrogates, micro-units, codes) with `?` for parameters.
        """
        files = self.files(table, partitions)
        schema = Reading(table, _names(columns)).schema

        def read(
            with_columns: list[str] | None,
            predicate: pl.Expr | None,
            n_rows: int | None,
            _batch_size: int | None,
        ) -> Iterator[pl.DataFrame]:
            names = tuple(schema) if with_columns is None else tuple(with_columns)
            what = Reading(table, names, where or "", tuple(parameters))
            left = n_rows
            for frame in (what.schema.to_frame(), *self._folder.reader.frames(files, what)):
                rows = frame if predicate is None else frame.filter(predicate)
                rows = rows.head(left) if left is not None else rows
                yield rows
                left = left - rows.height if left is not None else None
                if left == 0:
                    return

        return register_io_source(read, schema=schema, is_pure=True)

    def read(
        self,
        table: Table,
        *,
        partitions: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        parameters: Sequence[object] = (),
    ) -> pl.DataFrame:
        """What `scan` gives, collected."""
        what = Reading(table, _names(columns), where or "", tuple(parameters))
        return self._folder.reader.frame(self.files(table, partitions), what)

    def texts(self) -> pl.DataFrame:
        """What surrogates stand for: columns key and text."""
        return self.read(IDENTIFIERS)

    def sql(
        self, query: str, parameters: Sequence[object] = (), *, timeout_s: float | None = None
    ) -> pl.DataFrame:
        """Read-only SQL over views of all tables in shown form, and the declared views.

        Tables outside the lake are not of the commit: they are read when a query names them.
        """
        return self._answer("shown", query, parameters, timeout_s)

    def stored_sql(self, query: str, parameters: Sequence[object] = ()) -> pl.DataFrame:
        """Read-only SQL over all tables in stored form: for aggregates inside the project."""
        return self._answer("stored", query, parameters, None)

    def content_hash(self, table: Table, partition: str | None = None) -> str:
        """Digest of the rows of a table, or of one partition; equal hash means equal content."""
        names = self.partitions(table) if partition is None else (partition,)
        columns = content_hash.counted_columns(table)

        def hashed(name: str) -> str:
            rows = self.read(table, partitions=[name], columns=columns)
            return content_hash.hash_rows(table, rows)

        with ThreadPoolExecutor(_HASHED_AT_ONCE) as pool:
            return content_hash.combine(dict(zip(names, pool.map(hashed, names), strict=True)))

    def _answer(
        self, form: str, query: str, parameters: Sequence[object], timeout_s: float | None
    ) -> pl.DataFrame:
        """With the files of the tables that the query names, else with those of all."""
        tables, declared = self._folder.tables, self._folder.views
        if form == "shown":
            tables = (*tables, *OUTSIDE)
        named = views.read_by(query, tables, declared if form == "shown" else ())
        try:
            return self._sandbox(form, named).sql(query, parameters, timeout_s=timeout_s)
        except UnopenedError:
            every = frozenset(table.name for table in (*tables, IDENTIFIERS))
            return self._sandbox(form, every).sql(query, parameters, timeout_s=timeout_s)

    def _sandbox(self, form: str, named: frozenset[str]) -> Sandbox:
        """One that has attached the files of these tables at least.

        Those let go are closed by the last query that still runs in them.
        """
        with self._starting:
            for kept in self._sandboxes:
                if kept.form == form and kept.opened >= named:
                    return kept.sandbox
            count = len({each.path for name in named for each in self._files.get(name, ())})
            self._let_go(count)
            sandbox = self._made_sandbox(form, named)
            self._sandboxes.append(_Kept(form, named, count, sandbox))
            return sandbox

    def _let_go(self, files: int) -> None:
        """Make room for one more sandbox: the oldest go first."""
        kept = self._sandboxes
        while kept and (
            len(kept) >= _SANDBOXES_KEPT or files + sum(one.files for one in kept) > _FILES_KEPT
        ):
            del kept[0]

    def _made_sandbox(self, form: str, named: frozenset[str]) -> Sandbox:
        tables = self._folder.tables
        files = {
            table.name: self.files(table) if table.name in named else None
            for table in (*tables, IDENTIFIERS)
        }
        named_paths = dict.fromkeys(entry.path for group in files.values() for entry in group or ())
        names = {path: f"f{number}" for number, path in enumerate(named_paths)}

        def inside(path: str, name: str) -> str:
            return f'{names[path]}."{name}"'

        paths = [self._folder.root / path for path in names]
        threads, memory_limit = self._folder.threads, self._folder.memory_limit
        if form == "stored":
            statements = views.stored_views(tables, files, inside)
            return Sandbox(paths, statements, threads=threads, memory_limit=memory_limit)
        with outside.copied(self._outside, named, threads, memory_limit) as copy:
            statements = chain(
                views.shown_views(tables, self._folder.views, files, inside),
                views.outside_views(OUTSIDE, self._outside, named, f"f{len(paths)}"),
            )
            paths += [copy] if copy else []
            return Sandbox(paths, statements, threads=threads, memory_limit=memory_limit)


def _names(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if columns is None else tuple(columns)
