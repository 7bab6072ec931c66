"""Errors of the lake, and how errors of DuckDB, SQLite and the file system become them.

A `TransientError` may be tried again, a `PermanentError` may not.
"""

import errno
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from evaluator.domain.errors import EvaluatorError, PermanentError, TransientError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXT = re.compile(
    r"no space left|disk is full|disk full|file too large|quota exceeded", re.IGNORECASE
)
_READ_ONLY_TEXT = re.compile(r"read-?only|permission denied|unable to open database", re.IGNORECASE)


class MissingFileError(PermanentError):
    """A file that the catalog names is not there."""

    code = "missing_file"
    hint = "restore it from a backup, or materialise the partition again"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"data file {path} is missing")


class DamagedFileError(PermanentError):
    """A file of the lake cannot be read."""

    code = "damaged_file"
    hint = "restore the file from a backup, or materialise the partition again"

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"file {path} cannot be read: {problem}")


class SchemaVersionError(PermanentError):
    """A file was written under another declaration of its table."""

    code = "schema_version"
    hint = "materialise the partition again with this version, or run the version that wrote it"

    def __init__(self, path: Path, table: str, found: str, declared: str) -> None:
        self.path, self.table = path, table
        super().__init__(
            f"{path} holds {table} in schema version {found}, the declaration has {declared}"
        )


class FrameRefusedError(PermanentError):
    """A frame does not agree with the declaration of its table."""

    code = "frame_refused"
    hint = "correct the function that made the frame, or the declaration of the table"

    def __init__(self, table: str, problem: str) -> None:
        self.table = table
        super().__init__(f"table {table}: {problem}")


class IdentifierCollisionError(PermanentError):
    """Two texts have the same surrogate."""

    code = "identifier_collision"
    hint = "nothing was written; `ids.surrogate` needs a longer or salted digest"

    def __init__(self, key: int, known: str, new: str) -> None:
        self.key, self.known, self.new = key, known, new
        super().__init__(f"surrogate {key} stands for {known!r} and for {new!r}")


class UnknownPartitionError(PermanentError):
    """The name of a partition does not fit the partitioning of its table."""

    code = "unknown_partition"

    def __init__(self, table: str, partition: str, form: str) -> None:
        self.hint = f"partitions of {table} are named like {form}"
        super().__init__(f"table {table} has no partition {partition!r}")


class StaleReplaceError(TransientError):
    """The partition has changed since the snapshot from which its replacement was computed."""

    code = "stale_replace"
    hint = "compute the partition again from a new snapshot"

    def __init__(self, table: str, partition: str, base: int, found: int) -> None:
        self.table, self.partition = table, partition
        super().__init__(
            f"{table} {partition} was replaced from snapshot {base}, but commit {found} changed it"
        )


class SweptCommitError(PermanentError):
    """A snapshot was asked for at a commit that is kept no longer, or never was made."""

    code = "swept_commit"
    hint = "pin the snapshot, or `hold` its commit, for as long as it is needed"

    def __init__(self, commit_id: int) -> None:
        self.commit_id = commit_id
        super().__init__(f"commit {commit_id} is not in the catalog")


class LockTimeoutError(TransientError):
    """Another process holds a lock of the lake for longer than the deadline."""

    code = "lock_timeout"
    hint = "wait for that process, or end it"

    def __init__(self, lock: Path, owner: str, waited_s: float) -> None:
        self.lock, self.owner = lock, owner
        super().__init__(f"waited {waited_s:g} s for {lock}, held by process {owner}")


class CatalogBusyError(TransientError):
    """The catalog stayed locked for longer than the deadline."""

    code = "catalog_busy"
    hint = "try again; if it stays so, look for a process that hangs in a commit"

    def __init__(self, path: Path) -> None:
        super().__init__(f"catalog {path} is locked by another process")


class LakeFullError(PermanentError):
    """There is no room left for the files of the lake."""

    code = "lake_full"
    hint = "free disk space, or run `maintenance`, which sweeps files no snapshot needs"

    def __init__(self, path: Path) -> None:
        super().__init__(f"no space left to write {path}")


class LakeReadOnlyError(PermanentError):
    """The lake may not be written by this process."""

    code = "lake_read_only"
    hint = "check owner and mode of the folder, and whether the volume is mounted read-only"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} may not be written")


class LakeError(PermanentError):
    """The file system or the engine refused an operation for another reason."""

    code = "lake_error"
    hint = "look at the path named and at the log of the run"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


class QueryError(PermanentError):
    """A SQL query is wrong, or asks for more than reading the views."""

    code = "bad_query"
    hint = "`SELECT table_name FROM information_schema.tables` lists the views"

    def __init__(self, problem: str, hint: str = "") -> None:
        self.hint = hint or self.hint
        super().__init__(problem)


class QueryTimeoutError(PermanentError):
    """A SQL query took longer than it was given."""

    code = "query_timeout"
    hint = "read fewer rows, or give it more time"

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the query was stopped after {timeout_s:g} s")


def first_line(error: Exception) -> str:
    """The message of a foreign error without its pointer into the query."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def foreign(error: OSError | sqlite3.Error | duckdb.Error, path: Path) -> EvaluatorError:
    """The error of the lake that stands for one of the file system or of an engine."""
    text = first_line(error)
    if getattr(error, "errno", None) in _FULL or _FULL_TEXT.search(text):
        return LakeFullError(path)
    if isinstance(error, sqlite3.Error):
        return _of_catalog(error, text, path)
    if isinstance(error, PermissionError) or _READ_ONLY_TEXT.search(text):
        return LakeReadOnlyError(path)
    return LakeError(path, text)


def _of_catalog(error: sqlite3.Error, text: str, path: Path) -> EvaluatorError:
    if isinstance(error, sqlite3.OperationalError):
        if "locked" in text:
            return CatalogBusyError(path)
        if _READ_ONLY_TEXT.search(text):
            return LakeReadOnlyError(path)
    return DamagedFileError(path, text)


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raise errors of the file system, DuckDB and SQLite as errors of the lake."""
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error) as error:
        raise foreign(error, path) from error
