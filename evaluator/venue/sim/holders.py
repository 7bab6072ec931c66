"""Who holds most of each token of a market, and who stands where on a board."""

from dataclasses import dataclass

import numpy as np

from evaluator.venue.sim.boards import Board
from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.positions import Positions, of_market
from evaluator.venue.sim.tape import Floats, Ints


@dataclass(frozen=True, slots=True)
class Holder:
    """One wallet's shares of one token, in micro-shares; `place` is that of its position."""

    wallet: str
    token_id: str
    outcome_index: int
    shares: int
    place: int


@dataclass(frozen=True, slots=True)
class Held:
    """Holders per token, largest first, and the positions that they are taken from."""

    by_token: dict[str, list[Holder]]
    positions: Positions


def held(present: Present, market: Market, *, least: int, is_net: bool) -> Held:
    """Holders of at least `least` micro-shares of each of a market's tokens, and of any.

    Netted, a wallet's shares count less those that it holds of every other token.
    """
    found = of_market(present, market)
    wallets, wallet = np.unique(found.of.wallet, return_inverse=True)
    grid = np.zeros((len(wallets), len(market.token_ids)), dtype=np.int64)
    places = np.zeros_like(grid)
    outcome = found.of.token - market.first_token
    grid[wallet, outcome] = found.of.held
    places[wallet, outcome] = np.arange(len(found))
    if is_net and len(wallets):
        grid = grid - grid.min(axis=1, keepdims=True)
    by_token = {}
    for number, token_id in enumerate(market.token_ids):
        order = np.lexsort((wallets, -grid[:, number]))
        enough = [row for row in order.tolist() if grid[row, number] >= max(least, 1)]
        by_token[token_id] = [
            Holder(
                wallet=present.tape.wallets[int(wallets[row])],
                token_id=token_id,
                outcome_index=number,
                shares=int(grid[row, number]),
                place=int(places[row, number]),
            )
            for row in enough
        ]
    return Held(by_token, found)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Places of a board's wallets, best first, and the rank of each: ties share one."""

    order: Ints
    ranks: Ints


def ranked(board: Board, keys: Floats) -> Ranked:
    """Wallets by key, largest first; ties by wallet."""
    order = np.lexsort((board.wallet, -keys))
    ordered = keys[order]
    return Ranked(order, np.searchsorted(-ordered, -ordered, side="left") + 1)
