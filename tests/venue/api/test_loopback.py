"""The client over real HTTP on loopback: sockets, cut answers, a host that is not there."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp

from evaluator.venue.api.client import open_client
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.errors import VenueUnavailableError
from evaluator.venue.api.limits import Buckets
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import Policy
from evaluator.venue.sim.app import create_app
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.faults import Faults
from evaluator.venue.venue import Walk
from tests.venue.sim.small_world import at, busy_world, wallet

QUICK = Policy(max_attempts=8, backoff_s=0.01, timeout_s=5.0, circuit_threshold=1000)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The base URL of a server of this app, in a thread of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def trades(url: str, who: int) -> tuple[Walk, dict[str, int]]:
    async def read() -> tuple[Walk, dict[str, int]]:
        options = Options(policy=QUICK, feed_page_rows=20)
        async with open_client(Hosts(url, url, url), options, buckets=Buckets()) as client:
            walk = await client.wallet_trades(wallet(who), max_pages=100)
            asked = client.requests().select("status", "request_count").rows()
            return walk, dict(asked)

    return asyncio.run(read())


def test_faults_of_a_real_connection_change_nothing():
    world = busy_world(3, transactions=120)
    with served(create_app(world, fixed(at(400)))) as url:
        calm, asked = trades(url, 1)
    assert set(asked) == {"200"}
    faults = Faults(seed=5, server_error=0.2, truncated=0.2, dropped=0.2)
    with served(create_app(world, fixed(at(400)), faults=faults)) as url:
        spoilt, asked = trades(url, 1)
    assert spoilt.found.rows.equals(calm.found.rows)
    assert calm.found.rows.height > 20
    assert {"malformed", "unavailable"} <= set(asked)


def test_a_host_that_is_not_there_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(VenueUnavailableError, match="not reached or cut off"):
        trades(url, 1)
