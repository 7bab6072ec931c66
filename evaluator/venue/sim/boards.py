"""Who made most: the leaderboard by period and category, as of the last full minute.

Over a finite period profit is the change of marked equity; over all time it is what was realised.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np

from evaluator.venue.sim.directory import Directory
from evaluator.venue.sim.ledger_view import Ledger
from evaluator.venue.sim.marks import Marks
from evaluator.venue.sim.tape import TRADE, Flags, Floats, Ints, Tape

PERIODS = {
    "DAY": timedelta(days=1),
    "WEEK": timedelta(days=7),
    "MONTH": timedelta(days=30),
    "ALL": None,
}
OVERALL = "OVERALL"

_MINUTE = 60
_UNIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Board:
    """One element per wallet that traded in the period, in no order: USDC and shares."""

    wallet: Ints
    pnl: Floats
    volume_usdc: Floats
    volume_shares: Floats


@dataclass(frozen=True, slots=True)
class _Profit:
    """Per pair of the ledger, micro-USDC: marked equity and its realised part."""

    equity: Floats
    realised: Floats


class Boards:
    """Boards of a past; each is made once a minute at most."""

    def __init__(self, tape: Tape, ledger: Ledger, marks: Marks, markets: Directory) -> None:
        self._tape, self._ledger, self._marks, self._markets = tape, ledger, marks, markets
        self._profit = lru_cache(maxsize=8)(self._profits)
        self._board = lru_cache(maxsize=64)(self._boards)

    def board(self, now: float, period: str, category: str) -> Board:
        """The board of one period and category, either in capitals.

        Empty for a category that no market has.
        """
        return self._board(int(now // _MINUTE) * _MINUTE, period, category)

    def _boards(self, now: int, period: str, category: str) -> Board:
        length = PERIODS[period]
        start = None if length is None else now - length.total_seconds()
        in_category = self._in_category(category)
        gained = self._gained(now, start, in_category)
        wallets = np.arange(len(self._tape.wallets))
        shares, usdc = self._volumes(now, start, in_category)
        traded = shares > 0
        return Board(wallets[traded], gained[traded], usdc[traded], shares[traded])

    def _in_category(self, category: str) -> Flags:
        """Per token, whether its market belongs to the category."""
        return np.array(
            [
                category in {OVERALL, market.domain.upper()}
                for market in self._markets.markets
                for _ in market.tokens
            ],
            dtype=np.bool_,
        )

    def _gained(self, now: int, start: float | None, in_category: Flags) -> Floats:
        """Profit per wallet, in USDC."""
        ledger = self._ledger
        at_end = self._profit(now)
        by_pair = at_end.realised
        if start is not None:
            by_pair = at_end.equity - self._profit(int(start)).equity
        wallet = ledger.pairs // ledger.token_count
        counted = in_category[ledger.pairs % ledger.token_count] if len(in_category) else wallet < 0
        return np.bincount(wallet[counted], by_pair[counted], len(self._tape.wallets)) / _UNIT

    def _profits(self, at: int) -> _Profit:
        ledger = self._ledger
        pairs = np.arange(len(ledger.pairs))
        held = ledger.holdings(pairs, self._tape.places_before(at))
        rows = ledger.rows_of(held)
        equity, realised = np.zeros(len(pairs)), np.zeros(len(pairs))
        equity[rows] = held.equity(self._marks.at(at))
        realised[rows] = held.realised
        return _Profit(equity, realised)

    def _volumes(self, now: int, start: float | None, in_category: Flags) -> tuple[Floats, Floats]:
        """Shares and USDC that each wallet traded on either side."""
        tape = self._tape
        first = 0 if start is None else tape.places_before(start)
        part = slice(first, tape.places_before(now))
        is_trade = (tape.kind[part] == TRADE) & (tape.token[part] >= 0)
        is_trade[is_trade] = in_category[tape.token[part][is_trade]]
        wallet = tape.wallet[part][is_trade]
        count = len(tape.wallets)
        shares = np.bincount(wallet, tape.shares[part][is_trade], count) / _UNIT
        return shares, np.bincount(wallet, tape.usdc[part][is_trade], count) / _UNIT
