"""Drops the partitions of new wallets that a final day has come to."""

import dagster as dg

from evaluator.stages import new_wallets
from evaluator_assets.assets.on_demand import NEW_WALLETS
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors.new_wallets import covered, runs_of

MOST_AT_ONCE = 1_000
"""Partitions dropped by one tick: each is a statement of its own."""


@dg.sensor(minimum_interval_seconds=600, default_status=dg.DefaultSensorStatus.RUNNING)
def on_demand_prune(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult | dg.SkipReason:
    """Once per final day, those of runs in flight excepted; starts no run, and deletes no row.

    The cursor is the last final day after which nothing was left to drop; one that cannot be
    read looks again, which changes nothing.
    """
    rules = configuration.settings().on_demand
    name = NEW_WALLETS.name or ""
    known = context.instance.get_dynamic_partitions(name)
    with lake.open().snapshot() as now:
        final = new_wallets.last_final_day(now, rules)
        if final is None or str(final) == context.cursor:
            return dg.SkipReason(f"{final or 'no day'} is the last final day: nothing new to drop")
        droppable = new_wallets.droppable(now, known, rules)
    running = covered(known, (run for run in runs_of(context.instance) if not run.has_ended))
    gone = [key for key in droppable if key not in running][:MOST_AT_ONCE]
    if not gone:
        fact = f"none of {len(known)} partitions of new wallets is covered by {final}"
        return dg.SensorResult(skip_reason=fact, cursor=str(final))
    return dg.SensorResult(
        dynamic_partitions_requests=[NEW_WALLETS.build_delete_request(gone)],
        skip_reason=f"dropped {len(gone)} of {len(known)} partitions, covered by {final}",
    )
