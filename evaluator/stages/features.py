"""Rows of `wallet_features` for any number of days and windows."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

import polars as pl

from evaluator.domain.features.career import career
from evaluator.domain.features.compute import feature_rows
from evaluator.domain.features.history import Cell, prepare
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.stages import history
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake

BATCH = "batch"


def compute(lake: Lake, cells: Sequence[Cell], stamp: Stamp) -> Commit:
    """Replace the partitions of all cells in one commit; batch by batch, to bound memory."""
    rows: defaultdict[Cell, list[pl.DataFrame]] = defaultdict(list)
    with lake.snapshot() as now:
        market = history.market(now, cells)
        for batch in history.batches(now, history.ALL_BUCKETS):
            prepared = prepare(history.wallets(now, batch, market.tokens), market)
            for day, of_day in groupby(sorted(cells), key=lambda cell: cell.day):
                careers = career(prepared.bucket, Cell(day, 1)).collect()
                for cell in of_day:
                    rows[cell].append(stamped(feature_rows(prepared, cell, careers), cell, stamp))
        frames = {
            (WALLET_FEATURES, partitions.day_window(cell.day, cell.window_days)): pl.concat(parts)
            for cell, parts in rows.items()
        }
        return lake.commit(replace=frames, base=now, what="features")


def stamped(rows: pl.DataFrame, cell: Cell, stamp: Stamp) -> pl.DataFrame:
    """Feature rows as the table declares them."""
    return rows.with_columns(
        **stamp.columns(cell.day),
        source=pl.lit(BATCH),
        code_version=pl.lit(stamp.code_version),
    ).select(WALLET_FEATURES.schema.names())
