"""Verdicts of a day as soon as its final scores are there."""

from collections.abc import Iterator, Sequence

import dagster as dg

from evaluator.stages import due
from evaluator_assets import jobs, requests
from evaluator_assets.partitions import cell_of
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

EVENTS_PER_TICK = 100
SCORES = dg.AssetKey("wallet_scores")


@dg.sensor(
    job=jobs.personas,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def personas_after_scoring(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult | dg.SkipReason:
    """One run per day whose verdicts are older than its final features.

    The cursor is the storage id of the last materialisation of scores seen; one that cannot be
    read starts over from the first.
    """
    after = parse_cursor(context.cursor)
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=SCORES, after_storage_id=after),
        limit=EVENTS_PER_TICK,
        ascending=True,
    ).records
    if not records:
        return dg.SkipReason(f"no scores after materialisation {after}")
    window = configuration.settings().personas.window_days
    with lake.open().snapshot() as now:
        wanted = [
            (cell.day, found.seen_at)
            for cell in map(cell_of, final_partitions(records))
            if cell.window_days == window and (found := due.personas(now, cell.day, window)).is_due
        ]
    cursor = str(records[-1].storage_id)
    return dg.SensorResult(
        run_requests=[
            requests.for_day(day, run_key=f"personas/{day}@{seen_at}")
            for day, seen_at in dict.fromkeys(wanted)
        ],
        skip_reason=None
        if wanted
        else f"{len(records)} materialisations of scores, none final without newer verdicts",
        cursor=cursor,
    )


def parse_cursor(text: str | None) -> int:
    """The storage id in a cursor.

    >>> parse_cursor("41"), parse_cursor(None), parse_cursor("junk")
    (41, 0, 0)
    """
    return int(text) if text and text.isdecimal() else 0


def final_partitions(records: Sequence[dg.EventLogRecord]) -> Iterator[str]:
    """Partitions of the materialisations that say they are final."""
    for record in records:
        event = record.asset_materialization
        if event and event.partition and (flag := event.metadata.get("is_final")) and flag.value:
            yield event.partition
