"""Order books: what rests around the price of a token at an instant."""

from datetime import datetime

import numpy as np

from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.frames import liquidity
from evaluator.venue.sim.orders import MILLS
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.rules import Book, Level, WorldRules
from evaluator.venue.sim.seeds import Draw, Floats, Ints, stream

_MOST_LEVELS = 50
_DEPTH_MILLS = 60.0


def book(
    rules: WorldRules, plan: Plan, path: Path, token: int, asked: tuple[str, datetime, int]
) -> Book:
    """The book of a token, asked for as (token_id, instant, second); empty unless open.

    The best bid and ask are where orders of that instant trade: half a spread from the price,
    away from it to the tick. Of a pair of outcomes each book is the other's mirrored.
    """
    token_id, at, second = asked
    if not plan.opens <= second < plan.closes:
        return Book(token_id, at, plan.tick, (), ())
    is_mirror = plan.counts[0] == 2 and token % 2 == 1  # noqa: PLR2004 - of two outcomes
    shown = token - 1 if is_mirror else token
    place = int(path.places(np.array([second]))[0])
    price = float(path.prices[shown, place])
    rng = stream(rules.seed, Draw.BOOK, plan.number, shown, place)
    bids, asks = _side(plan, price, second, -1, rng), _side(plan, price, second, 1, rng)
    if is_mirror:
        bids, asks = _mirrored(asks), _mirrored(bids)
    return Book(token_id, at, plan.tick, bids, asks)


def _side(
    plan: Plan, price: float, second: int, direction: int, rng: np.random.Generator
) -> tuple[Level, ...]:
    """Levels from the best on, none beyond 0 and 1: log-normal sizes, half of the liquidity in all."""
    tick = round(plan.tick * MILLS)
    exact = (price + direction * plan.half_spread) * MILLS / tick
    best = int(np.ceil(exact - 1e-9) if direction > 0 else np.floor(exact + 1e-9))
    steps = np.cumsum(np.concatenate([[0], 1 + rng.poisson(0.4, _MOST_LEVELS - 1)]))
    mills: Ints = (best + direction * steps) * tick
    weights: Floats = np.exp(
        rng.normal(0, 0.7, _MOST_LEVELS) - np.abs(mills - mills[0]) / _DEPTH_MILLS
    )
    inside = (mills > 0) & (mills < MILLS)
    if not inside.any():
        return ()
    usdc = liquidity(plan, second) / 2 * weights[inside] / weights[inside].sum()
    shares = np.maximum(np.round(usdc * MILLS / mills[inside], 2), 1.0)
    return tuple(
        Level(mill / MILLS, share)
        for mill, share in zip(mills[inside].tolist(), shares.tolist(), strict=True)
    )


def _mirrored(levels: tuple[Level, ...]) -> tuple[Level, ...]:
    """The same orders as seen from the other outcome."""
    return tuple(
        Level((MILLS - round(level.price * MILLS)) / MILLS, level.size_shares) for level in levels
    )
