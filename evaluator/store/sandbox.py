"""Read-only SQL over one snapshot.

Data-modifying CTEs pass as SELECT in DuckDB 2, and attached files stay writable for COPY under
`enable_external_access=false` (measured). So, once the files are open, the file system itself
is switched off and the configuration locked: nothing can be opened, for reading or writing.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import polars as pl

from evaluator.store import engine, views
from evaluator.store.errors import (
    DamagedFileError,
    LakeError,
    MissingFileError,
    QueryError,
    QueryTimeoutError,
    first_line,
)

_READS = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
_TOO_MANY = re.compile(r"too many open files", re.IGNORECASE)
_LOCK = (
    "SET enable_external_access = false",
    "SET disabled_filesystems = 'LocalFileSystem'",
    "SET lock_configuration = true",
)


class UnopenedError(Exception):
    """A query reads a view whose files were left out; no error of its author."""


class Sandbox:
    """A DuckDB in memory that holds views over attached files and can do nothing but read."""

    def __init__(
        self,
        paths: Sequence[Path],
        statements: Iterable[str],
        *,
        threads: int,
        memory_limit: str | None,
    ) -> None:
        """Attach the files as f0, f1, …, run the statements, lock everything."""
        self._connection = engine.connected(threads, memory_limit, None)
        try:
            self._fill(paths, statements)
        except BaseException:
            self.close()
            raise

    def _fill(self, paths: Sequence[Path], statements: Iterable[str]) -> None:
        for number, path in enumerate(paths):
            self._attach(path, f"f{number}", len(paths))
        try:
            for statement in (*statements, *_LOCK):
                self._connection.execute(statement)
        except duckdb.Error as error:
            raise LakeError(Path("views"), first_line(error)) from error

    def sql(
        self, query: str, parameters: Sequence[object] = (), *, timeout_s: float | None = None
    ) -> pl.DataFrame:
        """The rows of one SELECT or EXPLAIN; raises QueryError for any other or a wrong one.

        Raises UnopenedError where it asks rows of a view whose files were left out.
        """
        with closing(self._connection.cursor()) as cursor:
            try:
                _check_reads(query)
                with _interrupted_after(cursor, timeout_s):
                    rows: pl.DataFrame = cursor.sql(query, params=list(parameters)).pl()
                    return rows
            except duckdb.InterruptException as error:
                raise QueryTimeoutError(timeout_s or 0) from error
            except duckdb.PermissionException as error:
                problem = "a query may read the views, and neither files nor settings"
                raise QueryError(problem) from error
            except duckdb.Error as error:
                if views.UNOPENED in str(error):
                    raise UnopenedError from error
                raise QueryError(*_two_lines(error)) from error

    def close(self) -> None:
        """Close the files."""
        self._connection.close()

    def _attach(self, path: Path, name: str, of: int) -> None:
        if not path.exists():
            raise MissingFileError(path)
        try:
            engine.attach(self._connection, path, name)
        except duckdb.Error as error:
            if _TOO_MANY.search(str(error)):
                problem = f"the query reads {of} files, and this process may not open as many"
                raise QueryError(problem, "read fewer tables, or raise `ulimit -n`") from error
            raise DamagedFileError(path, first_line(error)) from error


def _check_reads(query: str) -> None:
    statements = duckdb.extract_statements(query)
    if len(statements) != 1:
        raise QueryError(f"expected one query, found {len(statements)}")
    if statements[0].type not in _READS:
        raise QueryError(f"a {statements[0].type.name} statement does not only read")


def _two_lines(error: duckdb.Error) -> tuple[str, str]:
    """DuckDB's message, and its guess of what was meant as the hint."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    guesses = [line for line in lines if line.startswith(("Did you mean", "Candidate"))]
    return lines[0], guesses[0] if guesses else ""


@contextmanager
def _interrupted_after(
    cursor: duckdb.DuckDBPyConnection, timeout_s: float | None
) -> Iterator[None]:
    if timeout_s is None:
        yield
        return
    timer = threading.Timer(timeout_s, cursor.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
