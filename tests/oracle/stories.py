"""Short ways of writing small worlds for the oracle's own tests.

Shares and dollars are written as decimals; instants as hours after 2026-01-01 00:00 UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.oracle.world import Activity, Fill, Market, World, WorldIndex, micro

if TYPE_CHECKING:
    from tests.oracle.world import ActivityKind, Side

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
ANN, BOB = "0xann", "0xbob"
DEFAULTS: dict[str, Any] = {
    "proxy_wallet": ANN,
    "condition_id": "market",
    "token_id": "yes",
    "fee": 0,
    "is_fee_included": False,
    "role": "taker",
    "seq": None,
    "transaction_hash": "0x",
}


def at(hours: float) -> datetime:
    """An instant."""
    return ORIGIN + timedelta(hours=hours)


def fill(hours: float, side: Side, shares: float, usdc: float, **other: object) -> Fill:
    """A fill of Ann's in `yes` of `market`, unless told otherwise; its id is its description."""
    name = f"{side} {shares} for {usdc} at {hours}"
    values = {**DEFAULTS, "fill_id": name, **other}
    return Fill(side=side, size=micro(shares), notional=micro(usdc), at=at(hours), **values)


def buy(hours: float, shares: float, usdc: float, **other: object) -> Fill:
    """A BUY."""
    return fill(hours, "BUY", shares, usdc, **other)


def sell(hours: float, shares: float, usdc: float, **other: object) -> Fill:
    """A SELL."""
    return fill(hours, "SELL", shares, usdc, **other)


def act(
    hours: float, kind: ActivityKind, shares: float, usdc: float = 0, token_id: str | None = None
) -> Activity:
    """An activity of Ann's in `market`."""
    return Activity(
        activity_id=f"{kind} {shares} at {hours}",
        proxy_wallet=ANN,
        condition_id="market",
        kind=kind,
        token_id=token_id,
        size=micro(shares),
        usdc=micro(usdc),
        at=at(hours),
        transaction_hash="0x",
    )


def market(resolved: float | None = None, **other: object) -> Market:
    """`market` with tokens yes and no; YES wins where it resolves."""
    values: dict[str, Any] = {
        "condition_id": "market",
        "event_slug": "event",
        "domain": None,
        "end_at": None,
        "token_ids": ("yes", "no"),
        "payouts": None if resolved is None else (1.0, 0.0),
        "resolved_at": None if resolved is None else at(resolved),
        **other,
    }
    return Market(**values)


def world(*facts: Fill | Activity | Market) -> WorldIndex:
    """An indexed world; `market` is there, unresolved, if no market is given."""
    markets = tuple(fact for fact in facts if isinstance(fact, Market)) or (market(),)
    return WorldIndex(
        World(
            fills=tuple(fact for fact in facts if isinstance(fact, Fill)),
            activity=tuple(fact for fact in facts if isinstance(fact, Activity)),
            markets=markets,
        )
    )
