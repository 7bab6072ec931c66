"""Rows of `wallet_scores` for any number of days and windows."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from evaluator.domain.errors import PermanentError
from evaluator.domain.features.history import Cell
from evaluator.domain.scores import ScoreRules, ranked, wallet_scores
from evaluator.domain.tables.discovery import LEADERBOARD
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_SCORES
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot


class MissingFeaturesError(PermanentError):
    """Scores were asked for a day and window whose features were never computed."""

    code = "missing_features"
    hint = "materialise wallet_features of that partition first, or run the job `scoring`"

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        super().__init__(f"no features of {cell.day} over {cell.window_days} days")


def compute(lake: Lake, cells: Sequence[Cell], rules: ScoreRules, stamp: Stamp) -> Commit:
    """Replace the partitions of all cells in one commit."""
    with lake.snapshot() as now:
        addresses = now.texts()
        frames = {
            (WALLET_SCORES, partitions.day_window(cell.day, cell.window_days)): _scores(
                now, cell, rules, stamp, addresses
            )
            for cell in cells
        }
        return lake.commit(replace=frames, base=now, what="scores")


def _scores(
    now: Snapshot, cell: Cell, rules: ScoreRules, stamp: Stamp, addresses: pl.DataFrame
) -> pl.DataFrame:
    where = [partitions.day_window(cell.day, cell.window_days)]
    if where[0] not in now.partitions(WALLET_FEATURES):
        raise MissingFeaturesError(cell)
    features = now.read(WALLET_FEATURES, partitions=where)
    scores = wallet_scores(features, _leaders(now, cell.day, rules), rules)
    texts = addresses.select(pl.col("key").alias("proxy_wallet"), pl.col("text").alias("address"))
    return (
        ranked(scores, texts)
        .with_columns(**stamp.columns(cell.day))
        .select(WALLET_SCORES.schema.names())
    )


def _leaders(now: Snapshot, day: date, rules: ScoreRules) -> pl.DataFrame | None:
    """Wallets in the top of the newest leaderboard up to the day; None where there is none."""
    known = now.read(
        LEADERBOARD,
        columns=["snapshot_date", "proxy_wallet", "rank"],
        where="snapshot_date <= ?",
        parameters=[day],
    )
    if known.is_empty():
        return None
    newest = known.filter(pl.col("snapshot_date") == pl.col("snapshot_date").max())
    return newest.filter(pl.col("rank") <= rules.leaderboard_top).select("proxy_wallet").unique()
