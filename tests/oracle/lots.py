"""The values that the oracle's ledger speaks of: lots, disposals, rows, trips, paths.

Sizes and money are micro-units; prices exclude fees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from fractions import Fraction

FLAT = 10_000  # fewer micro-shares than this (0.01 share) is flat


@dataclass(frozen=True, slots=True)
class ClosedLot:
    """One matched piece; sizes and money in micro-units, prices exclude fees."""

    proxy_wallet: str
    condition_id: str
    token_id: str
    event_slug: str
    domain: str | None
    open_fill_id: str
    close_id: str
    opened_at: datetime
    closed_at: datetime
    close_kind: str
    size_shares: int
    open_price: float
    close_price: float
    cost_usdc: int
    proceeds_usdc: int
    fees_usdc: int
    realised_pnl_usdc: int
    opened_as: str


@dataclass(frozen=True, slots=True)
class OpenLot:
    """What is left of a lot, with its cost."""

    proxy_wallet: str
    condition_id: str
    token_id: str
    open_fill_id: str
    opened_at: datetime
    size_shares: int
    cost_usdc: int
    open_price: float
    opened_as: str


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Shares disposed of that no earlier lot explains; they earn no PnL."""

    token_id: str | None
    close_id: str
    kind: str
    at: datetime
    size: int
    proceeds: int


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Cash in (positive) or out; the payout of RESOLVE counts when it is known."""

    at: datetime
    kind: str
    token_id: str
    amount: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One (wallet, token) from flat to flat."""

    token_id: str
    condition_id: str
    flat_at: datetime
    pnl: int


@dataclass(frozen=True, slots=True)
class Step:
    """Totals of the wallet after one event."""

    at: datetime
    open_cost: int
    realised: int


@dataclass(frozen=True, slots=True)
class Position:
    """Shares and cost of one token after one event that touched it."""

    at: datetime
    size: int
    cost: int


@dataclass(slots=True)
class Lot:
    """A lot being consumed: `used` of `size` shares are gone."""

    open_id: str
    opened_at: datetime
    size: int
    cost: int
    fee: int
    price: Fraction
    opened_as: str
    used: int = 0

    @property
    def left(self) -> int:
        """Shares still held."""
        return self.size - self.used

    @property
    def cost_left(self) -> int:
        """Cost not yet cut off."""
        return self.cost - self.cost * self.used // self.size


@dataclass(frozen=True, slots=True)
class Disposal:
    """Shares going out, with what they bring in after fees."""

    close_id: str
    kind: str
    at: datetime
    size: int
    proceeds: int
    fee: int
    price: Fraction


@dataclass(frozen=True, slots=True)
class Resolve:
    """The end of a token: every remaining lot closes at the payout."""

    token_id: str
    at: datetime
    payout: Fraction


def cut(total: int, start: int, end: int, size: int) -> int:
    """The part of a total that belongs to shares (start, end] of size.

    >>> cut(100, 0, 1, 3), cut(100, 1, 2, 3), cut(100, 2, 3, 3)
    (33, 33, 34)
    """
    return total * end // size - total * start // size
