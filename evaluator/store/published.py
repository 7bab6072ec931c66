"""The catalog database for people: views over one snapshot that any DuckDB client opens.

Tables outside the lake are copied into it.
"""

import os
from itertools import groupby
from pathlib import Path

import duckdb

from evaluator.domain.tables.registry import OUTSIDE
from evaluator.store import outside, views
from evaluator.store.errors import mapped
from evaluator.store.lake import Lake
from evaluator.store.locks import held


def write_sql_catalog(lake: Lake, path: Path, sources: outside.Sources = outside.NOTHING) -> int:
    """Write a database of views over the newest commit, by absolute file paths; returns its id.

    Written aside and renamed. The lake keeps the files of this commit until the next call
    with the same path. Writers take turns, and each looks for the newest commit in its turn:
    what is held is what was renamed last, and no call goes back to an older commit.
    """
    folder = lake.folder
    path = path.absolute()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    lock = folder.root / "locks" / "sql_catalog.lock"
    turn = held(lock, deadline_s=folder.lock_deadline_s)
    with mapped(path), turn, lake.snapshot(pin=True) as now:
        files = {
            name: tuple(group)
            for name, group in groupby(now.entries, key=lambda entry: entry.table)
        }

        def inside(path: str, name: str) -> str:
            file = str(folder.root / path).replace("'", "''")
            return f"read_duckdb('{file}', table_name = '{name}')"

        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            with duckdb.connect(temporary) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                for statement in views.shown_views(folder.tables, folder.views, files, inside):
                    connection.execute(statement)
                for table in OUTSIDE:
                    outside.write(connection, table, sources)
                for statement in views.comments(folder.tables, folder.views, OUTSIDE):
                    connection.execute(statement)
            folder.catalog.hold(str(path), now.commit_id)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        return now.commit_id
