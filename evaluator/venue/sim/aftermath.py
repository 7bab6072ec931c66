"""What wallets do with an event's tokens besides trading: splits, merges, conversions, redemptions.

Inventory to sell comes from a split before the first fill; what is left is merged, converted or
redeemed. Rebates and rewards come from the venue and belong to no market.
"""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from evaluator.venue.sim.events import Kind
from evaluator.venue.sim.matching import Fills, Floor
from evaluator.venue.sim.rules import DAY_S
from evaluator.venue.sim.seeds import Flags, Floats, Ints
from evaluator.venue.sim.styles import CODES, PROVIDER

KINDS = ("SPLIT", "MERGE", "CONVERSION", "REDEEM", "MAKER_REBATE", "REWARD")
"""Kinds of activity; the place of a name is its code."""

_SPLIT, _MERGE, _CONVERSION, _REDEEM, _REBATE, _REWARD = range(len(KINDS))
_SPLIT_STEP = 50_000_000
_MERGED, _CONVERTED, _REDEEMED, _LOSER_REDEEMED, _REWARDED = 0.8, 0.5, 0.85, 0.3, 0.25
_REDEEM_DELAY_S = 36_000
_REBATE_RATE = 0.2
_LEAST_REBATE = 10_000
_MICRO = 1_000_000


@dataclass(frozen=True, slots=True)
class Activity:
    """One element per row; rows of one `group` are one transaction. Market −1: none."""

    second: Ints
    agent: Ints
    kind: Ints
    market: Ints
    shares: Ints
    amount: Ints
    group: Ints

    def take(self, which: Flags | Ints) -> "Activity":
        """Some of the rows."""
        return Activity(*(getattr(self, field.name)[which] for field in fields(self)))


def _made(
    second: Ints, agent: Ints, kind: int, market: Ints, shares: Ints, amount: Ints | None = None
) -> Activity:
    """Rows of one kind, each a transaction of its own; the amount is that of the shares if None."""
    count = len(second)
    return Activity(
        second=second.astype(np.int64),
        agent=agent,
        kind=np.full(count, kind),
        market=market,
        shares=shares,
        amount=shares if amount is None else amount,
        group=np.arange(count),
    )


def activity(floor: Floor, rows: Fills) -> Activity:
    """All rows of one event, by time."""
    stock = _Stock(floor, rows)
    parts = [
        stock.splits(),
        stock.merges(),
        stock.conversions(),
        stock.redemptions(),
        *_from_venue(floor, rows),
    ]
    offsets = np.cumsum([0] + [part.group.max(initial=-1) + 1 for part in parts])
    columns = {
        f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Activity)
    }
    shift = np.repeat(offsets[:-1], [len(part.second) for part in parts])
    merged = Activity(**columns | {"group": columns["group"] + shift})
    return merged.take(np.lexsort((merged.group, merged.second)))


class _Stock:
    """Shares of each wallet in each token of the event: wallets × markets × outcomes."""

    def __init__(self, floor: Floor, rows: Fills) -> None:
        self._floor, self._rng = floor, floor.rng
        self.agents, self._row = np.unique(rows.agent, return_inverse=True)
        self._rows = rows
        plan = floor.plan
        self.shape = (len(self.agents), len(plan.counts), plan.counts[0])
        signed = np.where(rows.is_buy, rows.shares, -rows.shares)
        cell = self._row * plan.token_count + rows.token
        self.held = np.zeros(self.shape, dtype=np.int64)
        np.add.at(self.held.reshape(-1), cell, signed)
        self._needs = self._lowest(cell, signed)
        self._is_provider = floor.agents.style[self.agents] == CODES[PROVIDER.name]

    def _lowest(self, cell: Ints, signed: Ints) -> Ints:
        """Shares that each wallet lacks at its worst, if it starts with none."""
        order = np.argsort(cell, kind="stable")
        cells, total = cell[order], np.cumsum(signed[order])
        lacks = np.zeros(self.held.size, dtype=np.int64)
        if len(cells):
            first = np.flatnonzero(np.diff(cells, prepend=-1))
            base = np.repeat((total - signed[order])[first], np.diff(first, append=len(cells)))
            lacks[cells[first]] = np.maximum(-np.minimum.reduceat(total - base, first), 0)
        return lacks.reshape(self.shape)

    @cached_property
    def _first(self) -> Ints:
        """The first fill of each wallet in each market."""
        first = np.full(self.shape[:2], np.iinfo(np.int64).max)
        market = self._rows.token // self.shape[2]
        np.minimum.at(first, (self._row, market), self._rows.second)
        return first

    @cached_property
    def _last(self) -> Ints:
        """The last fill of each wallet in the event."""
        last = np.zeros(self.shape[0], dtype=np.int64)
        np.maximum.at(last, self._row, self._rows.second)
        return last

    def _later(self, low: float, high: float, wallet: Ints) -> Ints:
        """Instants between a wallet's last fill and the close."""
        last, draw = self._last[wallet], self._rng.random(len(wallet))
        left = self._floor.plan.closes - 60 - last
        return np.asarray(last + 20 + left * (low + (high - low) * draw)).astype(np.int64)

    def splits(self) -> Activity:
        """A set of all outcomes for whoever sells what no purchase gave, shortly before."""
        lacks = -(-self._needs.max(axis=2) // _SPLIT_STEP) * _SPLIT_STEP
        wallet, market = np.nonzero(lacks)
        amount = lacks[wallet, market]
        self.held[wallet, market] += amount[:, None]
        before = self._rng.integers(30, 600, len(wallet))
        second = self._first[wallet, market] - before
        return _made(second, self.agents[wallet], _SPLIT, market, amount)

    def merges(self) -> Activity:
        """Providers give back the sets that are left."""
        sets = self.held.min(axis=2) * self._is_provider[:, None]
        sets *= self._rng.random(sets.shape) < _MERGED
        wallet, market = np.nonzero(sets)
        amount = sets[wallet, market]
        self.held[wallet, market] -= amount[:, None]
        return _made(self._later(0, 0.45, wallet), self.agents[wallet], _MERGE, market, amount)

    def conversions(self) -> Activity:
        """Providers turn NO of some outcomes of a neg-risk event into YES of the others."""
        is_able = self._is_provider & (self._rng.random(self.shape[0]) < _CONVERTED)
        is_able &= self._floor.plan.kind is Kind.NEG_RISK
        parts = [self._conversion(wallet) for wallet in np.flatnonzero(is_able).tolist()]
        found = [part for part in parts if part.size]
        rows = np.concatenate([*found, np.zeros((0, 4), dtype=np.int64)])
        group = np.repeat(np.arange(len(found)), [len(part) for part in found])
        made = _made(
            self._later(0.5, 0.95, rows[:, 0]), self.agents[rows[:, 0]], _CONVERSION, *rows.T[1:]
        )
        first = np.searchsorted(group, group)
        return Activity(
            **{f.name: getattr(made, f.name) for f in fields(Activity)}
            | {"group": group, "second": made.second[first]}
        )

    def _conversion(self, wallet: int) -> Ints:
        """Rows (wallet, market, shares, USDC) of one conversion; the first carries the USDC."""
        no = self.held[wallet, :, 1]
        given = np.flatnonzero(no)[: self.shape[1] - 1]
        if len(given) < 2:  # noqa: PLR2004 - one NO gives no USDC
            return np.zeros((0, 4), dtype=np.int64)
        shares = int(no[given].min())
        self.held[wallet, given, 1] -= shares
        self.held[wallet, np.setdiff1d(np.arange(self.shape[1]), given), 0] += shares
        amount = np.where(np.arange(len(given)) == 0, (len(given) - 1) * shares, 0)
        return np.stack(
            [np.full(len(given), wallet), given, np.full(len(given), shares), amount], axis=1
        )

    def redemptions(self) -> Activity:
        """Most winners are redeemed, some time after the close; a loser now and then, for nothing."""
        payouts = self._floor.path.payouts.reshape(self.shape[1:])
        worth = np.round(self.held * payouts).astype(np.int64).sum(axis=2)
        winning = (self.held * (payouts > 0)).sum(axis=2)
        draw = self._rng.random(worth.shape)
        is_held = self.held.sum(axis=2) > 0
        is_done = is_held & (draw < np.where(winning > 0, _REDEEMED, _LOSER_REDEEMED))
        wallet, market = np.nonzero(is_done)
        delay = 60 + self._rng.exponential(_REDEEM_DELAY_S, len(wallet))
        second = self._floor.plan.closes + delay.astype(np.int64)
        shares, amount = winning[wallet, market], worth[wallet, market]
        return _made(second, self.agents[wallet], _REDEEM, market, shares, amount)


def _from_venue(floor: Floor, rows: Fills) -> tuple[Activity, Activity]:
    """Providers get back a part of the fees that others paid them, and rewards, a day later."""
    fees = np.bincount(rows.order, weights=rows.fee)
    resting = np.where(rows.is_taker, 0, rows.shares)
    rested = np.bincount(rows.order, weights=resting)
    part: Floats = fees[rows.order] * _REBATE_RATE * resting / rested[rows.order]
    days = rows.second // DAY_S + 1
    keys, place = np.unique(rows.agent * 100_000 + days, return_inverse=True)
    amount = np.bincount(place, weights=part).astype(np.int64)
    agent, day = keys // 100_000, keys % 100_000
    second = day * DAY_S + floor.rng.integers(300, 1200, len(keys))
    rewards = (floor.rng.exponential(0.8, len(keys)) * _MICRO).astype(np.int64) + 1
    is_provider = floor.agents.style[agent] == CODES[PROVIDER.name]
    is_rewarded = is_provider & (floor.rng.random(len(keys)) < _REWARDED)
    nowhere = np.full(len(keys), -1)
    return (
        _made(second, agent, _REBATE, nowhere, amount).take(
            is_provider & (amount >= _LEAST_REBATE)
        ),
        _made(second + 1200, agent, _REWARD, nowhere, rewards).take(is_rewarded),
    )
