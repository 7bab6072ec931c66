"""What was traded in each market until an instant. A trade counts once, on its taker's side."""

from functools import lru_cache

import numpy as np

from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.tape import TRADE, Tape

_UNIT = 1_000_000


class Volumes:
    """Volumes of all markets, in shares, as the venue counts them."""

    def __init__(self, tape: Tape) -> None:
        places = tape.by_market.places
        counted = (tape.kind == TRADE) & tape.is_taker
        self._by_market = tape.by_market
        self._cut = lru_cache(maxsize=16)(tape.places_before)
        self._until = np.concatenate([[0], np.cumsum((tape.shares * counted)[places])])

    def between(self, market: Market, start: float, end: float) -> float:
        """Shares traded in [start, end)."""
        return self._shares(market, end) - self._shares(market, start)

    def until(self, market: Market, end: float) -> float:
        """Shares traded before an instant."""
        return self.between(market, 0.0, end)

    def _shares(self, market: Market, end: float) -> float:
        index = self._by_market
        rows = index.of(market.code).searchsorted(self._cut(end))
        return float(self._until[index.first[market.code] + rows]) / _UNIT
