"""Scores a day once all of its fills are there."""

from datetime import UTC

import dagster as dg

from evaluator.settings import config_hash
from evaluator.stages import due
from evaluator_assets import jobs, requests
from evaluator_assets.partitions import WINDOW_DAYS, all_windows
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource


@dg.sensor(
    job=jobs.scoring,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def final_scoring(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult | dg.SkipReason:
    """The days up to that before the ledger's watermark; the last day of a source that has ended.

    More than one day where the machine has stood still, all in one run. The cursor is
    `DAY@COMMIT`: the day requested last and the lots it was to see. One that cannot be read
    starts over; the run key is the same, so no run is made twice.
    """
    if wait := requests.in_progress(context.instance, jobs.ledger.name, jobs.scoring.name):
        return wait
    is_frozen, digest = configuration.is_frozen(), config_hash(configuration.settings())
    with lake.open().snapshot() as now:
        reached = due.watermark(now, is_frozen=is_frozen)
        if reached is None:
            return dg.SkipReason("the ledger has no fill yet")
        day = due.last_ended_day(reached.astimezone(UTC), is_frozen=is_frozen)
        found = due.final_scores(now, all_windows(day), digest, is_frozen=is_frozen)
        if not found.is_due:
            return dg.SkipReason(found.fact)
        first = day if is_frozen else due.first_missed_day(now, day, WINDOW_DAYS)
    cursor = f"{day}@{found.seen_at}"
    if cursor == context.cursor:
        return dg.SkipReason(f"{day} has been requested for the lots of commit {found.seen_at}")
    request = requests.for_all_windows(day, run_key=f"final_scoring/{cursor}", first=first)
    return dg.SensorResult(run_requests=[request], cursor=cursor)
