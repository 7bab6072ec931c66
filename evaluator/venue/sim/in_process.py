"""The simulated venue without a socket: a transport for httpx that calls the application."""

import asyncio

import httpx
from starlette.types import ASGIApp

from evaluator.venue.sim.faults import DroppedError

BASE_URL = "http://venue.sim"
"""Base URL of all three hosts when asked in process."""


class InProcess(httpx.AsyncBaseTransport):
    """Calls an application as if over a network: timeouts count, a cut connection is one."""

    def __init__(self, app: ASGIApp) -> None:
        self._inner = httpx.ASGITransport(app=app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The whole answer; raises what a network would."""
        patience_s = request.extensions.get("timeout", {}).get("read")
        try:
            async with asyncio.timeout(patience_s):
                return await self._inner.handle_async_request(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except DroppedError as error:
            said = "peer closed connection without sending complete message body"
            raise httpx.RemoteProtocolError(said, request=request) from error
