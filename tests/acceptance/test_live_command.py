"""`evaluator sim serve` as the hosts of the source `live`: two processes and a loopback between."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import ROOT

WORLD = {
    "EVALUATOR_SIM__WALLETS": "120",
    "EVALUATOR_SIM__HISTORY_DAYS": "25",
    "EVALUATOR_SIM__EVENTS_PER_DAY": "1",
    "EVALUATOR_SIM__NEW_WALLETS_PER_DAY": "0",
}


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Nothing but what a command needs, and an own home."""
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "EVALUATOR_HOME": str(home),
            "DAGSTER_HOME": "", **variables}  # fmt: skip


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """`evaluator sim serve` on any free port, and its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "evaluator", "sim", "serve", "--port", "0", *options],
        env=environment(folder / "venue", **WORLD),
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_served_venue_answers_on_a_free_port_and_stops_when_told_to(
    tmp_path: Path, number: signal.Signals
):
    with serving(tmp_path, "--at", "2026-11-10T12:00:00", "--control") as (process, url):
        assert url.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=url, trust_env=False) as http:
            assert http.get("/_sim/clock").json() == {"now": "2026-11-10T12:00:00+00:00"}
            assert len(http.get("/v2/trades", params={"limit": 3}).json()["data"]) == 3
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_live_run_reads_scores_and_classifies_what_the_hosts_of_its_settings_show(tmp_path: Path):
    with serving(tmp_path, "--limits", "--control") as (_, url):
        hosts = {f"EVALUATOR_VENUE__{name}_URL": url for name in ("DATA", "GAMMA", "CLOB")}
        done = subprocess.run(
            [sys.executable, "-m", "evaluator", "run", "--source", "live", "--json"],
            env=environment(tmp_path / "home", **hosts),
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=800,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        report = httpx.get(f"{url}/_sim/requests", trust_env=False).json()
    said = json.loads(done.stdout)
    assert (said["source"], said["is_complete"]) == ("live", True)
    tables = {name: of["rows"] for name, of in said["tables"].items()}
    expected = ("markets", "holders", "market_scores", "leaderboard", "wallets", "fills",
                "activity", "positions", "resolutions", "prices", "books", "closed_lots",
                "wallet_features", "wallet_scores", "wallet_personas", "venue_requests")  # fmt: skip
    assert [name for name in expected if not tables[name]] == []
    over = {name: of for name, of in report.items() if of["busiest"] > of["limit"]}
    assert over == {}
