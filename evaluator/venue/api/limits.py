"""How often a process may ask: a bucket per host and path group, shared by all its threads.

The host counts arrivals, and a request arrives at some instant between when it was sent and when
its answer was read. So a request counts from its grant until W seconds after its end, and a grant
is given only while fewer than N count. Of the requests that arrive in one window of W seconds let
k be the one sent last: each of the others arrived at most W before k did, so when k was sent it
was still on its way or had ended less than W ago, and counted. With k they are N at most, however
slow or uneven the way. W is the 10 s published and a tenth of a second, for clocks that differ.

Grants are also spaced by the generic cell rate algorithm (ITU-T I.371), so that a window's grants
do not come all at once: a grant moves the theoretical arrival time (TAT) on by T = W ÷ N, and is
given once TAT − (b − 1)·T has come.
"""

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from evaluator.venue.api.endpoints import GENERAL, LIMITS, Endpoint, Hosts

WINDOW_S = 10.0
"""The window for which limits are published."""

_COUNTED_S = WINDOW_S + 0.1
"""W: how long a request counts after its end."""

_BURST = 0.05


@dataclass(slots=True)
class Bucket:
    """At most `limit` requests arrive in any `WINDOW_S`; up to 5 % of them are sent at once."""

    limit: int
    _tat: float = field(default=float("-inf"), init=False)
    _on_their_way: int = field(default=0, init=False)
    _ended: deque[float] = field(default_factory=deque, init=False)

    @property
    def burst(self) -> int:
        """Grants that may come at the same instant."""
        return max(1, int(self.limit * _BURST))

    @property
    def spacing_s(self) -> float:
        """T: time that one grant uses up."""
        return WINDOW_S / self.limit

    def earliest(self, now: float) -> float:
        """The instant from which the next grant may be given, as far as is known at `now`."""
        spaced = self._tat - (self.burst - 1) * self.spacing_s
        while self._ended and self._ended[0] <= now - _COUNTED_S:
            self._ended.popleft()
        if self._on_their_way + len(self._ended) < self.limit:
            return spaced
        # While all are on their way nobody knows when the first of them will end.
        free = self._ended[0] + _COUNTED_S if self._ended else now + self.spacing_s
        return max(spaced, free)

    def grant(self, at: float) -> None:
        """Use up one grant at an instant not before `earliest`."""
        self._tat = max(self._tat, at) + self.spacing_s
        self._on_their_way += 1

    def end(self, at: float) -> None:
        """A granted request has been answered, has failed, or was not sent after all."""
        self._on_their_way -= 1
        self._ended.append(at)


class Buckets:
    """Buckets of all hosts that a process asks; safe from several threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str, int], Bucket] = {}

    def try_grant(self, wanted: tuple[tuple[str, str, int], ...], now: float) -> float:
        """Take one grant of each (base URL, group, limit), or of none; returns seconds to wait.

        0 means granted. Both are taken at the present instant, never booked ahead: a grant
        booked in one bucket must not hold back those who need another one.
        """
        with self._lock:
            buckets = [self._bucket(key) for key in wanted]
            wait = max(bucket.earliest(now) for bucket in buckets) - now
            if wait > 0:
                return wait
            for bucket in buckets:
                bucket.grant(now)
            return 0.0

    def end(self, granted: tuple[tuple[str, str, int], ...], now: float) -> None:
        """What `try_grant` granted has ended."""
        with self._lock:
            for key in granted:
                self._bucket(key).end(now)

    def _bucket(self, key: tuple[str, str, int]) -> Bucket:
        return self._buckets.setdefault(key, Bucket(key[2]))


SHARED = Buckets()
"""The buckets of this process."""


@dataclass(frozen=True, slots=True)
class Limiter:
    """A process's part of the published limits of the hosts.

    `share` is the part of the budget that is this process's, in (0, 1]; `factor` raises the
    limits of a host that is no real one. Two limiters of one share use the same buckets.
    """

    hosts: Hosts
    share: float = 1.0
    factor: float = 1.0
    buckets: Buckets = SHARED
    clock: Callable[[], float] = time.monotonic

    def allowed(self, endpoint: Endpoint, group: str) -> int:
        """Requests per 10 seconds that this process may send; at least 1."""
        limit = LIMITS[endpoint.host, group]
        return max(1, int(limit * self.share * self.factor))

    def try_grant(self, endpoint: Endpoint) -> float:
        """Seconds to wait before asking again; 0 where the request may be sent now.

        Of a request that may be sent, `end` must be told when it has ended.
        """
        return self.buckets.try_grant(self._keys(endpoint), self.clock())

    def end(self, endpoint: Endpoint) -> None:
        """A request that was granted has ended, whatever became of it."""
        self.buckets.end(self._keys(endpoint), self.clock())

    def _keys(self, endpoint: Endpoint) -> tuple[tuple[str, str, int], ...]:
        """The buckets that a request counts in. Hosts can share a base URL; groups stay apart."""
        base, host = self.hosts.base(endpoint.host), endpoint.host
        groups = dict.fromkeys((GENERAL, endpoint.group))
        return tuple((base, f"{host}/{group}", self.allowed(endpoint, group)) for group in groups)

    async def acquire(
        self, endpoint: Endpoint, sleep: Callable[[float], Awaitable[None]], not_after: float
    ) -> bool:
        """Wait until the request may be sent; False where that would be after `not_after`."""
        while (wait := self.try_grant(endpoint)) > 0:
            if self.clock() + wait > not_after:
                return False
            await sleep(wait)
        return True
