"""What a simulated world follows from, and what it tells: rules, history, order book."""

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, time

import polars as pl

DAY_S = 86_400
GRID_S = 600
"""Seconds between two prices of a token."""

_FEWEST_WALLETS = 30
_VERSION = 1


@dataclass(frozen=True, slots=True)
class WorldRules:
    """All that a world follows from. Raises ValueError for rules that no world can follow.

    `start` is a midnight in UTC. Rates are means per day; `mean_life_days` is about how long an
    event is open, `half_spread` what a taker pays per share beside the fee.
    """

    seed: int = 7
    start: datetime = datetime(2026, 7, 20, tzinfo=UTC)
    wallets: int = 300
    new_wallets_per_day: float = 3.0
    events_per_day: float = 1.5
    mean_life_days: float = 12.0
    half_spread: float = 0.008
    void_share: float = 0.02
    late_share: float = 0.2

    def __post_init__(self) -> None:
        checks = {
            "seed must not be negative": self.seed >= 0,
            "start must be a midnight in UTC": self.start.tzinfo is not None
            and self.start.astimezone(UTC).time() == time(),
            f"wallets must be {_FEWEST_WALLETS} or more": self.wallets >= _FEWEST_WALLETS,
            "new_wallets_per_day must be 0 to 10000": 0 <= self.new_wallets_per_day <= 10_000,  # noqa: PLR2004
            "events_per_day must be above 0, at most 100": 0 < self.events_per_day <= 100,  # noqa: PLR2004
            "mean_life_days must be 1 to 60": 1 <= self.mean_life_days <= 60,  # noqa: PLR2004
            "half_spread must be 0.001 to 0.05": 0.001 <= self.half_spread <= 0.05,  # noqa: PLR2004
            "void_share must be 0 to 1": 0 <= self.void_share <= 1,
            "late_share must be 0 to 1": 0 <= self.late_share <= 1,
        }
        for message, is_kept in checks.items():
            if not is_kept:
                raise ValueError(message)

    @property
    def digest(self) -> str:
        """Names the world: equal for equal rules only."""
        text = repr((_VERSION, astuple(self)))
        return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


@dataclass(frozen=True)
class History:
    """All that happened strictly before an instant; ids are texts, money micro-units."""

    markets: pl.DataFrame
    fills: pl.DataFrame
    activity: pl.DataFrame
    comments: pl.DataFrame
    wallets: pl.DataFrame
    read_prices: Callable[[], pl.DataFrame] = field(repr=False)

    @property
    def prices(self) -> pl.DataFrame:
        """token_id, priced_at, price of every open market every ten minutes; made when asked."""
        return self.read_prices()


@dataclass(frozen=True, slots=True)
class Level:
    """Shares offered at one price."""

    price: float
    size_shares: float


@dataclass(frozen=True, slots=True)
class Book:
    """One order book, best first; both sides are empty where the market is not open."""

    token_id: str
    at: datetime
    tick: float
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
