"""What Dagster's daemon does for one subscriber, tick by tick, with runs of our choosing."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import dagster as dg

from evaluator.store.lake import Lake
from evaluator_assets import subscribers
from evaluator_assets.events import TradesIngested
from evaluator_assets.subscribers import Bus, Order, Subscriber, Work

RUN_KEY = "dagster/run_key"


@dg.op
def nothing() -> None:
    """Nothing."""


@dg.job
def judging():
    nothing()


@dataclass
class Switched:
    """A handler with a fault that can be switched on, and what it has been asked for."""

    is_broken: bool = False
    seen: list[tuple[str, ...]] = field(default_factory=list)

    def work(self, event: TradesIngested) -> Work | None:
        self.seen.append(event.wallets)
        if self.is_broken:
            raise KeyError("planted")
        return Work("today", event.wallets) if event.count else None


def request(order: Order) -> dg.RunRequest:
    config = {"wallets": list(order.wallets)}
    return dg.RunRequest(run_key=order.run_key, tags=order.tags, run_config=config)


@dataclass
class Daemon:
    """Keeps the cursor between ticks, as Dagster does, and makes each run key's run once."""

    instance: dg.DagsterInstance
    lake: Lake
    subscriber: Subscriber
    cursor: str | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def later(self, **span: float) -> "Daemon":
        self.now += timedelta(**span)
        return self

    def tick(self) -> dg.SensorResult:
        bus = Bus(self.instance, self.lake, self.now)
        done = subscribers.tick(self.subscriber, bus, self.cursor)
        self.cursor = done.cursor
        return done

    def asked(self) -> list[dg.RunRequest]:
        return list(self.tick().run_requests or [])

    def fact(self) -> str:
        done = self.tick()
        assert not done.run_requests
        return done.skip_reason.skip_message

    def run(self, wanted: dg.RunRequest, status: dg.DagsterRunStatus, **tags: str) -> str:
        """A run that answers the request and is in this state."""
        known = dg.RunsFilter(tags={RUN_KEY: wanted.run_key})
        assert not self.instance.get_runs(known), f"{wanted.run_key} ran before"
        tags = {**wanted.tags, RUN_KEY: wanted.run_key, **tags}
        return self.instance.create_run_for_job(judging, status=status, tags=tags).run_id

    def runs_one(self, status: dg.DagsterRunStatus = dg.DagsterRunStatus.SUCCESS) -> list[str]:
        """Ask for one run, have it end so; returns the wallets in it."""
        (wanted,) = self.asked()
        self.run(wanted, status)
        return wanted.run_config["wallets"]

    @property
    def position(self) -> subscribers.Position:
        return subscribers.Position.of(self.cursor)
