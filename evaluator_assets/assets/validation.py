"""Validation: verdicts against what a simulated world has planted. It alone reads the truth."""

from typing import Any

import dagster as dg

from evaluator.domain.tables.evaluation import PERSONA_VALIDATION
from evaluator.stages import validation
from evaluator_assets import contents
from evaluator_assets.errors import explained
from evaluator_assets.metadata import Report, declared, materialized
from evaluator_assets.partitions import all_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.asset(
    group_name="validation",
    deps=[all_of("wallet_personas"), all_of("wallets")],
    kinds={"duckdb", "polars"},
    metadata=declared(PERSONA_VALIDATION),
)
@explained
def persona_validation(
    context: dg.AssetExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.MaterializeResult[Any]:
    """One row per day, planted label and verdict: the confusion matrix of a simulated world."""
    tables, truth = lake.open(), configuration.settings().planted_truth()
    commit = validation.validate(tables, truth, configuration.stamp())
    extra = contents.validation(tables)
    return materialized(context, tables, Report(PERSONA_VALIDATION, commit, extra=extra))
