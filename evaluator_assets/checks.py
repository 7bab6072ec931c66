"""Asset checks: those every declaration implies, and those of completeness and plausibility.

A check of a run looks at the partitions of that run, one started alone at all of them. Checks
block where a later table would be wrong.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from evaluator.domain.schema import Partitioning, Table
from evaluator.domain.tables.discovery import (
    HOLDERS,
    LEADERBOARD,
    MARKET_SCORES,
    MARKETS,
    WALLET_SOURCES,
    WALLETS,
)
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_FEATURES_ON_DEMAND,
    WALLET_PERSONAS,
    WALLET_SCORES,
    WALLET_TRAITS,
)
from evaluator.domain.tables.history import ACTIVITY, FILLS, POSITIONS, RESOLUTIONS
from evaluator.domain.tables.ledger import (
    CLOSED_LOTS,
    OPEN_LOTS,
    RECONCILIATION,
    RECONCILIATION_EVENTS,
)
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.stages import quality
from evaluator.stages.quality import Finding
from evaluator.store.snapshot import Snapshot
from evaluator_assets import partitions
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

Where = Sequence[str] | None
"""Names of partitions in the lake; None for all."""

CHECKED_TOGETHER = {
    "markets": (MARKETS,),
    "holders": (HOLDERS,),
    "market_scores": (MARKET_SCORES,),
    "leaderboard": (LEADERBOARD,),
    "wallets": (WALLETS, WALLET_SOURCES),
    "histories": (FILLS, ACTIVITY),
    "prices": (PRICES,),
    "books": (BOOKS,),
    "comments": (COMMENTS,),
    "positions": (POSITIONS,),
    "resolutions": (RESOLUTIONS,),
    "lots": (CLOSED_LOTS, OPEN_LOTS),
    "reconciliation": (RECONCILIATION, RECONCILIATION_EVENTS),
    "wallet_features": (WALLET_FEATURES,),
    "wallet_features_on_demand": (WALLET_FEATURES_ON_DEMAND,),
    "wallet_scores": (WALLET_SCORES,),
    "personas": (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS),
}
"""Tables whose declared checks run in one step: each step of a persona run is a process."""

STALE_AFTER = timedelta(hours=26)
"""Age of the newest fill that means the ledger stands still, where the source goes on."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A check that a declaration implies."""

    name: str
    doc: str
    look: Callable[[Snapshot, Table, Where], Finding]
    applies: Callable[[Table], bool] = lambda _: True


DECLARED = (
    Declared("unique_key", "No two rows share the key.", quality.unique_key),
    Declared("no_null_where_declared", "Columns never null have no null.", quality.declared_nulls),
    Declared(
        "finite_values", "No number is infinite or NaN.", quality.finite_values, quality.has_numbers
    ),
)


def declared_checks(name: str, tables: Sequence[Table]) -> dg.AssetChecksDefinition:
    """All checks that the declarations imply, in one step; all of them block."""
    wanted = [(table, check) for table in tables for check in DECLARED if check.applies(table)]

    @dg.multi_asset_check(
        name=f"{name}_as_declared",
        specs=[
            dg.AssetCheckSpec(check.name, asset=table.name, description=check.doc, blocking=True)
            for table, check in wanted
        ],
    )
    def checks(
        context: dg.AssetCheckExecutionContext, lake: LakeResource
    ) -> Iterator[dg.AssetCheckResult]:
        with lake.open().snapshot() as now:
            for table, check in wanted:
                finding = check.look(now, table, _where(context, table))
                yield _result(finding, check.name, table.name)

    return checks


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            "window_completeness",
            asset=WALLET_FEATURES.name,
            description="Every wallet that must have a row in its window has one.",
            blocking=True,
        )
    ]
)
def window_completeness(
    context: dg.AssetCheckExecutionContext, lake: LakeResource
) -> Iterator[dg.AssetCheckResult]:
    """Of the days and windows of the run; blocks the scores, which would lack these wallets."""
    with lake.open().snapshot() as now:
        asked = [partitions.cell_of(key) for key in _keys(context, now, WALLET_FEATURES)]
        found = {
            partitions.cell_key(cell.day, cell.window_days): quality.window_completeness(now, cell)
            for cell in asked
        }
    yield _combined(found, "window_completeness", WALLET_FEATURES.name)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            "persona_completeness",
            asset=WALLET_PERSONAS.name,
            description="Every wallet with a fill has exactly one verdict.",
        )
    ]
)
def persona_completeness(
    context: dg.AssetCheckExecutionContext, lake: LakeResource
) -> Iterator[dg.AssetCheckResult]:
    """Of the days of the run. Does not block: a wallet without a verdict is not followed."""
    with lake.open().snapshot() as now:
        found = {
            key: quality.persona_completeness(now, partitions.day_of(key))
            for key in _keys(context, now, WALLET_PERSONAS)
        }
    yield _combined(found, "persona_completeness", WALLET_PERSONAS.name)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("newest_fill_age", asset=FILLS.name, description="The ledger moves on."),
        dg.AssetCheckSpec(
            "repeated_fills", asset=FILLS.name, description="Few fills are equal in all fields."
        ),
        dg.AssetCheckSpec(
            "coverage",
            asset=CLOSED_LOTS.name,
            description="Wallets sold what their own lots explain.",
        ),
        dg.AssetCheckSpec(
            "venue_errors", asset=FILLS.name, description="Few requests of the last day failed."
        ),
    ]
)
def plausibility(
    lake: LakeResource, configuration: ConfigurationResource
) -> Iterator[dg.AssetCheckResult]:
    """Warnings only: the numbers are right for the history there is, which may be too little."""
    stamp = configuration.stamp()
    with lake.open().snapshot() as now:
        findings = {
            "newest_fill_age": _age(quality.newest_fill(now), stamp.now, is_frozen=stamp.is_frozen),
            "repeated_fills": quality.repeated_fills(now),
            "coverage": quality.coverage(now),
            "venue_errors": quality.venue_errors(now, stamp.now - timedelta(days=1)),
        }
    for name, finding in findings.items():
        asset = CLOSED_LOTS if name == "coverage" else FILLS
        yield _result(finding, name, asset.name, dg.AssetCheckSeverity.WARN)


ALL = [
    *(declared_checks(name, tables) for name, tables in CHECKED_TOGETHER.items()),
    window_completeness,
    persona_completeness,
    plausibility,
]


def _age(newest: datetime | None, now: datetime, *, is_frozen: bool) -> Finding:
    """Any age will do for a source that has ended; a ledger without fills never will."""
    if newest is None:
        return Finding(is_ok=False, figures={"newest_fill_at": "none"})
    age = now - newest
    figures: dict[str, float | str] = {
        "newest_fill_at": newest.astimezone(UTC).isoformat(),
        "age_hours": round(age / timedelta(hours=1), 1),
        "source": "ended" if is_frozen else "goes on",
    }
    return Finding(is_frozen or age <= STALE_AFTER, figures)


def _result(
    finding: Finding,
    name: str,
    asset: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=finding.is_ok,
        asset_key=asset,
        check_name=name,
        severity=severity,
        metadata=dict(finding.figures),
    )


def _combined(found: Mapping[str, Finding], name: str, asset: str) -> dg.AssetCheckResult:
    """All partitions in one result: a check has no partitions of its own."""
    return dg.AssetCheckResult(
        passed=all(finding.is_ok for finding in found.values()),
        asset_key=asset,
        check_name=name,
        metadata={key: dict(finding.figures) for key, finding in found.items()},
    )


def _where(context: dg.AssetCheckExecutionContext, table: Table) -> Where:
    """The lake's names of the run's partitions; None where the check was started alone.

    The partitions of features on demand are wallets, which the lake does not keep apart.
    """
    if table.partitioned_by is Partitioning.SINGLE or not _is_partitioned(context):
        return None
    if table is WALLET_FEATURES_ON_DEMAND:
        return None
    return [partitions.stored_as(table.partitioned_by, key) for key in context.partition_keys]


def _keys(context: dg.AssetCheckExecutionContext, now: Snapshot, table: Table) -> Sequence[str]:
    """Keys of the run's partitions, else of all that have been written."""
    if _is_partitioned(context):
        return list(context.partition_keys)
    return [partitions.key_of(name) for name in now.partitions(table)]


def _is_partitioned(context: dg.AssetCheckExecutionContext) -> bool:
    return bool(context.has_partition_key or context.has_partition_key_range)
