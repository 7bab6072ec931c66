"""The simulated venue on a port, for people and for tests of other processes."""

import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

DEFAULT_PORT = 8750

_GRACE_S = 3


def say(line: str) -> None:
    """Write a line to standard output at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class _Announced(uvicorn.Server):
    """A server that says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        self._announce(f"http://{shown}:{port}")


def serve(
    app: ASGIApp,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    announce: Callable[[str], None] = say,
) -> None:
    """Answer on a port, 0 for any free one, until SIGINT or SIGTERM.

    Calls `announce` with the base URL once it listens. Raises OSError where it cannot.
    """
    bound = socket.create_server((host, port), family=_family(host), reuse_port=False)
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, timeout_graceful_shutdown=_GRACE_S
    )
    # uvicorn raises the signal that stopped it again, for whoever handled it before.
    before = {number: signal.signal(number, _stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _Announced(config, announce).run(sockets=[bound])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        bound.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """Nothing more to do: the server has shut down."""
