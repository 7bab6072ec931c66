"""Answers whose rows are read one by one: holders, leaderboard, books, prices, comments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import polars as pl
from pydantic import BaseModel, TypeAdapter, ValidationError

from evaluator.domain.schema import MICRO, Table
from evaluator.domain.tables.market_data import BOOK_LEVELS
from evaluator.venue.api import frames
from evaluator.venue.api.payloads import (
    Book,
    Comment,
    EventMarket,
    Holder,
    HolderGroup,
    Level,
    Point,
    Ranked,
)
from evaluator.venue.fill_rows import ADDRESS, TOKEN, refused_ids
from evaluator.venue.quarantine import (
    ROW,
    Counts,
    Parsed,
    Rule,
    conform,
    counted,
    no_rows,
    quarantine,
    sift,
)

Model = TypeVar("Model", bound=BaseModel)

_WALLET = Rule("bad_proxy_wallet", refused_ids("proxy_wallet", ADDRESS))
_TOKEN = Rule("bad_token_id", refused_ids("token_id", TOKEN))
_LARGEST_AMOUNT = 9e11
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Rows:
    """Raw rows of one answer or several on their way into a table; what is refused is kept."""

    table: Table
    source: str
    seen_at: datetime
    _raw: list[Any] = field(default_factory=list, init=False)
    _kept: list[dict[str, Any]] = field(default_factory=list, init=False)
    _broken: list[tuple[int, str]] = field(default_factory=list, init=False)

    def read(self, raw: Sequence[Any], shape: type[Model]) -> list[tuple[int, Model]]:
        """Number and content of each raw row; another shape is refused under `bad_<shape>`."""
        adapter = TypeAdapter(shape)
        found = []
        for row in raw:
            number = len(self._raw)
            self._raw.append(row)
            try:
                found.append((number, adapter.validate_python(row)))
            except ValidationError:
                self._broken.append((number, f"bad_{shape.__name__.lower()}"))
        return found

    def keep(self, number: int, **row: Any) -> None:
        """Take a row for the table, out of the raw row of that number."""
        texts = {key: frames.clean(value) for key, value in row.items() if isinstance(value, str)}
        self._kept.append({ROW: number, **row, **texts})

    def parsed(self, *rules: Rule) -> Parsed:
        """Rows that no rule refuses, one per key and sorted by it, the first read standing."""
        broken = pl.DataFrame(
            self._broken, schema={ROW: pl.UInt32, "rule": pl.String}, orient="row"
        )
        rows, kept = no_rows(self.table), 0
        if self._kept:
            schema = {ROW: pl.UInt32(), **rows.schema}
            sifted = sift(pl.DataFrame(self._kept, schema=schema), rules)
            broken = pl.concat([broken, sifted.broken])
            kept = sifted.good.height
            key = list(self.table.key)
            unique = sifted.good.unique(key, keep="first", maintain_order=True)
            rows = conform(unique.sort(key), self.table)
        refused = quarantine(
            broken,
            frames.payloads(self._raw, broken[ROW]),
            source=self.source,
            seen_at=self.seen_at,
        )
        counts = Counts(
            rows_read=len(self._raw), duplicates=kept - rows.height, quarantined=counted(broken)
        )
        return Parsed(rows, refused, counts)


def holders(rows: Rows, raw: Sequence[Any], day: date) -> Parsed:
    """Rows of `holders` out of groups by token."""
    for _, group in rows.read(raw, HolderGroup):
        for number, holder in rows.read(group.holders, Holder):
            rows.keep(
                number,
                snapshot_date=day,
                token_id=group.token_id,
                proxy_wallet=holder.proxy_wallet.lower(),
                amount_shares=_micros(holder.amount),
            )
    amount = pl.col("amount_shares")
    return rows.parsed(_WALLET, _TOKEN, Rule("bad_amount", amount.is_null() | (amount < 0)))


@dataclass(frozen=True, slots=True)
class Board:
    """Which leaderboard: the caller's words for category and period, and its day."""

    day: date
    category: str
    period: str


def leaderboard(rows: Rows, raw: Sequence[Any], board: Board) -> Parsed:
    """Rows of `leaderboard`; ties share a rank."""
    for number, ranked in rows.read(raw, Ranked):
        rows.keep(
            number,
            snapshot_date=board.day,
            category=board.category,
            period=board.period,
            proxy_wallet=ranked.proxy_wallet.lower(),
            rank=ranked.rank,
            pnl_usdc=ranked.pnl,
            volume_usdc=ranked.volume,
        )
    return rows.parsed(_WALLET, Rule("bad_rank", pl.col("rank") < 1))


def books(rows: Rows, raw: Sequence[Any]) -> Parsed:
    """Rows of `books`: the best levels of each side, best first."""
    for number, book in rows.read(raw, Book):
        bids = _best(book.bids, is_highest_best=True)
        asks = _best(book.asks, is_highest_best=False)
        rows.keep(
            number,
            token_id=book.token_id,
            observed_at=_instant(book.timestamp / 1000),
            bid_prices=[level.price for level in bids],
            bid_sizes=[level.size for level in bids],
            ask_prices=[level.price for level in asks],
            ask_sizes=[level.size for level in asks],
            read_at=rows.seen_at,
        )
    return rows.parsed(_TOKEN, _unknown_instant("observed_at"), _bad_levels())


def _best(levels: Sequence[Level], *, is_highest_best: bool) -> list[Level]:
    """The best levels of a side, empty ones left out; the venue lists the best last."""
    ordered = sorted(levels, key=lambda level: level.price, reverse=is_highest_best)
    return [level for level in ordered if level.size > 0][:BOOK_LEVELS]


def _bad_levels() -> Rule:
    outside = [
        pl.col(name).list.eval(~pl.element().is_between(0, 1)).list.any()
        for name in ("bid_prices", "ask_prices")
    ]
    return Rule("bad_price", pl.any_horizontal(outside))


def prices(rows: Rows, raw: Sequence[Any], token_id: str, span: tuple[datetime, datetime]) -> None:
    """Keep the points of a price series in [start, end) as rows of `prices`."""
    for number, point in rows.read(raw, Point):
        at = _instant(float(point.t))
        if at is None or span[0] <= at < span[1]:
            rows.keep(number, token_id=token_id, priced_at=at, price=point.p, source=rows.source)


def parsed_prices(rows: Rows) -> Parsed:
    """Rows of `prices`."""
    outside = Rule("bad_price", ~pl.col("price").is_between(0, 1))
    return rows.parsed(_TOKEN, outside, _unknown_instant("priced_at"))


@dataclass(frozen=True, slots=True)
class Discussed:
    """An event, and its markets by their Gamma ids."""

    event_slug: str
    markets: Mapping[str, str]


def discussed(event_slug: str, markets: Iterable[EventMarket]) -> Discussed:
    """The event with those of its markets that have both ids."""
    ids = {one.id: one.condition_id.lower() for one in markets if one.id and one.condition_id}
    return Discussed(event_slug, ids)


def comments(
    rows: Rows, raw: Sequence[Any], about: Discussed, since: datetime | None
) -> datetime | None:
    """Keep comments from `since` on as rows of `comments`; returns when the oldest was posted."""
    oldest = None
    for number, comment in rows.read(raw, Comment):
        posted = comment.posted_at
        oldest = posted if oldest is None else min(oldest, posted)
        if since is not None and posted < since:
            continue
        market = None
        if (comment.parent_type or "").lower() == "market":
            market = about.markets.get(comment.parent_id or "")
        wallet = comment.profile.proxy_wallet if comment.profile else None
        author = wallet or comment.user_address
        rows.keep(
            number,
            comment_id=comment.id,
            condition_id=market,
            event_slug=None if market else about.event_slug,
            author=author.lower() if author else None,
            text=comment.body,
            posted_at=posted,
            seen_at=rows.seen_at,
        )
    return oldest


def parsed_comments(rows: Rows) -> Parsed:
    """Rows of `comments`; an author that is no address refuses the row."""
    author = Rule("bad_author", pl.col("author").is_not_null() & refused_ids("author", ADDRESS))
    return rows.parsed(author)


def _unknown_instant(column: str) -> Rule:
    return Rule("bad_timestamp", pl.col(column).is_null())


def _instant(seconds: float) -> datetime | None:
    """An instant of the years 2000 to 2099, None for any other number."""
    if not _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _micros(amount: float) -> int | None:
    """Micro-units of an amount, None beyond 18 digits."""
    return round(amount * MICRO) if abs(amount) <= _LARGEST_AMOUNT else None
