"""A simulated venue in a process of its own, which can be told to die at a request.

`python -m tests.acceptance.venue_process PORT DIES_AT CACHE`: the port 0 is any free one; the
process kills itself when the request of that number arrives, 0 for never.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.server import serve
from evaluator.venue.sim.world import World
from tests.acceptance.tiny_venue import CAPS, NOW, RULES

ROOT = Path(__file__).resolve().parents[2]


class Dying:
    """Passes requests on until the last one, at which the process is killed."""

    def __init__(self, app: ASGIApp, dies_at: int) -> None:
        self._app, self._left = app, dies_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        await self._app(scope, receive, send)


@contextmanager
def started(
    cache: Path, *, port: int = 0, dies_at: int = 0
) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process and the base URL that it answers at."""
    command = [sys.executable, "-m", "tests.acceptance.venue_process"]
    process = subprocess.Popen(
        [*command, str(port), str(dies_at), str(cache)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def _serve(port: str, dies_at: str, cache: str) -> None:
    world = World(RULES, cache=Path(cache))
    app = create_app(world, fixed(NOW), manner=Manner(caps=CAPS, has_control=True))
    serve(Dying(app, int(dies_at)), port=int(port))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
