"""What a venue answers, whichever host, version of its API, or simulation stands behind it.

Rows come in the declared columns of their tables, ids as texts; what was refused comes beside
them. Raises `VenueError`s; see `evaluator.venue.api.errors`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from evaluator.venue.quarantine import Parsed


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """Which open markets are listed; None does not restrict."""

    min_liquidity_usdc: float | None = None
    ends_after: datetime | None = None
    ends_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Walk:
    """A listing read page by page from its newest row, and how far that went.

    `is_exhausted` says that the listing has no older row within [start, end]. Where it is
    false, everything at or after `covered_from` has been read, and nothing else is promised:
    a walk from `end=covered_from` goes on. `is_capped` says that the venue refuses to go on.
    """

    found: Parsed
    page_count: int
    is_exhausted: bool
    covered_from: datetime | None = None
    is_capped: bool = False


class Venue(Protocol):
    """One venue. Open it with `async with`; methods may be called concurrently."""

    def now(self) -> datetime:
        """The venue's present, in UTC: the wall clock, or the instant a simulation shows."""
        ...

    async def open_markets(self, day: date, wanted: MarketFilter) -> Parsed:
        """Rows of `markets`: open markets that the filter lets pass."""
        ...

    async def markets(self, day: date, condition_ids: Sequence[str]) -> Parsed:
        """Rows of `markets`: these, open or closed; one the venue does not know is absent."""
        ...

    async def holders(self, day: date, condition_id: str) -> Parsed:
        """Rows of `holders`: the largest, about 20 per token."""
        ...

    async def leaderboard(self, day: date, category: str, period: str) -> Parsed:
        """Rows of `leaderboard`."""
        ...

    async def market_trades(
        self, condition_id: str, *, max_pages: int, since: datetime | None = None
    ) -> Walk:
        """Rows of `fills`: the market's feed, maker and taker rows, newest first."""
        ...

    async def wallet_trades(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        """Rows of `fills` of one wallet in [start, end]; without start, from its first."""
        ...

    async def wallet_activity(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        """Rows of `activity` (no trades) of one wallet in [start, end]."""
        ...

    async def wallet_positions(self, day: date, proxy_wallet: str) -> Parsed:
        """Rows of `positions`: all of the wallet's, open and closed, dust included."""
        ...

    async def prices(self, token_id: str, *, start: datetime, end: datetime) -> Parsed:
        """Rows of `prices` in [start, end)."""
        ...

    async def books(self, token_ids: Sequence[str]) -> Parsed:
        """Rows of `books`, at most `market_data.BOOK_LEVELS` a side."""
        ...

    async def comments(self, event_slug: str, *, since: datetime | None = None) -> Parsed:
        """Rows of `comments` on an event and its markets."""
        ...

    def requests(self) -> pl.DataFrame:
        """Rows of `venue_requests`: what has been asked so far."""
        ...
