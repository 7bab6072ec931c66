"""What the lake holds: rows, files and freshness of every table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from evaluator.domain.schema import INSTANT, Partitioning, Table
from evaluator.domain.tables.registry import TABLES
from evaluator.reports import places
from evaluator.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table: how much it holds and how new that is."""

    name: str
    group: str
    rows: int
    partitions: int
    files: int
    bytes: int
    commit_id: int
    newest: date | datetime | None
    """Newest instant that its rows speak of, or its last day; null where it has neither."""


_SPEAKS_OF = {
    "fills": "filled_at",
    "activity": "happened_at",
    "resolutions": "resolved_at",
    "prices": "priced_at",
    "closed_lots": "closed_at",
    "open_lots": "opened_at",
    "ingest_state": "newest_at",
    "quarantine": "seen_at",
}


def table_statuses(now: Snapshot, tables: Sequence[Table] = TABLES) -> list[TableStatus]:
    """Every table, in the order of the registry."""
    counts = row_counts(now, tables)
    return [_status(now, table, counts[table.name]) for table in tables]


def row_counts(now: Snapshot, tables: Sequence[Table] = TABLES) -> dict[str, int]:
    """Rows of each table, superseded ones left out."""
    parts = [
        f"SELECT '{table.name}' AS name, count(*) AS n FROM {table.name}"  # noqa: S608 - declared
        for table in tables
    ]
    counted = now.stored_sql(" UNION ALL ".join(parts))
    return dict(counted.iter_rows())


def _status(now: Snapshot, table: Table, rows: int) -> TableStatus:
    files = now.files(table)
    return TableStatus(
        name=table.name,
        group=table.group,
        rows=rows,
        partitions=len(now.partitions(table)),
        files=len({each.path for each in files}),
        bytes=sum(entry.bytes for entry in files),
        commit_id=now.version(table),
        newest=_newest(now, table) if rows else None,
    )


def _newest(now: Snapshot, table: Table) -> date | datetime | None:
    if table.partitioned_by in {Partitioning.DAY, Partitioning.DAY_WINDOW}:
        return places.newest_day(now, table)
    column = _SPEAKS_OF.get(table.name)
    if column is None or table.column(column).dtype is not INSTANT:
        return None
    query = f"SELECT max({column}) FROM {table.name}"  # noqa: S608 - declared names
    newest = now.stored_sql(query).item()
    return newest if isinstance(newest, datetime) else None
