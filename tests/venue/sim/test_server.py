import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
    from evaluator.venue.sim.app import Manner, create_app
    from evaluator.venue.sim.clock import fixed
    from evaluator.venue.sim.server import serve
    from tests.venue.sim.small_world import at, busy_world

    serve(create_app(busy_world(), fixed(at(400)), manner=Manner(has_control=True)), port={port})
"""


@contextmanager
def served(port: int = 0) -> Iterator[subprocess.Popen]:
    """A venue in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT.format(port=port))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_served_venue_says_where_it_is_answers_and_stops_when_told_to(number):
    with served() as process:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        answer = httpx.get(f"{url}/v2/trades", params={"limit": 3})
        assert len(answer.json()["data"]) == 3
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (0, "", "")


def test_over_a_socket_a_dropped_connection_is_dropped_and_nothing_is_logged():
    with served() as process, httpx.Client(base_url=process.stdout.readline().strip()) as client:
        client.put("/_sim/faults", json={"dropped": 1.0, "most_in_a_row": 1}).raise_for_status()
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/trades")
        assert client.get("/trades").status_code == 200
        client.put("/_sim/faults", json={"truncated": 1.0}).raise_for_status()
        cut = client.get("/holders", params={"market": "0x" + "0" * 63 + "1"})
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|Invalid"):
            cut.json()
        client.put("/_sim/faults", json={"stalled": 1.0, "stall_s": 30}).raise_for_status()
        with pytest.raises(httpx.ReadTimeout):
            client.get("/events", timeout=0.3)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == ""


def test_a_port_that_is_taken_is_an_error():
    with served() as process:
        port = int(process.stdout.readline().rpartition(":")[2])
        with served(port) as second:
            _, errors = second.communicate(timeout=60)
            assert second.returncode != 0
            assert "OSError" in errors
