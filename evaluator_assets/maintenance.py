"""The nightly job: larger files for readers, retention, no garbage, and what the disk holds.

Between two nights every reader opens all deltas since, so partitions with many are folded by day.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from evaluator.domain.tables.registry import TABLES
from evaluator.stages import retention
from evaluator.stages.retention import RetentionRules
from evaluator.store.disk import disk_use
from evaluator.store.lake import Lake
from evaluator.store.months import MonthsFolded
from evaluator_assets import executors, hand_over, run_history
from evaluator_assets.errors import explained
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

POOL = "maintenance"

MOST_FILES = 12
"""Files of a partition above which it is folded by day: some hours of deltas, of which an hour brings about three."""


@dg.op(pool=POOL)
@explained
def fold_deltas(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Merge the files of each partition that has several."""
    context.add_output_metadata(_folded(lake.open(), more_than=1))


@dg.op(pool=POOL)
@explained
def fold_crowded(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """Merge the files of each partition that has many."""
    context.add_output_metadata(_folded(lake.open(), more_than=MOST_FILES))


def _folded(tables: Lake, *, more_than: int) -> dict[str, Any]:
    folded = {table.name: tables.fold(table, more_than=more_than) for table in TABLES}
    return {
        "partition_count": sum(folded.values()),
        "folded": {name: count for name, count in folded.items() if count},
    }


@dg.op(ins={"before": dg.In(dg.Nothing)}, pool=POOL)
@explained
def fold_months(
    context: dg.OpExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> None:
    """Merge days that are over into month files."""
    tables, today = lake.open(), configuration.stamp().today
    folded = {table.name: tables.fold_months(table, today) for table in TABLES}
    total = sum(folded.values(), MonthsFolded())
    context.add_output_metadata(
        {
            "month_count": total.months,
            "partition_count": total.partitions,
            "merged_file_count": total.files,
            "written_bytes": total.bytes,
            "folded": {name: done.partitions for name, done in folded.items() if done.partitions},
        }
    )


@dg.op(ins={"before": dg.In(dg.Nothing)}, pool=POOL)
@explained
def apply_retention(
    context: dg.OpExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> None:
    """Delete partitions and rows that are older than the settings say."""
    today = configuration.stamp().today
    context.add_output_metadata(
        retention.apply(lake.open(), _rules(configuration), today).metadata()
    )


@dg.op(ins={"before": dg.In(dg.Nothing)}, pool=POOL)
@explained
def sweep_files(
    context: dg.OpExecutionContext, lake: LakeResource, configuration: ConfigurationResource
) -> None:
    """Delete files that nothing names, and what runs that died left for their shards."""
    swept = lake.open().sweep()
    left = hand_over.sweep(context.instance, configuration.settings())
    context.add_output_metadata(
        {"file_count": swept.files, "freed_bytes": swept.bytes, "shard_folder_count": left}
    )


@dg.op(ins={"before": dg.In(dg.Nothing)}, pool=POOL)
@explained
def prune_runs(context: dg.OpExecutionContext, configuration: ConfigurationResource) -> None:
    """Delete old runs with their events and logs."""
    pruned = run_history.prune(context.instance, _rules(configuration), datetime.now(UTC))
    context.add_output_metadata(
        {
            "deleted_run_count": pruned.deleted,
            "kept_run_count": pruned.kept,
            "is_done": pruned.is_done,
        }
    )


@dg.op(ins={"before": dg.In(dg.Nothing)}, pool=POOL)
@explained
def measure_disk_use(context: dg.OpExecutionContext, lake: LakeResource) -> None:
    """How many bytes each table takes now."""
    context.add_output_metadata(disk_use(lake.open().root).metadata())


@dg.job(
    executor_def=executors.set_oriented,
    tags={"lane": "background", "dagster/max_runtime": "7200"},
    description="Larger files for readers, retention, and no garbage.",
)
def maintenance() -> None:
    """Fold, apply retention, sweep what both left behind, then measure."""
    swept = sweep_files(apply_retention(fold_months(fold_deltas())))
    measure_disk_use(prune_runs(swept))


@dg.job(
    executor_def=executors.set_oriented,
    tags={"lane": "background", "dagster/max_runtime": "7200"},
    description="One file for each partition that has come to have many.",
)
def folding() -> None:
    """Fold what is crowded."""
    fold_crowded()


def _rules(configuration: ConfigurationResource) -> RetentionRules:
    return configuration.settings().retention
