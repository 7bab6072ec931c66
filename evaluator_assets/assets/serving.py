"""Serving: what others read."""

from functools import partial
from typing import Any

import dagster as dg

from evaluator.domain.tables.history import EVENTS
from evaluator.store.published import write_sql_catalog
from evaluator_assets import event_rows
from evaluator_assets.errors import explained
from evaluator_assets.partitions import all_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.asset(
    group_name="serving",
    deps=[all_of(name) for name in ("reconciliation_events", "wallet_scores", "wallet_personas")],
    kinds={"duckdb"},
)
@explained
def sql_catalog(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """A DuckDB file of views over the newest commit, and of the events, for any DuckDB client."""
    tables, path = lake.open(), configuration.settings().sql_catalog
    events = partial(event_rows.pages, context.instance)
    commit_id = write_sql_catalog(tables, path, {EVENTS.name: events})
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(tables.folder.tables),
            "path": dg.MetadataValue.path(str(path)),
            "commit_id": commit_id,
        }
    )
