"""Compiled passes of the ledger: the total order of a wallet's events, and FIFO matching.

Both are linear in events but for the sort inside a wallet (n log n). All quantities are
integer micro-units; see `lots` for what the results mean.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evaluator.domain.order import Keys
from evaluator.domain.schema import MICRO

NEVER = np.iinfo(np.int64).max
"""`resolved_at` of a token without a known resolution."""

DUST = MICRO // 100
"""A position below 0.01 share is flat."""

RESOLUTION = -1
"""In place of a row: the close (or, of shares taken back, the opening) is the resolution."""

Ints = NDArray[np.int64]


@njit(cache=True, nogil=True)
def cut(total: int, part: int, whole: int) -> int:
    """⌊total · part ÷ whole⌋ without overflow, for 0 ≤ part ≤ whole and total below 2⁵².

    The quotient is estimated in floating point, off by one at most; the remainder, taken
    modulo 2⁶⁴, tells by how much.

    >>> cut(10, 1, 3), cut(999_999_999_999, 999_999_999_998, 999_999_999_999)
    (3, 999999999998)
    """
    quotient = np.int64(np.float64(total) * (np.float64(part) / np.float64(whole)))
    remainder = total * part - quotient * whole
    while remainder < 0:
        quotient -= 1
        remainder += whole
    while remainder >= whole:
        quotient += 1
        remainder -= whole
    return int(quotient)


@njit(cache=True, nogil=True)
def cuts(total: Ints, part: Ints, whole: Ints) -> Ints:
    """`cut` of each row."""
    result = np.empty_like(total)
    for row in range(total.size):
        result[row] = cut(total[row], part[row], whole[row])
    return result


@njit(cache=True, nogil=True)
def pay(size: int, payout: int) -> int:
    """`size` micro-shares at a payout of 0 to 10⁶ micro-USDC, rounded half to even.

    >>> pay(3, 500_000), pay(5, 500_000), pay(2_000_000, 1_000_000)
    (2, 2, 2000000)
    """
    low = cut(size, payout, MICRO)
    twice = 2 * (size * payout - low * MICRO)
    if twice > MICRO or (twice == MICRO and low % 2 == 1):
        low += 1
    return low


@njit(cache=True, nogil=True)
def _before(keys: Keys, left: int, right: int) -> bool:
    for key in keys:
        if key[left] != key[right]:
            return bool(key[left] < key[right])
    return False


@njit(cache=True, nogil=True)
def _ordered(first: int, last: int, at: Ints, ties: Keys) -> Ints:
    """Rows first … last − 1 in total order."""
    order = first + np.argsort(at[first:last], kind="mergesort")
    for i in range(1, order.size):
        row, j = order[i], i
        while j > 0 and at[order[j - 1]] == at[row] and _before(ties, row, order[j - 1]):
            order[j] = order[j - 1]
            j -= 1
        order[j] = row
    return order


@njit(cache=True, nogil=True)
def _place_after(order: Ints, at: Ints, places: NDArray[np.int32], instant: int) -> int:
    """The odd place after the last event at or before the instant."""
    low, high = 0, order.size
    while low < high:
        middle = (low + high) // 2
        if at[order[middle]] <= instant:
            low = middle + 1
        else:
            high = middle
    return int(places[order[low - 1]]) + 1 if low > 0 else -1


class Places(NamedTuple):
    """Places in the total order of a wallet: of each row, and of each pair's resolution."""

    row: NDArray[np.int32]
    resolution: NDArray[np.int32]


@njit(cache=True, nogil=True)
def wallet_places(
    wallet_start: Ints, pair_start: Ints, at: Ints, ties: Keys, ref: Ints, resolved_at: Ints
) -> Places:
    """Events of a wallet get 0, 2, 4 …, all legs of one ref the same; resolutions odd places.

    Rows are grouped by wallet and in it by token; the `…_start` have one entry more than there
    are groups. `ties` are the keys that order rows of one instant, each over all rows.
    """
    row_places = np.empty(at.size, np.int32)
    resolution_places = np.full(pair_start.size - 1, -1, np.int32)
    pair = 0
    for wallet in range(wallet_start.size - 1):
        order = _ordered(wallet_start[wallet], wallet_start[wallet + 1], at, ties)
        place = -2
        for i in range(order.size):
            if i == 0 or ref[order[i]] != ref[order[i - 1]]:
                place += 2
            row_places[order[i]] = place
        while pair < pair_start.size - 1 and pair_start[pair] < wallet_start[wallet + 1]:
            resolution_places[pair] = _place_after(order, at, row_places, resolved_at[pair])
            pair += 1
    return Places(row_places, resolution_places)


@njit(cache=True, nogil=True)
def order_by_place(pair_start: Ints, places: NDArray[np.int32]) -> Ints | None:
    """Rows of each pair in the order of their places; None where all are.

    By insertion: rows ascend by instant, so only those of one instant can be out of order.
    """
    order = np.arange(places.size)
    is_moved = False
    for pair in range(pair_start.size - 1):
        for i in range(pair_start[pair] + 1, pair_start[pair + 1]):
            row, j = order[i], i
            while j > pair_start[pair] and places[order[j - 1]] > places[row]:
                order[j] = order[j - 1]
                j -= 1
            order[j] = row
            is_moved = is_moved or j != i
    return order if is_moved else None


class Events(NamedTuple):
    """Rows grouped by (wallet, token), in total order inside a group; `cash` has fees applied."""

    is_open: NDArray[np.bool_]
    at: Ints
    quantity: Ints
    cash: Ints
    fee: Ints


class Matches(NamedTuple):
    """Closed pieces and lots left, one a column with the lines below; unexplained per event."""

    closed: Ints
    left: Ints
    unexplained: Ints


OPEN_ROW, CLOSE_ROW, PAIR, SIZE, COST, PROCEEDS, OPEN_FEE, CLOSE_FEE, IS_TRIP_END = range(9)
LEFT_ROW, LEFT_SIZE, LEFT_COST, LEFT_FEE = range(4)

_COUNT, _HEAD, _USED, _HELD, _PAID, _IN_TRIP, _PAIR, _PAYOUT = range(8)
"""State of one pair: pieces written so far, the oldest lot, shares used of it, shares held,
shares that the resolution has paid, whether a round trip is under way; its number and payout."""

_ROW, _WHOLE, _PROCEEDS, _FEE = range(4)
"""A close: its row, and the shares, proceeds and fee of the whole of it."""


@njit(cache=True, nogil=True)
def _slice(total: int, before: int, after: int, whole: int) -> int:
    return cut(total, after, whole) - cut(total, before, whole)


@njit(cache=True, nogil=True)
def _consume(events: Events, state: Ints, closed: Ints, wanted: int, close: Ints) -> int:
    """Close up to `wanted` shares of the oldest lots; gives how many."""
    taken, first = 0, state[_COUNT]
    while taken < wanted and state[_HELD] > 0:
        head, used = state[_HEAD], state[_USED]
        whole = events.quantity[head]
        if not events.is_open[head] or used == whole:
            state[_HEAD], state[_USED] = head + 1, 0
            continue
        take = min(whole - used, wanted - taken)
        piece = state[_COUNT]
        closed[OPEN_ROW, piece], closed[CLOSE_ROW, piece] = head, close[_ROW]
        closed[PAIR, piece], closed[SIZE, piece] = state[_PAIR], take
        closed[COST, piece] = _slice(events.cash[head], used, used + take, whole)
        closed[PROCEEDS, piece] = _slice(close[_PROCEEDS], taken, taken + take, close[_WHOLE])
        closed[OPEN_FEE, piece] = _slice(events.fee[head], used, used + take, whole)
        closed[CLOSE_FEE, piece] = _slice(close[_FEE], taken, taken + take, close[_WHOLE])
        closed[IS_TRIP_END, piece] = 0
        state[_USED] += take
        state[_HELD] -= take
        state[_COUNT] += 1
        taken += take
    if state[_IN_TRIP] and state[_HELD] < DUST and state[_COUNT] > first:
        closed[IS_TRIP_END, first : state[_COUNT]] = 1
        state[_IN_TRIP] = 0
    return taken


@njit(cache=True, nogil=True)
def _resolve(events: Events, state: Ints, closed: Ints) -> None:
    """Close whatever is held at the payout."""
    held = state[_HELD]
    if held > 0:
        close = np.array([RESOLUTION, held, pay(held, state[_PAYOUT]), 0])
        _consume(events, state, closed, held, close)
    state[_PAID] = held


@njit(cache=True, nogil=True)
def _buy_late(events: Events, state: Ints, closed: Ints, row: int) -> None:
    """An acquisition after the resolution closes at the payout at once."""
    size = events.quantity[row]
    piece = state[_COUNT]
    closed[OPEN_ROW, piece], closed[CLOSE_ROW, piece] = row, RESOLUTION
    closed[PAIR, piece], closed[SIZE, piece] = state[_PAIR], size
    closed[COST, piece], closed[PROCEEDS, piece] = events.cash[row], pay(size, state[_PAYOUT])
    closed[OPEN_FEE, piece], closed[CLOSE_FEE, piece] = events.fee[row], 0
    closed[IS_TRIP_END, piece] = size >= DUST
    state[_COUNT] += 1
    state[_PAID] += size


@njit(cache=True, nogil=True)
def _take_back(state: Ints, closed: Ints, wanted: int, close: Ints) -> int:
    """A disposal after the resolution takes back shares that it paid, at the payout."""
    back = min(wanted, int(state[_PAID]))
    if back > 0:
        whole = close[_WHOLE]
        before = whole - wanted
        piece = state[_COUNT]
        closed[OPEN_ROW, piece], closed[CLOSE_ROW, piece] = RESOLUTION, close[_ROW]
        closed[PAIR, piece], closed[SIZE, piece] = state[_PAIR], back
        closed[COST, piece], closed[OPEN_FEE, piece] = pay(back, state[_PAYOUT]), 0
        closed[PROCEEDS, piece] = _slice(close[_PROCEEDS], before, before + back, whole)
        closed[CLOSE_FEE, piece] = _slice(close[_FEE], before, before + back, whole)
        closed[IS_TRIP_END, piece] = 1
        state[_COUNT] += 1
        state[_PAID] -= back
    return back


@njit(cache=True, nogil=True)
def _keep(events: Events, state: Ints, left: Ints, kept: int) -> int:
    """Write the lots still open; gives the new count of rows written."""
    count = kept
    while state[_HELD] > 0:
        head, used = state[_HEAD], state[_USED]
        whole = events.quantity[head]
        if events.is_open[head] and used < whole:
            left[LEFT_ROW, count], left[LEFT_SIZE, count] = head, whole - used
            left[LEFT_COST, count] = events.cash[head] - cut(events.cash[head], used, whole)
            left[LEFT_FEE, count] = events.fee[head] - cut(events.fee[head], used, whole)
            state[_HELD] -= whole - used
            count += 1
        state[_HEAD], state[_USED] = head + 1, 0
    return count


@njit(cache=True, nogil=True)
def match(pair_start: Ints, events: Events, resolved_at: Ints, payout: Ints) -> Matches:
    """FIFO over (wallet, token) pairs; `resolved_at` and `payout` (micro-USDC) are per pair.

    The resolution comes last of its instant. Linear: each lot and each disposal is met once.
    """
    closed = np.empty((9, events.at.size + pair_start.size), np.int64)
    left = np.empty((4, events.at.size), np.int64)
    unexplained = np.zeros(events.at.size, np.int64)
    state, close, kept = np.zeros(8, np.int64), np.zeros(4, np.int64), 0
    for pair in range(pair_start.size - 1):
        state[_HEAD], state[_USED], state[_HELD] = pair_start[pair], 0, 0
        state[_PAID], state[_IN_TRIP], is_resolved = 0, 0, False
        state[_PAIR], state[_PAYOUT] = pair, payout[pair]
        for row in range(pair_start[pair], pair_start[pair + 1]):
            size = events.quantity[row]
            if not is_resolved and events.at[row] > resolved_at[pair]:
                _resolve(events, state, closed)
                is_resolved = True
            if events.is_open[row] and is_resolved:
                _buy_late(events, state, closed, row)
            elif events.is_open[row]:
                state[_HELD] += size
                state[_IN_TRIP] = state[_IN_TRIP] or state[_HELD] >= DUST
            else:
                close[_ROW], close[_WHOLE] = row, size
                close[_PROCEEDS], close[_FEE] = events.cash[row], events.fee[row]
                rest = size - _consume(events, state, closed, size, close)
                unexplained[row] = rest - _take_back(state, closed, rest, close)
        if not is_resolved and resolved_at[pair] != NEVER:
            _resolve(events, state, closed)
        kept = _keep(events, state, left, kept)
    return Matches(closed[:, : state[_COUNT]], left[:, :kept], unexplained)
