"""How often each group of paths is asked, and the answer 429 where that is more than allowed."""

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from evaluator.venue.sim.faults import CONTROL, too_many

WINDOW_S = 10.0

PUBLISHED: Mapping[str, int] = {
    "data": 1000,
    "data/trades": 200,
    "data/positions": 150,
    "data/closed-positions": 150,
    "gamma": 4000,
    "gamma/markets": 300,
    "gamma/events": 500,
    "gamma/comments": 200,
    "clob": 9000,
    "clob/book": 1500,
    "clob/books": 500,
    "clob/midpoint": 1500,
    "clob/prices-history": 1000,
}
"""Requests per 10 seconds, by host and by group of paths, as the venue publishes them."""

_HOSTS = {
    **dict.fromkeys(("markets", "events", "comments"), "gamma"),
    **dict.fromkeys(("book", "books", "midpoint", "prices-history"), "clob"),
}
_REMEMBERED = 100_000


def groups(path: str) -> tuple[str, ...]:
    """The groups whose limits a path counts against: its host's, and its own if it has one."""
    name = path.removeprefix("/v1").removeprefix("/v2").strip("/").partition("/")[0]
    host = _HOSTS.get(name, "data")
    own = f"{host}/{name}"
    return (host, own) if own in PUBLISHED else (host,)


class Meter:
    """Instants of requests by group: epoch seconds, the latest 100,000 of each."""

    def __init__(self, limits: Mapping[str, int] | None) -> None:
        self.limits = limits or {}
        self.at: dict[str, deque[float]] = {}

    def count(self, path: str, now: float) -> int:
        """Count one request; returns the seconds it should wait, 0 where it is within limits."""
        waits = [self._wait_s(group, now) for group in groups(path)]
        for group in groups(path):
            self.at.setdefault(group, deque(maxlen=_REMEMBERED)).append(now)
        return math.ceil(max(waits))

    def _wait_s(self, group: str, now: float) -> float:
        """Time until the group has room for one more in its window."""
        limit, seen = self.limits.get(group), self.at.get(group, deque())
        if limit is None or len(seen) < limit:
            return 0.0
        return max(0.0, seen[-limit] + WINDOW_S - now)

    def report(self) -> dict[str, Any]:
        """Per group: its published limit, the most requests in any 10 seconds, every instant."""
        return {
            group: {"limit": PUBLISHED[group], "busiest": busiest(list(at)), "at": list(at)}
            for group, at in sorted(self.at.items())
        }

    def forget(self) -> None:
        """Start counting anew."""
        self.at.clear()


def busiest(at: Sequence[float]) -> int:
    """The most requests in any window of 10 seconds, out of their instants in order.

    >>> busiest([0.0, 1.0, 9.9, 10.5, 30.0])
    3
    """
    most = first = 0
    for last, instant in enumerate(at):
        while at[first] <= instant - WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


class Metering:
    """Middleware that counts requests, and refuses those beyond the limits."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request and pass it on, unless there were too many."""
        if scope["type"] == "http" and not scope["path"].startswith(CONTROL):
            wait_s = self._meter.count(scope["path"], time.time())
            if wait_s > 0:
                await too_many(wait_s)(scope, receive, send)
                return
        await self._app(scope, receive, send)
