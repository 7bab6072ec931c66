"""What has been asked of the venue: counts and waiting times by endpoint and status."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from evaluator.domain.tables.history import VENUE_REQUESTS
from evaluator.venue.quarantine import conform, no_rows


@dataclass(slots=True)
class _Line:
    began_at: datetime
    ended_at: datetime
    request_count: int = 0
    retry_count: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """Requests of one open client; `pass_id` names it."""

    pass_id: str
    clock: Callable[[], datetime]
    _lines: dict[tuple[str, str], _Line] = field(default_factory=dict, init=False)

    def count(self, endpoint: str, status: str, *, seconds: float, is_retry: bool) -> None:
        """Add one request that has just ended."""
        now = self.clock()
        line = self._lines.setdefault((endpoint, status), _Line(now, now))
        line.request_count += 1
        line.retry_count += is_retry
        line.seconds += seconds
        line.slowest_s = max(line.slowest_s, seconds)
        line.ended_at = now

    def total(self, endpoint: str | None = None) -> int:
        """Requests so far, of one endpoint or of all."""
        chosen = [line for (name, _), line in self._lines.items() if endpoint in {None, name}]
        return sum(line.request_count for line in chosen)

    def rows(self) -> pl.DataFrame:
        """Rows of `venue_requests`, sorted by endpoint and status."""
        if not self._lines:
            return no_rows(VENUE_REQUESTS)
        listed = [
            {
                "pass_id": self.pass_id,
                "endpoint": endpoint,
                "status": status,
                **{name: getattr(line, name) for name in _Line.__slots__},
            }
            for (endpoint, status), line in sorted(self._lines.items())
        ]
        return conform(pl.DataFrame(listed), VENUE_REQUESTS)
