"""Serving: what others read."""

from typing import Any

import dagster as dg

from evaluator.store.published import write_sql_catalog
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
    lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """A DuckDB file of views over the newest commit, for any DuckDB client."""
    tables, path = lake.open(), configuration.settings().sql_catalog
    commit_id = write_sql_catalog(tables, path)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(tables.folder.tables),
            "path": dg.MetadataValue.path(str(path)),
            "commit_id": commit_id,
        }
    )
