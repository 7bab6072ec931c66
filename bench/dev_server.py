"""`dagster dev` in a process of its own, over a home of its own, asked by GraphQL."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
START_S, POLL_S = 180.0, 0.5

WORKSPACE = """load_from:
  - python_module:
      module_name: evaluator_assets.definitions
      location_name: evaluator
"""
HEEDING = (
    "import os, signal, sys\n"
    "for number in (signal.SIGINT, signal.SIGTERM):\n"
    "    signal.signal(number, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""What is started in the background may inherit ignored signals: heed them, then start."""

REPOSITORY = {"repositoryLocationName": "evaluator", "repositoryName": "__repository__"}
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUNS = """
query Runs($filter: RunsFilter, $limit: Int) {
  runsOrError(filter: $filter, limit: $limit) {
    ... on Runs {
      results { runId pipelineName status creationTime startTime endTime tags { key value } }
    }
  }
}"""
INSTIGATORS = """
query All($repository: RepositorySelector!) {
  repositoryOrError(repositorySelector: $repository) {
    ... on Repository {
      schedules { name scheduleState { id selectorId } }
      sensors { name sensorState { id selectorId } }
    }
  }
}"""
STOP_SCHEDULE = """
mutation Stop($id: String!) {
  stopRunningSchedule(id: $id) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message }
  }
}"""
STOP_SENSOR = """
mutation Stop($id: String!) {
  stopSensor(id: $id) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message }
  }
}"""
START_SENSOR = """
mutation Start($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) {
    __typename ... on PythonError { message } ... on UnauthorizedError { message }
  }
}"""
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the server tells of it; instants are seconds since 1970, None before they come."""

    run_id: str
    job: str
    status: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    tags: Mapping[str, str]

    @property
    def seconds(self) -> float:
        """From the start of its process to its end."""
        if self.started_at is None or self.ended_at is None:
            raise ValueError(self.status)
        return self.ended_at - self.started_at


class NotInTimeError(Exception):
    """What was waited for has not come."""


class DevServer:
    """The web server of a running `dagster dev`, and the folder that decides on its world."""

    def __init__(self, client: httpx.Client, process: subprocess.Popen[bytes], work: Path) -> None:
        self._client = client
        self._process = process
        self.work = work

    def show(self, instant: datetime | None) -> None:
        """Set the world's present for all that starts from now on; None: it moves with the clock."""
        text = f'[sim]\nnow = "{instant.isoformat()}"\n' if instant else ""
        aside = self.work / "evaluator.toml.new"
        aside.write_text(text, encoding="utf-8")
        aside.replace(self.work / "evaluator.toml")

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer; raises where there is none."""
        answer = self._client.post("/graphql", json={"query": query, "variables": variables})
        answer.raise_for_status()
        told = answer.json()
        if not told.get("data"):
            raise ValueError(told)
        data: dict[str, Any] = told["data"]
        return data

    def launch(
        self, job: str, tags: Mapping[str, str], config: Mapping[str, Any] | None = None
    ) -> str:
        """Launch a job as a person does; returns the id of its run."""
        params = {
            "selector": {**REPOSITORY, "jobName": job},
            "runConfigData": config or {},
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
        }
        launched = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise ValueError(launched)
        return str(launched["run"]["runId"])

    def runs(self, job: str | None = None, limit: int = 500) -> list[Run]:
        """The newest runs first, of one job or of all."""
        wanted = {"pipelineName": job} if job else {}
        told = self.ask(RUNS, filter=wanted, limit=limit)["runsOrError"]["results"]
        return [
            Run(
                run_id=each["runId"],
                job=each["pipelineName"],
                status=each["status"],
                created_at=each["creationTime"],
                started_at=each["startTime"],
                ended_at=each["endTime"],
                tags={tag["key"]: tag["value"] for tag in each["tags"]},
            )
            for each in told
        ]

    def ended(self, run_id: str, within_s: float) -> Run:
        """The run, once it has ended."""
        found: list[Run] = []

        def is_over() -> bool:
            found[:] = [each for each in self.runs() if each.run_id == run_id]
            return bool(found) and found[0].status in ENDED

        self.wait(is_over, within_s, f"the end of run {run_id}")
        return found[0]

    def succeeded(self, job: str) -> list[Run]:
        """Runs of a job that ended well."""
        return [run for run in self.runs(job) if run.status == "SUCCESS"]

    def stop_schedules(self) -> None:
        """Stop all schedules, as a person does in the UI."""
        for each in self._known()["schedules"]:
            state = each["scheduleState"]
            told = self.ask(STOP_SCHEDULE, id=state["id"])["stopRunningSchedule"]
            if told["__typename"] != "ScheduleStateResult":
                raise ValueError(told)

    def stop_sensor(self, name: str) -> None:
        """Stop one sensor."""
        (state,) = [
            each["sensorState"] for each in self._known()["sensors"] if each["name"] == name
        ]
        told = self.ask(STOP_SENSOR, id=state["id"])["stopSensor"]
        if told["__typename"] != "StopSensorMutationResult":
            raise ValueError(told)

    def start_sensor(self, name: str) -> None:
        """Start one sensor that has been stopped."""
        told = self.ask(START_SENSOR, selector={**REPOSITORY, "sensorName": name})["startSensor"]
        if told["__typename"] != "Sensor":
            raise ValueError(told)

    def wait(
        self, is_over: Callable[[], bool], within_s: float, what: str, every_s: float = POLL_S
    ) -> float:
        """Seconds until something holds. Raises where it does not in time, or the server ended."""
        began = time.monotonic()
        while not is_over():
            if self._process.poll() is not None:
                raise NotInTimeError(f"{what}: the server has ended\n{self.log()}")
            if time.monotonic() - began > within_s:
                raise NotInTimeError(f"{what}: not within {within_s:.0f} s\n{self.log()}")
            time.sleep(every_s)
        return time.monotonic() - began

    def is_up(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(httpx.HTTPError):
            return self._client.get("/server_info").is_success
        return False

    def log(self) -> str:
        """The end of what it has said."""
        return (self.work / "dev.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def _known(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(INSTIGATORS, repository=REPOSITORY)["repositoryOrError"]
        return found


@contextmanager
def dagster_dev(
    folder: Path, variables: Mapping[str, str], instant: datetime | None = None
) -> Iterator[DevServer]:
    """`dagster dev` on loopback; ended with everything it has started.

    Its home is `folder/home`, its instance `folder/instance`, its world that of the variables,
    at an instant if one is given.
    """
    work, instance = folder / "work", folder / "instance"
    for made in (work, instance):
        made.mkdir(parents=True)
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", instance)
    (work / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
    port = _free_port()
    given = {"DAGSTER_HOME": str(instance), "EVALUATOR_HOME": str(folder / "home"), **variables}
    others = {name: text for name, text in os.environ.items() if not name.startswith("EVALUATOR_")}
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [dagster, "dev", "-w", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (work / "dev.log").open("wb") as log, httpx.Client(timeout=60) as client:
        client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        if instant:
            (work / "evaluator.toml").write_text(f'[sim]\nnow = "{instant.isoformat()}"\n')
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-c", HEEDING, *command],
            cwd=work,
            env=others | given,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            server = DevServer(client, process, work)
            server.wait(server.is_up, START_S, "the web server")
            yield server
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
