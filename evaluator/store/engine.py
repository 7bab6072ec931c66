"""DuckDB in memory, with data files attached while they are read or written.

`ATTACH` keeps the order of rows; `read_duckdb` with several threads does not (measured with
DuckDB 2.0.0). One instance may attach a file once, hence the counting.
"""

import os
import resource
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import duckdb

from evaluator.store.errors import mapped


@dataclass(slots=True)
class _Attached:
    alias: str
    users: int = 0


@dataclass(slots=True)
class _Instance:
    """A DuckDB instance and what it has attached; never used in another process."""

    connection: duckdb.DuckDBPyConnection
    pid: int = field(default_factory=os.getpid)
    lock: threading.Lock = field(default_factory=threading.Lock)
    attached: dict[Path, _Attached] = field(default_factory=dict)
    count: int = 0


class Engine:
    """Opens cursors with files attached. With one thread, cursors run beside each other."""

    def __init__(
        self, *, threads: int, memory_limit: str | None, temp: Path, compresses: bool = True
    ) -> None:
        self._threads, self._memory_limit, self._temp = threads, memory_limit, temp
        self._compresses = compresses
        self._instance: _Instance | None = None
        self._starting = threading.Lock()

    @contextmanager
    def reading(
        self, paths: Sequence[Path]
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
        """A cursor, and the names under which the files are attached, in their order."""
        instance = self._started()
        with ExitStack() as stack:
            names = [stack.enter_context(_attached(instance, path)) for path in paths]
            cursor = stack.enter_context(closing(instance.connection.cursor()))
            yield cursor, names

    @contextmanager
    def writing(
        self, path: Path, block_size: int
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A cursor and the name of a new file; on leaving it is checkpointed and closed."""
        instance = self._started()
        with closing(instance.connection.cursor()) as cursor, mapped(path):
            name = _next_name(instance)
            cursor.execute(f"ATTACH '{_quoted(path)}' AS {name} (BLOCK_SIZE {block_size})")
            try:
                yield cursor, name
                cursor.execute(f"CHECKPOINT {name}")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute(f"DETACH {name}")
                raise
            cursor.execute(f"DETACH {name}")

    def _own_temp(self) -> Path:
        """A folder of this instance alone: DuckDB gives its spill files fixed names."""
        with suppress(OSError):  # in a lake that may not be written, only spilling fails
            self._temp.mkdir(parents=True, exist_ok=True)
        return self._temp / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def _started(self) -> _Instance:
        with self._starting:
            if self._instance is None or self._instance.pid != os.getpid():
                connection = connected(self._threads, self._memory_limit, self._own_temp())
                if not self._compresses:
                    connection.execute("SET GLOBAL force_compression = 'uncompressed'")
                self._instance = _Instance(connection)
            return self._instance


def connected(
    threads: int, memory_limit: str | None, temp: Path | None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB whose sessions are in UTC and see no Python variables."""
    _allow_many_files()
    settings: dict[str, str | bool | int | float | list[str]] = {"temp_directory": str(temp or "")}
    if threads:
        settings["threads"] = threads
    if memory_limit:
        settings["memory_limit"] = memory_limit
    connection = duckdb.connect(config=settings)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("SET GLOBAL python_enable_replacements = false")
    return connection


@cache
def _allow_many_files() -> None:
    """Raise the limit of open files as far as this process may: each attached file is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS refuses its own hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def attach(
    cursor: duckdb.DuckDBPyConnection, path: Path, name: str, *, is_writable: bool = False
) -> None:
    """Attach a file: a published one for reading, or one of the caller's own for writing."""
    cursor.execute(f"ATTACH '{_quoted(path)}' AS {name}{'' if is_writable else ' (READ_ONLY)'}")


@contextmanager
def _attached(instance: _Instance, path: Path) -> Iterator[str]:
    with instance.lock:
        entry = instance.attached.get(path)
        if entry is None:
            entry = _Attached(_next_name(instance))
            attach(instance.connection, path, entry.alias)
            instance.attached[path] = entry
        entry.users += 1
    try:
        yield entry.alias
    finally:
        with instance.lock:
            entry.users -= 1
            if not entry.users:
                del instance.attached[path]
                instance.connection.execute(f"DETACH {entry.alias}")


def _next_name(instance: _Instance) -> str:
    instance.count += 1
    return f"f{instance.count}"


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
