"""Runs all stages on an archive folder, without Dagster, for tests of the tables they make."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from evaluator.domain.features.history import Cell
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.scores import ScoreRules
from evaluator.domain.tables.registry import TABLES
from evaluator.stages import features, ingest, ledger, personas, scores
from evaluator.stages.stamp import Stamp
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive

WINDOWS = (7, 30, 90)
STAMP = Stamp(datetime(2026, 1, 1, tzinfo=UTC), "thresholds", "0", is_frozen=True)


def ingest_archive(root: Path, archive: Archive) -> Lake:
    """A lake with all that the archive gives, and the lots built from it."""
    lake = Lake(root)
    ingest.ingest_markets(lake, archive, archive.last_day())
    ingest.ingest_fills(lake, archive)
    ingest.ingest_positions(lake, archive)
    ingest.publish_resolutions(lake)
    ledger.build_lots(lake)
    ledger.reconcile_positions(lake)
    return lake


def evaluate(lake: Lake, days: Sequence[date], windows: Sequence[int] = WINDOWS) -> None:
    """Features, scores and personas of the days."""
    cells = [Cell(day, window) for day in days for window in windows]
    features.compute(lake, cells, STAMP)
    scores.compute(lake, cells, ScoreRules(), STAMP)
    for day in days:
        personas.classify_all(lake, day, PersonaRules(), STAMP)


def hashes(lake: Lake) -> dict[str, str]:
    """Content hash of every table."""
    with lake.snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def shuffled(folder: Path, into: Path, *, seed: int) -> Archive:
    """The same archive with its rows in another order and its fills in three files."""
    into.mkdir()
    for path in folder.glob("*.parquet"):
        rows = pl.read_parquet(path).sample(fraction=1.0, shuffle=True, seed=seed)
        if not path.name.startswith("trades"):
            rows.write_parquet(into / path.name)
            continue
        for part in range(3):
            rows[part::3].write_parquet(into / f"{path.stem}_{part}.parquet")
    return Archive(into, trades="trades_*.parquet")


def cut(folder: Path, into: Path, *, as_of: datetime) -> Archive:
    """The archive as it was at an instant: without the fills at or after it."""
    into.mkdir()
    for path in folder.glob("*.parquet"):
        rows = pl.read_parquet(path)
        if path.name.startswith("trades"):
            rows = rows.filter(pl.col("timestamp") < int(as_of.timestamp()))
        rows.write_parquet(into / path.name)
    return Archive(into)
