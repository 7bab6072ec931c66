"""Prices of tokens as known at an instant: the venue's series, else the last trade.

Quotes are as old as the minute, as on the venue's own pages; payouts count at once.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from evaluator.venue.sim.directory import Directory
from evaluator.venue.sim.tape import NONE, TRADE, Floats, Tape, codes

Quotes = Callable[[Sequence[str], datetime, datetime], pl.DataFrame]
"""Prices of tokens in [start, end): token_id, priced_at, price."""

QUOTED_WITHIN = timedelta(hours=1)
"""An older quote is not the price of an open market."""

_MINUTE = 60
_SPAN = 1 << 33
"""Seconds that a key has room for, until the year 2242."""


class Marks:
    """What a share of each token is worth."""

    def __init__(self, quotes: Quotes, tape: Tape, markets: Directory) -> None:
        self._quotes, self._markets = quotes, markets
        self._traded = _Traded(tape)
        count = [len(market.token_ids) for market in markets.markets]
        self._first_guess = 1 / np.repeat(np.array(count, dtype=np.float64), count)
        self._payouts = markets.payouts()
        self._closed_at = np.repeat(
            [np.inf if m.closed_at is None else m.closed_at for m in markets.markets], count
        )
        self._at_minute = lru_cache(maxsize=8)(self._prices)
        self.at = lru_cache(maxsize=8)(self._at)
        """Price per token: its payout once known, else the last quoted, else the last traded.

        A token that nobody has priced yet shows an even share of 1, as the venue does.
        """

    def _at(self, now: float) -> Floats:
        prices = self._at_minute(int(now // _MINUTE) * _MINUTE)
        is_paid = (self._closed_at < now) & ~np.isnan(self._payouts)
        return np.where(is_paid, self._payouts, prices)

    def _prices(self, now: int) -> Floats:
        prices = self._quoted(now)
        for fallback in (self._traded.last(len(prices), now), self._first_guess):
            prices = np.where(np.isnan(prices), fallback, prices)
        return prices

    def _quoted(self, now: int) -> Floats:
        end = datetime.fromtimestamp(now, UTC)
        is_open = self._closed_at >= now
        prices = np.full(len(is_open), np.nan)
        wanted = [self._markets.token_ids[token] for token in np.flatnonzero(is_open)]
        if wanted:
            found = self._quotes(wanted, end - QUOTED_WITHIN, end).sort("priced_at")
            last = found.group_by("token_id", maintain_order=True).last()
            prices[codes(last["token_id"], self._markets.token_ids)] = last["price"].to_numpy()
        return prices


class _Traded:
    """Prices of trades in order of token and time; a key is token · `_SPAN` + second."""

    def __init__(self, tape: Tape) -> None:
        is_trade = (tape.kind == TRADE) & (tape.token != NONE) & (tape.shares > 0)
        keys = tape.token[is_trade].astype(np.int64) * _SPAN + tape.at[is_trade]
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._prices = (tape.usdc[is_trade] / tape.shares[is_trade])[order]

    def last(self, token_count: int, now: int) -> Floats:
        """The last price of every token strictly before a second, NaN without one."""
        tokens = np.arange(token_count, dtype=np.int64)
        prices = np.full(token_count, np.nan)
        before = np.searchsorted(self._keys, tokens * _SPAN + now) - 1
        is_any = before >= 0
        is_any[is_any] = self._keys[before[is_any]] // _SPAN == tokens[is_any]
        prices[is_any] = self._prices[before[is_any]]
        return prices
