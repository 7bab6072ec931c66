"""The first start: limits of the pools, and the discovery from which everything else follows."""

from datetime import date

import dagster as dg

from evaluator.domain.errors import EvaluatorError
from evaluator.domain.tables.discovery import MARKETS
from evaluator_assets import jobs, lanes, requests
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

RUN_KEY = "bootstrap/discovery"


@dg.sensor(
    job=jobs.discovery,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def bootstrap(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult | dg.SkipReason:
    """One run of discovery where there are no markets; ledger, scores and personas follow it.

    The cursor is the day of that run, any text standing for one; a discovery that fails is made
    good by the hourly schedule.
    """
    named = lanes.set_pools(context.instance)
    noted = f"; limits of pools set: {', '.join(named)}" if named else ""
    if context.cursor:
        return dg.SkipReason(f"discovery of {context.cursor} was requested at the first start")
    if wait := requests.in_progress(context.instance, jobs.discovery.name):
        return dg.SkipReason(f"{wait.skip_message}{noted}")
    with lake.open().snapshot() as now:
        if now.partitions(MARKETS):
            return dg.SkipReason(f"there are markets{noted}")
    try:
        day = _first_day(configuration)
    except EvaluatorError as error:
        return dg.SkipReason(f"{error}; {error.hint}{noted}")
    assets = jobs.OF_ARCHIVE if configuration.is_frozen() else None
    request = requests.for_day(day, run_key=f"{RUN_KEY}/{day}", assets=assets)
    return dg.SensorResult(run_requests=[request], cursor=day.isoformat())


def _first_day(configuration: ConfigurationResource) -> date:
    """The last day of a source that has ended, else today."""
    if configuration.is_frozen():
        return configuration.settings().open_source().last_day()
    return configuration.stamp().today
