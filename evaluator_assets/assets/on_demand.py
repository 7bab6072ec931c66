"""Features of new wallets, computed as soon as they have been discovered."""

import asyncio
from typing import Any

import dagster as dg

from evaluator.domain.tables.evaluation import WALLET_FEATURES_ON_DEMAND
from evaluator.stages import on_demand
from evaluator.stages.on_demand import Asked, Evaluated
from evaluator.stages.on_demand_reading import Reading
from evaluator.store.lake import Lake
from evaluator_assets import events
from evaluator_assets.errors import explained
from evaluator_assets.metadata import ROW_COUNT, declared
from evaluator_assets.partitions import SINGLE_RUN, all_of, last_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

JOB = "on_demand"
ATTEMPT = "evaluator/attempt"
"""Tag of a run: its number among the runs for the same wallets, from 1."""

SHARE = 0.2
"""Part of the venue's rate limits that computing on demand may use."""

NEW_WALLETS = dg.DynamicPartitionsDefinition(name="new_wallets")
"""One partition per new wallet, its address; those that the batch has come to are dropped."""


@dg.asset(
    group_name="features",
    deps=[
        last_of("markets"),
        *(all_of(name) for name in ("wallets", "fills", "resolutions", "closed_lots", "open_lots")),
    ],
    partitions_def=NEW_WALLETS,
    backfill_policy=SINGLE_RUN,
    kinds={"duckdb", "polars"},
    pool="on_demand",
    metadata=declared(WALLET_FEATURES_ON_DEMAND),
)
@explained
def wallet_features_on_demand(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per new wallet and day, over 30 days; green means evaluated, see the outcome."""
    stamp = configuration.stamp()
    asked = Asked(
        wallets=tuple(context.partition_keys),
        day=stamp.today,
        attempt=int(context.run.tags.get(ATTEMPT, "1")),
        run_id=context.run.run_id,
    )
    found = asyncio.run(_evaluated(lake.open(), configuration, asked))
    return _told(context, asked, found)


async def _evaluated(lake: Lake, configuration: ConfigurationResource, asked: Asked) -> Evaluated:
    """What came of it, read from the venue of the source."""
    settings = configuration.settings()
    async with configuration.open_venue(share=SHARE) as venue:
        reading = Reading(venue, settings.ingestion, settings.on_demand)
        return await on_demand.compute(lake, reading, asked, configuration.stamp())


def _told(
    context: dg.AssetExecutionContext, asked: Asked, found: Evaluated
) -> dg.MaterializeResult[Any]:
    """The outcome of each wallet on its own partition; warnings; the events."""
    for outcome in found.outcomes:
        if outcome.warning:
            context.log.warning(outcome.warning)
        rows = {ROW_COUNT: int(outcome.outcome == "computed")}
        context.add_asset_metadata(rows | outcome.figures(), partition_key=outcome.proxy_wallet)
    for problem in found.problems:
        context.log.warning("%s could not be read: %s", problem.subject, problem.error)
    fills = found.new_fills
    events.emit(
        context,
        WALLET_FEATURES_ON_DEMAND.name,
        events.OnDemandEvaluated(day=asked.day, attempt=asked.attempt, outcomes=found.words()),
        *events.TradesIngested.of(fills.wallets, count=fills.count, watermark=fills.watermark),
    )
    told = declared(WALLET_FEATURES_ON_DEMAND)
    return dg.MaterializeResult(metadata=told | {"commit_id": found.commit.commit_id})
