"""Persona runs that events ask for: of some wallets of a day, or of all where that is right."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from evaluator.domain.tables.evaluation import WALLET_PERSONAS
from evaluator.stages import due
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot
from evaluator_assets import executors, lanes
from evaluator_assets.contents import PERSONA_TABLES
from evaluator_assets.subscribers import Order

MOST_WALLETS = 10_000
"""Wallets named in one run, 460 kB of its configuration; of more, all wallets are judged."""

OF_ALL = "personas"
"""Name of the job that judges all wallets."""

# The checks of the tables look at the whole day: the next run over all wallets makes them.
of_wallets = dg.define_asset_job(
    "personas_of_wallets",
    selection=dg.AssetSelection.assets(*PERSONA_TABLES).without_checks(),
    executor_def=executors.set_oriented,
    tags={
        **lanes.tags(lanes.NORMAL),
        "dagster/max_runtime": "1800",
        "dagster/retry_strategy": "ALL_STEPS",
    },
    description="Verdicts of one day on the wallets that an event names, in one process.",
)


def some(order: Order, day: date, *, takes_rows_only: bool, lane: str) -> dg.RunRequest:
    """A run that judges the wallets of the order, and leaves all others as they are."""
    config = {"wallets": list(order.wallets), "takes_rows_only": takes_rows_only}
    return dg.RunRequest(
        run_key=order.run_key,
        job_name=of_wallets.name,
        partition_key=day.isoformat(),
        run_config={"ops": {"classify_wallets": {"ops": {"find_clusters": {"config": config}}}}},
        tags={**order.tags, **lanes.tags(lane)},
    )


def every(order: Order, day: date) -> dg.RunRequest:
    """A run that judges all wallets."""
    return dg.RunRequest(
        run_key=order.run_key,
        job_name=OF_ALL,
        partition_key=day.isoformat(),
        tags=order.tags,
    )


def why_all(now: Snapshot, day: date, config_hash: str, wallets: Sequence[str]) -> str:
    """Why verdicts on these wallets are not enough; empty where they are.

    The first run after midnight is of all wallets, and so is any after a change of configuration.
    """
    if len(wallets) > MOST_WALLETS:
        return f"{len(wallets)} wallets are more than {MOST_WALLETS}"
    if not due.of_all_wallets(now, day):
        return f"no run has judged all wallets of {day}"
    where = [partitions.day(day)]
    hashes = now.read(WALLET_PERSONAS, partitions=where, columns=["config_hash"])
    if set(hashes["config_hash"].unique()) != {config_hash}:
        return f"verdicts of {day} are of other thresholds"
    return ""
