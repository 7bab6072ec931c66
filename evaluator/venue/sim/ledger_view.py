"""What each wallet holds of each token, by the rules of the venue's own profit subgraph.

A buy moves the weighted-average price; a sell realises min(size, held) · (price − average). A
split buys every token of its market at an even share of 1, a merge sells them so, a redemption
sells at the payout. A conversion gives up NO at its average and buys the other YES for the rest.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from evaluator.venue.sim.directory import Directory
from evaluator.venue.sim.legs import Legs, legs
from evaluator.venue.sim.tape import Floats, Index, Ints, Tape, index

DUST = 10_000
"""Micro-shares below which a position counts as closed."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """State of some (wallet, token) pairs at an instant: one element per pair in each array.

    Shares are micro-shares, money micro-USDC, `average` USDC per share.
    """

    wallet: Ints
    token: Ints
    held: Ints
    average: Floats
    realised: Floats
    bought: Ints
    fees: Floats
    first_at: Ints
    last_at: Ints

    def equity(self, prices: Floats) -> Floats:
        """Realised and unrealised profit of each pair, in micro-USDC."""
        return self.realised + self.held * (prices[self.token] - self.average)


@dataclass(frozen=True, slots=True)
class _States:
    held: Ints
    average: Floats
    realised: Floats
    bought: Ints
    fees: Floats


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every pair's state after each of its legs, in order of pair and leg."""

    token_count: int
    pairs: Ints
    by_token: Index
    keys: Ints
    place: Ints
    states: _States
    first: Ints
    tape_at: Ints

    def of_wallet(self, wallet: int) -> Ints:
        """Numbers of a wallet's pairs, in token order."""
        low, high = np.searchsorted(
            self.pairs, [wallet * self.token_count, (wallet + 1) * self.token_count]
        )
        return np.arange(low, high)

    def of_token(self, token: int) -> Ints:
        """Numbers of a token's pairs, in wallet order."""
        return self.by_token.of(token)

    def holdings(self, pairs: Ints, cut: int) -> Holdings:
        """State of those of the pairs that have a leg before place `cut` of the tape."""
        before = np.searchsorted(self.keys, pairs * self._stride + cut) - 1
        is_known = before >= self.first[pairs]
        last, known = before[is_known], pairs[is_known]
        return Holdings(
            wallet=self.pairs[known] // self.token_count,
            token=self.pairs[known] % self.token_count,
            held=self.states.held[last],
            average=self.states.average[last],
            realised=self.states.realised[last],
            bought=self.states.bought[last],
            fees=self.states.fees[last],
            first_at=self.tape_at[self.place[self.first[known]]],
            last_at=self.tape_at[self.place[last]],
        )

    def rows_of(self, holdings: Holdings) -> Ints:
        """The pairs that holdings are of."""
        return np.searchsorted(self.pairs, holdings.wallet * self.token_count + holdings.token)

    @property
    def _stride(self) -> int:
        return len(self.tape_at) + 1


def ledger(tape: Tape, markets: Directory) -> Ledger:
    """The ledger of a whole tape."""
    token_count = max(len(markets.token_ids), 1)
    moves = legs(tape, markets)
    owner = moves.wallet * token_count + moves.token
    order = np.lexsort((moves.place, owner))
    moves, owner = moves.take(order), owner[order]
    pairs, first, pair = np.unique(owner, return_index=True, return_inverse=True)
    moves = _with_conversions_priced(moves, pair)
    return Ledger(
        token_count=token_count,
        pairs=pairs,
        by_token=index((pairs % token_count).astype(np.int32), token_count),
        keys=pair * (len(tape.at) + 1) + moves.place,
        place=moves.place,
        states=_folded(moves, pair),
        first=first.astype(np.int64),
        tape_at=tape.at,
    )


def _with_conversions_priced(moves: Legs, pair: Ints) -> Legs:
    """Legs whose conversions have prices: what the NO given up had cost, less the USDC received.

    The average of a NO does not depend on these prices, so one pass without them tells it.
    """
    if not (moves.conversion >= 0).any():
        return moves
    average = _folded(moves, pair).average
    count = int(moves.conversion.max()) + 1
    is_given = (moves.conversion >= 0) & (moves.shares < 0)
    is_taken = (moves.conversion >= 0) & (moves.shares > 0)
    cost = np.bincount(moves.conversion[is_given], average[is_given], count)
    given = np.bincount(moves.conversion[is_given], minlength=count)
    taken = np.bincount(moves.conversion[is_taken], minlength=count)
    price = np.clip((cost - (given - 1)) / np.maximum(taken, 1), 0, 1)
    prices = moves.price.copy()
    prices[is_taken] = price[moves.conversion[is_taken]]
    return moves.priced(prices)


def _folded(moves: Legs, pair: Ints) -> _States:
    """Each pair's state after each of its legs."""
    held, average, realised, bought, fees = _fold(pair, moves.shares, moves.price, moves.fee)
    return _States(held.astype(np.int64), average, realised, bought.astype(np.int64), fees)


@njit(cache=True, nogil=True)
def _fold(pair: Ints, shares: Ints, price: Floats, fee: Ints) -> Floats:
    """Held, average, realised, bought and fees, a line each; a price of NaN is the average."""
    states = np.zeros((5, pair.size))
    for leg in range(pair.size):
        held = average = realised = bought = fees = 0.0
        if leg > 0 and pair[leg - 1] == pair[leg]:
            held, average, realised, bought, fees = states[:, leg - 1]
        if shares[leg] > 0:
            average = (average * held + price[leg] * shares[leg]) / (held + shares[leg])
            held += shares[leg]
            bought += shares[leg]
            fees += fee[leg]
        else:
            sold = min(-shares[leg], held)
            if not np.isnan(price[leg]):
                realised += sold * (price[leg] - average)
            held -= sold
        states[0, leg], states[1, leg], states[2, leg] = held, average, realised
        states[3, leg], states[4, leg] = bought, fees
    return states
