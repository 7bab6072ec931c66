"""The ledger: what happened, what each wallet made of it, and how that compares.

Bulk tables are in wallet buckets; a run takes any range of them.
"""

from typing import Any

import dagster as dg

from evaluator.domain.schema import BUCKET_COUNT
from evaluator.domain.tables.history import ACTIVITY, FILLS, POSITIONS, RESOLUTIONS
from evaluator.domain.tables.ledger import (
    CLOSED_LOTS,
    OPEN_LOTS,
    RECONCILIATION,
    RECONCILIATION_EVENTS,
)
from evaluator.stages import ledger
from evaluator_assets import contents
from evaluator_assets.errors import explained
from evaluator_assets.metadata import Report, declared, gathered, materialized
from evaluator_assets.partitions import BUCKETS, SINGLE_RUN, all_of, buckets, last_of, same_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

KINDS = {"duckdb", "polars"}


@dg.multi_asset(
    name="histories",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[all_of("wallets")],
            group_name="ledger",
            kinds=KINDS,
            metadata=declared(table),
            description=table.grain,
        )
        for table in (FILLS, ACTIVITY)
    ],
    partitions_def=BUCKETS,
    backfill_policy=SINGLE_RUN,
    pool="ingest",
)
@explained
def histories(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Fills and other movements of wallets, with how far each has been read, commit by commit."""
    source, tables = configuration.open_source(), lake.open()
    found = source.histories(tables, buckets(context))
    return (
        materialized(context, tables, gathered(FILLS, found, refuses=True)),
        materialized(context, tables, Report(ACTIVITY, found.commit)),
    )


@dg.asset(
    group_name="ledger",
    partitions_def=BUCKETS,
    backfill_policy=SINGLE_RUN,
    kinds=KINDS,
    pool="ingest",
    metadata=declared(POSITIONS),
)
@explained
def positions(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per wallet, token and day: the venue's own numbers, for reconciliation."""
    source, tables = configuration.open_source(), lake.open()
    found = source.positions(tables, buckets(context))
    return materialized(context, tables, gathered(POSITIONS, found, refuses=True))


@dg.asset(
    group_name="ledger",
    deps=[last_of("markets"), all_of("fills")],
    kinds=KINDS,
    pool="ingest",
    metadata=declared(RESOLUTIONS),
)
@explained
def resolutions(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per outcome token whose payout is known."""
    source, tables = configuration.open_source(), lake.open()
    return materialized(context, tables, gathered(RESOLUTIONS, source.resolutions(tables)))


@dg.multi_asset(
    name="lots",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[
                same_of("fills"),
                same_of("activity"),
                all_of("resolutions"),
                last_of("markets"),
            ],
            group_name="ledger",
            kinds=KINDS,
            metadata=declared(table),
            description=table.grain,
        )
        for table in (CLOSED_LOTS, OPEN_LOTS)
    ],
    partitions_def=BUCKETS,
    backfill_policy=SINGLE_RUN,
    pool="ledger",
)
@explained
def lots(
    context: dg.AssetExecutionContext, lake: LakeResource
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Closed and open lots, first in, first out, and resolutions.

    Over all buckets only of wallets whose inputs have changed; of some buckets, whole.
    """
    tables = lake.open()
    asked = buckets(context)
    is_whole = len(asked) == BUCKET_COUNT
    commit = ledger.refresh_lots(tables) if is_whole else ledger.build_lots(tables, asked)
    return (
        materialized(context, tables, Report(CLOSED_LOTS, commit)),
        materialized(context, tables, Report(OPEN_LOTS, commit)),
    )


@dg.multi_asset(
    name="reconcile",
    specs=[
        dg.AssetSpec(
            table.name,
            deps=[all_of(name) for name in ("fills", "positions", "closed_lots", "open_lots")],
            group_name="ledger",
            kinds=KINDS,
            metadata=declared(table),
            description=table.grain,
        )
        for table in (RECONCILIATION, RECONCILIATION_EVENTS)
    ],
    pool="ledger",
)
@explained
def reconcile(
    context: dg.AssetExecutionContext, lake: LakeResource
) -> tuple[dg.MaterializeResult[Any], dg.MaterializeResult[Any]]:
    """Our PnL against the venue's own, per token and per event, with a reason for every miss."""
    tables = lake.open()
    commit = ledger.reconcile_positions(tables)
    extra = contents.reconciliation(tables)
    return (
        materialized(context, tables, Report(RECONCILIATION, commit)),
        materialized(context, tables, Report(RECONCILIATION_EVENTS, commit, extra=extra)),
    )
