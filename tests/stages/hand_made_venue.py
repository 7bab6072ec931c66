"""A venue held in memory, written by hand: lists of rows as dicts, answered page by page.

It keeps the promises of `evaluator.venue.venue.Venue` and can fail: `failing` names calls and
the error each raises, `dies_after` is the number of calls after which all fail. `calls` lists
what was asked, `most_at_once` how many calls were open together.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from evaluator.domain import fills as identities
from evaluator.domain.errors import EvaluatorError, TransientError
from evaluator.domain.ids import surrogate
from evaluator.domain.schema import MICRO, Table
from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD, MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, POSITIONS, QUARANTINE, VENUE_REQUESTS
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.venue.quarantine import Counts, Parsed, conform, no_rows
from evaluator.venue.venue import MarketFilter, Walk

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
Row = dict[str, Any]
SECOND = timedelta(seconds=1)


class NoAnswerError(TransientError):
    """The hand-made venue was told not to answer."""

    code = "no_answer"


def address(number: int) -> str:
    return f"0x{number:040x}"


def condition(number: int) -> str:
    return f"0x{number:064x}"


def token(number: int, outcome: int = 0) -> str:
    return str(10**70 + 10 * number + outcome)


def market(number: int, **changes: Any) -> Row:
    """An open market of two outcomes that passes for a candidate; `changes` by column."""
    return {
        "condition_id": condition(number),
        "question": f"Will it be {number}?",
        "slug": f"market-{number}",
        "event_slug": f"event-{number}",
        "domain": "Politics",
        "end_at": NOW + timedelta(days=14),
        "liquidity_usdc": 50_000.0,
        "volume_24h_usdc": 20_000.0,
        "volume_usdc": 900_000.0,
        "outcomes": ["Yes", "No"],
        "token_ids": [token(number, 0), token(number, 1)],
        "closed": False,
        "resolved_at": None,
        "payouts": None,
        "fee_rate": 0.04,
        "fee_exponent": 1.0,
        "tick": 0.01,
        "neg_risk": False,
        **changes,
    }


def fill(wallet: int, number: int, at: datetime = NOW - timedelta(hours=1), **changes: Any) -> Row:
    """A BUY of 10 shares at 0.50 of a market's first token; `changes` by column.

    Rows that agree in all else are distinct fills of one transaction. `price` and `size_shares`
    are given in USDC and shares.
    """
    given = {
        "proxy_wallet": address(wallet),
        "condition_id": condition(number),
        "outcome_index": 0,
        "side": "BUY",
        "size_shares": 10.0,
        "price": 0.5,
        "fee_usdc": None,
        "is_fee_included": False,
        "role": "unknown",
        "filled_at": at,
        "source_sequence": None,
        "transaction_hash": f"0x{int(at.timestamp()):032x}{wallet:016x}{number:016x}",
        **changes,
    }
    return {"token_id": token(number, given["outcome_index"]), **given}


def movement(wallet: int, kind: str, at: datetime, **changes: Any) -> Row:
    """An activity of 10 shares and 10 USDC; `changes` by column."""
    given = {
        "proxy_wallet": address(wallet),
        "kind": kind,
        "condition_id": condition(1),
        "token_id": None,
        "size_shares": 10 * MICRO,
        "amount_usdc": 10 * MICRO,
        "happened_at": at,
        "transaction_hash": f"0x{int(at.timestamp()):032x}{wallet:032x}",
        "ordinal": 0,
        **changes,
    }
    key = f"{given['transaction_hash']}/{kind}/{given['token_id']}/{given['ordinal']}"
    return {"activity_id": key, **given}


def holding(wallet: int, number: int, shares: float, outcome: int = 0) -> Row:
    return {
        "token_id": token(number, outcome),
        "proxy_wallet": address(wallet),
        "amount_shares": round(shares * MICRO),
    }


def place(wallet: int, rank: int) -> Row:
    return {
        "proxy_wallet": address(wallet),
        "rank": rank,
        "pnl_usdc": 100.0 / rank,
        "volume_usdc": None,
    }


@dataclass
class HandMadeVenue:
    """The rows, by call. Walks go `page_rows` at a time and are refused after `cap_rows`.

    With `whole_pages` a walk keeps the older rows of its last page. With a `shuffle`, rows of a page come in another order and the last ones of the page before
    come again, as they do where pages shift.
    """

    listed: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    movements: list[Row] = field(default_factory=list)
    held: dict[str, list[Row]] = field(default_factory=dict)
    boards: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    official: dict[str, list[Row]] = field(default_factory=dict)
    price_rows: list[Row] = field(default_factory=list)
    book_rows: list[Row] = field(default_factory=list)
    comment_rows: list[Row] = field(default_factory=list)
    refused: pl.DataFrame | None = None
    at: datetime = NOW
    page_rows: int = 200
    cap_rows: int | None = None
    whole_pages: bool = False
    shuffle: int | None = None
    failing: dict[tuple[str, str], EvaluatorError] = field(default_factory=dict)
    dies_after: int | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    most_at_once: int = 0
    _open: int = 0

    def now(self) -> datetime:
        return self.at

    def asked(self, call: str) -> list[str]:
        """What was asked by one call, in order of asking."""
        return [what for name, what in self.calls if name == call]

    async def open_markets(self, day: date, wanted: MarketFilter) -> Parsed:
        async with self._answering("open_markets", str(day)):
            rows = [row for row in self.listed if not row["closed"] and _passes(row, wanted)]
            return self._markets(day, rows)

    async def markets(self, day: date, condition_ids: Sequence[str]) -> Parsed:
        async with self._answering("markets", ",".join(condition_ids)):
            return self._markets(
                day, [r for r in self.listed if r["condition_id"] in condition_ids]
            )

    async def holders(self, day: date, condition_id: str) -> Parsed:
        async with self._answering("holders", condition_id):
            return _dated(self.held.get(condition_id, []), HOLDERS, snapshot_date=day)

    async def leaderboard(self, day: date, category: str, period: str) -> Parsed:
        async with self._answering("leaderboard", f"{category}/{period}"):
            rows = self.boards.get((category, period), [])
            return _dated(rows, LEADERBOARD, snapshot_date=day, category=category, period=period)

    async def market_trades(
        self, condition_id: str, *, max_pages: int, since: datetime | None = None
    ) -> Walk:
        async with self._answering("market_trades", condition_id):
            rows = _fills(self.trades).filter(pl.col("condition_id") == condition_id)
            return self._walk(rows, FILLS, "filled_at", max_pages, (since, None))

    async def wallet_trades(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        async with self._answering("wallet_trades", proxy_wallet):
            rows = _fills(self.trades).filter(pl.col("proxy_wallet") == proxy_wallet)
            return self._walk(rows, FILLS, "filled_at", max_pages, (start, end))

    async def wallet_activity(
        self,
        proxy_wallet: str,
        *,
        max_pages: int,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Walk:
        async with self._answering("wallet_activity", proxy_wallet):
            rows = _activity(self.movements).filter(pl.col("proxy_wallet") == proxy_wallet)
            return self._walk(rows, ACTIVITY, "happened_at", max_pages, (start, end))

    async def wallet_positions(self, day: date, proxy_wallet: str) -> Parsed:
        async with self._answering("wallet_positions", proxy_wallet):
            rows = self.official.get(proxy_wallet, [])
            return _dated(rows, POSITIONS, snapshot_date=day, proxy_wallet=proxy_wallet)

    async def prices(self, token_id: str, *, start: datetime, end: datetime) -> Parsed:
        async with self._answering("prices", token_id):
            rows = [r for r in self.price_rows if r["token_id"] == token_id]
            return _dated([r for r in rows if start <= r["priced_at"] < end], PRICES)

    async def books(self, token_ids: Sequence[str]) -> Parsed:
        async with self._answering("books", ",".join(token_ids)):
            return _dated([r for r in self.book_rows if r["token_id"] in token_ids], BOOKS)

    async def comments(self, event_slug: str, *, since: datetime | None = None) -> Parsed:
        async with self._answering("comments", event_slug):
            rows = [r for r in self.comment_rows if r["event_slug"] == event_slug]
            return _dated([r for r in rows if not since or r["posted_at"] >= since], COMMENTS)

    def requests(self) -> pl.DataFrame:
        asked = Counter(name for name, _ in self.calls)
        rows = [{"endpoint": name, "request_count": count} for name, count in asked.items()]
        said = {"status": "200", "retry_count": 0, "seconds": 0.0, "slowest_s": 0.0}
        times = {"pass_id": "hand-made", "began_at": self.at, "ended_at": self.at}
        return _dated(rows, VENUE_REQUESTS, **said, **times).rows

    @asynccontextmanager
    async def _answering(self, call: str, what: str) -> AsyncIterator[None]:
        self.calls.append((call, what))
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            await asyncio.sleep(0)  # others ask meanwhile
            if error := self.failing.get((call, what)):
                raise error
            if self.dies_after is not None and len(self.calls) > self.dies_after:
                raise NoAnswerError(f"{call} {what}")
            yield
        finally:
            self._open -= 1

    def _markets(self, day: date, rows: Iterable[Row]) -> Parsed:
        parsed = _dated(rows, MARKETS, snapshot_date=day, first_seen_at=self.at)
        if self.refused is None:
            return parsed
        return Parsed(parsed.rows, self.refused, Counts())

    def _walk(
        self,
        rows: pl.DataFrame,
        table: Table,
        instant: str,
        max_pages: int,
        within: tuple[datetime | None, datetime | None],
    ) -> Walk:
        """Newest first, whole pages; what lies outside of [start, end] does not count."""
        start, end = within
        listing = rows.sort(instant, table.key[0], descending=True)
        if end is not None:
            listing = listing.filter(pl.col(instant) <= end)
        wanted = listing if start is None else listing.filter(pl.col(instant) >= start)
        limit = max_pages * self.page_rows
        cap = limit if self.cap_rows is None else self.cap_rows
        is_capped = cap < min(limit, wanted.height)
        read = wanted.head(min(limit, cap))
        is_exhausted, covered_from = read.height == wanted.height, None
        if not is_exhausted and read.height:
            oldest: datetime = read.select(pl.col(instant).min()).item()
            covered_from = oldest + SECOND
        if is_exhausted and self.whole_pages:
            read = listing.head(-(-read.height // self.page_rows) * self.page_rows)
        found = Parsed(self._shifted(read), no_rows(QUARANTINE), Counts(rows_read=read.height))
        return Walk(found, -(-read.height // self.page_rows), is_exhausted, covered_from, is_capped)

    def _shifted(self, rows: pl.DataFrame) -> pl.DataFrame:
        if self.shuffle is None or rows.is_empty():
            return rows
        chance = random.Random(self.shuffle)
        again = rows.sample(chance.randint(0, rows.height), seed=self.shuffle)
        return pl.concat([rows, again]).sample(fraction=1.0, shuffle=True, seed=self.shuffle)


def _passes(row: Row, wanted: MarketFilter) -> bool:
    least, end = wanted.min_liquidity_usdc, row["end_at"]
    if least is not None and (row["liquidity_usdc"] is None or row["liquidity_usdc"] < least):
        return False
    if wanted.ends_after and (end is None or end < wanted.ends_after):
        return False
    return not wanted.ends_before or (end is not None and end <= wanted.ends_before)


def _dated(rows: Iterable[Row], table: Table, **shared: Any) -> Parsed:
    """The dicts as rows of a table, with the columns they share."""
    full = [{**row, **shared} for row in rows]
    frame = conform(_frame(full, table), table) if full else no_rows(table)
    return Parsed(frame, no_rows(QUARANTINE), Counts(rows_read=len(full)))


def _frame(rows: Sequence[Mapping[str, Any]], table: Table) -> pl.DataFrame:
    """Every column of the table, null where a row does not say."""
    texted = no_rows(table).schema
    return pl.DataFrame([{name: row.get(name) for name in texted} for row in rows], texted)


def _fills(trades: Sequence[Row]) -> pl.DataFrame:
    """All trades as rows of `fills`, identified over the whole list."""
    if not trades:
        return no_rows(FILLS)
    rows = [
        {
            **trade,
            "size_shares": round(trade["size_shares"] * MICRO),
            "notional_usdc": round(trade["size_shares"] * trade["price"] * MICRO),
        }
        for trade in trades
    ]
    frame = _frame(rows, FILLS).with_columns(
        pl.col("transaction_hash").alias("transaction"),
        pl.lit(None, pl.String).alias("order"),
        (pl.col("price") * MICRO).round(0).cast(pl.Int64).alias("price_micros"),
        (pl.col("notional_usdc") / pl.col("size_shares")).alias("price"),
    )
    numbered = frame.with_columns(
        identities.ordinals(frame), identities.transaction_keys(frame["transaction_hash"])
    )
    return conform(numbered.with_columns(identities.fill_ids(numbered)), FILLS)


def _activity(movements: Sequence[Row]) -> pl.DataFrame:
    """All movements as rows of `activity`; the id is the surrogate of the text given."""
    if not movements:
        return no_rows(ACTIVITY)
    rows = [{**row, "activity_id": surrogate(row["activity_id"])} for row in movements]
    frame = _frame(rows, ACTIVITY)
    keyed = identities.transaction_keys(frame["transaction_hash"])
    return conform(frame.with_columns(keyed), ACTIVITY)
