"""Scores: one number per wallet, day and window, and the ranking by it."""

from typing import Any

import dagster as dg

from evaluator.domain.tables.evaluation import WALLET_SCORES
from evaluator.stages import scores
from evaluator_assets import contents
from evaluator_assets.errors import explained
from evaluator_assets.metadata import Report, declared, materialized
from evaluator_assets.partitions import DATE_BY_WINDOW, SINGLE_RUN, cells, same_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.asset(
    group_name="scores",
    deps=[same_of("wallet_features")],
    partitions_def=DATE_BY_WINDOW,
    backfill_policy=SINGLE_RUN,
    kinds={"duckdb", "polars"},
    pool="scoring",
    metadata=declared(WALLET_SCORES),
)
@explained
def wallet_scores(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per row of wallet_features and score version, ranked within its day and window."""
    tables, stamp = lake.open(), configuration.stamp()
    rules = configuration.settings().scoring
    commit = scores.compute(tables, cells(context), rules, stamp)
    extra = contents.scores(context, tables, stamp)
    return materialized(context, tables, Report(WALLET_SCORES, commit, extra=extra))
