"""Tables whose rows lie outside the lake, copied page by page into a DuckDB file to be read there.

Who opens a snapshot says how they are read; the store knows none of their sources.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl

from evaluator.domain.schema import Table
from evaluator.domain.tables.registry import OUTSIDE
from evaluator.store import engine
from evaluator.store.data_files import stored_type

Pages = Callable[[], Iterable[pl.DataFrame]]
"""Reads all rows, page by page, each in the schema of the table."""

Sources = Mapping[str, Pages]
"""How tables are read, by name; one that is not there has no rows."""

NOTHING: Sources = {}


def write(connection: duckdb.DuckDBPyConnection, table: Table, sources: Sources) -> None:
    """Create the table in the current database of a connection, with its rows in their order."""
    columns = ", ".join(stored_type(table, name) for name in table.schema)
    connection.execute(f'CREATE TABLE "{table.name}" ({columns})')
    if table.name not in sources:
        return
    for page in sources[table.name]():
        connection.register("incoming", page.to_arrow())
        connection.execute(f'INSERT INTO "{table.name}" SELECT * FROM incoming')
        connection.unregister("incoming")


@contextmanager
def copied(
    sources: Sources, named: Collection[str], threads: int, memory_limit: str | None
) -> Iterator[Path | None]:
    """A file that has those tables that are named and have a source; None where none is.

    It is deleted on leaving; who has it attached by then may still read it.
    """
    tables = [table for table in OUTSIDE if table.name in named and table.name in sources]
    if not tables:
        yield None
        return
    with TemporaryDirectory(prefix="evaluator-") as folder:
        path = Path(folder) / "outside.duckdb"
        with closing(engine.connected(threads, memory_limit, Path(folder) / "tmp")) as connection:
            engine.attach(connection, path, "copy", is_writable=True)
            connection.execute("USE copy")
            for table in tables:
                write(connection, table, sources)
        yield path
