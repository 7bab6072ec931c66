"""Rows of data files as frames in the declared schema.

Superseded rows are resolved away, row order is kept (base first, then deltas), damaged and
foreign files are named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import duckdb
import polars as pl

from evaluator.domain.schema import Table
from evaluator.store.catalog import FileEntry, Mode
from evaluator.store.data_files import META, SCOPES
from evaluator.store.engine import Engine
from evaluator.store.errors import (
    DamagedFileError,
    MissingFileError,
    QueryError,
    SchemaVersionError,
    first_line,
    foreign,
)
from evaluator.store.sources import Source, sources

ROWS_AT_ONCE = 2_000_000
"""Files are read together up to about this many rows; a larger file is read alone."""

FILES_AT_ONCE = 128
"""Files that one statement reads: each takes a descriptor while it is attached."""

_SEQ = "_seq"


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read of a table: columns (all where None) and a SQL condition on stored ones."""

    table: Table
    columns: tuple[str, ...] | None = None
    where: str = ""
    parameters: tuple[object, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the result, in order."""
        return tuple(self.table.schema) if self.columns is None else self.columns

    @property
    def schema(self) -> pl.Schema:
        """Schema of the result."""
        return pl.Schema({name: self.table.schema[name] for name in self.names})


def scope_of(table: Table) -> tuple[str, ...]:
    """Columns by which an upsert supersedes older rows."""
    return table.upsert_scope or table.key


class Reader:
    """Reads files of one lake folder."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self._root, self._engine = root, engine
        self._checked: set[str] = set()

    def frames(self, entries: Sequence[FileEntry], what: Reading) -> Iterator[pl.DataFrame]:
        """Frames of all rows, partition by partition, each of bounded size where files are."""
        plain = _Batch()
        for _, group in groupby(entries, key=lambda entry: entry.partition):
            files = list(group)
            resolves = any(entry.mode is Mode.UPSERT for entry in files[1:])
            if plain.entries and (resolves or plain.is_too_small_for(files)):
                yield self._read(plain.entries, what)
                plain = _Batch()
            if resolves:
                yield self._resolved(files, what)
            else:
                plain.add(files)
        if plain.entries:
            yield self._read(plain.entries, what)

    def frame(self, entries: Sequence[FileEntry], what: Reading) -> pl.DataFrame:
        """All rows in one frame."""
        return pl.concat([what.schema.to_frame(), *self.frames(entries, what)])

    def _resolved(self, files: Sequence[FileEntry], what: Reading) -> pl.DataFrame:
        """One partition: rows that no later upsert names by their scope."""
        table, scope = what.table, scope_of(what.table)
        columns = tuple({**what.schema, **dict.fromkeys(scope)})
        rows = self._read(files, Reading(table, columns, what.where, what.parameters), placed=True)
        upserts = [entry for entry in files if entry.mode is Mode.UPSERT]
        named = self._read(upserts, Reading(table, scope), name=SCOPES, placed=True)
        newest = named.group_by(scope).agg(pl.col(_SEQ).max().alias("_newest"))
        return (
            rows.join(newest, on=scope, how="left", maintain_order="left")
            .filter(pl.col(_SEQ) >= pl.col("_newest").fill_null(0))
            .select(what.names)
        )

    def _read(
        self, entries: Sequence[FileEntry], what: Reading, *, name: str = "", placed: bool = False
    ) -> pl.DataFrame:
        """Rows of the files one after the other; `placed` adds the `seq` of their file."""
        found = sources(entries, apart=placed)
        return pl.concat(
            self._read_few(
                found[first : first + FILES_AT_ONCE],
                what,
                name=name or what.table.name,
                placed=placed,
            )
            for first in range(0, len(found), FILES_AT_ONCE)
        )

    def _read_few(
        self, found: Sequence[Source], what: Reading, *, name: str, placed: bool
    ) -> pl.DataFrame:
        paths = [self._checked_path(each.first, what.table) for each in found]
        columns = ", ".join(f'"{column}"' for column in (*what.names, *([_SEQ] if placed else [])))
        where = f" WHERE {what.where}" if what.where else ""
        inner = what.names if name == SCOPES else tuple(what.table.schema)
        try:
            with self._engine.reading(paths) as (cursor, files):
                self._check_meta(cursor, dict(zip(files, found, strict=True)), what.table)
                parts = [
                    each.select(f'{file}."{name}"', inner, f", {each.first.seq} AS {_SEQ}")
                    for file, each in zip(files, found, strict=True)
                ]
                query = f"SELECT {columns} FROM ({' UNION ALL '.join(parts)}){where}"
                frame = cursor.sql(query, params=list(what.parameters)).pl()
        except duckdb.Error as error:
            self._blame(paths, what.table, error)
            if isinstance(error, duckdb.ProgrammingError | duckdb.DataError):
                raise QueryError(first_line(error)) from error
            raise foreign(error, paths[0]) from error
        return _declared(frame, what.schema)

    def _checked_path(self, entry: FileEntry, table: Table) -> Path:
        path = self._root / entry.path
        if entry.schema_version != table.version:
            raise SchemaVersionError(path, table.name, entry.schema_version, table.version)
        if not path.exists():
            raise MissingFileError(path)
        return path

    def _check_meta(
        self, cursor: duckdb.DuckDBPyConnection, files: dict[str, Source], table: Table
    ) -> None:
        """Compare each file with the declaration, once per process: files never change."""
        new = {name: each for name, each in files.items() if each.path not in self._checked}
        if not new:
            return
        query = " UNION ALL ".join(
            f"SELECT '{name}', table_name, schema_version FROM {name}.{META}" for name in new
        )
        for name, found, version in cursor.execute(query).fetchall():
            if (found, version) != (table.name, table.version):
                path = self._root / new[name].path
                raise SchemaVersionError(path, found, version, table.version)
        self._checked.update(each.path for each in new.values())

    def _blame(self, paths: Sequence[Path], table: Table, error: duckdb.Error) -> None:
        """Raise for the file that cannot be read, if there is one: the query may be wrong."""
        for path in paths:
            try:
                with self._engine.reading([path]) as (cursor, (file,)):
                    cursor.sql(f'SELECT * FROM {file}."{table.name}"').pl()
            except duckdb.Error as damage:
                raise DamagedFileError(path, first_line(damage)) from error


def _declared(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    words = {name: dtype for name, dtype in schema.items() if isinstance(dtype, pl.Enum)}
    return frame.with_columns(pl.col(name).cat.to(dtype) for name, dtype in words.items())


@dataclass(slots=True)
class _Batch:
    """Files that one statement reads together."""

    entries: list[FileEntry] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    rows: int = 0

    def is_too_small_for(self, more: Sequence[FileEntry]) -> bool:
        rows = self.rows + sum(entry.rows for entry in more)
        files = len(self.paths.union(entry.path for entry in more))
        return rows > ROWS_AT_ONCE or files > FILES_AT_ONCE

    def add(self, more: Sequence[FileEntry]) -> None:
        self.entries += more
        self.paths.update(entry.path for entry in more)
        self.rows += sum(entry.rows for entry in more)
