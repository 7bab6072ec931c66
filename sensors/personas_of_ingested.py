"""Judges wallets with new fills, without waiting for the hour."""

from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from evaluator.stages.stamp import Stamp
from evaluator.store.lake import Lake
from evaluator_assets import jobs, lanes, persona_runs, subscribers
from evaluator_assets.events import AnyEvent, TradesIngested
from evaluator_assets.subscribers import Bus, Order, Subscriber, Work
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

NAME = "personas_of_ingested"
COLLECT_S = 300.0


@dg.sensor(
    name=NAME,
    jobs=[persona_runs.of_wallets, jobs.personas],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def personas_of_ingested(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult:
    """One run for all wallets with fills ingested in the last five minutes, each once.

    Of all wallets where the day has no verdicts yet. The cursor is a `subscribers.Position`.
    """
    tables, stamp = lake.open(), configuration.stamp()
    wanted = Ingested(tables, stamp)
    subscriber = Subscriber(NAME, (TradesIngested,), wanted.work, wanted.request, COLLECT_S)
    return subscribers.tick(
        subscriber, Bus(context.instance, tables, datetime.now(UTC)), context.cursor
    )


@dataclass(frozen=True, slots=True)
class Ingested:
    """What ingested fills ask for, by what the tables hold and what time it is."""

    lake: Lake
    stamp: Stamp

    def work(self, event: AnyEvent) -> Work | None:
        """Their wallets, today; None of a source that has ended: its day is computed once."""
        if not isinstance(event, TradesIngested):
            raise TypeError(event.type)
        today = self.stamp.today.isoformat()
        return None if self.stamp.is_frozen else Work(today, event.wallets)

    def request(self, order: Order) -> dg.RunRequest:
        """A run that computes what it needs of these wallets, or of all."""
        day = self.stamp.today
        with self.lake.snapshot() as now:
            reason = persona_runs.why_all(now, day, self.stamp.config_hash, order.wallets)
        if reason:
            return persona_runs.every(order, day)
        return persona_runs.some(order, day, takes_rows_only=False, lane=lanes.NORMAL)
