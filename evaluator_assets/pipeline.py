"""The whole pipeline for one day, as `evaluator run` starts it: the jobs, one after the other.

Runs go through the Dagster instance that the UI shows; only its queue is passed over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg

from evaluator.domain.errors import ConfigurationError, InvalidArgumentError
from evaluator.settings import INSTANCE_LOCK, Settings, dagster_home
from evaluator.stages import new_wallets
from evaluator.store.errors import StaleReplaceError
from evaluator.store.locks import held
from evaluator_assets import executors, jobs, partitions, serial
from evaluator_assets.assets.on_demand import NEW_WALLETS
from evaluator_assets.definitions import defs
from evaluator_assets.observed import AssetOutcome, Observed, Progress, Watch
from evaluator_assets.partitions import SINGLE_KEY, WINDOW_DAYS, cell_key, windows_tags
from resources.lake import LakeResource

OnProgress = Callable[[Progress], None]

INSTANCE_FILE = "dagster.yaml"
INSTANCE_SETTINGS = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
"""Of an instance of our own, for who runs without DAGSTER_HOME."""


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """What to compute, from the source of the settings; `day` None is its last day."""

    settings: Settings
    day: date | None = None
    windows: Sequence[int] = WINDOW_DAYS
    is_serial: bool = False


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What has been computed, asset by asset, and by which runs."""

    day: date
    assets: tuple[AssetOutcome, ...]
    run_ids: Mapping[str, Sequence[str]]
    run_seconds: Mapping[str, float]
    failed_checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every asset has been materialised."""
        return all(asset.is_materialized for asset in self.assets)


NEW_WALLETS_SHOWN = 3
"""New wallets whose features a run computes at once; the sensor does so for all that follow."""

MOST_RUNS = 3
"""Runs of a step at most, where each came too late."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A run to make: its job, its partitions, the assets it is to materialise."""

    job: str
    tags: Mapping[str, str]
    assets: Sequence[str]


@dataclass(slots=True)
class _Launcher:
    """Runs jobs one after the other, and remembers what came of them."""

    instance: dg.DagsterInstance
    settings: Settings
    overrides: Mapping[str, Any]
    observed: Observed
    on_progress: OnProgress
    run_ids: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def run(self, step: _Step) -> bool:
        """Whether the run succeeded; its events are observed as they come."""
        with Watch(self.instance, self.observed, self.on_progress, step.job) as watch:
            tags = {**step.tags, **watch.tags}
            job = dg.build_reconstructable_job(__name__, job_named.__name__, (step.job,))
            assets = [dg.AssetKey(name) for name in step.assets]
            result = dg.execute_job(
                job,
                self.instance,
                run_config=self._config(step),
                tags=tags,
                asset_selection=assets,
            )
            self.run_ids.setdefault(step.job, []).append(result.run_id)
            return bool(result.success)

    def _config(self, step: _Step) -> dict[str, Any]:
        config = run_config(self.settings, self.overrides)
        if step.job == jobs.personas.name:
            config["execution"] = {"config": {"overrides": dict(self.overrides)}}
        return config

    def classify(self, step: _Step) -> None:
        """In parallel, then once serially if processes could not do it.

        A run that read a commit which another has replaced meanwhile is made anew.
        """
        while not (succeeded := self.run(step)) and self._is_stale(step):
            self.observed.forget(step.assets)
        if succeeded or step.job == jobs.personas_serial.name:
            return
        if reason := serial.why_died(self.instance, self.run_ids[step.job][-1]):
            self.notes.append(f"personas were computed in one process: {reason}")
            self.observed.forget(step.assets)
            self.run(_Step(jobs.personas_serial.name, step.tags, step.assets))

    def evaluate_new(self, step: _Step) -> None:
        """Some of the wallets just discovered, ahead of the batch; nothing where there are none."""
        with self.settings.open_lake().snapshot() as now:
            wallets = new_wallets.newest(now, NEW_WALLETS_SHOWN)
        if not wallets:
            self.observed.expect_no_more(step.assets)
            return
        self.instance.add_dynamic_partitions(str(NEW_WALLETS.name), list(wallets))
        tags = partitions.range_tags(wallets[0], wallets[-1])
        self.run(_Step(step.job, tags, step.assets))

    def _is_stale(self, step: _Step) -> bool:
        """Whether the last run of the step came too late, and it may have one more."""
        runs = self.run_ids[step.job]
        return len(runs) < MOST_RUNS and serial.failed_with(
            self.instance, runs[-1], StaleReplaceError.code
        )


def run_pipeline(request: PipelineRequest, on_progress: OnProgress) -> PipelineResult:
    """Materialise every asset of a day; what failed is in the result, not raised.

    Raises EvaluatorError for a source that cannot be read and a day or window that no
    partition has.
    """
    settings, overrides = request.settings, _overrides(request.settings)
    day = _checked_day(request.day or settings.open_source().last_day())
    plan = _plan(request, day)
    observed = Observed([name for step in plan for name in step.assets])
    with _instance(settings) as instance:
        launcher = _Launcher(instance, settings, overrides, observed, on_progress)
        for step in plan:
            if step.assets == jobs.PERSONAS:
                launcher.classify(step)
                continue
            if step.assets == jobs.ON_DEMAND:
                launcher.evaluate_new(step)
                continue
            launcher.run(step)
            if step.job == jobs.ledger.name:
                _prepare(settings, plan)
    return PipelineResult(
        day=day,
        assets=observed.outcomes(),
        run_ids=launcher.run_ids,
        run_seconds=observed.run_seconds,
        failed_checks=tuple(observed.failed_checks),
        notes=tuple(launcher.notes),
    )


def run_config(settings: Settings, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run that reads these settings, in whatever process."""
    lake = LakeResource.of(settings)
    is_wanted = settings.log.level in {"DEBUG", "INFO"}
    return {
        "resources": {
            "configuration": {"config": {"overrides": dict(overrides)}},
            "lake": {
                "config": {
                    "root": lake.root,
                    "thread_count": lake.thread_count,
                    "memory_limit": lake.memory_limit,
                }
            },
        },
        "loggers": {
            "console": {"config": {"log_level": settings.log.level if is_wanted else "CRITICAL"}}
        },
    }


def job_named(name: str) -> dg.JobDefinition:
    """A job of the code location: how the process of a step finds its job."""
    return defs.resolve_job_def(name)


def _overrides(settings: Settings) -> dict[str, Any]:
    """What the processes of runs cannot read from file and environment."""
    given: dict[str, Any] = {"source": settings.source, "home": str(settings.home)}
    if settings.source == "archive" and settings.archive.folder:
        given["archive"] = {"folder": str(settings.archive.folder)}
    if settings.source == "sim" and settings.sim.now:
        given["sim"] = {"now": settings.sim.now.isoformat()}
    return given


def _plan(request: PipelineRequest, day: date) -> list[_Step]:
    """The runs, in order. What has ended has no orders, and nobody to find while it goes on."""
    settings = request.settings
    on_day = {SINGLE_KEY: day.isoformat()}
    is_parallel = settings.personas.parallel_enabled and not request.is_serial
    classify = jobs.personas if is_parallel else jobs.personas_serial
    found = jobs.OF_ARCHIVE if settings.is_frozen else jobs.DISCOVERY
    hour = {SINGLE_KEY: partitions.hour_key(settings.now() - timedelta(microseconds=1))}
    goes_on = [] if settings.is_frozen else [_Step(jobs.market_data.name, hour, jobs.MARKET_DATA)]
    windows = _checked_windows(request.windows)
    return [
        _Step(jobs.discovery.name, on_day, found),
        *([] if settings.is_frozen else [_Step(jobs.on_demand.name, {}, jobs.ON_DEMAND)]),
        _Step(jobs.ledger.name, partitions.all_buckets_tags(), jobs.LEDGER),
        *goes_on,
        *(_Step(jobs.scoring.name, tags, jobs.SCORING) for tags in _windows_tags(day, windows)),
        _Step(classify.name, on_day, jobs.PERSONAS),
        _Step(jobs.serving.name, {}, jobs.SERVING),
    ]


def _windows_tags(day: date, windows: Sequence[int]) -> Iterator[Mapping[str, str]]:
    """One run for all windows; some of them need a run each."""
    if tuple(windows) == WINDOW_DAYS:
        yield windows_tags(day, day)
        return
    for window in windows:
        yield {SINGLE_KEY: cell_key(day, window)}


def _checked_day(day: date) -> date:
    last = date.fromisoformat(partitions.DAILY.get_last_partition_key() or "")
    if not partitions.FIRST_DAY <= day <= last:
        hint = f"there are partitions from {partitions.FIRST_DAY} to {last}"
        raise InvalidArgumentError("--as-of", day.isoformat(), "is no partition", hint)
    return day


def _checked_windows(windows: Sequence[int]) -> Sequence[int]:
    if unknown := [window for window in windows if window not in WINDOW_DAYS]:
        known = ", ".join(str(each) for each in WINDOW_DAYS)
        problem = f"{unknown[0]} days are no partition; there are {known}"
        raise ConfigurationError("windows", problem)
    return windows


def _prepare(settings: Settings, plan: Sequence[_Step]) -> None:
    """Start the server of processes during the scoring, where shards will want them."""
    if jobs.personas.name in [step.job for step in plan]:
        with settings.open_lake().snapshot() as now:
            if serial.shard_count("", now, settings.personas).count > 1:
                executors.warm_up()


@contextmanager
def _instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """That of DAGSTER_HOME, else one of our own under the home."""
    folder = dagster_home() or settings.home / "dagster_home"
    try:
        with held(folder / INSTANCE_LOCK):  # two first runs would make its databases at once
            if not (folder / INSTANCE_FILE).exists():
                (folder / INSTANCE_FILE).write_text(INSTANCE_SETTINGS, encoding="utf-8")
            instance = dg.DagsterInstance.from_config(str(folder.absolute()))
    except (OSError, dg.DagsterError) as error:
        raise ConfigurationError("DAGSTER_HOME", f"{folder} cannot be used: {error}") from error
    with instance:
        yield instance
