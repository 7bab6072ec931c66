"""Verdicts against the planted truth of ten simulated worlds, as the venue's client sees them.

    python -m bench.validation --json validation.json

Seeds and worlds are fixed here; nothing in them was chosen by looking at verdicts. Each world is
discovered, ingested through its API, and classified by the same stages that the assets call.
"""

import argparse
import json
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from evaluator.domain import validation
from evaluator.domain.features.history import Cell
from evaluator.settings import Settings, config_hash, load_settings
from evaluator.stages import features, ledger, personas
from evaluator.stages import validation as validations
from evaluator.stages.history import ALL_BUCKETS
from evaluator.stages.stamp import Stamp

SEEDS = (101, 102, 103, 104, 105, 106, 107, 108, 109, 110)
START = date(2026, 3, 1)
DAY = START + timedelta(days=119)
WORLD = {"wallets": 300, "new_wallets_per_day": 3.0, "events_per_day": 1.5}


def main() -> None:
    """Print a line per world, then precision and recall of every label over all worlds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    matrices = []
    for seed in options.seeds:
        began = time.monotonic()
        matrix = world_matrix(seed)
        matrices.append(matrix)
        hits = matrix.filter(pl.col("persona") == pl.col("expected_label"))
        print(
            f"seed {seed}: {matrix['wallet_count'].sum()} wallets, "
            f"{hits['wallet_count'].sum()} as planted, {time.monotonic() - began:.0f} s"
        )
        sys.stdout.flush()
    whole = (
        pl.concat(matrices)
        .group_by("expected_label", "persona")
        .agg(pl.col("wallet_count").sum())
        .sort("expected_label", "persona")
    )
    rows = validation.agreement(whole).to_dicts()
    for row in rows:
        print(_line(row))
    if options.json:
        found = {"seeds": list(options.seeds), "matrix": whole.to_dicts(), "agreement": rows}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def world_matrix(seed: int) -> pl.DataFrame:
    """The confusion matrix of one world, computed in a home of its own."""
    with tempfile.TemporaryDirectory() as folder:
        end = datetime.combine(DAY + timedelta(days=1), datetime.min.time(), UTC)
        sim = {"seed": seed, "start": START, "now": end, **WORLD}
        settings = load_settings(home=Path(folder), source="sim", sim=sim)
        settings.claim_home()
        return matrix_of(settings)


def matrix_of(settings: Settings) -> pl.DataFrame:
    """Discover, ingest, classify; then hold the verdicts against the truth."""
    lake, source = settings.open_lake(), settings.open_source()
    stamp = Stamp(settings.now(), config_hash(settings), "bench", is_frozen=False)
    for read in (source.markets, source.holders, source.market_scores, source.leaderboard):
        read(lake, DAY)
    source.wallets(lake, DAY)
    source.histories(lake, ALL_BUCKETS)
    source.resolutions(lake)
    ledger.build_lots(lake)
    features.compute(lake, [Cell(DAY, settings.personas.window_days)], stamp)
    personas.classify_all(lake, DAY, settings.personas, stamp)
    with lake.snapshot() as now:
        pairs = validations.pairs(now, DAY, settings.planted_truth())
    return validation.confusion(pairs)


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['label']:24} precision {_share(row, 'precision')}   recall {_share(row, 'recall')}"
    )


def _share(row: dict[str, Any], name: str) -> str:
    if row[name] is None:
        return f"{'none':26}"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{row[name]:.2f} [{low:.2f}, {high:.2f}] of {row[f'{name}_count']:<5}"


if __name__ == "__main__":
    main()
