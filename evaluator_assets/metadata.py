"""What a materialisation says of its table: schema, lineage, rows, figures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from evaluator.domain.schema import Partitioning, Table
from evaluator.stages import overview
from evaluator.stages.source import Gathered
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator_assets.events import AnyEvent, TradesIngested, emit
from evaluator_assets.lineage import column_lineage
from evaluator_assets.partitions import stored_as

ROW_COUNT = "dagster/row_count"
COLUMN_SCHEMA = "dagster/column_schema"
COLUMN_LINEAGE = "dagster/column_lineage"

SHOWN = 50
"""Problems of a reading that are listed; all are counted."""

Metadata = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What a stage has done to one table; `refuses` says that it may send rows to quarantine."""

    table: Table
    commit: Commit
    refuses: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    told: Sequence[AnyEvent] = ()


def gathered(
    table: Table, found: Gathered, *, refuses: bool = False, told: Iterable[AnyEvent] = ()
) -> Report:
    """What reading a source did to a table: problems beside its rows, and events.

    New fills are told of here, whichever table they were read for.
    """
    new = found.new_fills
    ingested = TradesIngested.of(new.wallets, count=new.count, watermark=new.watermark)
    extra: Metadata = {"problem_count": len(found.problems), "left_count": found.left_count}
    if found.problems:
        shown = "\n".join(f"- {each.subject}: {each.error}" for each in found.problems[:SHOWN])
        extra["problems"] = dg.MetadataValue.md(shown)
    return Report(table, found.commit, refuses, extra, (*ingested, *told))


def column_schema(table: Table) -> dg.TableSchema:
    """The declaration in Dagster's words."""
    keys = ", ".join(table.key)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.dtype.shown,
                description=_description(column.doc, column.unit, column.null),
                constraints=dg.TableColumnConstraints(nullable=bool(column.null)),
            )
            for column in table.columns
        ],
        constraints=dg.TableConstraints(other=[f"unique ({keys})"]),
    )


def declared(table: Table) -> Metadata:
    """What holds for the table whatever its rows: for the asset, and for each event."""
    lineage = column_lineage(table.name)
    known: Metadata = {COLUMN_SCHEMA: column_schema(table)}
    return known | ({COLUMN_LINEAGE: lineage} if lineage else {})


def materialized(
    context: dg.AssetExecutionContext, lake: Lake, report: Report
) -> dg.MaterializeResult[Any]:
    """The result of an asset; the rows of each partition of the run are counted on their own."""
    table = report.table
    key = dg.AssetKey(table.name)
    emit(context, table.name, *report.told)
    with lake.snapshot() as now:
        for partition in _partitions(context, table):
            where = [stored_as(table.partitioned_by, partition)]
            count = overview.row_count(now, table, where)
            context.add_asset_metadata({ROW_COUNT: count}, key, partition)
        return dg.MaterializeResult(
            asset_key=key,
            metadata={
                **declared(table),
                **_total(now, table),
                "commit_id": report.commit.commit_id,
                **overview.figures(now, table),
                **_refused(report),
                **report.extra,
            },
        )


def _total(now: Snapshot, table: Table) -> Metadata:
    if table.partitioned_by is Partitioning.SINGLE:
        return {ROW_COUNT: overview.row_count(now, table)}
    return {"table_row_count": overview.row_count(now, table)}


def _refused(report: Report) -> Metadata:
    return {"quarantined_count": overview.refused_count(report.commit)} if report.refuses else {}


def _partitions(context: dg.AssetExecutionContext, table: Table) -> Sequence[str]:
    return [] if table.partitioned_by is Partitioning.SINGLE else context.partition_keys


def _description(doc: str, unit: str, null: str) -> str:
    parts = [doc, f"Unit: {unit}." if unit else "", f"Null: {null}." if null else ""]
    return " ".join(part for part in parts if part)
