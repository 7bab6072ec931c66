"""One wallet's FIFO ledger as a plain loop over its events: the serial design, done carefully.

Micro-units and microseconds throughout. It reads what `bench.trades` makes: no activity, no
fill after a resolution.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from evaluator.domain.ledger.kernel import DUST
from evaluator.domain.schema import MICRO

DAY = 86_400_000_000
BUY = 0


class Token(NamedTuple):
    """What is known of an outcome token; instants are None where there is none."""

    event: int
    domain: str | None
    rank: int
    tick: float
    resolved_at: int | None
    payout: float
    clv_price: float | None
    marks: list[float | None]
    """Price at each midnight."""


class Fill(NamedTuple):
    """A fill as the query gives it; `side` is 0 for a buy, `role` as in the declared words."""

    token: int
    market: int
    at: int
    side: int
    size: int
    price: float
    notional: int
    fee: int
    is_fee_included: bool
    role: int


class Closed(NamedTuple):
    """A matched piece."""

    event: int
    opened_at: int
    closed_at: int
    size: int
    cost: int
    pnl: int
    is_sale: bool


class Trip(NamedTuple):
    """A round trip: when it became flat, what it made."""

    closed_at: int
    pnl: int


class Lot:
    """Shares bought at once, and how many of them are sold."""

    __slots__ = ("at", "cost", "size", "used")

    def __init__(self, size: int, cost: int, at: int) -> None:
        self.size, self.cost, self.at, self.used = size, cost, at, 0


@dataclass(slots=True)
class Holding:
    """One token of the wallet."""

    token: Token
    lots: deque[Lot] = field(default_factory=deque)
    held: int = 0
    cost: int = 0
    trip_pnl: int = 0
    is_in_trip: bool = False
    is_resolved: bool = False


@dataclass(slots=True)
class Books:
    """What became of a wallet up to as_of."""

    closed: list[Closed] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    holdings: dict[int, Holding] = field(default_factory=dict)
    step_at: list[int] = field(default_factory=list)
    step_cost: list[int] = field(default_factory=list)
    pnl: list[float] = field(default_factory=list)
    """All-time realised and marked PnL (USDC) at each midnight."""
    exposed: set[int] = field(default_factory=set)
    """Days with open cost or a close."""
    disposed: int = 0
    explained: int = 0
    realised: int = 0
    open_cost: int = 0

    def cost_before(self, instant: int) -> int:
        """Open cost just before an instant."""
        place = bisect_left(self.step_at, instant)
        return self.step_cost[place - 1] if place else 0


def walk(fills: list[Fill], tokens: dict[int, Token], first: int, as_of: int) -> Books:
    """Apply fills and resolutions in order, looking at the books at each midnight from `first`."""
    books, midnight = Books(), first
    traded = {fill.token for fill in fills}
    ends = sorted(
        (tokens[name].resolved_at, name)
        for name in traded
        if tokens[name].resolved_at is not None and tokens[name].resolved_at < as_of
    )
    ends.append((as_of, 0))
    end = iter(ends)
    due, name = next(end)
    for fill in (*fills, None):
        at = as_of if fill is None else fill.at
        while due < at:
            midnight = _look(books, midnight, due, first)
            if name in books.holdings:
                _resolve(books, books.holdings[name], due)
            due, name = next(end)
        midnight = _look(books, midnight, at, first)
        if fill is not None:
            _trade(books, fill, tokens)
    return books


def _look(books: Books, midnight: int, until: int, first: int) -> int:
    """Note PnL and exposure at the midnights up to an instant; gives the next midnight."""
    while midnight <= until:
        place = (midnight - first) // DAY
        marked = 0.0
        for holding in books.holdings.values():
            if holding.held:
                mark = holding.token.marks[place]
                if mark is not None:
                    marked += holding.held * mark - holding.cost
        books.pnl.append((books.realised + marked) / MICRO)
        if books.open_cost > 0:
            books.exposed.add(midnight // DAY)
        midnight += DAY
    return midnight


def _trade(books: Books, fill: Fill, tokens: dict[int, Token]) -> None:
    """A buy opens a lot; a sale closes the oldest."""
    holding = books.holdings.get(fill.token)
    if holding is None:
        holding = books.holdings[fill.token] = Holding(tokens[fill.token])
    if holding.is_resolved:
        raise ValueError("a fill after the resolution of its token")
    fee = 0 if fill.is_fee_included else fill.fee
    if fill.side == BUY:
        cost = fill.notional + fee
        holding.lots.append(Lot(fill.size, cost, fill.at))
        holding.held += fill.size
        holding.cost += cost
        holding.is_in_trip = holding.is_in_trip or holding.held >= DUST
        books.open_cost += cost
        if cost > 0:
            books.exposed.add(fill.at // DAY)
    else:
        books.disposed += fill.size
        books.explained += _close(
            books, holding, fill.at, fill.size, fill.notional - fee, is_sale=True
        )
    books.step_at.append(fill.at)
    books.step_cost.append(books.open_cost)


def _resolve(books: Books, holding: Holding, at: int) -> None:
    """Close what is held at the payout."""
    if holding.held:
        paid, rest = divmod(holding.held * round(holding.token.payout * MICRO), MICRO)
        if 2 * rest > MICRO or (2 * rest == MICRO and paid % 2):
            paid += 1
        _close(books, holding, at, holding.held, paid, is_sale=False)
        books.step_at.append(at)
        books.step_cost.append(books.open_cost)
    holding.is_resolved = True


def _close(
    books: Books, holding: Holding, at: int, wanted: int, proceeds: int, *, is_sale: bool
) -> int:
    """Consume the oldest lots; gives the shares that they explain."""
    taken, lots = 0, holding.lots
    while taken < wanted and lots:
        lot = lots[0]
        take = min(lot.size - lot.used, wanted - taken)
        cost = lot.cost * (lot.used + take) // lot.size - lot.cost * lot.used // lot.size
        paid = proceeds * (taken + take) // wanted - proceeds * taken // wanted
        books.closed.append(
            Closed(holding.token.event, lot.at, at, take, cost, paid - cost, is_sale)
        )
        lot.used += take
        taken += take
        holding.cost -= cost
        holding.trip_pnl += paid - cost
        books.open_cost -= cost
        books.realised += paid - cost
        if lot.used == lot.size:
            lots.popleft()
    holding.held -= taken
    if taken:
        books.exposed.add(at // DAY)
        if holding.is_in_trip and holding.held < DUST:
            books.trips.append(Trip(at, holding.trip_pnl))
            holding.trip_pnl, holding.is_in_trip = 0, False
    return taken
