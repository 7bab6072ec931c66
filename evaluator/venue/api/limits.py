"""How often a process may ask: a bucket per host and path group, shared by all its threads.

A bucket is the generic cell rate algorithm (ITU-T I.371): a grant moves the theoretical arrival
time (TAT) on by T, and is given once TAT − (b − 1)·T has come. Of n + 1 grants the last then
comes at least (n − b + 1)·T after the first, so with T = W ÷ (N − b + 1) no window of W seconds
holds more than N. W is a little more than the 10 s published, because the host counts arrivals,
and a slow request may arrive next to the quick ones sent after it.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from evaluator.venue.api.endpoints import GENERAL, LIMITS, Endpoint, Hosts

WINDOW_S = 10.0
"""The window for which limits are published."""

GUARD_S = 0.5
"""What a window is longer by, for requests that take different times to arrive."""

_BURST = 0.05


@dataclass(slots=True)
class Bucket:
    """At most `limit` grants in any `WINDOW_S`; up to 5 % of them at once."""

    limit: int
    _tat: float = field(default=float("-inf"), init=False)

    @property
    def burst(self) -> int:
        """Grants that may come at the same instant."""
        return max(1, int(self.limit * _BURST))

    @property
    def spacing_s(self) -> float:
        """T: time that one grant uses up."""
        return (WINDOW_S + GUARD_S) / (self.limit - self.burst + 1)

    def earliest(self) -> float:
        """The instant from which the next grant may be given."""
        return self._tat - (self.burst - 1) * self.spacing_s

    def grant(self, at: float) -> None:
        """Use up one grant at an instant not before `earliest`."""
        self._tat = max(self._tat, at) + self.spacing_s


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
            wait = max(bucket.earliest() for bucket in buckets) - now
            if wait > 0:
                return wait
            for bucket in buckets:
                bucket.grant(now)
            return 0.0

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
        """Seconds to wait before asking again; 0 where the request may be sent now."""
        base = self.hosts.base(endpoint.host)
        groups = dict.fromkeys((GENERAL, endpoint.group))
        # Hosts can share a base URL; their groups stay apart.
        wanted = tuple(
            (base, f"{endpoint.host}/{group}", self.allowed(endpoint, group)) for group in groups
        )
        return self.buckets.try_grant(wanted, self.clock())

    async def acquire(
        self, endpoint: Endpoint, sleep: Callable[[float], Awaitable[None]], not_after: float
    ) -> bool:
        """Wait until the request may be sent; False where that would be after `not_after`."""
        while (wait := self.try_grant(endpoint)) > 0:
            if self.clock() + wait > not_after:
                return False
            await sleep(wait)
        return True
