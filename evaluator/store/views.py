"""What people read by SQL: a view of every table, and the declared views built on them.

Views show text ids, decimals and words. Stored forms are for aggregates inside the project.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluator.domain.schema import ID, LABELLED, MICRO, MONEY, REF, Column, DataType, Table
from evaluator.store.catalog import FileEntry, Mode
from evaluator.store.data_files import SCOPES
from evaluator.store.errors import SchemaVersionError
from evaluator.store.internal_tables import IDENTIFIERS
from evaluator.store.reading import scope_of
from evaluator.store.sources import sources

UNOPENED = "the files of this view are not open"
"""What a view says, when rows are asked of it, whose files were left out."""

Inside = Callable[[str, str], str]
"""SQL that names a table inside the data file of a path."""

_HIDING = {"query", "query_table"}
"""Functions that take the name of a table as a text, which may be put together."""


@dataclass(frozen=True, slots=True)
class View:
    """A view over tables in shown form; made where all tables it needs are declared."""

    name: str
    sql: str
    doc: str
    needs: tuple[str, ...]


VIEWS = (
    View(
        "current_personas",
        "SELECT * FROM wallet_personas "
        "QUALIFY persona_date = max(persona_date) OVER (PARTITION BY proxy_wallet)",
        "One row per wallet: its newest verdict.",
        ("wallet_personas",),
    ),
    View(
        "current_wallet_features",
        "SELECT * FROM wallet_features UNION ALL BY NAME "
        "SELECT * FROM wallet_features_on_demand AS early WHERE NOT EXISTS ("
        "SELECT 1 FROM wallet_features AS batch WHERE batch.proxy_wallet = early.proxy_wallet "
        "AND batch.feature_date = early.feature_date AND batch.window_days = early.window_days)",
        "One row per wallet, day and window: of the batch, else computed on demand.",
        ("wallet_features", "wallet_features_on_demand"),
    ),
)


def stored_views(
    tables: Iterable[Table], files: Mapping[str, Sequence[FileEntry] | None], inside: Inside
) -> Iterator[str]:
    """Statements that create each table's view in stored form, superseded rows left out.

    None for the files of a table gives a view that has its columns and fails when read.
    """
    for table in tables:
        yield f'CREATE VIEW "{table.name}" AS {stored(table, files.get(table.name, ()), inside)}'


def shown_views(
    tables: Sequence[Table],
    views: Sequence[View],
    files: Mapping[str, Sequence[FileEntry] | None],
    inside: Inside,
) -> Iterator[str]:
    """Statements that create each table's view in shown form, then the declared views.

    None for the files of a table gives a view that has its columns and fails when read.
    """
    identifiers = stored(IDENTIFIERS, files.get(IDENTIFIERS.name, ()), inside)
    yield f'CREATE VIEW "{IDENTIFIERS.name}" AS {identifiers}'
    for table in tables:
        query = _shown(table, stored(table, files.get(table.name, ()), inside))
        yield f'CREATE VIEW "{table.name}" AS {query}'
    for view in views:
        yield f'CREATE VIEW "{view.name}" AS {view.sql}'


def outside_views(
    tables: Iterable[Table], sources: Collection[str], named: Collection[str], copy: str
) -> Iterator[str]:
    """Statements that create a view of each table outside the lake; those named are in `copy`.

    One without a source has no rows; one with a source but no copy fails when read.
    """
    for table in tables:
        if table.name not in sources:
            query = _no_rows(table)
        elif table.name in named:
            query = f'FROM {copy}."{table.name}"'
        else:
            query = _unopened(table)
        yield f'CREATE VIEW "{table.name}" AS {query}'


def read_by(query: str, tables: Sequence[Table], views: Sequence[View]) -> frozenset[str]:
    """Tables whose files a query over the shown views may read: of all where it hides names.

    Every word counts, also one that names something else: DuckDB's own `get_table_names` refuses
    parameters, PIVOT and USING, and files too many cost less than files too few.
    """
    every = frozenset((*(table.name for table in tables), IDENTIFIERS.name))
    words = set(re.findall(r"\w+", query.lower()))
    if words & _HIDING:
        return every
    needed = {name for view in views if view.name.lower() in words for name in view.needs}
    named = {name for name in every if name.lower() in words} | needed
    if any(table.name in named and _has_texts(table) for table in tables):
        named.add(IDENTIFIERS.name)
    return frozenset(named)


def comments(
    tables: Iterable[Table], views: Iterable[View], outside: Iterable[Table]
) -> Iterator[str]:
    """Statements that say on each view, table outside the lake and column what it means."""
    for kind, group in (("VIEW", tables), ("TABLE", outside)):
        for table in group:
            yield f"COMMENT ON {kind} \"{table.name}\" IS '{_literal(table.grain)}'"
            for column in table.columns:
                name = f'"{table.name}"."{column.name}"'
                yield f"COMMENT ON COLUMN {name} IS '{_literal(column.doc)}'"
    for view in views:
        yield f"COMMENT ON VIEW \"{view.name}\" IS '{_literal(view.doc)}'"


def stored(table: Table, files: Sequence[FileEntry] | None, inside: Inside) -> str:
    """A query for all rows of a table in stored form; where they are None, one that fails when run.

    Where a file has another schema version, the query fails and says so; other views work.
    """
    if files is None:
        return _unopened(table)
    if drifted := [entry for entry in files if entry.schema_version != table.version]:
        return f"{_no_rows(table)} OR error('{_literal(_remedy(table, drifted[0]))}')"
    last_upsert: dict[str, int] = {}
    for entry in files:
        if entry.mode is Mode.UPSERT:
            last_upsert[entry.partition] = max(entry.seq, last_upsert.get(entry.partition, 0))
    older = [entry for entry in files if entry.seq < last_upsert.get(entry.partition, 0)]
    newer = [entry for entry in files if entry.seq >= last_upsert.get(entry.partition, 0)]
    parts = [each.select(inside(each.path, table.name), table.schema) for each in sources(newer)]
    if older:
        upserts = [entry for entry in files if entry.mode is Mode.UPSERT]
        parts.append(_unsuperseded(table, older, upserts, inside))
    return " UNION ALL ".join(parts) if parts else _no_rows(table)


def _unsuperseded(
    table: Table, older: Sequence[FileEntry], upserts: Sequence[FileEntry], inside: Inside
) -> str:
    """Rows of older files whose scope no later upsert of their partition names."""
    columns = ", ".join(f'"{name}"' for name in table.schema)
    scope = scope_of(table)
    same = " AND ".join(f'later."{name}" = earlier."{name}"' for name in scope)
    earlier = _placed(older, table.name, tuple(table.schema), inside)
    later = _placed(upserts, SCOPES, scope, inside)
    return (
        f"SELECT {columns} FROM ({earlier}) AS earlier "
        f"WHERE NOT EXISTS (SELECT 1 FROM ({later}) AS later "
        f"WHERE {same} AND later._partition = earlier._partition AND later._seq > earlier._seq)"
    )


def _placed(files: Sequence[FileEntry], name: str, columns: tuple[str, ...], inside: Inside) -> str:
    return " UNION ALL ".join(
        each.select(
            inside(each.path, name),
            columns,
            f", '{each.first.partition}' AS _partition, {each.first.seq} AS _seq",
        )
        for each in sources(files, apart=True)
    )


def _no_rows(table: Table) -> str:
    nulls = ", ".join(f'NULL::{column.dtype.stored} AS "{column.name}"' for column in table.columns)
    return f"SELECT {nulls} WHERE false"


def _unopened(table: Table) -> str:
    """No column is a constant: a condition on one would be decided without an error."""
    error = f"error('{UNOPENED}')"
    columns = ", ".join(
        f'{error}::{column.dtype.stored} AS "{column.name}"' for column in table.columns
    )
    return f"SELECT {columns} WHERE {error}"


def _remedy(table: Table, entry: FileEntry) -> str:
    error = SchemaVersionError(Path(entry.path), table.name, entry.schema_version, table.version)
    return f"{error}; {error.hint}"


def _shown(table: Table, rows: str) -> str:
    columns = ", ".join(f'{_in_words(column)} AS "{column.name}"' for column in table.columns)
    joins = "".join(
        f' LEFT JOIN "{IDENTIFIERS.name}" AS "{column.name}_id" '
        f'ON "{column.name}_id".key = stored."{column.name}"'
        for column in table.columns
        if column.dtype in (ID, REF)
    )
    return f"SELECT {columns} FROM ({rows}) AS stored{joins}"


def _has_texts(table: Table) -> bool:
    return any(column.dtype in (ID, REF) for column in table.columns)


def _in_words(column: Column) -> str:
    value = f'stored."{column.name}"'
    if column.dtype in (ID, REF):
        return f"coalesce(\"{column.name}_id\".text, printf('%016x', {value}))"
    return shown_value(column.dtype, value)


def shown_value(dtype: DataType, value: str) -> str:
    """SQL that turns a stored value into its shown form; text ids need a join instead."""
    if dtype == MONEY:
        return f"({value} * {1 / MICRO:f})::{dtype.shown}"
    if dtype == LABELLED:
        return f"map_from_entries({value})"
    if dtype.codes:
        words = ", ".join(f"'{_literal(code)}'" for code in dtype.codes)
        return f"[{words}][{value} + 1]"
    return value


def _literal(text: str) -> str:
    return text.replace("'", "''")
