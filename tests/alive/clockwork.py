"""What Dagster's daemon does, without its waiting: every tick at its time, then what it asks for.

The world shows the instant of the tick. Runs happen one after the other in this process, and
sensors are asked after every one of the schedules' ticks until none of them wants anything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from evaluator.settings import Settings, load_settings
from evaluator.store.lake import Lake
from evaluator_assets import pipeline, schedules
from evaluator_assets.definitions import defs
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from tests.assets.runs import Ran

RUN_KEY = "dagster/run_key"
MINUTE = "%Y-%m-%d-%H:%M"
ROUNDS = 12
"""Of sensors after one tick; each round runs what the one before has brought about."""

SLOW_S = 300
"""Interval from which a sensor is asked once after a tick, when all others have come to rest."""

FOLLOWERS = ("ledger_after_discovery", "serial_fallback")
"""Sensors that follow the status of runs: Dagster keeps their cursor, from their first tick on."""

SENSORS = tuple(sorted(sensor.name for sensor in defs.sensors or ()))


@dataclass(frozen=True, slots=True)
class Done:
    """One run: who asked for it, when, and how it went."""

    at: datetime
    asked_by: str
    job: str
    tags: Mapping[str, str]
    ran: Ran


@dataclass(frozen=True, slots=True)
class SmallWorld:
    """A simulated world of few wallets, and the folder that the system over it writes to."""

    folder: Path
    start: date
    seed: int = 9
    wallets: int = 30
    events_per_day: float = 4.0
    new_wallets_per_day: float = 12.0
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch, repr=False)

    def variables(self) -> dict[str, str]:
        """The environment of every process over this world."""
        return {
            "EVALUATOR_HOME": str(self.folder),
            "EVALUATOR_SOURCE": "sim",
            "EVALUATOR_SIM__START": self.start.isoformat(),
            "EVALUATOR_SIM__SEED": str(self.seed),
            "EVALUATOR_SIM__WALLETS": str(self.wallets),
            "EVALUATOR_SIM__EVENTS_PER_DAY": str(self.events_per_day),
            "EVALUATOR_SIM__NEW_WALLETS_PER_DAY": str(self.new_wallets_per_day),
            "EVALUATOR_LAKE__THREADS": "1",
        }

    @property
    def first(self) -> datetime:
        return datetime.combine(self.start, datetime.min.time(), UTC)

    def show(self, instant: datetime) -> None:
        """Set the world's present, for this process."""
        for name, value in self.variables().items():
            self.patch.setenv(name, value)
        self.patch.setenv("EVALUATOR_SIM__NOW", instant.isoformat())

    def settings(self) -> Settings:
        return load_settings()

    def lake(self) -> Lake:
        return self.settings().open_lake()


def ticks(schedule: dg.ScheduleDefinition, since: datetime, until: datetime) -> Iterator[datetime]:
    """When a schedule ticks in [since, until), by Dagster's own reading of its cron."""
    windows = dg.TimeWindowPartitionsDefinition(
        start=since.strftime(MINUTE),
        end=(until + timedelta(days=2)).strftime(MINUTE),
        fmt=MINUTE,
        cron_schedule=str(schedule.cron_schedule),
    )
    for key in windows.get_partition_keys():
        at = datetime.strptime(key, MINUTE).replace(tzinfo=UTC)
        if at < until:
            yield at


@dataclass
class Clockwork:
    """The schedules and sensors of the code location over a world, and all their runs."""

    world: SmallWorld
    instance: dg.DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    now: datetime = field(init=False)

    def between(self, since: datetime, until: datetime) -> None:
        """Every tick in [since, until), in order."""
        self.show(since)
        self.sense()
        due = [
            (at, place)
            for place, schedule in enumerate(schedules.ALL)
            for at in ticks(schedule, since, until)
        ]
        for at, place in sorted(due):
            self.show(at)
            self.tick(schedules.ALL[place])
            self.sense()

    def show(self, instant: datetime) -> None:
        self.now = instant
        self.world.show(instant)

    def tick(self, schedule: dg.ScheduleDefinition) -> None:
        """One tick of a schedule at its time, and the runs that it asks for."""
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=self.now,
            resources=self._resources(),
            repository_def=defs.get_repository_def(),
        )
        answer = schedule.evaluate_tick(context)
        self.skipped[schedule.name] = answer.skip_message or ""
        for request in answer.run_requests or ():
            self._run(schedule.name, request.job_name or schedule.job_name, request)

    def sense(self) -> None:
        """All sensors in turn, until a round of them brings no run."""
        known = [defs.get_repository_def().get_sensor_def(name) for name in SENSORS]
        slow = [each for each in known if (each.minimum_interval_seconds or 0) >= SLOW_S]
        for _ in range(ROUNDS):
            count = len(self.done)
            for sensor in known:
                if sensor not in slow:
                    self._sense(sensor)
            if len(self.done) == count:
                break
        else:
            asked = [(each.asked_by, each.job) for each in self.done[-ROUNDS:]]
            pytest.fail(f"the sensors do not come to rest: {asked}")
        for sensor in slow:
            self._sense(sensor)

    @property
    def known(self) -> set[str]:
        """Names of all that may ask for a run."""
        return {*SENSORS, *(schedule.name for schedule in schedules.ALL)}

    def runs(self, job: str) -> list[Done]:
        return [each for each in self.done if each.job == job]

    def _sense(self, sensor: dg.SensorDefinition) -> None:
        # With a repository a follower takes runs of this process for those of another location.
        of = {} if sensor.name in FOLLOWERS else {"repository_def": defs.get_repository_def()}
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor.name),
            resources=self._resources(),
            sensor_name=sensor.name,
            **of,
        )
        answer = sensor.evaluate_tick(context)
        self.cursors[sensor.name] = answer.cursor or context.cursor
        self.skipped[sensor.name] = answer.skip_message or ""
        for change in answer.dynamic_partitions_requests or ():
            self._partition(change)
        for request in answer.run_requests or ():
            self._run(sensor.name, request.job_name or sensor.job_name, request)

    def _partition(self, change: Any) -> None:
        if isinstance(change, dg.AddDynamicPartitionsRequest):
            self.instance.add_dynamic_partitions(
                change.partitions_def_name, list(change.partition_keys)
            )
            return
        for key in change.partition_keys:
            self.instance.delete_dynamic_partition(change.partitions_def_name, key)

    def _run(self, asked_by: str, job: str, request: dg.RunRequest) -> None:
        """Make the run of a request, once for each run key."""
        key = request.run_key
        tags = dict(request.tags) | ({RUN_KEY: f"{asked_by}:{key}"} if key else {})
        if request.partition_key:
            tags |= {"dagster/partition": request.partition_key}
        if key and self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY: tags[RUN_KEY]}), limit=1):
            return
        result = dg.execute_job(
            dg.build_reconstructable_job(pipeline.__name__, pipeline.job_named.__name__, (job,)),
            self.instance,
            run_config=self._config(request),
            tags=tags,
            asset_selection=request.asset_selection,
        )
        ran = Ran(result.success, result.run_id, self.instance)
        assert ran.success, f"{job} at {self.now}, asked by {asked_by}: {ran.failures()}"
        self.done.append(Done(self.now, asked_by, job, tags, ran))

    def _config(self, request: dg.RunRequest) -> dict[str, Any]:
        settings = self.world.settings()
        ours = pipeline.run_config(settings, {"home": str(settings.home)})
        return {**request.run_config, **ours}

    def _resources(self) -> dict[str, Any]:
        return {
            "lake": LakeResource.of(self.world.settings()),
            "configuration": ConfigurationResource(),
        }
