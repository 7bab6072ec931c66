"""The catalog: which files make up each partition at each commit, in one SQLite database.

A commit is one transaction. A snapshot is the files added at or before it and not removed
until after it; nothing else decides what a reader sees.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from evaluator.domain.schema import Table
from evaluator.store.errors import StaleReplaceError, SweptCommitError, mapped
from evaluator.store.locks import held

BUSY_TIMEOUT_S = 30.0

_VERSION = 1
_FILES = """(
    id INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    partition TEXT NOT NULL,
    path TEXT NOT NULL,
    part INTEGER,
    mode TEXT NOT NULL CHECK (mode IN ('base', 'append', 'upsert')),
    seq INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    schema_version TEXT NOT NULL,
    content_commit INTEGER NOT NULL,
    added_commit INTEGER NOT NULL REFERENCES commits (id),
    removed_commit INTEGER REFERENCES commits (id),
    UNIQUE (path, partition)
);
CREATE INDEX files_by_partition ON files (table_name, partition, seq);
CREATE INDEX files_removed ON files (removed_commit);
"""
_SCHEMA = f"""
CREATE TABLE commits (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, what TEXT NOT NULL
);
CREATE TABLE files {_FILES}
CREATE TABLE holds (name TEXT PRIMARY KEY, commit_id INTEGER NOT NULL);
PRAGMA user_version = {_VERSION};
"""
_FIELDS = (
    "table_name, partition, path, mode, seq, rows, bytes, schema_version, content_commit, part"
)
_FIELDS_BEFORE = _FIELDS.removesuffix(", part")
_UPGRADE = f"""
DROP INDEX files_by_partition;
DROP INDEX files_removed;
ALTER TABLE files RENAME TO files_before;
CREATE TABLE files {_FILES}
INSERT INTO files ({_FIELDS_BEFORE}, added_commit, removed_commit)
SELECT {_FIELDS_BEFORE}, added_commit, removed_commit FROM files_before ORDER BY id;
DROP TABLE files_before;
PRAGMA user_version = {_VERSION};
"""
"""From catalogs in which a file was of one partition only."""

_LIVE = "added_commit <= :at AND (removed_commit IS NULL OR removed_commit > :at)"
_KEPT = (
    "EXISTS (SELECT 1 FROM json_each(?) AS kept "
    "WHERE kept.value >= added_commit AND kept.value < removed_commit)"
)


class Mode(StrEnum):
    """What a file means: a whole partition, more rows, or rows that supersede older ones.

    DROP has no file: the partition is no more.
    """

    BASE = "base"
    APPEND = "append"
    UPSERT = "upsert"
    DROP = "drop"


_MODES = {mode.value: mode for mode in Mode}


class FileEntry(NamedTuple):
    """One data file, or its part that is one partition, as the catalog knows it.

    `seq` orders the files of a partition; `content_commit` is the newest commit whose rows the
    file holds. `part` numbers the partitions inside a file that holds several; its bytes are
    divided among them by rows. A tuple, because a snapshot after years makes 20,000 of them.
    """

    table: str
    partition: str
    path: str
    mode: Mode
    seq: int
    rows: int
    bytes: int
    schema_version: str
    content_commit: int
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A written file that the next commit is to name; without one, a partition to drop."""

    table: Table
    partition: str
    path: str
    mode: Mode
    rows: int
    bytes: int
    base_commit: int | None = None
    """Refuse where the partition has content newer than this commit."""


@dataclass(frozen=True, slots=True)
class Folding:
    """A written file, or a part of one, that holds what files of a partition held together."""

    merged: Sequence[FileEntry]
    path: str
    rows: int
    bytes: int
    part: int | None = None


class Catalog:
    """Reads and writes the catalog; every call opens, and closes, its own connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if self._is_missing():
            self._create()
        elif self._is_of_before():
            self._upgrade()

    def latest_commit_id(self) -> int:
        """Id of the newest commit; 0 where there is none."""
        with self._reading() as connection:
            return _latest(connection)

    def snapshot(
        self, at: int | None = None, *, tables: Collection[str] | None = None
    ) -> tuple[int, list[FileEntry]]:
        """Id of a commit, else of the newest, and its files, by partition in order of `seq`.

        Of all tables, or of those named.

        Raises SweptCommitError for a commit whose files may be gone.
        """
        with self._reading() as connection:
            connection.execute("BEGIN")
            commit_id = _latest(connection) if at is None else at
            if (
                at
                and not connection.execute("SELECT 1 FROM commits WHERE id = ?", (at,)).fetchone()
            ):
                raise SweptCommitError(at)
            return commit_id, _files_at(connection, commit_id, tables)

    def commit(self, changes: Sequence[Change], what: str) -> int:
        """Name all files at once; raises StaleReplaceError where a base has become old."""
        with self._writing(what) as (connection, commit_id):
            for change in changes:
                _apply(connection, change, commit_id)
            return commit_id

    def fold(self, foldings: Sequence[Folding], what: str) -> int:
        """Put merged files in place of theirs; the content of no partition changes.

        A folding whose files were replaced in the meantime is passed over. Deltas added
        in the meantime stay behind the merged file. Returns how many were not passed over.
        """
        with self._writing(what) as (connection, commit_id):
            return sum(_fold(connection, folding, commit_id) for folding in foldings)

    def hold(self, name: str, commit_id: int) -> None:
        """Keep a commit readable under a name, instead of the one held under it before."""
        with mapped(self._path), closing(_connect(self._path)) as connection:
            connection.execute("INSERT OR REPLACE INTO holds VALUES (?, ?)", (name, commit_id))

    def held_commit(self, name: str) -> int | None:
        """The commit held under a name; None where there is none."""
        with self._reading() as connection:
            query = "SELECT commit_id FROM holds WHERE name = ?"
            row = connection.execute(query, (name,)).fetchone()
            return int(row[0]) if row else None

    def kept_commits(self, *, last: int, since: datetime) -> set[int]:
        """Held commits, the last few, and those that were the newest at or after an instant."""
        with self._reading() as connection:
            query = """
                SELECT commit_id FROM holds
                UNION SELECT id FROM (SELECT id FROM commits ORDER BY id DESC LIMIT :last)
                UNION SELECT id FROM commits
                WHERE id >= (SELECT coalesce(max(id), 0) FROM commits WHERE at <= :since)
            """
            rows = connection.execute(query, {"last": last, "since": since.isoformat()})
            return {row[0] for row in rows}

    def paths_at(self, commit_ids: Collection[int]) -> set[str]:
        """Paths of the files that any of the commits, or the newest, names."""
        with self._reading() as connection:
            named = connection.execute(
                f"SELECT path FROM files WHERE removed_commit IS NULL OR {_KEPT}",
                (json.dumps(sorted(commit_ids)),),
            )
            return {path for (path,) in named}

    def forget(self, kept: Collection[int]) -> None:
        """Drop all commits but the newest and those kept, and files that none of these names."""
        with mapped(self._path), closing(_connect(self._path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            ids = json.dumps(sorted({*kept, _latest(connection)}))
            gone = f"DELETE FROM files WHERE removed_commit IS NOT NULL AND NOT {_KEPT}"
            connection.execute(gone, (ids,))
            commits = connection.execute("SELECT id FROM commits ORDER BY id").fetchall()
            others = [row for row in commits[:-1] if row[0] not in kept]
            connection.executemany("DELETE FROM commits WHERE id = ?", others)
            connection.execute("COMMIT")

    def _create(self) -> None:
        """Give the catalog its name once it is whole: others may open it at the same time."""
        new = self._path.with_suffix(".new")
        with mapped(self._path), held(self._path.with_suffix(".lock")):
            if not self._is_missing():
                return
            for left in self._path.parent.glob(f"{new.name}*"):  # of a process that died here
                left.unlink()
            with closing(_connect(new)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT")
            new.rename(self._path)

    def _upgrade(self) -> None:
        """Bring the catalog of an earlier version to this one, at once and once only."""
        with mapped(self._path), held(self._path.with_suffix(".lock")):
            if self._is_of_before():
                with closing(_connect(self._path)) as connection:
                    connection.executescript(f"BEGIN IMMEDIATE; {_UPGRADE} COMMIT")

    def _is_of_before(self) -> bool:
        with self._reading() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            return int(version) < _VERSION

    def _is_missing(self) -> bool:
        return not self._path.exists() or self._path.stat().st_size == 0

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with mapped(self._path), closing(_connect(self._path)) as connection:
            yield connection

    @contextmanager
    def _writing(self, what: str) -> Iterator[tuple[sqlite3.Connection, int]]:
        now = datetime.now(UTC).isoformat()
        with mapped(self._path), closing(_connect(self._path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            cursor = connection.execute("INSERT INTO commits (at, what) VALUES (?, ?)", (now, what))
            yield connection, int(cursor.lastrowid or 0)
            connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _latest(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT coalesce(max(id), 0) FROM commits").fetchone()
    return int(found[0])


def _files_at(
    connection: sqlite3.Connection, commit_id: int, tables: Collection[str] | None = None
) -> list[FileEntry]:
    query = f"SELECT {_FIELDS} FROM files WHERE {_LIVE}"
    order = "ORDER BY table_name, partition, seq"
    if tables is None:
        found = connection.execute(f"{query} {order}", {"at": commit_id})
    else:
        named = {"at": commit_id, "tables": json.dumps(sorted(tables))}
        of = "AND table_name IN (SELECT value FROM json_each(:tables))"
        found = connection.execute(f"{query} {of} {order}", named)
    return [_entry(row) for row in found]


def _entry(row: tuple[str, str, str, str, int, int, int, str, int, int | None]) -> FileEntry:
    table, partition, path, mode, seq, rows, size, version, content, part = row
    return FileEntry(table, partition, path, _MODES[mode], seq, rows, size, version, content, part)


def _apply(connection: sqlite3.Connection, change: Change, commit_id: int) -> None:
    where = (change.table.name, change.partition)
    newest = connection.execute(
        "SELECT coalesce(max(content_commit), 0), coalesce(max(seq), 0) FROM files "
        "WHERE table_name = ? AND partition = ? AND removed_commit IS NULL",
        where,
    ).fetchone()
    if change.base_commit is not None and newest[0] > change.base_commit:
        raise StaleReplaceError(*where, change.base_commit, newest[0])
    if change.mode in (Mode.BASE, Mode.DROP):
        connection.execute(
            "UPDATE files SET removed_commit = ? "
            "WHERE table_name = ? AND partition = ? AND removed_commit IS NULL",
            (commit_id, *where),
        )
    if change.mode is Mode.DROP:
        return
    entry = FileEntry(
        *where,
        change.path,
        change.mode,
        newest[1] + 1,
        change.rows,
        change.bytes,
        change.table.version,
        commit_id,
    )
    _insert(connection, entry, commit_id)


def _fold(connection: sqlite3.Connection, folding: Folding, commit_id: int) -> bool:
    removed = connection.executemany(
        "UPDATE files SET removed_commit = ? "
        "WHERE path = ? AND partition = ? AND removed_commit IS NULL",
        [(commit_id, entry.path, entry.partition) for entry in folding.merged],
    ).rowcount
    last = folding.merged[-1]
    if removed != len(folding.merged):
        connection.execute(
            "UPDATE files SET removed_commit = NULL "
            "WHERE removed_commit = ? AND table_name = ? AND partition = ?",
            (commit_id, last.table, last.partition),
        )
        return False
    entry = FileEntry(
        last.table,
        last.partition,
        folding.path,
        Mode.BASE,
        last.seq,
        folding.rows,
        folding.bytes,
        last.schema_version,
        max(entry.content_commit for entry in folding.merged),
        folding.part,
    )
    _insert(connection, entry, commit_id)
    return True


def _insert(connection: sqlite3.Connection, entry: FileEntry, commit_id: int) -> None:
    connection.execute(
        f"INSERT INTO files ({_FIELDS}, added_commit) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.table,
            entry.partition,
            entry.path,
            entry.mode.value,
            entry.seq,
            entry.rows,
            entry.bytes,
            entry.schema_version,
            entry.content_commit,
            entry.part,
            commit_id,
        ),
    )
