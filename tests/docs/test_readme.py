"""Every command of the README runs, and what it shows is what comes out."""

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request

import pytest

from evaluator.venue.history import write_history
from tests.cli.small_home import DAY
from tests.docs.readme import README, ROOT, Clone, blocks, commands

DRY = ("make test",)
SERVE = ".venv/bin/evaluator sim serve --port 0"
STAYS = ("make dev", SERVE)
TINY = {"EVALUATOR_SIM__WALLETS": "40", "EVALUATOR_SIM__HISTORY_DAYS": "20"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    archive = tmp_path_factory.mktemp("real")
    write_history(archive, end=DAY, wallets=60, events=8, days=60)
    return Clone(tmp_path_factory.mktemp("clone"), archive).make()


def test_the_readme_has_the_three_commands_on_its_first_screen():
    first = README.split("```")[1]
    assert [line.split("  ")[0] for line in first.splitlines()[1:]] == [
        "make run",
        "make test",
        "make dev",
    ]


def test_every_file_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_every_column_and_command_is_tested():
    known = ("make ", ".venv/bin/evaluator ", "DAGSTER_HOME=")
    assert all(line.startswith(known) for line in commands())
    assert len(commands()) > 12


@pytest.fixture
def live(clone):
    """Settings that take a small simulated venue for the real hosts."""
    process = clone.start(SERVE, **TINY)
    try:
        address = _first_line(process, clone.folder / "log")
        hosts = ("DATA_URL", "GAMMA_URL", "CLOB_URL")
        home = {"EVALUATOR_HOME": str(clone.folder / "live")}
        yield home | {f"EVALUATOR_VENUE__{name}": address for name in hosts}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def shape(line):
    """A line of a report without what the day decides: numbers, addresses, names, widths."""
    line = re.sub(r"0x[0-9a-f]{40}", "0x", line)
    line = re.sub(r"\b[A-Z][A-Z_]{3,}\b", "NAME", line)
    line = re.sub(r"\b(computed|insufficient_trades)\b", "OUTCOME", line)
    line = re.sub(r"-?\d[\d.:,-]*|–", "#", line)
    return re.sub(r"\s+", " ", line).strip()


def _first_line(process, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        if "\n" in (text := log.read_text()):
            return text.splitlines()[0]
        time.sleep(0.1)
    raise AssertionError("the venue did not say where it listens")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_user_who_follows_the_readme_gets_there(clone, live):
    address = ""
    for line in (each.replace("ADDRESS", address) for each in commands()):
        if line in STAYS:
            continue
        elsewhere = live if "--source live" in line else {}
        done = clone.run(line.replace("make ", "make -n ") if line in DRY else line, **elsewhere)
        assert done.returncode == 0, (line, done.stderr)
        assert done.stdout or done.stderr
        if line == "make run":
            address = re.findall(r"0x[0-9a-f]{40}", done.stdout)[0]
            ours = {shape(each) for each in done.stdout.splitlines()}
            shown = [each for each in blocks("text")[0].splitlines() if each not in {"", "…"}]
            assert [each for each in shown if shape(each) not in ours] == []
        if line.endswith("--json"):
            assert json.loads(done.stdout)["is_complete"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_make_dev_serves_the_lineage(clone):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = clone.start(f"make dev PORT={port}")
    try:
        nodes = _asset_nodes(process, f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    assert {"fills", "closed_lots", "wallet_scores", "wallet_personas"} <= nodes


def _asset_nodes(process, address):
    """Names of the assets, as soon as the server answers."""
    query = json.dumps({"query": "{ assetNodes { assetKey { path } } }"}).encode()
    request = urllib.request.Request(
        f"{address}/graphql", query, {"Content-Type": "application/json"}
    )
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                nodes = json.load(answer)["data"]["assetNodes"]
        except (urllib.error.URLError, OSError):
            nodes = []
        if nodes:
            return {node["assetKey"]["path"][-1] for node in nodes}
        time.sleep(0.5)
    raise AssertionError("the server did not answer")
