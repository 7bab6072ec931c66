"""Features: what a wallet looked like at the end of a day, over a window."""

from typing import Any

import dagster as dg

from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.stages import features
from evaluator_assets.errors import explained
from evaluator_assets.metadata import Report, declared, materialized
from evaluator_assets.partitions import DATE_BY_WINDOW, SINGLE_RUN, all_of, cells, last_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.asset(
    group_name="features",
    deps=[
        last_of("markets"),
        *(all_of(name) for name in ("fills", "resolutions", "closed_lots", "open_lots")),
    ],
    partitions_def=DATE_BY_WINDOW,
    backfill_policy=SINGLE_RUN,
    kinds={"duckdb", "polars"},
    pool="scoring",
    metadata=declared(WALLET_FEATURES),
)
@explained
def wallet_features(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per wallet, day and window, from what was known when the day ended."""
    tables = lake.open()
    commit = features.compute(tables, cells(context), configuration.stamp())
    return materialized(context, tables, Report(WALLET_FEATURES, commit))
