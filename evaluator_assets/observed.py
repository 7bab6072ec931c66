"""What the runs of a pipeline have done so far, read from their events while they go on."""

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import dagster as dg

from evaluator_assets.metadata import ROW_COUNT

TAG = "evaluator/pipeline"
POLL_S = 0.25
MATERIALIZED, FAILED, NOT_RUN = "materialized", "failed", "not run"


@dataclass(frozen=True, slots=True)
class AssetOutcome:
    """What became of an asset: `error` is empty where it was materialised."""

    name: str
    status: str
    rows: int | None
    seconds: float | None
    error: str

    @property
    def is_materialized(self) -> bool:
        """Whether it was."""
        return self.status == MATERIALIZED


@dataclass(frozen=True, slots=True)
class Progress:
    """A stage has started, finished or failed; `done` of `total` have ended."""

    stage: str
    status: str
    done: int
    total: int
    rows: int | None = None
    seconds: float | None = None


_Handler = Callable[[dg.DagsterEvent, float], Iterable[Progress] | None]


@dataclass(slots=True)
class _Asset:
    """What is known of an asset."""

    status: str = NOT_RUN
    rows: int = 0
    seconds: float | None = None
    error: str = ""


@dataclass(slots=True)
class Observed:
    """Assets in the order in which they are expected, and the checks that failed."""

    expected: Sequence[str]
    failed_checks: list[str] = field(default_factory=list)
    run_seconds: dict[str, float] = field(default_factory=dict)
    _assets: dict[str, _Asset] = field(init=False)
    _began: dict[str, float] = field(default_factory=dict)
    _made_by: dict[str, list[str]] = field(default_factory=dict)
    _problem: str = ""

    def __post_init__(self) -> None:
        self._assets = {name: _Asset() for name in self.expected}

    def outcomes(self) -> tuple[AssetOutcome, ...]:
        """One per asset; one that was not run says because of what."""
        return tuple(
            AssetOutcome(
                name,
                asset.status,
                asset.rows if asset.status == MATERIALIZED else None,
                asset.seconds,
                asset.error or self._why_not(asset),
            )
            for name, asset in self._assets.items()
        )

    def forget(self, assets: Iterable[str]) -> None:
        """What was seen of assets that are to be computed again."""
        for name in assets:
            self._assets[name] = _Asset()
        self._problem = ""

    def expect_no_more(self, assets: Iterable[str]) -> None:
        """Assets for which there is nothing to do."""
        for name in assets:
            del self._assets[name]

    def take(self, record: dg.EventLogEntry) -> list[Progress]:
        """The news in one event."""
        event = record.dagster_event
        if event is None:
            return []
        handle = self._handlers().get(event.event_type)
        return list(handle(event, record.timestamp) or ()) if handle else []

    def _handlers(self) -> Mapping[dg.DagsterEventType, _Handler]:
        return {
            dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED: self._plan,
            dg.DagsterEventType.STEP_START: self._start,
            dg.DagsterEventType.ASSET_MATERIALIZATION: self._count,
            dg.DagsterEventType.ASSET_CHECK_EVALUATION: self._check,
            dg.DagsterEventType.STEP_SUCCESS: self._finish,
            dg.DagsterEventType.STEP_FAILURE: self._fail,
            dg.DagsterEventType.RUN_FAILURE: self._end,
        }

    def _why_not(self, asset: _Asset) -> str:
        if asset.status == MATERIALIZED:
            return ""
        checks = ", ".join(self.failed_checks)
        reason = self._problem or (f"blocked by {checks}" if checks else "unknown")
        return f"not computed: {reason}"

    def _plan(self, event: dg.DagsterEvent, _at: float) -> None:
        key = event.asset_key
        if key and (name := key.to_user_string()) in self._assets:
            made = self._made_by.setdefault(event.step_key or "", [])
            if name not in made:
                made.append(name)

    def _start(self, event: dg.DagsterEvent, at: float) -> list[Progress]:
        """A graph starts with the first of its steps."""
        step = event.step_key or ""
        graph = step.partition(".")[0]
        if graph in self._began and graph != step:
            return []
        self._began[graph] = at
        return [self._progress(name, "started") for name in self._assets_of(graph)]

    def _count(self, event: dg.DagsterEvent, _at: float) -> None:
        materialization = event.step_materialization_data.materialization
        asset = self._assets.get(materialization.asset_key.to_user_string())
        if asset:
            asset.status = MATERIALIZED
            count = materialization.metadata.get(ROW_COUNT)
            asset.rows += int(str(count.value)) if count else 0

    def _check(self, event: dg.DagsterEvent, _at: float) -> None:
        check = event.asset_check_evaluation_data
        if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
            name = f"{check.asset_key.to_user_string()}.{check.check_name}"
            self.failed_checks.append(name)

    def _finish(self, event: dg.DagsterEvent, at: float) -> list[Progress]:
        step = event.step_key or ""
        began = self._began.get(step.partition(".")[0], at)
        news = []
        for name in self._made_by.get(step, []):
            self._assets[name].seconds = round(at - began, 3)
            news.append(self._progress(name, "finished"))
        return news

    def _fail(self, event: dg.DagsterEvent, _at: float) -> list[Progress]:
        data = event.step_failure_data
        known, error = data.user_failure_data, data.error
        text = known.description if known else None
        self._problem = text or (error.message.strip() if error else "the step failed")
        news = []
        for name in self._made_by.get(event.step_key or "", []):
            self._assets[name].status = FAILED
            self._assets[name].error = self._problem
            news.append(self._progress(name, "failed"))
        return news

    def _end(self, event: dg.DagsterEvent, _at: float) -> None:
        self._problem = self._problem or (event.message or "the run failed").splitlines()[0]

    def _assets_of(self, graph: str) -> list[str]:
        """Assets that the step, or a step of the graph, makes."""
        steps = (step for step in self._made_by if step.partition(".")[0] == graph)
        return [name for step in steps for name in self._made_by[step]]

    def _progress(self, name: str, status: str) -> Progress:
        asset = self._assets[name]
        ended = [each for each in self._assets.values() if each.seconds is not None or each.error]
        rows = asset.rows if status == "finished" else None
        return Progress(name, status, len(ended), len(self._assets), rows, asset.seconds)


class Watch:
    """Reads the events of one run in a thread, from its start to its end."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        observed: Observed,
        on_progress: Callable[[Progress], None],
        job: str,
    ) -> None:
        self.tags = {TAG: uuid.uuid4().hex}
        self._instance, self._observed, self._job = instance, observed, job
        self._on_progress = on_progress
        self._run_id = ""
        self._cursor: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"watch {job}", daemon=True)

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._read()
        seconds = round(time.monotonic() - self._start, 3)
        total = self._observed.run_seconds.get(self._job, 0.0) + seconds
        self._observed.run_seconds[self._job] = round(total, 3)

    def _follow(self) -> None:
        while not self._ended.wait(POLL_S):
            self._read()

    def _read(self) -> None:
        """Take the events that have come since the last time."""
        if not self._run_id:
            runs = self._instance.get_runs(dg.RunsFilter(tags=self.tags), limit=1)
            self._run_id = runs[0].run_id if runs else ""
        while self._run_id:
            found = self._instance.get_records_for_run(self._run_id, self._cursor, limit=500)
            self._cursor = found.cursor
            for record in found.records:
                for news in self._observed.take(record.event_log_entry):
                    self._on_progress(news)
            if not found.has_more:
                return
