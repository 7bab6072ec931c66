"""Who meets whom: every order becomes fills of its agent and of the wallets on the other side.

A purchase is met by sellers of the token, or by buyers of all other outcomes (the venue mints the
set); a sale by buyers of the token, or by sellers of the other outcome (the venue merges the pair).
"""

from dataclasses import dataclass, fields

import numpy as np

from evaluator.venue.sim.agents import Agents
from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.orders import CENT_SHARES, MILLS, Orders, kept_chance
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.seeds import Flags, Floats, Ints
from evaluator.venue.sim.styles import CODES, CONTRARIAN, PROVIDER

_MOST_PIECES = 4
_PIECES = (0.7, 0.2, 0.07, 0.03)
_EQUAL_SHARE, _TWIN_SHARE, _WORSE_SHARE = 0.3, 0.3, 0.3
_PROVIDED, _SOLD = 0.7, 0.7
_FEE_STEP = 10
_LEAST_CENTS = 400
_MICRO_PER_MILL = CENT_SHARES // MILLS


@dataclass(frozen=True, slots=True)
class Fills:
    """One element per row; `order` numbers transactions by time, `rank` rows within one."""

    order: Ints
    rank: Ints
    second: Ints
    agent: Ints
    token: Ints
    is_buy: Flags
    is_taker: Flags
    shares: Ints
    notional: Ints
    fee: Ints

    def __len__(self) -> int:
        return len(self.order)

    def take(self, which: Flags | Ints) -> "Fills":
        """Some of the rows."""
        return Fills(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Floor:
    """Where orders of one event are matched."""

    plan: Plan
    path: Path
    agents: Agents
    fee_rate: float
    rng: np.random.Generator


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Resting orders, an element each: of which order, how much, at what price of its token."""

    order: Ints
    cents: Ints
    mills: Ints
    is_twin: Flags


@dataclass(frozen=True, slots=True)
class _Rests:
    """Who rests, and how it meets: in the order's own token, or in all others (a set)."""

    agent: Ints
    is_set: Flags
    is_buy: Flags


def fills(floor: Floor, orders: Orders) -> Fills:
    """Rows of every transaction, by time, resting orders before the one that crossed."""
    pieces = _pieces(floor, orders)
    rests = _rests(floor, orders, pieces)
    parts = [*_resting_rows(floor, orders, pieces, rests), _crossing_rows(floor, orders, pieces)]
    merged = Fills(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Fills)))
    return merged.take(np.lexsort((merged.token, merged.rank, merged.order)))


def _pieces(floor: Floor, orders: Orders) -> _Pieces:
    """One to four resting orders for each that crosses; as many as its agent placed of one that rests."""
    rng, plan, count = floor.rng, floor.plan, len(orders)
    drawn = 1 + np.searchsorted(np.cumsum(_PIECES)[:-1], rng.random(count))
    cents = orders.shares // CENT_SHARES
    is_single = orders.is_maker | (orders.partner >= 0) | (cents < _LEAST_CENTS)
    number = np.where(is_single, orders.pieces, drawn)
    weights = rng.exponential(size=(count, _MOST_PIECES)) + 0.1
    is_equal = (rng.random(count) < _EQUAL_SHARE) | orders.is_maker
    weights = np.where(is_equal[:, None], 1.0, weights)
    places = np.arange(_MOST_PIECES)
    is_used = places < number[:, None]
    weights = np.where(is_used, weights, 0.0)
    parts = 1 + (weights / weights.sum(axis=1)[:, None] * (cents - number)[:, None]).astype(int)
    parts = np.where(is_used, parts, 0)
    parts[:, 0] += cents - parts.sum(axis=1)
    is_twin = is_equal & (rng.random(count) < _TWIN_SHARE)
    worse = np.cumsum(rng.random((count, _MOST_PIECES)) < _WORSE_SHARE, axis=1)
    worse = np.where(is_twin[:, None] | (places == 0), 0, worse)
    tick = round(plan.tick * MILLS)
    # Worse for the wallet that crosses: dearer where it buys this token, cheaper where not.
    direction = np.where(orders.is_buy != orders.is_maker, tick, -tick)
    highest = MILLS - tick * (plan.counts[0] - 1)
    mills = np.clip(orders.mills[:, None] + direction[:, None] * worse, tick, highest)
    order = np.broadcast_to(np.arange(count)[:, None], is_used.shape)
    twins = np.broadcast_to(is_twin[:, None], is_used.shape)
    return _Pieces(order[is_used], parts[is_used], mills[is_used], twins[is_used])


def _rests(floor: Floor, orders: Orders, pieces: _Pieces) -> _Rests:
    """The resting side of each piece."""
    rng, order = floor.rng, pieces.order
    is_buy, is_own, partner = orders.is_buy[order], orders.is_maker[order], orders.partner[order]
    provider, contrarian = _strangers(floor, orders, pieces)
    is_partner = partner >= 0
    is_provided = (provider >= 0) & _accepts(floor, orders, order)
    agent = np.where(is_provided, provider, contrarian)
    agent = np.where(is_partner, partner, np.where(is_own, orders.agent[order], agent))
    sells = is_provided & (rng.random(len(order)) < _SOLD)
    is_set = ~is_own & (is_partner | (is_buy & ~sells))
    rests_buying = np.where(is_set, is_buy, ~is_buy)
    return _Rests(agent, is_set, np.where(is_own, is_buy, rests_buying))


def _strangers(floor: Floor, orders: Orders, pieces: _Pieces) -> tuple[Ints, Ints]:
    """A provider (−1: none) and another wallet for each piece; twins meet the same."""
    second = orders.second[pieces.order]
    shape = (2, len(orders))
    same, other = floor.rng.random(shape), floor.rng.random((2, len(pieces.order)))
    draws = np.where(pieces.is_twin, same[:, pieces.order], other)
    return (
        _picked(floor, PROVIDER.name, second, draws[0]),
        _picked(floor, CONTRARIAN.name, second, draws[1]),
    )


def _picked(floor: Floor, style: str, second: Ints, draw: Floats) -> Ints:
    """A wallet of a style for each draw, of those in this event; −1 where none is there yet."""
    members = np.flatnonzero(floor.agents.style == CODES[style])
    chance = {PROVIDER.name: PROVIDER.joins, CONTRARIAN.name: CONTRARIAN.joins}[style]
    is_here = floor.rng.random(len(members)) < chance * floor.agents.rate[members]
    is_old = floor.agents.starts[members] == 0
    if style == CONTRARIAN.name and not (is_here & is_old).any():
        is_here |= is_old
    members = members[is_here]
    there = np.searchsorted(floor.agents.starts[members], second, side="right")
    if not len(members):
        return np.full(len(second), -1, dtype=np.int64)
    place = np.maximum((draw * there).astype(np.int64), 0)
    return np.where(there > 0, members[np.minimum(place, len(members) - 1)], -1)


def _accepts(floor: Floor, orders: Orders, order: Ints) -> Flags:
    """Whether a provider takes a piece: its skill lets a part of what would lose pass."""
    price = floor.path.at(orders.token[order], orders.second[order])
    payout, chance = floor.path.payouts[orders.token[order]], orders.chance[order]
    sides = np.stack([price, payout, chance])
    mine, won, given = np.where(orders.is_buy[order], 1 - sides, sides)
    wanted = np.minimum(mine + (PROVIDER.skill or 0.0), PROVIDER.most_likely)
    return floor.rng.random(len(order)) < _PROVIDED * kept_chance(given, wanted, won)


def _resting_rows(floor: Floor, orders: Orders, pieces: _Pieces, rests: _Rests) -> list[Fills]:
    """Rows of resting orders: one for each other outcome where a set is minted or merged."""
    own = (orders.token[pieces.order], pieces.mills)
    others = _other_outcomes(floor, orders, pieces)
    return [
        _rows(orders, pieces, rests, ~rests.is_set, own),
        *(_rows(orders, pieces, rests, rests.is_set, other) for other in others),
    ]


def _rows(
    orders: Orders, pieces: _Pieces, rests: _Rests, which: Flags, legs: tuple[Ints, Ints]
) -> Fills:
    """Rows of some pieces in one token each; `legs` are token and price of every piece."""
    order, cents = pieces.order[which], pieces.cents[which]
    token, mills = legs[0][which], legs[1][which]
    return Fills(
        order=order,
        rank=np.flatnonzero(which),
        second=orders.second[order],
        agent=rests.agent[which],
        token=token,
        is_buy=rests.is_buy[which],
        is_taker=np.zeros(len(order), dtype=np.bool_),
        shares=cents * CENT_SHARES,
        notional=cents * mills * _MICRO_PER_MILL,
        fee=np.zeros(len(order), dtype=np.int64),
    )


def _other_outcomes(floor: Floor, orders: Orders, pieces: _Pieces) -> list[tuple[Ints, Ints]]:
    """Token and price of each other outcome: together they fill the order's token up to 1."""
    size = floor.plan.counts[0]
    token, second = orders.token[pieces.order], orders.second[pieces.order]
    base = token - token % size
    others = [base + (token - base + step) % size for step in range(1, size)]
    tick = round(floor.plan.tick * MILLS)
    left = (MILLS - pieces.mills) // tick
    prices = np.array([floor.path.at(other, second) for other in others])
    ticks = 1 + ((left - len(others)) * prices / prices.sum(axis=0)).astype(np.int64)
    ticks[-1] += left - ticks.sum(axis=0)
    return list(zip(others, ticks * tick, strict=True))


def _crossing_rows(floor: Floor, orders: Orders, pieces: _Pieces) -> Fills:
    """The one row of each order that crossed: the agent's, or a stranger's where the agent rests.

    A stranger buys the token that the agent sells, or the other outcome of what it buys.
    """
    count = len(orders)
    cents = np.bincount(pieces.order, weights=pieces.cents, minlength=count).astype(np.int64)
    paid = np.bincount(pieces.order, weights=pieces.cents * pieces.mills, minlength=count)
    notional = paid.astype(np.int64) * _MICRO_PER_MILL
    shares = cents * CENT_SHARES
    stranger = _picked(floor, CONTRARIAN.name, orders.second, floor.rng.random(count))
    is_other = orders.is_maker & orders.is_buy
    notional = np.where(is_other, shares - notional, notional)
    price = notional / shares
    fee = shares * floor.fee_rate * price * (1 - price)
    return Fills(
        order=np.arange(count),
        rank=np.full(count, np.iinfo(np.int64).max),
        second=orders.second,
        agent=np.where(orders.is_maker, stranger, orders.agent),
        token=np.where(is_other, orders.token ^ 1, orders.token),
        is_buy=np.where(orders.is_maker, True, orders.is_buy),  # noqa: FBT003
        is_taker=np.ones(count, dtype=np.bool_),
        shares=shares,
        notional=notional,
        fee=(fee / _FEE_STEP).astype(np.int64) * _FEE_STEP,
    )
