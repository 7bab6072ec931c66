"""Compiled passes over fills and lots sorted by wallet: orders, bursts, round trips, capital.

Instants are microseconds since the epoch, money and shares integer micro-units. Every pass is
linear in its rows, the daily ones also in the days a lot is open.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Places = NDArray[np.int32]
Flags = NDArray[np.bool_]

DAY = 86_400_000_000
HOUR = 3_600_000_000
LONG_AGO = np.iinfo(np.int64).min // 2
NEVER = np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def previous_same_side(wallet: Ints, token: Ints, is_buy: Flags, at: Ints) -> Ints:
    """Per fill the instant of the wallet's previous fill of its token and side.

    `LONG_AGO` where there is none. Rows are sorted by wallet, token, instant.
    """
    previous = np.empty(at.size, np.int64)
    last = np.full(2, LONG_AGO, np.int64)
    for row in range(at.size):
        if row == 0 or wallet[row] != wallet[row - 1] or token[row] != token[row - 1]:
            last[:] = LONG_AGO
        side = 1 if is_buy[row] else 0
        previous[row] = last[side]
        last[side] = at[row]
    return previous


@njit(cache=True, nogil=True)
def most_within_an_hour(start: Ints, at: Ints) -> Ints:
    """Most instants within any [t, t + 1 h) per group; ascending within a group."""
    most = np.zeros(start.size - 1, np.int64)
    for group in range(start.size - 1):
        tail = start[group]
        for row in range(start[group], start[group + 1]):
            while at[row] - at[tail] >= HOUR:
                tail += 1
            most[group] = max(most[group], row - tail + 1)
    return most


@njit(cache=True, nogil=True)
def round_trips(
    wallet: Ints, token: Ints, close_order: Places, is_trip_end: Flags, is_taken_back: Flags
) -> Ints:
    """Number of the completed round trip each closed piece belongs to; −1 for an unfinished one.

    Rows are sorted by wallet, token, close order; all pieces of the close that ends a trip are
    flagged. Shares taken back from a resolution are a trip of their own, between the others.
    """
    trip = np.full(wallet.size, -1, np.int64)
    first, number = 0, 0
    for row in range(wallet.size):
        is_last = (
            row + 1 == wallet.size or wallet[row + 1] != wallet[row] or token[row + 1] != token[row]
        )
        if is_taken_back[row]:
            trip[row] = number
            number += 1
        elif is_trip_end[row] and (is_last or close_order[row + 1] != close_order[row]):
            for piece in range(first, row + 1):
                if not is_taken_back[piece]:
                    trip[piece] = number
            number += 1
            first = row + 1
        if is_last:
            first = row + 1
    return trip


class Pieces(NamedTuple):
    """Pieces of lots by wallet and token; `wallet_start` has one entry more than wallets.

    `closed_at` is `NEVER` for an open lot; `token_rank` is the row of the token in the marks.
    """

    wallet_start: Ints
    token_rank: Ints
    opened_at: Ints
    closed_at: Ints
    open_order: Places
    close_order: Places
    size: Ints
    cost: Ints
    pnl: Ints


class Days(NamedTuple):
    """Per wallet and midnight all-time PnL (USDC), per wallet and day whether it was exposed."""

    pnl: NDArray[np.float64]
    is_exposed: Flags


@njit(cache=True, nogil=True)
def _midnight_after(instant: int, first: int, midnights: int) -> int:
    """Number of the first midnight later than the instant, within 0 … midnights."""
    return min(max((instant - first) // DAY + 1, 0), midnights)


@njit(cache=True, nogil=True)
def _mark_position(
    pnl: NDArray[np.float64], change: Ints, marks: NDArray[np.float64], span: Ints
) -> None:
    """Add value − cost of one token at the midnights of `span`, and clear its changes.

    Shares and cost are summed as integers first: what a lot is cut into later moves no bit.
    """
    shares, cost = 0, 0
    for k in range(span[0], span[1]):
        shares += change[0, k]
        cost += change[1, k]
        if shares > 0 and not np.isnan(marks[k]):
            pnl[k] += (shares * marks[k] - cost) / 1e6
    change[:, span[0] : span[1] + 1] = 0
    span[0], span[1] = marks.size, 0


@njit(cache=True, nogil=True)
def daily_pnl(pieces: Pieces, marks: NDArray[np.float64], first: int) -> Days:
    """All-time realised and marked PnL at each midnight from `first` on; unpriced lots at cost.

    A day is exposed if a lot with cost was open at some time in it, or closed in it.
    """
    wallets, midnights = pieces.wallet_start.size - 1, marks.shape[1]
    pnl = np.zeros((wallets, midnights))
    is_exposed = np.zeros((wallets, midnights), np.bool_)
    change = np.zeros((2, midnights + 1), np.int64)
    span = np.array([midnights, 0])
    for wallet in range(wallets):
        realised = np.zeros(midnights + 1, np.int64)
        last = pieces.wallet_start[wallet + 1]
        for row in range(pieces.wallet_start[wallet], last):
            # Midnights begin … end − 1 see the piece open.
            begin = _midnight_after(pieces.opened_at[row], first, midnights)
            end = midnights
            if pieces.closed_at[row] != NEVER:
                end = _midnight_after(pieces.closed_at[row], first, midnights)
                realised[end] += pieces.pnl[row]
            change[0, begin] += pieces.size[row]
            change[0, end] -= pieces.size[row]
            change[1, begin] += pieces.cost[row]
            change[1, end] -= pieces.cost[row]
            span[0], span[1] = min(span[0], begin), max(span[1], end)
            since = begin - 1 if pieces.cost[row] > 0 else end - 1
            is_exposed[wallet, max(since, 0) : end] = True
            token = pieces.token_rank[row]
            if row + 1 == last or pieces.token_rank[row + 1] != token:
                _mark_position(pnl[wallet], change, marks[token], span)
        pnl[wallet] += np.cumsum(realised[:midnights]) / 1e6
    return Days(pnl, is_exposed[:, : midnights - 1])


@njit(cache=True, nogil=True)
def peak_capital(pieces: Pieces, start: int, as_of: int) -> Ints:
    """Highest Σ open cost per wallet: at `start`, and after each event of [start, as_of)."""
    wallets = pieces.wallet_start.size - 1
    peak = np.zeros(wallets, np.int64)
    for wallet in range(wallets):
        first, last = pieces.wallet_start[wallet], pieces.wallet_start[wallet + 1]
        places = 0
        for row in range(first, last):
            places = max(places, pieces.open_order[row], pieces.close_order[row])
        change = np.zeros(places + 1, np.int64)
        level = 0
        for row in range(first, last):
            opened_at, closed_at = pieces.opened_at[row], pieces.closed_at[row]
            if opened_at < start <= closed_at:
                level += pieces.cost[row]
            if start <= opened_at < as_of:
                change[pieces.open_order[row]] += pieces.cost[row]
            if start <= closed_at < as_of:
                change[pieces.close_order[row]] -= pieces.cost[row]
        peak[wallet] = level
        for place in range(places + 1):
            level += change[place]
            peak[wallet] = max(peak[wallet], level)
    return peak
