"""What agents decide in one event: entries, and what follows them. Who meets them is in `matching`.

An agent of skill s buys a token of price p so that the token wins with probability p + s: it
chooses by the price alone, then lets a part of the losers pass. Its edge per share over the
price is thus s, whatever else it does.
"""

from dataclasses import dataclass, fields

import numpy as np

from evaluator.venue.sim.agents import Agents
from evaluator.venue.sim.bursts import Bursts
from evaluator.venue.sim.events import Kind, Plan
from evaluator.venue.sim.habits import HABITS, Habit
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.rules import GRID_S
from evaluator.venue.sim.seeds import Flags, Floats, Ints
from evaluator.venue.sim.styles import CODES, Then, When

MILLS = 1_000
"""Prices are counted in thousandths of a USDC."""

CENT_SHARES = 10_000
"""Micro-shares of the smallest step in size, 0.01 share."""

MARGIN_S = 900
"""No order comes in the first and last so many seconds of a market."""

_HOUR_S = 3_600
_LONG_LIFE_S = 8 * 86_400
_LARGEST_USDC = 40_000.0
_ROUND_SHARE = 0.4
_MISSED_BY_MEMBER = 0.02
_POPULAR = ("CROWD",)


@dataclass(frozen=True, slots=True)
class Orders:
    """One element per order. `partner` is the wallet that must meet it, −1 for anyone.

    `shares` are micro-shares, `mills` the price in thousandths; `chance` is that the token wins,
    given that the order came.
    """

    agent: Ints
    second: Ints
    token: Ints
    is_buy: Flags
    is_maker: Flags
    shares: Ints
    mills: Ints
    pieces: Ints
    partner: Ints
    chance: Floats

    def __len__(self) -> int:
        return len(self.agent)

    def take(self, which: Flags | Ints) -> "Orders":
        """Some of them."""
        return Orders(*(getattr(self, field.name)[which] for field in fields(self)))


def joined(parts: list[Orders]) -> Orders:
    """All of them, by time."""
    merged = Orders(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Orders))
    )
    return merged.take(np.argsort(merged.second, kind="stable"))


@dataclass(frozen=True, slots=True)
class Scene:
    """What an event's orders are made from. `clock` maps [0, 1] to even days of the world."""

    plan: Plan
    path: Path
    agents: Agents
    bursts: Bursts
    exposure: Floats
    clock: tuple[Floats, Floats]
    fee_rate: float
    rng: np.random.Generator


def orders(scene: Scene) -> Orders:
    """Every order of agents who decide for themselves, by time."""
    deciders, seconds = _candidates(scene)
    entries, habit = _entries(scene, deciders, seconds)
    followers = _followers(scene, entries, habit)
    return joined([_members(scene, entries), followers])


def _candidates(scene: Scene) -> tuple[Ints, Ints]:
    """Agents and seconds of the entries they may make."""
    agents, plan, rng = scene.agents, scene.plan, scene.rng
    habit = HABITS.of(agents.style)
    joins = np.clip(habit.joins * agents.rate, 0, 0.95)
    more = np.maximum(habit.orders - 1, 0) * agents.rate
    popular = np.isin(agents.style, [CODES[name] for name in _POPULAR])
    more = np.where(popular, more * plan.popularity, more)
    counts = (rng.random(len(agents)) < joins) * (1 + rng.poisson(more))
    counts += rng.poisson(habit.per_day * agents.rate * scene.exposure)
    counts = np.where(_is_open_to(scene, habit), counts, 0)
    deciders = np.repeat(np.arange(len(agents)), counts)
    seconds = _seconds(scene, HABITS.of(agents.style[deciders]))
    burst_sizes = rng.poisson(HABITS.of(agents.style[scene.bursts.agents]).orders)
    bursting = np.repeat(scene.bursts.agents, burst_sizes)
    after = np.repeat(scene.bursts.seconds, burst_sizes) + rng.integers(60, 3000, len(bursting))
    deciders = np.concatenate([deciders, bursting])
    seconds = np.concatenate([seconds, after])
    is_there = (seconds >= agents.starts[deciders]) & (seconds < agents.stops[deciders])
    is_open = (seconds >= plan.opens + MARGIN_S) & (seconds < plan.closes - MARGIN_S)
    kept = is_there & is_open
    return deciders[kept], seconds[kept]


def _is_open_to(scene: Scene, habit: Habit) -> Flags:
    """Whether each agent would join this event, news apart."""
    agents, plan = scene.agents, scene.plan
    is_pairwise = np.isin(habit.then, [Then.HEDGE.name, Then.RETURN.name])
    is_open: Flags = (
        (agents.member == 0)
        & (habit.when != When.NEWS.name)
        & (~habit.is_local | (agents.domain == plan.domain))
        & ((habit.domain < 0) | (habit.domain == plan.domain))
        & ((habit.when != When.EARLY.name) | (plan.ends - plan.opens >= _LONG_LIFE_S))
        & (~is_pairwise | (plan.kind is not Kind.MANY))
    )
    return is_open


def _seconds(scene: Scene, habit: Habit) -> Ints:
    """When each entry comes, by the habit of its agent."""
    plan, part = scene.plan, scene.rng.random(len(habit.when))
    life = plan.closes - plan.opens
    late = plan.ends - _HOUR_S - part * np.maximum(habit.hours - 1, 0) * _HOUR_S
    early = plan.opens + MARGIN_S + 0.4 * part * life
    evenly = np.interp(part, *scene.clock)
    seconds = np.select(
        [habit.when == When.LATE.name, habit.when == When.EARLY.name, habit.per_day > 0],
        [np.maximum(late, plan.opens + MARGIN_S), early, evenly],
        plan.opens + part * life,
    )
    return seconds.astype(np.int64)


def _entries(scene: Scene, deciders: Ints, seconds: Ints) -> tuple[Orders, Habit]:
    """Entries that find a token at a price that suits, the losers that skill sees left out."""
    rng, path, plan = scene.rng, scene.path, scene.plan
    habit = HABITS.of(scene.agents.style[deciders])
    prices = path.prices[:, path.places(seconds)]
    suits = (prices >= habit.low) & (prices <= habit.high)
    token = np.argmax(suits * rng.random(prices.shape), axis=0)
    price = prices[token, np.arange(len(token))]
    chance = np.maximum(np.minimum(price + habit.skill, habit.most_likely), price)
    passes = kept_chance(price, chance, path.payouts[token])
    kept = suits.any(axis=0) & (rng.random(len(token)) < passes)
    is_maker = (rng.random(len(token)) < habit.maker) & (plan.kind is not Kind.MANY)
    is_return = habit.then == Then.RETURN.name
    mills = np.where(
        is_return,
        _on_tick(plan, price, 0),
        quote(plan, price, is_buy=np.ones(len(token), np.bool_), is_maker=is_maker),
    )
    found = Orders(
        agent=deciders,
        second=seconds,
        token=token,
        is_buy=np.ones(len(token), dtype=np.bool_),
        is_maker=is_maker,
        shares=_shares(scene, deciders, price),
        mills=mills,
        pieces=np.where(is_maker, habit.pieces, 1),
        partner=np.where(is_return, deciders + 1, -1),
        chance=chance,
    )
    return found.take(kept), habit.take(kept)


def kept_chance(given: Floats, wanted: Floats, payout: Floats) -> Floats:
    """The chance to go on with a token so that winners, a share `given` of all, become `wanted`.

    1 for a winner; nothing is let pass where as many win already.
    """
    loser = np.clip(given * (1 - wanted) / ((1 - given) * wanted), 0, 1)
    return np.asarray(loser + payout * (1 - loser))


def quote(plan: Plan, price: Floats, *, is_buy: Flags, is_maker: Flags) -> Ints:
    """Prices in thousandths: half a spread beyond the mid for a taker, before it for a maker."""
    return _on_tick(plan, price, np.where(is_buy != is_maker, 1, -1))


def _on_tick(plan: Plan, price: Floats, direction: Ints | int) -> Ints:
    """The tick half a spread above (1) or below (−1) the mid, rounded away from it; 0: nearest."""
    tick = round(plan.tick * MILLS)
    exact = (price + direction * plan.half_spread) * MILLS / tick
    away = np.where(direction > 0, np.ceil(exact - 1e-9), np.floor(exact + 1e-9))
    ticks = np.where(np.equal(direction, 0), np.round(exact), away).astype(np.int64)
    return np.asarray(np.clip(ticks * tick, tick, MILLS - tick * (max(plan.counts) - 1)))


def _shares(scene: Scene, deciders: Ints, price: Floats) -> Ints:
    """Sizes: log-normal in USDC, of some a whole number of shares."""
    habit = HABITS.of(scene.agents.style[deciders])
    noise = scene.rng.normal(size=len(deciders)) * habit.spread_of_size
    usdc = habit.usdc * scene.agents.size[deciders] * np.exp(noise)
    shares = np.minimum(usdc, _LARGEST_USDC) / price
    is_round = scene.rng.random(len(deciders)) < _ROUND_SHARE
    cents = np.where(is_round & (shares >= 10), np.round(shares / 5) * 500, np.round(shares * 100))  # noqa: PLR2004
    return np.asarray(np.maximum(cents, 100 * habit.pieces)).astype(np.int64) * CENT_SHARES


def _followers(scene: Scene, entries: Orders, habit: Habit) -> Orders:
    """Sales, hedges and returns of entries, unless the market is about to close."""
    rng, plan = scene.rng, scene.plan
    count = len(entries)
    wait = (
        habit.hold_hours
        * _HOUR_S
        * np.where(habit.then == Then.SELL.name, rng.exponential(size=count), rng.random(count) * 2)
    )
    second = entries.second + 120 + wait.astype(np.int64)
    is_hedge = habit.then == Then.HEDGE.name
    is_return = habit.then == Then.RETURN.name
    token = np.where(is_hedge, entries.token ^ 1, entries.token)
    price = scene.path.at(token, second)
    is_maker = np.where(is_hedge, True, rng.random(count) < _exit_maker(scene, habit))  # noqa: FBT003
    is_maker &= ~is_return
    mills = quote(plan, price, is_buy=is_hedge, is_maker=is_maker)
    follows = np.where(is_hedge, 1.0, habit.exits)
    kept = (rng.random(count) < follows) & (second < plan.closes - MARGIN_S)
    found = Orders(
        agent=entries.agent,
        second=second,
        token=token,
        is_buy=is_hedge,
        is_maker=is_maker,
        shares=entries.shares,
        mills=np.where(is_return, entries.mills, mills),
        pieces=np.ones(count, dtype=np.int64),
        partner=entries.partner,
        chance=price,
    )
    return found.take(kept & (habit.then != Then.HOLD.name))


def _exit_maker(scene: Scene, habit: Habit) -> Floats:
    """Chance that a sale rests; for who means to break even, so that spreads and fees are paid."""
    spread = scene.plan.half_spread + scene.plan.tick / 4
    fee = scene.fee_rate * 0.23
    even = np.clip((habit.breaks_even_at + fee) / (2 * spread + fee), 0, 1)
    return np.where(np.isnan(even), habit.maker, even)


def _members(scene: Scene, entries: Orders) -> Orders:
    """Entries of a cluster, made by each of its wallets within the same ten minutes."""
    habit = HABITS.of(scene.agents.style[entries.agent])
    copies = np.where((habit.unit > 1) & (entries.partner < 0), habit.unit, 1)
    places = np.repeat(np.arange(len(entries)), copies)
    member = np.arange(len(places)) - np.repeat(np.cumsum(copies) - copies, copies)
    all_of = entries.take(places)
    is_copied = copies[places] > 1
    draws = scene.rng.random((3, len(places)))
    bucket = all_of.second - all_of.second % GRID_S
    second = np.where(is_copied, bucket + (draws[0] * GRID_S).astype(np.int64), all_of.second)
    cents = np.maximum(np.round(all_of.shares / CENT_SHARES * (0.7 + 0.6 * draws[1])), 100)
    shares = np.where(is_copied, cents.astype(np.int64) * CENT_SHARES, all_of.shares)
    kept = ~is_copied | (draws[2] >= _MISSED_BY_MEMBER)
    moved = Orders(
        agent=all_of.agent + member,
        second=second,
        token=all_of.token,
        is_buy=all_of.is_buy,
        is_maker=all_of.is_maker,
        shares=shares,
        mills=all_of.mills,
        pieces=all_of.pieces,
        partner=all_of.partner,
        chance=all_of.chance,
    )
    return moved.take(kept)
