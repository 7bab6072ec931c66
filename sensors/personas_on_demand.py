"""Judges new wallets as soon as their features are there."""

from datetime import UTC, date, datetime

import dagster as dg

from evaluator_assets import lanes, persona_runs, subscribers
from evaluator_assets.events import AnyEvent, OnDemandEvaluated
from evaluator_assets.subscribers import Bus, Order, Subscriber, Work
from resources.lake import LakeResource

NAME = "personas_on_demand"


@dg.sensor(
    name=NAME,
    job=persona_runs.of_wallets,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def personas_on_demand(context: dg.SensorEvaluationContext, lake: LakeResource) -> dg.SensorResult:
    """One run in the fast lane per day, of the wallets whose rows have just been computed.

    It takes these rows and computes none. The cursor is a `subscribers.Position`.
    """
    bus = Bus(context.instance, lake.open(), datetime.now(UTC))
    return subscribers.tick(SUBSCRIBER, bus, context.cursor)


def work(event: AnyEvent) -> Work | None:
    """The wallets that have a row, by the day of the rows; None where none has."""
    if not isinstance(event, OnDemandEvaluated):
        raise TypeError(event.type)
    return Work(event.day.isoformat(), event.computed) if event.computed else None


def request(order: Order) -> dg.RunRequest:
    """A run that takes the rows of these wallets."""
    day = date.fromisoformat(order.key)
    return persona_runs.some(order, day, takes_rows_only=True, lane=lanes.FAST)


SUBSCRIBER = Subscriber(NAME, (OnDemandEvaluated,), work, request)
