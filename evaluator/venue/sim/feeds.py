"""Which rows of the tape a feed shows, and which of them are on a page."""

from dataclasses import dataclass

import numpy as np

from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.tape import KINDS, TRADE, Flags, Ints

YEARS_3_S = 3 * 365 * 86_400
"""What a feed shows of history unless it is asked for all."""


@dataclass(frozen=True, slots=True)
class Span:
    """Epoch seconds, both inclusive; without an end, all until now."""

    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Floor:
    """The smallest trade shown, in micro-units."""

    shares: int = 0
    usdc: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of a feed; None does not restrict."""

    wallet: str | None = None
    markets: tuple[Market, ...] | None = None
    kinds: frozenset[int] = frozenset({TRADE})
    side: str | None = None
    is_taker_only: bool = False
    span: Span = Span()
    floor: Floor = Floor()


def places(present: Present, wanted: Wanted) -> Ints:
    """Places of the rows that a feed shows, oldest first."""
    found = _anchored(present, wanted)
    tape = present.tape
    at = tape.at[found]
    low = int(np.searchsorted(at, wanted.span.start, side="left"))
    high = (
        len(at)
        if wanted.span.end is None
        else int(np.searchsorted(at, wanted.span.end, side="right"))
    )
    found = found[low:high]
    return found[_kept(present, found, wanted)]


def _anchored(present: Present, wanted: Wanted) -> Ints:
    """Rows of the wallet, else of the markets, else all."""
    if wanted.wallet is not None:
        return present.wallet_places(wanted.wallet)
    if wanted.markets is None:
        return np.arange(present.tape.places_before(wanted.span.start), present.cut)
    if len(wanted.markets) == 1:
        return present.market_places(wanted.markets[0])
    parts = [present.market_places(market) for market in wanted.markets]
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *parts]))


def _kept(present: Present, found: Ints, wanted: Wanted) -> Flags:
    tape = present.tape
    is_wanted = np.isin(np.arange(len(KINDS)), list(wanted.kinds))
    kept = is_wanted[tape.kind[found]]
    if wanted.wallet is not None and wanted.markets is not None:
        kept &= np.isin(tape.market[found], [market.code for market in wanted.markets])
    if wanted.side is not None:
        is_trade = tape.kind[found] == TRADE
        kept &= is_trade & (tape.is_buy[found] == (wanted.side == "BUY"))
    if wanted.is_taker_only:
        kept &= tape.is_taker[found]
    if wanted.floor.shares > 0:
        kept &= tape.shares[found] >= wanted.floor.shares
    if wanted.floor.usdc > 0:
        kept &= tape.usdc[found] >= wanted.floor.usdc
    return kept


@dataclass(frozen=True, slots=True)
class Page:
    """Places of one page in the order of the answer, and whether rows follow it."""

    places: Ints
    has_more: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk through a feed stands: after place `anchor` (None: at its beginning).

    `overlap` rows that the last page has shown are shown again.
    """

    limit: int
    is_descending: bool = True
    anchor: int | None = None
    overlap: int = 0


def page(found: Ints, walk: Walk) -> Page:
    """The next page of the rows `found`, which are given oldest first.

    A page ends where it is full, if need be between rows of one transaction that agree in all
    fields. Rows shown again leave room for at least one new one.
    """
    order = found[::-1] if walk.is_descending else found
    first = 0 if walk.anchor is None else _first_after(found, walk.anchor, walk)
    again = min(walk.overlap, first, max(0, walk.limit - 1))
    rest = order[first - again :]
    return Page(rest[: walk.limit], has_more=0 < walk.limit < len(rest))


def _first_after(found: Ints, anchor: int, walk: Walk) -> int:
    """How many rows, in the order of the walk, lie up to its anchor."""
    if walk.is_descending:
        return len(found) - int(np.searchsorted(found, anchor, side="left"))
    return int(np.searchsorted(found, anchor, side="right"))
