"""Personas: one verdict per wallet and day, by shards of wallet buckets in processes of their own.

`find_clusters` → `plan_shards` → `classify_shard` (mapped) → `publish_personas`. The serial way
is the same graph with one shard. Nothing partial is ever published. A run configured with
wallets is one shard of these, and leaves the rows of all others as they are.
"""

import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from evaluator.domain.tables.evaluation import WALLET_PERSONAS
from evaluator.stages import history, personas, personas_of_wallets, shards
from evaluator.stages.personas import Judge, ShardResult
from evaluator.stages.personas_of_wallets import Selection
from evaluator.store.commits import Commit
from evaluator_assets import contents, events, hand_over, serial
from evaluator_assets.errors import explained
from evaluator_assets.events import WalletsClassified
from evaluator_assets.hand_over import Shard
from evaluator_assets.metadata import declared
from evaluator_assets.partitions import DAILY, day_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

Work = dict[str, Any]
"""What goes from step to step: plain values, few."""

RESTARTED = dg.RetryPolicy(max_retries=2, delay=1)
"""For a shard whose process dies. Errors of ours say themselves whether trying again helps."""

UPSTREAM = (
    "fills",
    "resolutions",
    "closed_lots",
    "open_lots",
    "wallet_features",
    "wallet_features_on_demand",
)


class Whose(dg.Config):
    """Which wallets a run judges; the defaults are all of them, as every hour."""

    wallets: list[str] | None = Field(
        default=None, description="Addresses; null for all wallets there are."
    )
    takes_rows_only: bool = Field(
        default=False,
        description="Judge wallets by the feature rows there are, and compute none.",
    )


@dg.op(ins={name: dg.In(dg.Nothing) for name in UPSTREAM}, pool="personas")
@explained
def find_clusters(
    context: dg.OpExecutionContext,
    config: Whose,
    lake: LakeResource,
    configuration: ConfigurationResource,
) -> Work:
    """Wallets that trade in step, in one pass over all; fixes the commit that all steps read."""
    settings, tables = configuration.settings(), lake.open()
    place = hand_over.place(settings, context.run_id)
    with tables.snapshot(pin=True) as now:
        tables.hold(hand_over.HOLD, now.commit_id)
        day = day_of(context.partition_key)
        found = personas.find_clusters(now, day, settings.personas)
        shards.save_clusters(found, shards.folder_of(place))
        if config.wallets is not None:
            some = Selection(tuple(config.wallets), config.takes_rows_only)
            shards.save_selection(some, shards.folder_of(place))
        return Shard(place, now.commit_id).work()


@dg.op(out=dg.DynamicOut())
@explained
def plan_shards(
    context: dg.OpExecutionContext,
    lake: LakeResource,
    configuration: ConfigurationResource,
    work: Work,
) -> list[dg.DynamicOutput[Work]]:
    """Wallet buckets per shard, balanced by fills: as many shards as help on this machine."""
    whole, rules = Shard.of(work), configuration.settings().personas
    if some := shards.load_selection(shards.folder_of(whole.place)):
        reason = f"a run of {len(some.wallets)} wallets"
        part = whole.planned(0, history.ALL_BUCKETS, reason)
        return [dg.DynamicOutput(part.work(), mapping_key=part.key)]
    with lake.open().snapshot(at=whole.commit_id) as now:
        wanted = serial.shard_count(context.run_tags.get(serial.TAG), now, rules)
        plan = personas.plan_shards(now, wanted.count)
    context.log.info("%d shards, because: %s", len(plan), wanted.reason)
    parts = [whole.planned(number, each, wanted.reason) for number, each in enumerate(plan)]
    return [dg.DynamicOutput(part.work(), mapping_key=part.key) for part in parts]


@dg.op(retry_policy=RESTARTED)
@explained
def classify_shard(
    context: dg.OpExecutionContext,
    lake: LakeResource,
    configuration: ConfigurationResource,
    work: Work,
) -> Work:
    """Verdicts of all wallets of a shard, written where `publish_personas` finds them."""
    began, shard = time.monotonic(), Shard.of(work)
    folder, rules = shards.folder_of(shard.place), configuration.settings().personas
    day, stamp = day_of(context.partition_key), configuration.stamp()
    cluster, some = shards.load_clusters(folder), shards.load_selection(folder)
    with lake.open().snapshot(pin=True, at=shard.commit_id) as now:
        if some:
            judge = Judge(cluster, rules, stamp)
            result = personas_of_wallets.classify_wallets(now, day, some, judge)
        else:
            result = personas.classify_buckets(now, day, shard.buckets, cluster, rules, stamp)
    personas.save(result, shards.folder_of(shard.uri))
    return shard.classified(time.monotonic() - began, context.retry_number).work()


@dg.op(out={name: dg.Out(dg.Nothing, is_required=True) for name in contents.PERSONA_TABLES})
@explained
def publish_personas(
    context: dg.OpExecutionContext,
    lake: LakeResource,
    configuration: ConfigurationResource,
    classified: list[Work],
) -> contents.Published:
    """Personas, exclusions and traits of the day in one commit, if no shard or wallet is missing.

    Of a run of some wallets: their rows, instead of those they had.
    """
    parts, stamp = [Shard.of(work) for work in classified], configuration.stamp()
    day, tables = day_of(context.partition_key), lake.open()
    results = [personas.load(shards.folder_of(part.uri), part.buckets) for part in parts]
    some = shards.load_selection(shards.folder_of(parts[0].place))
    with tables.snapshot(pin=True, at=parts[0].commit_id) as base:
        if some:
            commit = personas_of_wallets.publish(tables, day, results[0], stamp, base)
        else:
            commit = personas.publish(tables, day, results, stamp, base)
    told = _told(day, commit, some, results)
    context.add_output_metadata(told, output_name=WALLET_PERSONAS.name)
    published = contents.personas(tables, day, commit, parts, results)
    hand_over.clear(parts[0].place)
    return published


def _told(
    day: date, commit: Commit, some: Selection | None, results: Sequence[ShardResult]
) -> events.Metadata:
    """The event of the run; of a run of some wallets, also how many got no verdict."""
    count = commit.rows(WALLET_PERSONAS)
    told = events.emitted(WalletsClassified(day=day, count=count, is_whole=some is None))
    if some is None:
        return told
    judged = sum(result.verdicts.personas.height for result in results)
    return told | {"asked_wallet_count": len(some.wallets), "judged_wallet_count": judged}


@dg.graph(
    name="classify_wallets",
    ins={name: dg.GraphIn() for name in UPSTREAM},
    out={name: dg.GraphOut() for name in contents.PERSONA_TABLES},
)
def classify_wallets(**upstream: None) -> Any:
    """Verdicts of all wallets on a day."""
    return publish_personas(plan_shards(find_clusters(**upstream)).map(classify_shard).collect())


# What `graph_multi_asset` makes, which drops mappings without fields, such as "all partitions"
# (dagster issue 30787).
persona_tables = dg.AssetsDefinition.from_graph(
    classify_wallets,
    keys_by_input_name={name: dg.AssetKey(name) for name in UPSTREAM},
    keys_by_output_name={name: dg.AssetKey(name) for name in contents.PERSONA_TABLES},
    partitions_def=DAILY,
    partition_mappings={name: dg.AllPartitionMapping() for name in UPSTREAM},
    group_name="personas",
    descriptions_by_output_name={
        name: table.grain for name, table in contents.PERSONA_TABLES.items()
    },
    metadata_by_output_name={
        name: declared(table) for name, table in contents.PERSONA_TABLES.items()
    },
    tags_by_output_name={
        name: {"dagster/kind/duckdb": "", "dagster/kind/polars": ""}
        for name in contents.PERSONA_TABLES
    },
)
