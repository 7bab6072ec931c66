"""The client of the venue's API: what `evaluator.venue.venue.Venue` asks for, over HTTP."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import TracebackType
from typing import Self

import httpx
import polars as pl

from evaluator.venue.api.boards import Boards
from evaluator.venue.api.clob import Clob
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.feeds import Feeds
from evaluator.venue.api.gamma import Gamma
from evaluator.venue.api.limits import SHARED, Buckets, Limiter
from evaluator.venue.api.options import DEFAULTS, Options
from evaluator.venue.api.paging import Window
from evaluator.venue.api.tally import Tally
from evaluator.venue.api.transport import MOST_IN_FLIGHT, REAL, Timing, Transport
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import MarketFilter, Walk

USER_AGENT = "evaluator"
"""What hosts are told of who asks."""


@dataclass(frozen=True, slots=True)
class VenueClient:
    """A venue over HTTP. Open it with `async with`; its methods may run concurrently.

    One client belongs to one event loop; the rate limits are the process's.
    """

    transport: Transport
    timing: Timing
    feeds: Feeds
    boards: Boards
    gamma: Gamma
    clob: Clob

    async def __aenter__(self) -> Self:
        await self.transport.http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.transport.http.__aexit__(kind, error, trace)

    def now(self) -> datetime:
        """The venue's present, in UTC, as the clock given to the client tells it."""
        return self.timing.clock()

    async def open_markets(self, day: date, wanted: MarketFilter) -> Parsed:
        """Rows of `markets`: open markets that the filter lets pass."""
        return await self.gamma.open_markets(day, wanted)

    async def markets(self, day: date, condition_ids: Sequence[str]) -> Parsed:
        """Rows of `markets`: these, open or closed; one the venue does not know is absent."""
        return await self.gamma.markets(day, condition_ids)

    async def holders(self, day: date, condition_id: str) -> Parsed:
        """Rows of `holders`: the largest of every token."""
        return await self.boards.holders(day, condition_id)

    async def leaderboard(self, day: date, category: str, period: str) -> Parsed:
        """Rows of `leaderboard`: the first of the board of PnL."""
        return await self.boards.leaderboard(day, category, period)

    async def market_trades(
        self, condition_id: str, *, max_pages: int, since: datetime | None = None
    ) -> Walk:
        """Rows of `fills`: the market's feed, maker and taker rows, newest first."""
        return await self.feeds.market_trades(condition_id, max_pages=max_pages, since=since)

    async def wallet_trades(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        """Rows of `fills` of one wallet in [start, end]; without start, from its first."""
        return await self.feeds.wallet_trades(proxy_wallet, Window(start, end), max_pages)

    async def wallet_activity(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        """Rows of `activity` (no trades) of one wallet in [start, end]."""
        return await self.feeds.wallet_activity(proxy_wallet, Window(start, end), max_pages)

    async def wallet_positions(self, day: date, proxy_wallet: str) -> Parsed:
        """Rows of `positions`: all of the wallet's, open and closed, dust included."""
        return await self.feeds.wallet_positions(day, proxy_wallet)

    async def prices(self, token_id: str, *, start: datetime, end: datetime) -> Parsed:
        """Rows of `prices` in [start, end)."""
        return await self.clob.prices(token_id, start, end)

    async def books(self, token_ids: Sequence[str]) -> Parsed:
        """Rows of `books`, at most `market_data.BOOK_LEVELS` a side."""
        return await self.clob.books(token_ids)

    async def comments(self, event_slug: str, *, since: datetime | None = None) -> Parsed:
        """Rows of `comments` on an event and its markets."""
        return await self.gamma.comments(event_slug, since)

    def requests(self) -> pl.DataFrame:
        """Rows of `venue_requests`: what has been asked so far."""
        return self.transport.tally.rows()


def open_client(
    hosts: Hosts,
    options: Options = DEFAULTS,
    *,
    timing: Timing = REAL,
    transport: httpx.AsyncBaseTransport | None = None,
    buckets: Buckets = SHARED,
) -> VenueClient:
    """A client of these hosts, not yet entered.

    `transport` answers in place of the network, such as a simulated venue in this process.
    Redirects are not followed, and no proxy or credential is taken from the environment.
    """
    http = httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        timeout=options.policy.timeout_s,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=MOST_IN_FLIGHT),
        headers={"user-agent": USER_AGENT, "accept": "application/json"},
    )
    limiter = Limiter(hosts, options.share, options.limit_factor, buckets, timing.monotonic)
    tally = Tally(uuid.uuid4().hex, timing.clock)
    asker = Transport(http, hosts, limiter, tally, options.policy, timing)
    return VenueClient(
        transport=asker,
        timing=timing,
        feeds=Feeds(asker, options, timing.clock),
        boards=Boards(asker, options, timing.clock),
        gamma=Gamma(asker, options, timing.clock),
        clob=Clob(asker, options, timing.clock),
    )
