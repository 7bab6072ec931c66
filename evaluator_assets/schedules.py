"""Schedules: cron, job, and why that hour. On by default, since the default source needs nothing.

A source that has ended is computed once: then its schedules skip, and say so.
"""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from evaluator.domain.errors import EvaluatorError
from evaluator.domain.tables.registry import TABLES
from evaluator.settings import config_hash
from evaluator.stages import due, ledger
from evaluator_assets import jobs, requests
from evaluator_assets.maintenance import MOST_FILES
from evaluator_assets.partitions import WINDOW_DAYS, all_windows
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

RUNNING = dg.DefaultScheduleStatus.RUNNING
Answer = dg.RunRequest | dg.SkipReason | list[dg.RunRequest]


@dg.schedule(job=jobs.discovery, cron_schedule="5 * * * *", default_status=RUNNING)
def hourly_discovery(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> Answer:
    """Minute 5: the venue's hourly figures have settled, and the ledger follows."""
    if wait := requests.in_progress(context.instance, jobs.discovery.name):
        return wait
    if not configuration.is_frozen():
        return requests.for_day(_today(context))
    try:
        day = _last_day(lake, configuration)
    except EvaluatorError as error:
        return dg.SkipReason(f"{error}; {error.hint}")
    with lake.open().snapshot() as now:
        found = due.markets(now, day)
    wanted = requests.for_day(day, assets=jobs.OF_ARCHIVE)
    return wanted if found.is_due else dg.SkipReason(found.fact)


@dg.schedule(job=jobs.market_data, cron_schedule="20 * * * *", default_status=RUNNING)
def hourly_market_data(
    context: dg.ScheduleEvaluationContext, configuration: ConfigurationResource
) -> Answer:
    """Minute 20: the hour before, once the ledger says which markets are traded and held."""
    if wait := requests.in_progress(context.instance, jobs.market_data.name):
        return wait
    if configuration.is_frozen():
        return dg.SkipReason("the source has ended: it has no market data")
    return requests.for_hour(_instant(context) - timedelta(hours=1))


@dg.schedule(job=jobs.ledger, cron_schedule="15 * * * *", default_status=RUNNING)
def hourly_ledger(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> Answer:
    """Minute 15: after discovery, whose markets say what has been resolved."""
    if wait := requests.in_progress(context.instance, jobs.ledger.name, jobs.discovery.name):
        return wait
    if not configuration.is_frozen():
        return requests.for_all_buckets()
    tables = lake.open()
    with tables.snapshot() as now:
        found = due.ledger(now, tables.held_commit(ledger.HOLD))
    return requests.for_all_buckets() if found.is_due else dg.SkipReason(found.fact)


@dg.schedule(job=jobs.scoring, cron_schedule="25 * * * *", default_status=RUNNING)
def provisional_scoring(
    context: dg.ScheduleEvaluationContext, configuration: ConfigurationResource
) -> Answer:
    """Minute 25: today's rows, from the fills that the ledger has just read."""
    if wait := requests.in_progress(context.instance, jobs.scoring.name, jobs.ledger.name):
        return wait
    if configuration.is_frozen():
        return dg.SkipReason("the source has ended: none of its days is provisional")
    return requests.for_all_windows(_today(context))


@dg.schedule(job=jobs.scoring, cron_schedule="30 0 * * *", default_status=RUNNING)
def final_scoring_fallback(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> Answer:
    """00:30 UTC: the days up to yesterday that the sensor `final_scoring` has not got to."""
    if wait := requests.in_progress(context.instance, jobs.scoring.name):
        return wait
    is_frozen = configuration.is_frozen()
    with lake.open().snapshot() as now:
        # Of all wallets the newest: one that cannot be read must not hold up the others, but a day
        # of which nobody has been read to the end is not final.
        reached = due.watermark(now, is_frozen=True)
        if reached is None:
            return dg.SkipReason("the ledger has no fill yet")
        reached = reached if is_frozen else min(reached, _instant(context))
        day = due.last_ended_day(reached.astimezone(UTC), is_frozen=is_frozen)
        digest = config_hash(configuration.settings())
        found = due.final_scores(now, all_windows(day), digest, is_frozen=is_frozen)
        if not found.is_due:
            return dg.SkipReason(found.fact)
        first = day if is_frozen else due.first_missed_day(now, day, WINDOW_DAYS)
    return requests.for_all_windows(day, first=first)


@dg.schedule(job=jobs.personas, cron_schedule="40 * * * *", default_status=RUNNING)
def hourly_personas(
    context: dg.ScheduleEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> Answer:
    """Minute 40: after the provisional scores, whose features the verdicts take."""
    one_at_a_time = (jobs.personas.name, jobs.personas_serial.name, jobs.scoring.name)
    if wait := requests.in_progress(context.instance, *one_at_a_time):
        return wait
    is_frozen, window = configuration.is_frozen(), configuration.settings().personas.window_days
    with lake.open().snapshot() as now:
        reached = due.watermark(now, is_frozen=is_frozen)
        if reached is None:
            return dg.SkipReason("the ledger has no fill yet")
        today = _today(context)
        # Yesterday again, in case the run that its final scores asked for has failed.
        days = [reached.date()] if is_frozen else [today - timedelta(days=1), today]
        found = {day: due.personas(now, day, window) for day in days}
    wanted = [requests.for_day(day) for day, each in found.items() if each.is_due]
    return wanted or dg.SkipReason("; ".join(each.fact for each in found.values()))


@dg.schedule(job=jobs.maintenance, cron_schedule="30 3 * * *", default_status=RUNNING)
def nightly_maintenance(context: dg.ScheduleEvaluationContext) -> Answer:
    """03:30 UTC: yesterday is final by then, and few people read."""
    wait = requests.in_progress(context.instance, jobs.maintenance.name)
    return wait or dg.RunRequest()


@dg.schedule(job=jobs.folding, cron_schedule="50 * * * *", default_status=RUNNING)
def folding_by_day(context: dg.ScheduleEvaluationContext, lake: LakeResource) -> Answer:
    """Minute 50: the hour's commits are made. Skips where no partition has many files."""
    if wait := requests.in_progress(context.instance, jobs.folding.name, jobs.maintenance.name):
        return wait
    tables = lake.open()
    if any(tables.crowded(table, MOST_FILES) for table in TABLES):
        return dg.RunRequest()
    return dg.SkipReason(f"no partition has more than {MOST_FILES} files")


ALL = [
    hourly_discovery,
    hourly_market_data,
    hourly_ledger,
    provisional_scoring,
    final_scoring_fallback,
    hourly_personas,
    nightly_maintenance,
    folding_by_day,
]


def _instant(context: dg.ScheduleEvaluationContext) -> datetime:
    return context.scheduled_execution_time.astimezone(UTC)


def _today(context: dg.ScheduleEvaluationContext) -> date:
    return _instant(context).date()


def _last_day(lake: LakeResource, configuration: ConfigurationResource) -> date:
    """The last day of a source that has ended: as the ledger says, else as its files do."""
    with lake.open().snapshot() as now:
        reached = due.watermark(now, is_frozen=True)
    return reached.date() if reached else configuration.settings().open_source().last_day()
