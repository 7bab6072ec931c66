"""The plain facts that the oracle starts from: fills, activity, markets, and their order.

Reads the archive by itself. Money and shares are Python ints of micro-units. Nothing
here is shared with the implementation.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MICRO = 1_000_000
PAYOUT_TOLERANCE = Decimal("0.0001")

Side = Literal["BUY", "SELL"]
Role = Literal["maker", "taker", "unknown"]
ActivityKind = Literal["SPLIT", "MERGE", "REDEEM", "CONVERSION"]
OrderKey = tuple[datetime, int, int, int, str, str, float, int, int]


@dataclass(frozen=True, slots=True)
class Fill:
    """One executed trade of one wallet; size, notional and fee in micro-units."""

    fill_id: str
    proxy_wallet: str
    condition_id: str
    token_id: str
    side: Side
    size: int
    notional: int
    fee: int | None
    is_fee_included: bool
    role: Role
    at: datetime
    seq: int | None
    transaction_hash: str
    ordinal: int = 0

    @property
    def price(self) -> Fraction:
        """USDC per share, exact."""
        return Fraction(self.notional, self.size)


@dataclass(frozen=True, slots=True)
class Activity:
    """One inventory change without a trade; `token_id` None where the venue names none."""

    activity_id: str
    proxy_wallet: str
    condition_id: str
    kind: ActivityKind
    token_id: str | None
    size: int
    usdc: int
    at: datetime
    transaction_hash: str
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Market:
    """One question; payouts and resolved_at None while the winner is unknown."""

    condition_id: str
    event_slug: str | None
    domain: str | None
    end_at: datetime | None
    token_ids: tuple[str, ...]
    payouts: tuple[float, ...] | None
    resolved_at: datetime | None
    tick: float = 0.001

    @property
    def event(self) -> str:
        """The unit of luck; a market without an event is its own."""
        return self.event_slug or self.condition_id


@dataclass(frozen=True, slots=True)
class World:
    """Everything known, in any order."""

    fills: tuple[Fill, ...]
    activity: tuple[Activity, ...]
    markets: tuple[Market, ...]
    history_complete: bool = True


def order_key(event: Fill | Activity) -> OrderKey:
    """Place of an event in the total order; RESOLVE is put behind its instant by the ledger."""
    if isinstance(event, Fill):
        seq, token = event.seq, event.token_id
        disposes, price = event.side == "SELL", event.notional / event.size
    else:
        seq, token = None, event.token_id or ""
        disposes, price = event.kind != "SPLIT", 0.0
    return (
        event.at,
        0 if seq is not None else 1,
        seq if seq is not None else 0,
        int(disposes) if seq is None else 0,
        event.transaction_hash,
        token,
        price,
        event.size,
        event.ordinal,
    )


def half_even(value: Fraction) -> int:
    """Nearest integer, ties to even.

    >>> half_even(Fraction(5, 2)), half_even(Fraction(7, 2))
    (2, 4)
    """
    return round(value)


@dataclass(slots=True)
class TokenPrices:
    """Fills of one token by anyone, in the total order."""

    times: list[datetime] = field(default_factory=list)
    prices: list[Fraction] = field(default_factory=list)

    def before(self, instant: datetime) -> Fraction | None:
        """Last price strictly before the instant."""
        place = bisect_left(self.times, instant)
        return self.prices[place - 1] if place else None

    def until(self, instant: datetime) -> Fraction | None:
        """Last price at or before the instant."""
        place = bisect_right(self.times, instant)
        return self.prices[place - 1] if place else None


class WorldIndex:
    """A world with its look-ups: fills by wallet, prices by token, markets by token."""

    def __init__(self, world: World) -> None:
        """Sort once, then group."""
        self.world = world
        self.fills: dict[str, list[Fill]] = defaultdict(list)
        self.activity: dict[str, list[Activity]] = defaultdict(list)
        self.prices: dict[str, TokenPrices] = defaultdict(TokenPrices)
        self.markets = {market.condition_id: market for market in world.markets}
        self.market_of_token = {t: m for m in world.markets for t in m.token_ids}
        self.ledgers: dict[tuple[str, datetime], Any] = {}
        for fill in sorted(world.fills, key=order_key):
            self.fills[fill.proxy_wallet].append(fill)
            self.prices[fill.token_id].times.append(fill.at)
            self.prices[fill.token_id].prices.append(fill.price)
        for event in sorted(world.activity, key=order_key):
            self.activity[event.proxy_wallet].append(event)

    def wallets(self) -> list[str]:
        """Every wallet with a fill or an activity, by address."""
        return sorted({*self.fills, *self.activity})

    def fills_of(self, wallet: str) -> list[Fill]:
        """Fills of one wallet in the total order."""
        return self.fills.get(wallet, [])

    def price_before(self, token_id: str, instant: datetime) -> Fraction | None:
        """Last fill price by anyone strictly before the instant."""
        prices = self.prices.get(token_id)
        return prices.before(instant) if prices else None

    def price_until(self, token_id: str, instant: datetime) -> Fraction | None:
        """Last fill price by anyone at or before the instant."""
        prices = self.prices.get(token_id)
        return prices.until(instant) if prices else None

    def event_of(self, condition_id: str) -> str:
        """The event of a market, or the market itself."""
        market = self.markets.get(condition_id)
        return market.event if market else condition_id

    def domain_of(self, condition_id: str) -> str | None:
        """The domain of a market, None where unknown."""
        market = self.markets.get(condition_id)
        return market.domain if market else None

    def tick_of(self, condition_id: str) -> Fraction:
        """The price step of a market, .001 where unknown."""
        market = self.markets.get(condition_id)
        return Fraction(str(market.tick)) if market else Fraction(1, 1000)

    def payout_of(self, token_id: str) -> Fraction | None:
        """The payout of a token, None while unknown (whatever the day)."""
        market = self.market_of_token.get(token_id)
        if market is None or market.payouts is None:
            return None
        return Fraction(str(market.payouts[market.token_ids.index(token_id)]))

    def resolved_at(self, token_id: str) -> datetime | None:
        """When the token's payout becomes known; None without a payout."""
        market = self.market_of_token.get(token_id)
        return market.resolved_at if market and market.payouts is not None else None


def archive_world(
    folder: Path,
    trades: str = "trades_fomc.parquet",
    markets: str = "markets_fomc.parquet",
    until: datetime | None = None,
) -> World:
    """Read the archive's fills and markets as the specification says; those before `until`."""
    frame = pl.read_parquet(folder / trades)
    if until is not None:
        frame = frame.filter(pl.col("timestamp") < int(until.timestamp()))
    has_order_keys = "orderKey" in frame.columns
    rows = frame.to_dicts() if has_order_keys else frame.unique(maintain_order=True).to_dicts()
    fills = tuple(archive_fill(row, number) for number, row in enumerate(rows))
    last_fill = last_fill_per_market(fills)
    listed = pl.read_parquet(folder / markets).to_dicts()
    return World(
        fills=fills,
        activity=(),
        markets=tuple(archive_market(row, last_fill) for row in listed),
        history_complete=has_order_keys,
    )


def last_fill_per_market(fills: Iterable[Fill]) -> dict[str, datetime]:
    """The newest fill of each market."""
    last: dict[str, datetime] = {}
    for fill in fills:
        last[fill.condition_id] = max(fill.at, last.get(fill.condition_id, fill.at))
    return last


def micro(value: float) -> int:
    """Micro-units of a decimal number, ties to even.

    >>> micro(0.351), micro(9.999998)
    (351000, 9999998)
    """
    return half_even(Fraction(str(value)) * MICRO)


def archive_fill(row: dict[str, Any], number: int) -> Fill:
    """One row of the archive; its place in the file serves as an identity."""
    size, notional = micro(row["size"]), micro(row["usdcSize"])
    role: Role = "taker" if row["isTaker"] else "maker"
    return Fill(
        fill_id=f"row:{number}",
        proxy_wallet=row["proxyWallet"].lower(),
        condition_id=row["conditionId"],
        token_id=row["asset"],
        side=row["side"],
        size=size,
        notional=notional,
        fee=archive_fee(row["fee"], row["side"], size, notional),
        is_fee_included=False,
        role=role,
        at=datetime.fromtimestamp(row["timestamp"], UTC),
        seq=row.get("seq"),
        transaction_hash=row["transactionHash"] or row["txKey"],
    )


def archive_fee(fee: float | None, side: str, size: int, notional: int) -> int | None:
    """Micro-USDC: of a BUY the fee is in shares, of a SELL in USDC; None above the notional."""
    if fee is None:
        return None
    exact = Fraction(str(fee)) * MICRO
    usdc = half_even(exact * Fraction(notional, size) if side == "BUY" else exact)
    return usdc if usdc <= notional else None


def archive_market(row: dict[str, Any], last_fill: dict[str, datetime]) -> Market:
    """One market of the archive; resolved at its end date or just after its last fill."""
    payouts = archive_payouts(row["outcomePrices"], is_closed=row["closed"])
    end_at = instant(row["endDate"])
    ends = [end_at] if end_at else []
    if row["conditionId"] in last_fill:
        ends.append(last_fill[row["conditionId"]] + timedelta(seconds=1))
    return Market(
        condition_id=row["conditionId"],
        event_slug=row["eventSlug"],
        domain=None,
        end_at=end_at,
        token_ids=tuple(json.loads(row["clobTokenIds"])),
        payouts=payouts,
        resolved_at=max(ends) if payouts and ends else None,
    )


def archive_payouts(outcome_prices: str, *, is_closed: bool) -> tuple[float, ...] | None:
    """Prices of a closed market snapped to 0, .5, 1; None where they are not payouts.

    >>> archive_payouts('["0.000002", "0.999998"]', is_closed=True)
    (0.0, 1.0)
    >>> archive_payouts('["0", "0"]', is_closed=True)
    """
    if not is_closed:
        return None
    snapped = [snap(Decimal(price)) for price in json.loads(outcome_prices)]
    known = [payout for payout in snapped if payout is not None]
    return tuple(known) if len(known) == len(snapped) and sum(known) == 1 else None


def snap(price: Decimal) -> float | None:
    """The payout that a price stands for, None if it is none of 0, .5, 1."""
    near = (p for p in (0.0, 0.5, 1.0) if abs(price - Decimal(str(p))) <= PAYOUT_TOLERANCE)
    return next(near, None)


def instant(text: str | None) -> datetime | None:
    """An ISO instant or date, as UTC."""
    if not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
