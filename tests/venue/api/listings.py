"""Listings of trades for tests of walks: rows by few wallets in few seconds, so that twins occur."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evaluator.venue.api import reading
from evaluator.venue.api.errors import RequestRefusedError
from evaluator.venue.api.paging import Gathering, Offsets, PageSizes, Window
from evaluator.venue.api.payloads import Envelope
from evaluator.venue.venue import Walk

WALLETS = ("0x" + "a1" * 20, "0x" + "b2" * 20)
CONDITION = "0x" + "c3" * 32
TOKEN = "7" * 77
FIRST_SECOND = 1_760_000_000
SEEN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)

Row = dict[str, Any]


def trade(second: int = 0, wallet: int = 0, size: int = 1) -> Row:
    return {
        "proxyWallet": WALLETS[wallet],
        "side": "BUY",
        "asset": TOKEN,
        "conditionId": CONDITION,
        "size": size,
        "price": 0.5,
        "timestamp": FIRST_SECOND + second,
        "outcomeIndex": 0,
        "transactionHash": "0x" + f"{second:064x}",
    }


def at(second: int) -> datetime:
    return datetime.fromtimestamp(FIRST_SECOND + second, UTC)


def instant(row: Row) -> datetime:
    return datetime.fromtimestamp(row["timestamp"], UTC)


def newest_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row["timestamp"])


def truth(rows: Sequence[Row]) -> Counter[tuple[str, int, int]]:
    """How many fills of each identity there are."""
    return Counter((row["proxyWallet"], row["timestamp"], row["size"]) for row in rows)


def found(walk: Walk) -> Counter[tuple[str, int, int]]:
    rows = walk.found.rows
    assert rows["fill_id"].is_unique().all()
    return Counter(
        (row["proxy_wallet"], int(row["filled_at"].timestamp()), row["size_shares"] // 1_000_000)
        for row in rows.iter_rows(named=True)
    )


def gathering(start: datetime | None = None, end: datetime | None = None) -> Gathering:
    return Gathering(reading.TRADES, "data /test", SEEN_AT, Window(start, end))


@dataclass
class Cursors:
    """A keyset walk: the cursor is a place; each page shows `overlap` rows of the last again."""

    rows: list[Row]
    limit: int
    overlap: int = 0
    asked: int = 0

    async def __call__(self, cursor: str | None) -> Envelope:
        self.asked += 1
        place = int(cursor or 0)
        first = max(0, place - self.overlap)
        after = place + self.limit
        following = str(after) if after < len(self.rows) else None
        return Envelope(data=self.rows[first:after], pagination={"next_cursor": following})


@dataclass
class Offset:
    """A listing by offset: `cap` refuses or repeats, and rows arrive while it is read."""

    rows: list[Row]
    limit: int
    cap: int = 1_000_000
    is_cap_refused: bool = True
    arriving: list[Row] = field(default_factory=list)
    heeds_windows: bool = True
    asked: int = 0

    async def ask(self, offset: int, window: Window) -> list[Any]:
        self.asked += 1
        if self.arriving and self.asked > 1:
            self.rows = [self.arriving.pop(), *self.rows]
        if offset > self.cap and self.is_cap_refused:
            raise RequestRefusedError("data /test", 400, "offset too large")
        shown = self.rows
        if self.heeds_windows:
            shown = [row for row in shown if window.holds(instant(row))]
        first = offset if offset <= self.cap else offset % max(1, self.cap)
        return shown[first : first + self.limit]

    def offsets(self, *, has_windows: bool = True) -> Offsets:
        return Offsets(self.ask, self.limit, PageSizes(), has_windows=has_windows)


@dataclass
class Recounts:
    """Answers of a second look at a wallet's seconds; None beyond `most` rows."""

    rows: list[Row]
    most: int = 1000
    spans: list[tuple[str, datetime, datetime]] = field(default_factory=list)

    async def __call__(self, wallet: str, first: datetime, last: datetime) -> list[Row] | None:
        self.spans.append((wallet, first, last))
        window = Window(first, last)
        rows = [
            row for row in self.rows if row["proxyWallet"] == wallet and window.holds(instant(row))
        ]
        return rows if len(rows) <= self.most else None
