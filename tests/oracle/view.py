"""What one row of features looks at: a wallet, a day and a window, cut out of the world."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.oracle.ledger import Ledger, ledger

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tests.oracle.lots import ClosedLot, Trip
    from tests.oracle.world import Fill, WorldIndex

ORDER_GAP = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class View:
    """Facts of [start, as_of), and the whole history before as_of."""

    index: WorldIndex
    wallet: str
    start: datetime
    as_of: datetime
    days: int
    books: Ledger
    history: list[Fill]
    fills: list[Fill]
    closed: list[ClosedLot]
    trips: list[Trip]


def look(index: WorldIndex, wallet: str, as_of: datetime, days: int) -> View:
    """Cut out a window; everything is strictly before `as_of`."""
    start = as_of - timedelta(days=days)
    books = ledger(index, wallet, as_of)
    history = [fill for fill in index.fills_of(wallet) if fill.at < as_of]
    return View(
        index=index,
        wallet=wallet,
        start=start,
        as_of=as_of,
        days=days,
        books=books,
        history=history,
        fills=[fill for fill in history if fill.at >= start],
        closed=[row for row in books.closed if row.closed_at >= start],
        trips=[trip for trip in books.trips if trip.flat_at >= start],
    )


@dataclass(frozen=True, slots=True)
class Order:
    """Fills of one token and side with no gap above ten seconds."""

    token_id: str
    side: str
    start: datetime


def orders(fills: Iterable[Fill]) -> list[Order]:
    """Chain fills into orders: a new one when the gap to the previous fill exceeds 10 s."""
    by_key: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for fill in fills:
        by_key[fill.token_id, fill.side].append(fill.at)
    found = []
    for (token, side), times in by_key.items():
        previous: datetime | None = None
        for at in sorted(times):
            if previous is None or at - previous > ORDER_GAP:
                found.append(Order(token, side, at))
            previous = at
    return found
