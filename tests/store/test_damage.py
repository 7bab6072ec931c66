import os
import sqlite3
from pathlib import Path

import duckdb
import polars as pl
import pytest

from evaluator.domain.schema import FLOAT, INT, Column, Table
from evaluator.store.errors import (
    DamagedFileError,
    MissingFileError,
    QueryError,
    SchemaVersionError,
)
from evaluator.store.lake import Lake
from tests.store.processes import started
from tests.store.sample_tables import HOLDINGS, NOTES, TABLES

NOTES_LATER = Table(
    name="notes",
    grain=NOTES.grain,
    key=("number",),
    is_append_only=True,
    columns=(Column("number", INT, "Key."), Column("writer", FLOAT, "Now a float.")),
)


@pytest.fixture
def written(lake: Lake) -> Path:
    rows = pl.DataFrame({"number": range(100_000), "writer": [n * 7919 for n in range(100_000)]})
    lake.commit(replace={(NOTES, "all"): rows})
    (path,) = lake.root.glob("notes/**/*.duckdb")
    return path


def test_a_missing_file_is_named_with_what_to_do(lake: Lake, written: Path):
    written.unlink()
    with lake.snapshot() as now:
        for read in (lambda: now.read(NOTES), lambda: now.scan(NOTES).collect()):
            with pytest.raises(MissingFileError) as caught:
                read()
        with pytest.raises(MissingFileError):
            now.sql("FROM notes")
    assert str(caught.value) == f"data file {written} is missing"
    assert caught.value.hint == "restore it from a backup, or materialise the partition again"


@pytest.mark.parametrize(("start", "length"), [(0, 4096), (300_000, 200_000)])
def test_a_damaged_file_is_named(lake: Lake, written: Path, start: int, length: int):
    content = bytearray(written.read_bytes())
    content[start : start + length] = os.urandom(len(content[start : start + length]))
    written.write_bytes(content)
    with lake.snapshot() as now, pytest.raises(DamagedFileError) as caught:
        now.scan(NOTES).collect()
    assert str(caught.value).startswith(f"file {written} cannot be read: ")


def test_a_file_cut_short_is_named_by_sql(lake: Lake, written: Path):
    written.write_bytes(written.read_bytes()[:1000])
    with lake.snapshot() as now, pytest.raises(DamagedFileError, match=str(written)):
        now.sql("SELECT * FROM notes")


def test_a_wrong_condition_is_not_blamed_on_the_files(lake: Lake, written: Path):
    with lake.snapshot() as now, pytest.raises(QueryError, match="nope"):
        now.read(NOTES, where="nope = 1")


def test_a_file_of_another_schema_is_refused(lake: Lake, written: Path):
    later = Lake(lake.root, tables=(NOTES_LATER, HOLDINGS), views=())
    with later.snapshot() as now:
        with pytest.raises(SchemaVersionError) as caught:
            now.scan(NOTES_LATER).collect()
        with pytest.raises(QueryError, match="schema version"):
            now.sql("SELECT * FROM notes")
        assert now.sql("SELECT count(*) FROM holdings").item() == 0
    assert str(caught.value) == (
        f"{written} holds notes in schema version {NOTES.version}, "
        f"the declaration has {NOTES_LATER.version}"
    )
    assert "materialise the partition again" in caught.value.hint


def test_a_partition_of_another_schema_may_be_replaced(lake: Lake, written: Path):
    later = Lake(lake.root, tables=(NOTES_LATER,), views=())
    later.commit(replace={(NOTES_LATER, "all"): pl.DataFrame({"number": [1], "writer": [0.5]})})
    with later.snapshot() as now:
        assert now.read(NOTES_LATER).rows() == [(1, 0.5)]


def test_a_file_that_says_another_schema_inside_is_refused(lake: Lake, written: Path):
    with duckdb.connect(written) as connection:
        connection.execute("UPDATE _meta SET schema_version = 'older'")
    with lake.snapshot() as now, pytest.raises(SchemaVersionError, match="schema version older"):
        now.read(NOTES)


def test_a_damaged_catalog_is_named(lake: Lake, written: Path):
    catalog = lake.root / "catalog.sqlite"
    for path in lake.root.glob("catalog.sqlite*"):
        path.unlink()
    catalog.write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedFileError, match=f"file {catalog} cannot be read"):
        lake.snapshot()


def test_a_catalog_has_its_name_only_once_it_is_whole(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("evaluator.store.catalog._SCHEMA", "CREATE TABLE commits (id;")
    with pytest.raises(DamagedFileError):
        Lake(tmp_path, tables=TABLES, views=()).snapshot()
    assert not (tmp_path / "catalog.sqlite").exists()
    monkeypatch.undo()
    assert Lake(tmp_path, tables=TABLES, views=()).latest_commit_id() == 0
    assert {path.name for path in tmp_path.glob("catalog.*")} == {"catalog.sqlite", "catalog.lock"}


def test_a_locked_catalog_is_a_transient_error(lake: Lake, monkeypatch):
    monkeypatch.setattr("evaluator.store.catalog.BUSY_TIMEOUT_S", 0.05)
    lake.snapshot()
    other = sqlite3.connect(lake.root / "catalog.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Exception, match="is locked by another process") as caught:
        lake.commit(append={(NOTES, "all"): pl.DataFrame({"number": [1], "writer": [1]})})
    other.close()
    assert type(caught.value).__name__ == "CatalogBusyError"
    assert not list(lake.root.glob("notes/**/*.duckdb"))


def last_word(verb: str, *arguments: object) -> str:
    with started(verb, *arguments) as process:
        return process.communicate()[0].split()[-1]


@pytest.mark.parametrize("room", [40_000, 3_000_000])
def test_a_full_disk_is_said_and_leaves_nothing(lake: Lake, room: int):
    assert last_word("write_with_little_room", lake.root, room) == "LakeFullError"
    assert [path for path in lake.root.glob("notes/**/*") if path.is_file()] == []
    assert lake.latest_commit_id() == 0


@pytest.mark.skipif(os.getuid() != 0, reason="another user can be taken on by root only")
def test_a_lake_of_another_user_is_said_to_be_read_only(tmp_path: Path):
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    Lake(tmp_path / "lake", tables=TABLES, views=()).snapshot()
    assert last_word("write_as_nobody", tmp_path / "lake") == "LakeReadOnlyError"


def test_a_root_that_is_no_folder_is_an_error_of_the_lake(tmp_path: Path):
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(Exception, match="lake") as caught:
        Lake(tmp_path / "lake")
    assert type(caught.value).__name__ == "LakeError"
