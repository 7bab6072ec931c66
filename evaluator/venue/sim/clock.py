"""What time it is on the simulated venue: the wall clock, one instant, or time that runs faster."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, in UTC."""


def wall() -> datetime:
    """The time of this machine."""
    return datetime.now(UTC)


def fixed(instant: datetime) -> Clock:
    """A clock that stands still."""
    return lambda: instant


def accelerated(start: datetime, speed: float, *, since: datetime | None = None) -> Clock:
    """A clock that showed `start` at wall time `since` (None: now) and runs `speed` times as fast.

    Processes that agree on `since` agree on the time.
    """
    origin = wall() if since is None else since
    return lambda: start + speed * (wall() - origin)
