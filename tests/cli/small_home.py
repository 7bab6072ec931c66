"""A home whose tables were computed from a small history, without Dagster."""

from datetime import UTC, date, datetime
from pathlib import Path

from evaluator import home as homes
from evaluator.domain.features.history import Cell
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.scores import ScoreRules
from evaluator.settings import Settings
from evaluator.stages import features, ingest, ledger, personas, scores
from evaluator.stages.stamp import Stamp
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history

DAY = date(2026, 6, 30)
WINDOWS = (7, 30, 90)


def fill(folder: Path) -> Path:
    """Write a history of 80 wallets into the home, and every table from it."""
    write_history(folder / "history", end=DAY, wallets=80, events=14, days=100)
    homes.claim(folder, {"source": "demo"})
    lake = Lake(folder / homes.LAKE)
    archive = Archive(folder / "history")
    stamp = Stamp(datetime(2026, 7, 1, tzinfo=UTC), "digest", "0", is_frozen=True)
    cells = [Cell(DAY, window) for window in WINDOWS]
    ingest.ingest_markets(lake, archive, DAY)
    ingest.ingest_fills(lake, archive)
    ingest.ingest_positions(lake, archive)
    ingest.publish_resolutions(lake)
    ledger.build_lots(lake)
    ledger.reconcile_positions(lake)
    features.compute(lake, cells, stamp)
    scores.compute(lake, cells, ScoreRules(), stamp)
    personas.classify_all(lake, DAY, PersonaRules(), stamp)
    return folder


def settings(folder: Path) -> Settings:
    """The settings of that home."""
    return Settings(home=folder)
