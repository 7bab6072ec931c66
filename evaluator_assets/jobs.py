"""Jobs: which assets run together, where, in which lane, and for how long at most."""

import dagster as dg

from evaluator_assets import executors, lanes, persona_runs, serial
from evaluator_assets import maintenance as nightly

MAX_RUNTIME = "dagster/max_runtime"
DISCOVERY = ("markets", "holders", "market_scores", "leaderboard", "wallets", "wallet_sources")
OF_ARCHIVE = ("markets",)
"""What discovery reads of a source that has ended."""

MARKET_DATA = ("prices", "books", "comments")
LEDGER = (
    "fills",
    "activity",
    "positions",
    "resolutions",
    "closed_lots",
    "open_lots",
    "reconciliation",
    "reconciliation_events",
)
SCORING = ("wallet_features", "wallet_scores")
PERSONAS = ("wallet_personas", "wallet_exclusions", "wallet_traits")
SERVING = ("sql_catalog",)


def _tags(lane: str, *, max_runtime_s: int) -> dict[str, str]:
    return {**lanes.tags(lane), MAX_RUNTIME: str(max_runtime_s)}


_WHOLE_GRAPH = {"dagster/retry_strategy": "ALL_STEPS"}
"""Retrying a part of a dynamic graph can silently skip steps."""

discovery = dg.define_asset_job(
    "discovery",
    selection=list(DISCOVERY),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=1800),
    description="What can be traded, where it pays to look, and the wallets found there.",
)

market_data = dg.define_asset_job(
    "market_data",
    selection=list(MARKET_DATA),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=3600),
    description="Prices, order books and comments of selected and traded markets, for one hour.",
)

ledger = dg.define_asset_job(
    "ledger",
    selection=list(LEDGER),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=7200),
    description="Fills, lots and reconciliation; all wallet buckets in one run.",
)

scoring = dg.define_asset_job(
    "scoring",
    selection=list(SCORING),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=7200),
    description="Features and scores; the windows of a day, or of a range of days, in one run.",
)

ON_DEMAND = ("wallet_features_on_demand",)

on_demand = dg.define_asset_job(
    "on_demand",
    selection=list(ON_DEMAND),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.FAST, max_runtime_s=600),
    description="Features of wallets just discovered, a batch in one run.",
)

personas = dg.define_asset_job(
    "personas",
    selection=list(PERSONAS),
    executor_def=executors.shards,
    tags=_tags(lanes.NORMAL, max_runtime_s=3600) | _WHOLE_GRAPH,
    description="Verdicts of one day, shards in processes of their own.",
)

personas_serial = dg.define_asset_job(
    "personas_serial",
    selection=list(PERSONAS),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=7200) | _WHOLE_GRAPH | {serial.TAG: "asked for"},
    description="Verdicts of one day in one process: the same numbers.",
)

serving = dg.define_asset_job(
    "serving",
    selection=list(SERVING),
    executor_def=executors.set_oriented,
    tags=_tags(lanes.NORMAL, max_runtime_s=600),
    description="What others read, from the newest commit.",
)


maintenance = nightly.maintenance
folding = nightly.folding
personas_of_wallets = persona_runs.of_wallets

OF_ASSETS = [
    discovery,
    market_data,
    ledger,
    on_demand,
    scoring,
    personas,
    personas_of_wallets,
    personas_serial,
    serving,
]
