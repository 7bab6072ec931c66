"""Data files: written whole under another name, made durable, renamed, never changed.

A file holds one table named like its declaration, `_meta` (table, schema version, rows) and,
for an upsert, `_scopes`: the scope keys whose older rows it supersedes. A file of several
partitions has one more column, the number of the row's partition, and `_parts` names them.
"""

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from evaluator.domain.order import is_sorted
from evaluator.domain.schema import ID, Table
from evaluator.store.engine import Engine
from evaluator.store.errors import mapped

SCOPES = "_scopes"
META = "_meta"
PART = "_part"
PARTS = "_parts"
TEMPORARY = ".tmp"

_BLOCK_SIZE = 262_144
_SMALL_ROWS, _SMALL_BLOCK_SIZE = 20_000, 16_384  # a file has at least some blocks per column


@dataclass(frozen=True, slots=True)
class Written:
    """A published file that no commit names yet."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class WrittenParts:
    """A published file of several partitions: rows by partition, numbered in this order."""

    file: Written
    rows: Mapping[str, int]


def write(
    engine: Engine,
    folder: Path,
    table: Table,
    frame: pl.DataFrame,
    scopes: pl.DataFrame | None = None,
) -> Written:
    """Publish the frame, sorted in the order of the table, as a new file of the folder."""
    with _new(engine, folder, frame.height) as new:
        contents = {table.name: _ordered(table, frame)}
        for name, rows in (contents | ({} if scopes is None else {SCOPES: scopes})).items():
            new.create(name, ", ".join(stored_type(table, column) for column in rows.columns))
            new.insert(name, rows)
        new.describe(table, frame.height)
    return Written(new.path, frame.height, new.path.stat().st_size)


def write_parts(
    engine: Engine,
    folder: Path,
    table: Table,
    parts: Iterable[tuple[str, pl.DataFrame]],
    about_rows: int,
) -> WrittenParts:
    """Publish the rows of several partitions, one after the other, as one file.

    The frames are taken one by one; `about_rows` is how many rows there will be in all.
    """
    counts: dict[str, int] = {}
    with _new(engine, folder, about_rows) as new:
        columns = ", ".join(stored_type(table, column) for column in table.schema)
        new.create(table.name, f"{columns}, {PART} INTEGER")
        for number, (partition, frame) in enumerate(parts):
            part = pl.lit(number, pl.Int32).alias(PART)
            new.insert(table.name, _ordered(table, frame).with_columns(part))
            counts[partition] = frame.height
        new.create(PARTS, f"{PART} INTEGER, partition VARCHAR")
        new.insert(PARTS, pl.DataFrame({PART: range(len(counts)), "partition": list(counts)}))
        new.describe(table, sum(counts.values()))
    return WrittenParts(Written(new.path, sum(counts.values()), new.path.stat().st_size), counts)


def discard(paths: Iterable[Path]) -> None:
    """Delete files that no commit will name."""
    for path in paths:
        path.unlink(missing_ok=True)


def stored_type(table: Table, name: str) -> str:
    """One column of a table's DDL.

    Where rows of a wallet and token lie together, ids repeat: runs of them cost next to nothing.
    """
    dtype = table.column(name).dtype
    is_run = table.is_rebuilt_in_bulk and dtype is ID
    return f'"{name}" {dtype.stored}{" USING COMPRESSION rle" if is_run else ""}'


@dataclass(frozen=True, slots=True)
class _New:
    """A file that is being written under its temporary name."""

    path: Path
    cursor: duckdb.DuckDBPyConnection
    name: str

    def create(self, table: str, columns: str) -> None:
        self.cursor.execute(f'CREATE TABLE {self.name}."{table}" ({columns})')

    def insert(self, table: str, rows: pl.DataFrame) -> None:
        if rows.height:
            self.cursor.register("incoming", _stored(rows).to_arrow())
            self.cursor.execute(f'INSERT INTO {self.name}."{table}" SELECT * FROM incoming')
            self.cursor.unregister("incoming")

    def describe(self, table: Table, rows: int) -> None:
        self.cursor.execute(
            f"CREATE TABLE {self.name}.{META} AS "
            "SELECT ? AS table_name, ? AS schema_version, ?::BIGINT AS row_count",
            [table.name, table.version, rows],
        )


@contextmanager
def _new(engine: Engine, folder: Path, rows: int) -> Iterator[_New]:
    """A file to fill; on leaving it is durable and has its name, or nothing of it is left."""
    path = folder / f"{time.time_ns():x}-{uuid.uuid4().hex[:8]}.duckdb"
    temporary = path.with_suffix(TEMPORARY)
    block_size = _SMALL_BLOCK_SIZE if rows < _SMALL_ROWS else _BLOCK_SIZE
    with mapped(path):
        _make_folder(folder)
        try:
            with engine.writing(temporary, block_size) as (cursor, name):
                yield _New(path, cursor, name)
            _sync(temporary)
            temporary.rename(path)
        except BaseException:
            discard([temporary, temporary.with_name(f"{temporary.name}.wal")])
            raise
        _sync(folder)


def _ordered(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    if is_sorted(frame, table.order):
        return frame
    return frame.sort(table.order, maintain_order=True)


def _stored(frame: pl.DataFrame) -> pl.DataFrame:
    words = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    return frame.with_columns(pl.col(words).to_physical().cast(pl.UInt8)) if words else frame


def _make_folder(folder: Path) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        _sync(each.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
