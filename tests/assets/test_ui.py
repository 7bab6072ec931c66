"""`dagster dev` as a person starts it: what its web server is asked for, its daemon does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from evaluator.settings import load_settings
from evaluator_assets.pipeline import PipelineRequest, run_pipeline
from tests.assets.runs import Home

ROOT = Path(__file__).resolve().parents[2]
START_S, RUN_S = 120.0, 600.0

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
NEWEST = "{ runsOrError(limit: 50) { ... on Runs { results { pipelineName status } } } }"


class Server:
    """The web server, asked by GraphQL."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._client.post("/graphql", json={"query": query, "variables": variables})
        answer.raise_for_status()
        return answer.json()["data"]

    def is_up(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self._client.get("/server_info").is_success
        return False

    def launch(self, job: str, tags: dict[str, str], assets: tuple[str, ...] = ()) -> str:
        """Launch a job, or some assets as the button `Materialize` does; returns the run's id."""
        selector: dict[str, Any] = {
            "repositoryLocationName": "evaluator",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": metadata}
        launched = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def ended(self, run_id: str) -> str:
        """How the run ended."""
        end = time.monotonic() + RUN_S
        while time.monotonic() < end:
            status = self.ask(STATUS, id=run_id)["runOrError"]["status"]
            if status in {"SUCCESS", "FAILURE", "CANCELED"}:
                return status
            time.sleep(1)
        pytest.fail(f"run {run_id} did not end")

    def succeeded(self, job: str) -> bool:
        runs = self.ask(NEWEST)["runsOrError"]["results"]
        assert not [run for run in runs if run["status"] == "FAILURE"], runs
        return any(run["pipelineName"] == job and run["status"] == "SUCCESS" for run in runs)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


HEEDING = (
    "import os, signal, sys\n"
    "for number in (signal.SIGINT, signal.SIGTERM):\n"
    "    signal.signal(number, signal.SIG_DFL)\n"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""What is started in the background may inherit ignored signals: heed them, then start."""


@pytest.fixture
def server(tmp_path, history) -> Iterator[Server]:
    """`dagster dev` on loopback, over a home of its own."""
    instance = tmp_path / "instance"
    instance.mkdir()
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", instance)
    port = _free_port()
    environment = os.environ | {
        "DAGSTER_HOME": str(instance),
        "EVALUATOR_HOME": str(tmp_path / "home"),
        "EVALUATOR_SOURCE": "archive",
        "EVALUATOR_ARCHIVE__FOLDER": str(history),
    }
    dagster = str(Path(sys.executable).with_name("dagster"))
    command = [sys.executable, "-c", HEEDING, dagster, "dev", "--port", str(port)]
    with (
        (tmp_path / "dev.log").open("wb") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        try:
            asked = Server(client)
            end = time.monotonic() + START_S
            while not asked.is_up():
                assert process.poll() is None, (tmp_path / "dev.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.5)
            yield asked
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_a_person_starts_in_the_ui_equals_the_command_line(
    server, tmp_path, history, instance, day, monkeypatch
):
    """Discovery brings the rest by sensors; then all of it again, job by job, by hand."""
    ui = Home(tmp_path / "home", history, instance)
    monkeypatch.setenv("EVALUATOR_HOME", str(tmp_path / "line"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "line"))
    settings = load_settings(source="archive", archive={"folder": str(history)})
    assert run_pipeline(PipelineRequest(settings), lambda _: None).is_complete
    expected = Home(tmp_path / "line", history, instance).hashes()

    assert server.ended(server.launch("discovery", ui.on(day))) == "SUCCESS"
    for job in ("ledger", "scoring", "personas"):
        end = time.monotonic() + RUN_S
        while not server.succeeded(job):
            assert time.monotonic() < end, job
            time.sleep(2)
    assert ui.hashes() == expected

    for job, tags in (
        ("ledger", ui.all_buckets()),
        ("scoring", ui.all_windows(day)),
        ("personas", ui.on(day)),
    ):
        assert server.ended(server.launch(job, tags)) == "SUCCESS", job
    verdicts = ("wallet_personas", "wallet_exclusions", "wallet_traits")
    assert server.ended(server.launch("__ASSET_JOB", ui.on(day), verdicts)) == "SUCCESS"
    assert ui.hashes() == expected
