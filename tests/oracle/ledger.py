"""The FIFO ledger of one wallet as a plain fold over its events, in micro-units.

One lot at a time, in the total order; no vectorisation and no cleverness. Round trips
are noted on the way, because they too are defined event by event.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.oracle.lots import (
    FLAT,
    CashFlow,
    ClosedLot,
    Disposal,
    Lot,
    OpenLot,
    Position,
    Resolve,
    Step,
    Trip,
    Unexplained,
    cut,
)
from tests.oracle.world import Activity, Fill, WorldIndex, half_even, order_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(slots=True)
class Ledger:
    """A wallet's books, filled event by event."""

    wallet: str
    index: WorldIndex
    closed: list[ClosedLot] = field(default_factory=list)
    unexplained: list[Unexplained] = field(default_factory=list)
    cash: list[CashFlow] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    positions: dict[str, list[Position]] = field(default_factory=lambda: defaultdict(list))
    lots: dict[str, deque[Lot]] = field(default_factory=lambda: defaultdict(deque))
    held: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    realised: int = 0
    disposed: int = 0
    explained: int = 0
    condition_of: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Fraction] = field(default_factory=dict)
    paid_shares: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    trip_pnl: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    is_away: dict[str, bool] = field(default_factory=lambda: defaultdict(bool))

    @property
    def coverage(self) -> float | None:
        """Explained share of all shares disposed of; None without a disposal."""
        return self.explained / self.disposed if self.disposed else None

    def open_lots(self) -> list[OpenLot]:
        """What is left, by token and age."""
        return [
            OpenLot(
                proxy_wallet=self.wallet,
                condition_id=self.condition_of[token],
                token_id=token,
                open_fill_id=lot.open_id,
                opened_at=lot.opened_at,
                size_shares=lot.left,
                cost_usdc=lot.cost_left,
                open_price=float(lot.price),
                opened_as=lot.opened_as,
            )
            for token in sorted(self.lots)
            for lot in self.lots[token]
        ]

    def acquire(self, token_id: str, lot: Lot, kind: str) -> None:
        """A new lot; after RESOLVE it closes at the payout at once."""
        self.cash.append(CashFlow(lot.opened_at, kind, token_id, -lot.cost))
        self.lots[token_id].append(lot)
        self.held[token_id] += lot.size
        self.cost[token_id] += lot.cost
        if self.held[token_id] >= FLAT:
            self.is_away[token_id] = True
        if token_id in self.resolved:
            self.resolve(Resolve(token_id, lot.opened_at, self.resolved[token_id]))

    def resolve(self, event: Resolve) -> None:
        """Close whatever is held at the payout."""
        self.resolved[event.token_id] = event.payout
        held = self.held[event.token_id]
        if not held:
            return
        paid = half_even(held * event.payout)
        name = f"resolve:{event.token_id}"
        self.match(event.token_id, Disposal(name, "RESOLVE", event.at, held, paid, 0, event.payout))
        self.paid_shares[event.token_id] += held

    def dispose(self, token_id: str, out: Disposal) -> None:
        """A sale, merge or redemption: match it, count it towards coverage."""
        close = self.take_back if token_id in self.resolved else self.match
        explained = close(token_id, out)
        self.disposed += out.size
        self.explained += explained
        if explained < out.size:
            rest = cut(out.proceeds, explained, out.size, out.size)
            self.refuse(token_id, out, out.size - explained, rest)

    def match(self, token_id: str, out: Disposal) -> int:
        """Consume the oldest lots first; the shares that lots explain."""
        lots, done = self.lots[token_id], 0
        while lots and done < out.size:
            piece = min(lots[0].left, out.size - done)
            self.close_piece(token_id, lots[0], out, done, piece)
            done += piece
            if not lots[0].left:
                lots.popleft()
        if self.is_away[token_id] and self.held[token_id] < FLAT:
            self.end_trip(token_id, out.at)
        return done

    def close_piece(self, token_id: str, lot: Lot, out: Disposal, done: int, piece: int) -> None:
        """One closed row: cost cut over the lot's shares, proceeds over the disposal's."""
        cost = cut(lot.cost, lot.used, lot.used + piece, lot.size)
        fees = cut(lot.fee, lot.used, lot.used + piece, lot.size)
        lot.used += piece
        self.held[token_id] -= piece
        self.cost[token_id] -= cost
        row = self.book(token_id, lot, out, (done, piece), (cost, fees))
        self.trip_pnl[token_id] += row.realised_pnl_usdc

    def book(
        self, token_id: str, lot: Lot, out: Disposal, part: tuple[int, int], paid: tuple[int, int]
    ) -> ClosedLot:
        """The closed row of shares (done, done + piece] of a disposal, and its cash."""
        (done, piece), (cost, fees) = part, paid
        proceeds = cut(out.proceeds, done, done + piece, out.size)
        fees += cut(out.fee, done, done + piece, out.size)
        condition = self.condition_of[token_id]
        row = ClosedLot(
            proxy_wallet=self.wallet,
            condition_id=condition,
            token_id=token_id,
            event_slug=self.index.event_of(condition),
            domain=self.index.domain_of(condition),
            open_fill_id=lot.open_id,
            close_id=out.close_id,
            opened_at=lot.opened_at,
            closed_at=out.at,
            close_kind=out.kind,
            size_shares=piece,
            open_price=float(lot.price),
            close_price=float(out.price),
            cost_usdc=cost,
            proceeds_usdc=proceeds,
            fees_usdc=fees,
            realised_pnl_usdc=proceeds - cost,
            opened_as=lot.opened_as,
        )
        self.closed.append(row)
        self.realised += row.realised_pnl_usdc
        self.cash.append(CashFlow(out.at, out.kind, token_id, proceeds))
        return row

    def take_back(self, token_id: str, out: Disposal) -> int:
        """After RESOLVE: shares it paid go out again, at the payout as cost; a trip of its own."""
        taken = min(out.size, self.paid_shares[token_id])
        if not taken:
            return 0
        self.paid_shares[token_id] -= taken
        payout = self.resolved[token_id]
        cost = half_even(taken * payout)
        lot = Lot(f"resolve:{token_id}", out.at, taken, cost, 0, payout, "unknown")
        self.cash.append(CashFlow(out.at, "RESOLVE_TAKEN_BACK", token_id, -cost))
        row = self.book(token_id, lot, out, (0, taken), (cost, 0))
        self.trips.append(Trip(token_id, row.condition_id, out.at, row.realised_pnl_usdc))
        return taken

    def refuse(self, token_id: str | None, out: Disposal, size: int, proceeds: int) -> None:
        """Keep unexplained shares apart."""
        self.unexplained.append(
            Unexplained(token_id, out.close_id, out.kind, out.at, size, proceeds)
        )

    def end_trip(self, token_id: str, at: datetime) -> None:
        """Flat again: the dust that is left goes to the next trip."""
        pnl, condition = self.trip_pnl[token_id], self.condition_of[token_id]
        self.trips.append(Trip(token_id, condition, at, pnl))
        self.trip_pnl[token_id] = 0
        self.is_away[token_id] = False

    def note(self, at: datetime, touched: Sequence[str]) -> None:
        """Note the totals after an event."""
        open_cost = self.steps[-1].open_cost if self.steps else 0
        for token in touched:
            path = self.positions[token]
            open_cost += self.cost[token] - (path[-1].cost if path else 0)
            path.append(Position(at, self.held[token], self.cost[token]))
        self.steps.append(Step(at, open_cost, self.realised))


def ledger(index: WorldIndex, wallet: str, as_of: datetime) -> Ledger:
    """The books of a wallet from every event strictly before `as_of` (kept for reuse)."""
    key = (wallet, as_of)
    if key not in index.ledgers:
        index.ledgers[key] = fold(index, wallet, as_of)
    found: Ledger = index.ledgers[key]
    return found


def fold(index: WorldIndex, wallet: str, as_of: datetime) -> Ledger:
    """Apply the wallet's events one by one in the total order."""
    books = Ledger(wallet, index)
    for event in events(index, wallet, as_of):
        if isinstance(event, Fill):
            touched = apply_fill(books, event)
        elif isinstance(event, Resolve):
            books.resolve(event)
            touched = [event.token_id]
        else:
            touched = apply_activity(books, event)
        books.note(event.at, touched)
    return books


def events(index: WorldIndex, wallet: str, as_of: datetime) -> list[Fill | Activity | Resolve]:
    """Fills, activity and resolutions before `as_of`; RESOLVE comes last of its instant."""
    own: list[Fill | Activity] = [*index.fills_of(wallet), *index.activity.get(wallet, [])]
    traded = sorted((e for e in own if e.at < as_of), key=order_key)
    ends = resolutions(index, traded, as_of)
    tagged: list[tuple[datetime, int, Fill | Activity | Resolve]] = []
    tagged += [(e.at, 0, e) for e in traded] + [(e.at, 1, e) for e in ends]
    return [event for _, _, event in sorted(tagged, key=lambda entry: entry[:2])]


def resolutions(
    index: WorldIndex, traded: Sequence[Fill | Activity], as_of: datetime
) -> list[Resolve]:
    """RESOLVE of every token the wallet can have touched, by instant and token."""
    found = []
    for token in sorted({t for e in traded for t in tokens_of(index, e)}):
        at, payout = index.resolved_at(token), index.payout_of(token)
        if at is not None and payout is not None and at < as_of:
            found.append(Resolve(token, at, payout))
    return sorted(found, key=lambda end: (end.at, end.token_id))


def tokens_of(index: WorldIndex, event: Fill | Activity) -> tuple[str, ...]:
    """Tokens that an event may move."""
    if event.token_id is not None:
        return (event.token_id,)
    market = index.markets.get(event.condition_id)
    return market.token_ids if market else ()


def apply_fill(books: Ledger, fill: Fill) -> list[str]:
    """A BUY opens a lot, a SELL consumes the oldest ones."""
    books.condition_of[fill.token_id] = fill.condition_id
    known_fee = fill.fee or 0
    fee = 0 if fill.is_fee_included else known_fee
    if fill.side == "BUY":
        cost = fill.notional + fee
        lot = Lot(fill.fill_id, fill.at, fill.size, cost, known_fee, fill.price, fill.role)
        books.acquire(fill.token_id, lot, "BUY")
    else:
        proceeds = fill.notional - fee
        out = Disposal(fill.fill_id, "SELL", fill.at, fill.size, proceeds, known_fee, fill.price)
        books.dispose(fill.token_id, out)
    return [fill.token_id]


def apply_activity(books: Ledger, event: Activity) -> list[str]:
    """SPLIT, MERGE, REDEEM or CONVERSION; the tokens it touched."""
    if event.size <= 0:  # a losing redemption reports size 0
        return []
    if event.kind == "SPLIT":
        return apply_split(books, event)
    if event.kind == "MERGE":
        return apply_merge(books, event)
    if event.kind == "REDEEM":
        return apply_redeem(books, event)
    return unknown_tokens(books, event)


def apply_split(books: Ledger, event: Activity) -> list[str]:
    """Shares of each outcome for one USDC together; nothing where the outcomes are unknown."""
    shares = divide(books.index, event)
    for token, cost in shares.items():
        books.condition_of[token] = event.condition_id
        price = Fraction(cost, event.size)
        lot = Lot(event.activity_id, event.at, event.size, cost, 0, price, "unknown")
        books.acquire(token, lot, "SPLIT")
    return list(shares)


def apply_merge(books: Ledger, event: Activity) -> list[str]:
    """Shares of each outcome given up for one USDC together."""
    shares = divide(books.index, event)
    for token, proceeds in shares.items():
        books.condition_of[token] = event.condition_id
        price = Fraction(proceeds, event.size)
        books.dispose(token, disposal_of(event, proceeds, price))
    return list(shares) or unknown_tokens(books, event)


def divide(index: WorldIndex, event: Activity) -> dict[str, int]:
    """Split n USDC over the outcomes by their last prices; the last token takes what is left."""
    market = index.markets.get(event.condition_id)
    tokens = market.token_ids if market else ()
    known = [index.price_before(token, event.at) for token in tokens]
    prices = [price for price in known if price is not None]
    if len(prices) < len(tokens) or not sum(prices):
        prices = [Fraction(1)] * len(tokens)
    parts = [event.size * price // sum(prices) for price in prices[:-1]]
    return dict(zip(tokens, [*parts, event.size - sum(parts)], strict=True)) if tokens else {}


def apply_redeem(books: Ledger, event: Activity) -> list[str]:
    """Cash only once RESOLVE is known; before, the shares close at usdc ÷ size.

    Where no token is named they are unexplained.
    """
    ends = [books.index.resolved_at(token) for token in tokens_of(books.index, event)]
    if any(end is not None and end <= event.at for end in ends):
        return []
    if event.token_id is None:
        return unknown_tokens(books, event)
    token = event.token_id
    books.condition_of[token] = event.condition_id
    books.dispose(token, disposal_of(event, event.usdc, Fraction(event.usdc, event.size)))
    return [token]


def unknown_tokens(books: Ledger, event: Activity) -> list[str]:
    """Shares whose counterpart is unknown are unexplained; no lot is touched or invented."""
    out = disposal_of(event, event.usdc, Fraction(event.usdc, event.size))
    books.disposed += event.size
    books.refuse(event.token_id, out, event.size, event.usdc)
    return []


def disposal_of(event: Activity, proceeds: int, price: Fraction) -> Disposal:
    """An activity as shares going out."""
    return Disposal(event.activity_id, event.kind, event.at, event.size, proceeds, 0, price)
