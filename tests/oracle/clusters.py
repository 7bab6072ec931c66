"""Sybil clusters by brute force: every pair of wallets, then connected components."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import TYPE_CHECKING

from tests.oracle.view import orders

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from tests.oracle.world import WorldIndex

Traces = frozenset[tuple[str, str, int]]

LOOK_BACK = timedelta(days=90)
BUCKET_S = 600
MIN_TRACES = 10


def traces(index: WorldIndex, wallet: str, as_of: datetime) -> Traces:
    """The set of (token, side, 10-minute bucket of an order's start) of the last 90 days."""
    start = as_of - LOOK_BACK
    fills = [fill for fill in index.fills_of(wallet) if start <= fill.at < as_of]
    return frozenset(
        (order.token_id, order.side, int(order.start.timestamp()) // BUCKET_S)
        for order in orders(fills)
    )


def are_alike(one: Traces, other: Traces) -> bool:
    """Jaccard overlap above .80, in whole numbers.

    >>> four, five = [frozenset(("t", "BUY", i) for i in range(n)) for n in (4, 5)]
    >>> are_alike(four, five), are_alike(five, five)
    (False, True)
    """
    return 5 * len(one & other) > 4 * len(one | other)


def clusters(
    index: WorldIndex, as_of: datetime, wallets: Collection[str] | None = None
) -> dict[str, frozenset[str]]:
    """The connected component of every wallet, itself alone where it is like no other."""
    chosen = sorted(index.wallets() if wallets is None else wallets)
    found = {wallet: traces(index, wallet, as_of) for wallet in chosen}
    able = [wallet for wallet in chosen if len(found[wallet]) >= MIN_TRACES]
    pairs = [
        (one, other) for one, other in combinations(able, 2) if are_alike(found[one], found[other])
    ]
    return components(chosen, pairs)


def components(
    wallets: Collection[str], pairs: Collection[tuple[str, str]]
) -> dict[str, frozenset[str]]:
    """Merge the components of each pair."""
    merged = {wallet: {wallet} for wallet in wallets}
    for one, other in pairs:
        if merged[one] is merged[other]:
            continue
        both = merged[one] | merged[other]
        for wallet in both:
            merged[wallet] = both
    return {wallet: frozenset(group) for wallet, group in merged.items()}
