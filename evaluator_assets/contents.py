"""What people look at in a materialisation beyond counts: plots, shares, what is final."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import dagster as dg

from evaluator.domain.features.history import Cell
from evaluator.domain.tables.evaluation import WALLET_EXCLUSIONS, WALLET_PERSONAS, WALLET_TRAITS
from evaluator.stages import equity, overview
from evaluator.stages import validation as validations
from evaluator.stages.personas import ShardResult
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator_assets import plots
from evaluator_assets.events import MarketsScored
from evaluator_assets.hand_over import Shard
from evaluator_assets.metadata import ROW_COUNT, declared
from evaluator_assets.partitions import cell_key, cells

PERSONA_TABLES = {
    table.name: table for table in (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS)
}

Published = tuple[dg.Output[None], dg.Output[None], dg.Output[None]]
"""Personas, exclusions, traits."""

PLOTTED_CELLS = 6
"""Days and windows with plots of their own; a long backfill is not drawn."""


def reconciliation(lake: Lake) -> dict[str, Any]:
    """Why wallets and events miss, and where."""
    with lake.snapshot() as now:
        return {
            "rows_by_reason": overview.miss_reasons(now),
            "reconciliation_scatter": plots.reconciliation_scatter(
                overview.reconciliation_points(now)
            ),
        }


def markets_scored(lake: Lake, day: date) -> tuple[MarketsScored, ...]:
    """The event that says how many markets of a day were scored and selected."""
    with lake.snapshot() as now:
        found = overview.market_score_counts(now, day)
    return (MarketsScored.model_validate({"day": day, **found}),)


def scores(context: dg.AssetExecutionContext, lake: Lake, stamp: Stamp) -> dict[str, Any]:
    """Adds figures and plots of each day and window; gives what all of them share."""
    key = dg.AssetKey("wallet_scores")
    asked = cells(context)
    with lake.snapshot() as now:
        for number, cell in enumerate(asked):
            shown: dict[str, Any] = dict(overview.score_figures(now, cell))
            shown["is_final"] = stamp.is_final(cell.day)
            if number < PLOTTED_CELLS:
                shown |= _score_plots(now, cell)
            context.add_asset_metadata(shown, key, cell_key(cell.day, cell.window_days))
    return {"config_hash": stamp.config_hash}


def _score_plots(now: Snapshot, cell: Cell) -> dict[str, Any]:
    return {
        "score_histogram": plots.score_histogram(overview.score_histogram(now, cell)),
        "equity_curves": plots.equity_curves(equity.equity_curves(now, cell)),
    }


def personas(
    lake: Lake, day: date, commit: Commit, shards: Sequence[Shard], results: Sequence[ShardResult]
) -> Published:
    """One output per table; the personas say how they were computed and who could not be."""
    with lake.snapshot() as now:
        own: dict[str, dict[str, Any]] = {
            "wallet_personas": {
                "persona_counts": plots.persona_counts(overview.persona_counts(now, day)),
                "failed_wallets": _failed(now, results),
                "shards": [asdict(shard) for shard in shards],
                "shard_reason": shards[0].reason,
            }
        }
        first, second, third = (
            dg.Output(
                None,
                output_name=name,
                metadata={
                    **declared(table),
                    ROW_COUNT: overview.row_count(now, table, [partitions.day(day)]),
                    "table_row_count": overview.row_count(now, table),
                    "commit_id": commit.commit_id,
                    **own.get(name, {}),
                },
            )
            for name, table in PERSONA_TABLES.items()
        )
    return first, second, third


def _failed(now: Snapshot, results: Sequence[ShardResult]) -> dict[str, str]:
    """Error by address of every wallet without a verdict."""
    failures = [failure for result in results for failure in result.failures]
    texts = overview.texts_of(now, [failure.proxy_wallet for failure in failures])
    return {
        texts.get(failure.proxy_wallet, str(failure.proxy_wallet)): failure.error
        for failure in failures
    }


def validation(lake: Lake) -> dict[str, Any]:
    """Precision and recall of every label, with their intervals, as a table."""
    with lake.snapshot() as now:
        rows = validations.agreement(now).to_dicts()
    lines = [
        f"| {row['label']} | {_share(row, 'precision')} | {_share(row, 'recall')} |" for row in rows
    ]
    head = ["| label | precision | recall |", "|---|---|---|"]
    return {"agreement": dg.MetadataValue.md("\n".join(head + lines))}


def _share(row: dict[str, Any], name: str) -> str:
    """A proportion with its interval and what it is of."""
    if row[name] is None:
        return "none"
    low, high, count = (row[f"{name}_{each}"] for each in ("low", "high", "count"))
    return f"{row[name]:.2f} ({low:.2f} to {high:.2f}, of {count})"
