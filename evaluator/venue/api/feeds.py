"""Trades, activity and positions of the Data API, in both of its versions."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from evaluator.domain.errors import InvalidArgumentError
from evaluator.domain.tables.history import ACTIVITY_KIND
from evaluator.venue.api import endpoints, reading
from evaluator.venue.api.endpoints import Endpoint
from evaluator.venue.api.options import Options
from evaluator.venue.api.paging import (
    Gathering,
    Offsets,
    PageSizes,
    Recount,
    Window,
    walk_by_cursor,
    walk_by_offset,
)
from evaluator.venue.api.payloads import LIST, Envelope, page
from evaluator.venue.api.roles import told_apart
from evaluator.venue.api.transport import Params, Transport
from evaluator.venue.fill_rows import ADDRESS, CONDITION
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Walk

FULL_HISTORY = 1
"""`start` that asks for all of a wallet's history; without one the venue shows three years."""

V1_FEED_ROWS = 500
V1_CLOSED_ROWS = 50
"""The most rows that version 1 gives on a page, and on one of closed positions."""

V1_KINDS = ",".join(ACTIVITY_KIND.codes)
V2_KINDS = f"{V1_KINDS},MIGRATION,REFERRAL_REWARD"
"""Activity that is asked for: in version 2 also kinds that no table knows, to see them refused.

A host may ignore the filter; trades are left out then, too.
"""


@dataclass(frozen=True, slots=True)
class _Feed:
    """One feed in one version: where it is, how its rows are read, what it is asked with."""

    endpoint: Endpoint
    listing: reading.Listing
    params: Params


@dataclass(frozen=True, slots=True)
class Feeds:
    """The row-by-row listings of the Data API."""

    transport: Transport
    options: Options
    clock: Callable[[], datetime]
    sizes: PageSizes = field(default_factory=PageSizes)

    @property
    def is_v2(self) -> bool:
        """Whether version 2 is spoken."""
        return self.options.dialect == "v2"

    async def market_trades(
        self, condition_id: str, *, max_pages: int, since: datetime | None = None
    ) -> Walk:
        """Rows of `fills` of one market, from its newest; the feed takes no window."""
        market = checked_market(condition_id)

        async def read(since: datetime | None, pages: int, *, is_taker_only: bool) -> Walk:
            feed = self._trades_of_market(market, is_taker_only=is_taker_only)
            return await self._market_walk(feed, since, pages)

        walk = await read(since, max_pages, is_taker_only=False)
        if not self.options.has_roles:
            return walk
        return await told_apart(
            walk,
            lambda window: read(window.start, max_pages + 1, is_taker_only=True),
            complete_from=since if walk.is_exhausted else walk.covered_from,
            has_all_wallets=True,
        )

    async def wallet_trades(self, proxy_wallet: str, window: Window, max_pages: int) -> Walk:
        """Rows of `fills` of one wallet within a window."""
        user: Params = {"user": _checked_wallet(proxy_wallet)}
        walk = await self._wallet_walk(self._trades(user), window, max_pages)
        if not self.options.has_roles:
            return walk
        takers = self._trades(user, is_taker_only=True)
        return await told_apart(
            walk,
            lambda stretch: self._wallet_walk(takers, stretch, max_pages + 1),
            complete_from=walk.covered_from,
        )

    async def wallet_activity(self, proxy_wallet: str, window: Window, max_pages: int) -> Walk:
        """Rows of `activity` of one wallet within a window."""
        wallet = _checked_wallet(proxy_wallet)
        endpoint = endpoints.ACTIVITY_V2 if self.is_v2 else endpoints.ACTIVITY_V1
        kinds = V2_KINDS if self.is_v2 else V1_KINDS
        feed = _Feed(endpoint, reading.MOVEMENTS, {"user": wallet, "type": kinds})
        return await self._wallet_walk(feed, window, max_pages)

    async def wallet_positions(self, day: date, proxy_wallet: str) -> Parsed:
        """Rows of `positions` of one wallet, open and closed; raises where they never end."""
        wallet = _checked_wallet(proxy_wallet)
        pages: list[reading.Page] = []
        cut_short = 0
        for feed, limit in self._position_listings(wallet):
            gathering = self._gathering(feed, Window())
            walk = await self._list_all(feed, gathering, limit)
            pages += gathering.pages
            cut_short += not walk.is_exhausted
        return reading.positions(pages, day=day, possible_undercount=cut_short)

    def _position_listings(self, wallet: str) -> list[tuple[_Feed, int]]:
        """What together lists all positions: OPEN holds every one that still has shares."""
        rows = self.options.feed_page_rows
        if self.is_v2:
            dust: Params = {"filter_type": "TOKENS", "filter_amount": 0, "include_archived": True}
            asked: tuple[Params, ...] = ({"status": "OPEN", **dust}, {"status": "CLOSED"})
            return [
                (_Feed(endpoints.POSITIONS_V2, reading.POSITIONS, {"user": wallet, **one}), rows)
                for one in asked
            ]
        dust_too: Params = {"user": wallet, "sizeThreshold": 0}
        return [
            (
                _Feed(endpoints.POSITIONS_V1, reading.POSITIONS, dust_too),
                min(rows, V1_FEED_ROWS),
            ),
            (
                _Feed(endpoints.CLOSED_POSITIONS_V1, reading.CLOSED_POSITIONS, {"user": wallet}),
                min(rows, V1_CLOSED_ROWS),
            ),
        ]

    async def _list_all(self, feed: _Feed, gathering: Gathering, limit: int) -> Walk:
        """All pages of a listing that has no windows."""
        bound = self.options.max_listing_pages
        if self.is_v2:
            ask = self._cursor(feed.endpoint, feed.params, limit)
            return await walk_by_cursor(ask, gathering, max_pages=bound)
        offsets = self._offsets(feed, limit, has_windows=False)
        return await walk_by_offset(offsets, gathering, max_pages=bound)

    def _trades(self, params: Params, *, is_taker_only: bool = False) -> _Feed:
        """The feed of trades; resting orders' fills are in it unless only takers are wanted."""
        if self.is_v2:
            params = {**params, "taker_only": is_taker_only}
            return _Feed(endpoints.TRADES_V2, reading.TRADES, params)
        return _Feed(endpoints.TRADES_V1, reading.TRADES, {**params, "takerOnly": is_taker_only})

    def _trades_of_market(self, market: str, *, is_taker_only: bool) -> _Feed:
        named: Params = {"condition" if self.is_v2 else "market": market}
        return self._trades(named, is_taker_only=is_taker_only)

    def _gathering(self, feed: _Feed, window: Window) -> Gathering:
        return Gathering(feed.listing, feed.endpoint.name, self.clock(), window)

    async def _market_walk(self, feed: _Feed, since: datetime | None, max_pages: int) -> Walk:
        gathering = self._gathering(feed, Window())
        recount = self._recount(feed)
        if self.is_v2:
            ask = self._cursor(feed.endpoint, feed.params, self.options.market_page_rows)
            return await walk_by_cursor(
                ask, gathering, max_pages=max_pages, since=since, recount=recount
            )
        offsets = self._offsets(feed, self.options.market_page_rows, has_windows=False)
        return await walk_by_offset(
            offsets, gathering, max_pages=max_pages, since=since, recount=recount
        )

    async def _wallet_walk(self, feed: _Feed, window: Window, max_pages: int) -> Walk:
        gathering = self._gathering(feed, window)
        recount = self._recount(feed)
        if self.is_v2:
            params = {**feed.params, **_bounds(window)}
            ask = self._cursor(feed.endpoint, params, self.options.feed_page_rows)
            return await walk_by_cursor(
                ask, gathering, max_pages=max_pages, since=window.start, recount=recount
            )
        rows = min(self.options.feed_page_rows, V1_FEED_ROWS)
        offsets = self._offsets(feed, rows, has_windows=True)
        return await walk_by_offset(offsets, gathering, max_pages=max_pages, recount=recount)

    def _cursor(
        self, endpoint: Endpoint, params: Params, limit: int
    ) -> Callable[[str | None], Awaitable[Envelope]]:
        """Asks for the page of a cursor; filters are sent with each, as the feeds want it."""

        async def ask(cursor: str | None) -> Envelope:
            place: dict[str, str | int] = {"limit": limit}
            if cursor is not None:
                place["cursor"] = cursor
            return await self.transport.get_json(endpoint, {**params, **place}, page)

        return ask

    def _offsets(self, feed: _Feed, limit: int, *, has_windows: bool) -> Offsets:
        async def ask(offset: int, window: Window) -> list[Any]:
            bounds = _bounds(window) if has_windows else {}
            place = {"limit": limit, "offset": offset}
            return await self._list(feed.endpoint, {**feed.params, **bounds, **place})

        return Offsets(ask, limit, self.sizes, has_windows=has_windows)

    async def _list(self, endpoint: Endpoint, params: Params) -> list[Any]:
        return await self.transport.get_json(endpoint, params, LIST)

    def _recount(self, feed: _Feed) -> Recount:
        """Reads a span of a wallet's seconds in one response, of a market those in the market."""

        async def recount(wallet: str, first: datetime, last: datetime) -> Sequence[Any] | None:
            bounds = _bounds(Window(first, last))
            params = {**feed.params, "user": wallet, **bounds}
            if self.is_v2:
                ask = self._cursor(feed.endpoint, params, self.options.feed_page_rows)
                answer = await ask(None)
                return answer.rows if answer.cursor is None else None
            limit = min(self.options.feed_page_rows, V1_FEED_ROWS)
            rows = await self._list(feed.endpoint, {**params, "limit": limit, "offset": 0})
            is_whole = self.sizes.is_short(feed.endpoint.name, len(rows))
            return rows if is_whole and _lie_within(rows, first, last) else None

        return recount


def _bounds(window: Window) -> dict[str, int]:
    """Both bounds in epoch seconds, inclusive; all of history without a start."""
    start = FULL_HISTORY if window.start is None else int(window.start.timestamp())
    bounds = {"start": max(start, FULL_HISTORY)}
    if window.end is not None:
        bounds["end"] = int(window.end.timestamp())
    return bounds


def _lie_within(rows: Sequence[Any], first: datetime, last: datetime) -> bool:
    """Whether a host has heeded the window: all of its rows lie in it."""
    instants = reading.instants(rows)
    return all(at is not None and first <= at <= last for at in instants)


def checked_market(condition_id: str) -> str:
    """A market's id in lower case; raises InvalidArgumentError where it is malformed."""
    return _checked("condition_id", condition_id, CONDITION)


def _checked_wallet(proxy_wallet: str) -> str:
    return _checked("proxy_wallet", proxy_wallet, ADDRESS)


def _checked(name: str, value: str, pattern: str) -> str:
    lower = value.lower()
    if re.fullmatch(pattern, lower) is None:
        raise InvalidArgumentError(name, value, "is malformed", "give it as the venue spells it")
    return lower
