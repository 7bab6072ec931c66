"""What must not change a number, seen through the real lake, for every table."""

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.features.history import Cell
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_PERSONAS,
    WALLET_SCORES,
    WALLET_TRAITS,
)
from evaluator.domain.tables.ledger import CLOSED_LOTS
from evaluator.domain.tables.registry import TABLES
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history
from tests.stages import pipeline

LAST = date(2025, 6, 30)
EARLIER = date(2025, 6, 8)
EVALUATED = (WALLET_FEATURES, WALLET_SCORES, WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small history whose markets say when they closed, so that later fills cannot move it."""
    path = tmp_path_factory.mktemp("archive") / "history"
    write_history(path, end=LAST, wallets=90, events=14, days=70)
    (markets,) = path.glob("markets*.parquet")
    rows = pl.read_parquet(markets)
    closed = pl.when("closed").then(pl.col("endDate").str.replace("T00:00:00Z", "T12:00:00Z"))
    rows.with_columns(closed.alias("closedTime")).write_parquet(markets)
    return path


@pytest.fixture(scope="module")
def lake(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = pipeline.ingest_archive(tmp_path_factory.mktemp("lake"), Archive(folder))
    pipeline.evaluate(made, [EARLIER, LAST])
    return made


def test_the_history_reaches_every_table_that_an_archive_feeds(lake: Lake):
    with lake.snapshot() as now:
        empty = {table.name for table in TABLES if not sum(e.rows for e in now.files(table))}
    assert empty == {
        "market_scores",
        "holders",
        "leaderboard",
        "wallets",
        "wallet_sources",
        "activity",
        "prices",
        "books",
        "comments",
        "quarantine",
        "venue_requests",
        "on_demand_outcomes",
        "dead_letters",
        "wallet_features_on_demand",
        "persona_validation",
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_rows_in_other_files_make_the_same_tables(
    folder: Path, lake: Lake, tmp_path: Path, seed: int
):
    archive = pipeline.shuffled(folder, tmp_path / "shuffled", seed=seed)
    other = pipeline.ingest_archive(tmp_path / "lake", archive)
    pipeline.evaluate(other, [EARLIER, LAST])
    assert pipeline.hashes(other) == pipeline.hashes(lake)


def test_reading_everything_again_adds_no_row_and_moves_no_number(folder: Path, lake: Lake):
    before = pipeline.hashes(lake)
    again = pipeline.ingest_archive(lake.root, Archive(folder))
    pipeline.evaluate(again, [EARLIER, LAST])
    assert pipeline.hashes(again) == before


def test_what_happens_later_changes_no_row_of_a_day(folder: Path, lake: Lake, tmp_path: Path):
    as_of = Cell(EARLIER, 1).as_of
    archive = pipeline.cut(folder, tmp_path / "cut", as_of=as_of)
    other = pipeline.ingest_archive(tmp_path / "lake", archive)
    pipeline.evaluate(other, [EARLIER])
    with lake.snapshot() as full, other.snapshot() as short:
        for table in EVALUATED:
            for partition in short.partitions(table):
                assert short.content_hash(table, partition) == full.content_hash(
                    table, partition
                ), f"{table.name} {partition}"
        rows = short.partitions(WALLET_FEATURES), full.partitions(WALLET_FEATURES)
        assert [len(names) for names in rows] == [3, 6]
        known = [
            now.read(CLOSED_LOTS)
            .filter(pl.col("closed_at") < as_of)
            .drop("computed_at", strict=False)
            for now in (short, full)
        ]
    assert known[0].height
    assert known[0].equals(known[1])


def test_a_range_of_days_in_one_pass_equals_the_days_one_by_one(
    lake: Lake, folder: Path, tmp_path: Path
):
    days = [date(2025, 6, day) for day in range(20, 25)]
    at_once = pipeline.ingest_archive(tmp_path / "range", Archive(folder))
    pipeline.evaluate(at_once, days)
    one_by_one = pipeline.ingest_archive(tmp_path / "single", Archive(folder))
    for day in days:
        for window in pipeline.WINDOWS:
            pipeline.evaluate(one_by_one, [day], [window])
    assert pipeline.hashes(at_once) == pipeline.hashes(one_by_one)


def test_the_number_of_threads_changes_no_number(
    folder: Path, lake: Lake, tmp_path: Path, run_python
):
    script = (
        "import json, sys; from pathlib import Path; from datetime import date;"
        "from evaluator.venue.archive import Archive; from tests.stages import pipeline;"
        "lake = pipeline.ingest_archive(Path(sys.argv[2]), Archive(Path(sys.argv[1])));"
        "pipeline.evaluate(lake, [date.fromisoformat(day) for day in sys.argv[3:]]);"
        "print(json.dumps(pipeline.hashes(lake)))"
    )
    for threads in (1, 7):
        found = run_python(
            script,
            folder,
            tmp_path / f"lake{threads}",
            EARLIER,
            LAST,
            environment={"POLARS_MAX_THREADS": str(threads)},
        )
        assert json.loads(found) == pipeline.hashes(lake)
