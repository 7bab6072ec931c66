"""The markets of a history, and what may be said of each at an instant.

A market's tokens are numbered through: its first is `first_token`, the others follow in outcome
order. A market that has not opened does not exist, one that closes later is open.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Market:
    """One market. Instants are epoch seconds; `payouts` is None where nobody ever learns them."""

    code: int
    first_token: int
    condition_id: str
    market_id: str
    event_id: str
    event_slug: str
    event_title: str
    slug: str
    question: str
    domain: str
    tags: tuple[str, ...]
    outcomes: tuple[str, ...]
    token_ids: tuple[str, ...]
    opened_at: float
    end_at: float | None
    closed_at: float | None
    payouts: tuple[float, ...] | None
    neg_risk: bool
    tick: float
    fee_rate: float
    fee_exponent: float
    liquidity_usdc: float

    @property
    def tokens(self) -> range:
        """Numbers of its tokens, in outcome order."""
        return range(self.first_token, self.first_token + len(self.token_ids))

    def is_listed(self, now: float) -> bool:
        """Whether it has opened."""
        return self.opened_at < now

    def is_closed(self, now: float) -> bool:
        """Whether it has closed."""
        return self.closed_at is not None and self.closed_at < now

    def known_payouts(self, now: float) -> tuple[float, ...] | None:
        """Payout per token, None before it closes or where it stays unknown."""
        return self.payouts if self.is_closed(now) else None


@dataclass(frozen=True, slots=True)
class Directory:
    """All markets of a history, and where to find them."""

    markets: tuple[Market, ...]
    by_condition: Mapping[str, Market]
    by_token: Mapping[str, tuple[Market, int]]
    by_event: Mapping[str, tuple[Market, ...]]
    token_ids: tuple[str, ...]
    market_of_token: NDArray[np.int64]

    def payouts(self) -> NDArray[np.float64]:
        """What a share of each token pays in the end, NaN where nobody ever learns it."""
        unknown = (np.nan,)
        values = [m.payouts or unknown * len(m.token_ids) for m in self.markets]
        return np.array([value for of_market in values for value in of_market], dtype=np.float64)

    def of_events(self, event_ids: Sequence[str]) -> list[Market]:
        """Markets of these events; unknown ones have none."""
        return [market for event_id in event_ids for market in self.by_event.get(event_id, ())]


def directory(markets: pl.DataFrame) -> Directory:
    """The directory of a history's `markets`."""
    rows: list[Market] = []
    first_token = 0
    for record in markets.iter_rows(named=True):
        rows.append(_market(record, code=len(rows), first_token=first_token))
        first_token += len(rows[-1].token_ids)
    events: dict[str, list[Market]] = {}
    for market in rows:
        events.setdefault(market.event_id, []).append(market)
    return Directory(
        markets=tuple(rows),
        by_condition={market.condition_id: market for market in rows},
        by_token={
            token_id: (market, place)
            for market in rows
            for place, token_id in enumerate(market.token_ids)
        },
        by_event={event_id: tuple(members) for event_id, members in events.items()},
        token_ids=tuple(token_id for market in rows for token_id in market.token_ids),
        market_of_token=np.array([m.code for m in rows for _ in m.tokens], dtype=np.int64),
    )


def _market(record: Mapping[str, Any], *, code: int, first_token: int) -> Market:
    payouts = record["payouts"]
    names = ("condition_id", "event_slug", "event_title", "slug", "question", "domain")
    return Market(
        code=code,
        first_token=first_token,
        market_id=str(record["market_id"]),
        event_id=str(record["event_id"]),
        **{name: record[name] for name in names},
        tags=_texts(record["tags"]),
        outcomes=_texts(record["outcomes"]),
        token_ids=_texts(record["token_ids"]),
        opened_at=_seconds(record["opened_at"]) or 0.0,
        end_at=_seconds(record["end_at"]),
        closed_at=_seconds(record["closed_at"]),
        payouts=None if payouts is None else tuple(map(float, payouts)),
        neg_risk=bool(record["neg_risk"]),
        tick=float(record["tick"]),
        fee_rate=float(record["fee_rate"] or 0.0),
        fee_exponent=float(record["fee_exponent"] or 0.0),
        liquidity_usdc=float(record["liquidity_usdc"] or 0.0),
    )


def _texts(value: Sequence[str] | str) -> tuple[str, ...]:
    return tuple(json.loads(value) if isinstance(value, str) else value)


def _seconds(value: datetime | float | None) -> float | None:
    if value is None:
        return None
    return value.timestamp() if isinstance(value, datetime) else float(value)
