"""Tables outside the lake: read for the queries that name them, once, and never written."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from evaluator.domain.tables.history import EVENTS
from evaluator.store.errors import QueryError
from evaluator.store.lake import Lake
from evaluator.store.published import write_sql_catalog
from tests.store.sample_tables import NOTES

NOON = datetime(2026, 6, 30, 12, tzinfo=UTC)


def event(number: int) -> dict[str, object]:
    return {
        "event_id": f"{number}.0",
        "event_type": "Told" if number % 2 else None,
        "asset": "fills",
        "run_id": "run",
        "logged_at": NOON,
        "payload": "{}",
        "replay_of": None,
    }


class Log:
    """Two pages of events, and how often they were read."""

    def __init__(self):
        self.reads = 0

    def pages(self) -> Iterator[pl.DataFrame]:
        self.reads += 1
        for numbers in ((1, 2), (10,)):
            yield pl.DataFrame([event(number) for number in numbers], EVENTS.schema)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def now(lake: Lake, log: Log):
    lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1, 2], "writer": [1, 1]})})
    with lake.snapshot(outside={"events": log.pages}) as snapshot:
        yield snapshot


def test_rows_are_shown_as_they_were_read(now):
    found = now.sql("FROM events")
    assert found.schema == EVENTS.schema
    assert found.rows(named=True) == [event(1), event(2), event(10)]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("FROM Events", 3),
        ('SELECT * FROM memory.main."events"', 3),
        ("FROM events JOIN notes ON event_id = number || '.0'", 2),
        ("PIVOT events ON event_type IN ('Told') USING count(*) GROUP BY asset", 1),
        ("FROM query_table('eve' || 'nts')", 3),
        ("WITH x AS (FROM events) FROM x", 3),
        ("SUMMARIZE events", 7),
    ],
)
def test_however_it_is_named_its_rows_are_read(now, log, query, rows):
    assert now.sql(query).height == rows
    assert log.reads == 1


@pytest.mark.parametrize("query", ["FROM notes", "SELECT 1", "SHOW TABLES", "SELECT 1 AS event"])
def test_it_is_not_read_for_a_query_that_does_not_name_it(now, log, query):
    now.sql(query)
    now.stored_sql("FROM notes")
    assert log.reads == 0


def test_it_is_listed_and_described_whether_read_or_not(now):
    assert "events" in now.sql("SHOW TABLES")["name"].to_list()
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'even' || 'ts'"
    assert now.sql(columns)["column_name"].to_list() == list(EVENTS.schema)


def test_the_same_query_again_does_not_read_it_again(now, log):
    for _ in range(3):
        assert now.sql("SELECT count(*) FROM events").item() == 3
    assert log.reads == 1


def test_without_a_source_it_has_no_rows(lake, tmp_path):
    with lake.snapshot() as now:
        assert now.sql("FROM events").schema == EVENTS.schema
        assert now.sql("SELECT count(*) FROM events").item() == 0
    write_sql_catalog(lake, tmp_path / "evaluator.duckdb")
    with duckdb.connect(tmp_path / "evaluator.duckdb", read_only=True) as connection:
        assert connection.execute("FROM events").fetchall() == []


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM events",
        "DROP VIEW events",
        "INSERT INTO {copy} FROM {copy}",
        "WITH t AS (DELETE FROM {copy} RETURNING 1) FROM t, events",
        "WITH t AS (INSERT INTO {copy} FROM {copy} RETURNING 1) FROM t, events",
        "WITH t AS (UPDATE {copy} SET asset = 'x' RETURNING 1) FROM t, events",
        "WITH t AS (DELETE FROM events RETURNING 1) FROM t",
    ],
)
def test_no_query_writes_it(now, query):
    (copy,) = now.sql(
        "SELECT database_name || '.events' AS name FROM duckdb_tables() "
        "WHERE table_name = 'events' AND (SELECT count(*) FROM events) > 0"
    )["name"]
    with pytest.raises(QueryError):
        now.sql(query.format(copy=copy))
    assert now.sql("SELECT count(*), min(asset) FROM events").row(0) == (3, "fills")


def test_the_copy_is_gone_from_the_disk_while_it_is_read(now, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert now.sql("FROM events").height == 3
    assert list((tmp_path / "temporary").iterdir()) == []
    assert now.sql("FROM events WHERE event_id = '10.0'").height == 1


def test_the_catalog_for_people_has_its_rows_and_says_what_they_mean(
    lake: Lake, log: Log, tmp_path: Path
):
    path = tmp_path / "evaluator.duckdb"
    for _ in range(2):
        write_sql_catalog(lake, path, {"events": log.pages})
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        assert connection.sql("FROM events").pl().rows(named=True) == [
            event(1), event(2), event(10),
        ]  # fmt: skip
        comment = "SELECT comment FROM duckdb_tables() WHERE table_name = 'events'"
        assert connection.execute(comment).fetchall() == [(EVENTS.grain,)]


def test_a_source_that_fails_leaves_the_catalog_as_it_was(lake: Lake, log: Log, tmp_path: Path):
    def failing() -> Iterator[pl.DataFrame]:
        yield from log.pages()
        raise KeyError("planted")

    path = tmp_path / "catalog" / "evaluator.duckdb"
    write_sql_catalog(lake, path, {"events": log.pages})
    with pytest.raises(KeyError):
        write_sql_catalog(lake, path, {"events": failing})
    assert list(path.parent.iterdir()) == [path]
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (3,)
