"""Discovery: what can be traded, where it pays to look, and the wallets found there."""

from typing import Any

import dagster as dg

from evaluator.domain.tables.discovery import (
    HOLDERS,
    LEADERBOARD,
    MARKET_SCORES,
    MARKETS,
    WALLET_SOURCES,
    WALLETS,
)
from evaluator_assets import contents
from evaluator_assets.errors import explained
from evaluator_assets.events import WalletsDiscovered
from evaluator_assets.metadata import Report, declared, gathered, materialized
from evaluator_assets.partitions import DAILY, day_of, same_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

KINDS = {"duckdb", "polars"}


@dg.asset(
    group_name="discovery",
    partitions_def=DAILY,
    kinds=KINDS,
    pool="ingest",
    metadata=declared(MARKETS),
)
@explained
def markets(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per market and day on which it was seen."""
    source, tables = configuration.open_source(), lake.open()
    found = source.markets(tables, day_of(context.partition_key))
    return materialized(context, tables, gathered(MARKETS, found, refuses=True))


@dg.asset(
    group_name="discovery",
    partitions_def=DAILY,
    deps=[same_of("markets")],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(HOLDERS),
)
@explained
def holders(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per token of a candidate market and large holder of it."""
    source, tables = configuration.open_source(), lake.open()
    found = source.holders(tables, day_of(context.partition_key))
    return materialized(context, tables, gathered(HOLDERS, found, refuses=True))


@dg.asset(
    group_name="discovery",
    partitions_def=DAILY,
    deps=[same_of("markets"), same_of("holders")],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(MARKET_SCORES),
)
@explained
def market_scores(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per candidate market: MScore, EScore, and whether its event is searched."""
    source, tables = configuration.open_source(), lake.open()
    day = day_of(context.partition_key)
    found = source.market_scores(tables, day)
    told = contents.markets_scored(tables, day)
    return materialized(context, tables, gathered(MARKET_SCORES, found, refuses=True, told=told))


@dg.asset(
    group_name="discovery",
    partitions_def=DAILY,
    kinds=KINDS,
    pool="ingest",
    metadata=declared(LEADERBOARD),
)
@explained
def leaderboard(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per ranked wallet, category and period: the venue's own ranking."""
    source, tables = configuration.open_source(), lake.open()
    found = source.leaderboard(tables, day_of(context.partition_key))
    return materialized(context, tables, gathered(LEADERBOARD, found, refuses=True))


@dg.multi_asset(
    name="discover",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[same_of(name) for name in ("holders", "market_scores", "leaderboard")],
            group_name="discovery",
            kinds=KINDS,
            metadata=declared(table),
            description=table.grain,
        )
        for table in (WALLETS, WALLET_SOURCES)
    ],
    partitions_def=DAILY,
    pool="ingest",
)
@explained
def discover(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Wallets seen for the first time, and every source that named a wallet, in one commit."""
    source, tables = configuration.open_source(), lake.open()
    day = day_of(context.partition_key)
    found = source.wallets(tables, day)
    told = WalletsDiscovered.of(found.new_wallets, day=day)
    return (
        materialized(context, tables, gathered(WALLETS, found, refuses=True, told=told)),
        materialized(context, tables, Report(WALLET_SOURCES, found.commit)),
    )
