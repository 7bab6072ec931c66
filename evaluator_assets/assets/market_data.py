"""Market data: price series, order books, comments; an hour at a time, kept by day."""

from typing import Any

import dagster as dg

from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator_assets.errors import explained
from evaluator_assets.metadata import declared, gathered, materialized
from evaluator_assets.partitions import HOURLY, all_of, hour_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

KINDS = {"duckdb", "polars"}
DEPS = ("market_scores", "fills", "open_lots")


@dg.asset(
    group_name="market_data",
    partitions_def=HOURLY,
    deps=[all_of(name) for name in DEPS],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(PRICES),
)
@explained
def prices(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per token and instant of the venue's price series."""
    source, tables = configuration.open_source(), lake.open()
    found = source.prices(tables, hour_of(context.partition_key))
    return materialized(context, tables, gathered(PRICES, found, refuses=True))


@dg.asset(
    group_name="market_data",
    partitions_def=HOURLY,
    deps=[all_of(name) for name in DEPS],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(BOOKS),
)
@explained
def books(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per token and instant at which its order book was read."""
    source, tables = configuration.open_source(), lake.open()
    found = source.books(tables, hour_of(context.partition_key))
    return materialized(context, tables, gathered(BOOKS, found, refuses=True))


@dg.asset(
    group_name="market_data",
    partitions_def=HOURLY,
    deps=[all_of(name) for name in DEPS],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(COMMENTS),
)
@explained
def comments(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per comment on an event or market."""
    source, tables = configuration.open_source(), lake.open()
    found = source.comments(tables, hour_of(context.partition_key))
    return materialized(context, tables, gathered(COMMENTS, found, refuses=True))
