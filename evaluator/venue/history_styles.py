"""The styles of the demonstration history: one function per style, one row per style in `ROSTER`.

A style fills the plan of one wallet. Their sizes are such that most personas occur, with wallets
near the thresholds on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluator.venue.history_agents import Intent, Planner
from evaluator.venue.history_world import DAY_S, DOMAINS, HOUR_S, World

_BURST_S = 50 * 60
_BOT_ORDERS = 6_300


def casual(plan: Planner) -> None:
    """Buys what it likes all along, sells some of it again."""
    skill = plan.rng.uniform(0.22, 0.52)
    plan.wander(plan.world.markets, int(plan.rng.integers(6, 26)), skill=skill)


def newcomer(plan: Planner) -> None:
    """As casual, with a first fill in the last month."""
    skill = plan.rng.uniform(0.4, 0.6)
    plan.wander(plan.world.markets, 30, skill=skill, not_before=plan.horizon + 3 * DAY_S)


def departed(plan: Planner) -> None:
    """As casual, but gone for two months."""
    markets = plan.markets(closing_to=plan.world.seconds - 60 * DAY_S)
    plan.wander(markets, int(plan.rng.integers(10, 20)), skill=0.5)


def specialist(plan: Planner) -> None:
    """Knows one domain: round trips in three of its markets, in and out as prices move."""
    plan.is_informed = True
    domain = DOMAINS[int(plan.rng.integers(len(DOMAINS)))]
    markets = [market for market in plan.markets() if market.domain == domain]
    for market in markets[:6]:
        plan.buy(plan.token(market, 0.7), plan.moment(market, 0.1, 0.5), plan.dollars(25))
    for market in [one for one in markets if one.closes_s >= plan.horizon][:3]:
        token, life = plan.token(market, 0.95), market.closes_s - market.opens_s
        for start in np.linspace(0.3, 0.8, 6):
            entry = market.opens_s + int(life * (start + plan.rng.uniform(0, 0.02)))
            if plan.horizon <= entry < plan.world.seconds - DAY_S:
                exits = [entry + int(life * part) for part in (0.04, 0.05, 0.06, 0.07, 0.08)]
                plan.buy(token, entry, plan.dollars(160))
                plan.sell(token, plan.best(token, exits))


def generalist(plan: Planner) -> None:
    """Small, similar bets on many markets of all domains, more often right than not."""
    plan.is_informed = True
    for market in plan.markets():
        second = plan.moment(market, 0.3, 0.9)
        plan.buy(plan.token(market, 0.8), second, float(plan.rng.uniform(30, 40)))


def accumulator(plan: Planner) -> None:
    """A few large positions, built in two or three purchases and held to the end."""
    plan.is_informed = True
    old = plan.markets(closing_to=plan.horizon)[:4]
    recent = plan.markets(closing_from=plan.horizon)[: int(plan.rng.integers(5, 9))]
    for market in old + recent:
        token, early = plan.token(market, 0.8), plan.moment(market, 0.2, 0.5)
        plan.buy(token, early, plan.dollars(140))
        plan.buy(token, early + int(plan.rng.integers(DAY_S, 3 * DAY_S)), plan.dollars(90))


def tail_seller(plan: Planner) -> None:
    """Buys near-certain winners for small gains; one loss outweighs many of them."""
    plan.is_informed = True
    for market in plan.markets():
        second = plan.moment(market, 0.8, 0.97)
        token = plan.token(market, 1.0)
        if plan.world.price(token, second) > 0.85:  # noqa: PLR2004 - near certain
            plan.buy(token, second, float(plan.rng.uniform(55, 65)))
    for market in plan.markets(closing_from=plan.horizon)[:1]:
        plan.buy(plan.token(market, 0.0), plan.moment(market, 0.5, 0.8), 48.0)


def gambler(plan: Planner) -> None:
    """Buys long shots; nearly all lose, one or two pay for them."""
    plan.is_informed = True
    hits = int(plan.rng.integers(1, 3))
    for market in plan.markets(closing_from=plan.horizon)[:17]:
        token = plan.token(market, 1.0 if hits else 0.0)
        second = plan.moment(market, 0.3, 0.7)
        price = plan.world.price(token, second)
        if hits and price < 0.45:  # noqa: PLR2004 - a winner nobody believes in
            plan.buy(token, second, 70.0)
            hits -= 1
        elif token != market.first_token + (market.winner or 0):
            plan.buy(token, second, float(plan.rng.uniform(5, 9)))
    for market in plan.markets(closing_to=plan.horizon)[:3]:
        plan.buy(plan.token(market, 0.6), plan.moment(market), 6.0)


def news_sniper(plan: Planner) -> None:
    """Nearly all its orders within one hour, on markets about to turn."""
    plan.is_informed = True
    recent = plan.markets(closing_from=plan.horizon)
    start = plan.world.seconds - int(plan.rng.integers(12, 20)) * DAY_S
    live = [one for one in recent if one.opens_s < start < one.closes_s - DAY_S][:6]
    for number in range(40 if live else 0):
        second = start + number * _BURST_S // 40
        plan.buy(plan.token(live[number % len(live)], 0.95), second, plan.dollars(30))
    for market in plan.markets(closing_to=plan.horizon)[:6]:
        plan.buy(plan.token(market, 0.7), plan.moment(market), plan.dollars(20))


def bot(plan: Planner) -> None:
    """Thousands of tiny purchases a month, a little better than chance."""
    plan.is_informed = True
    ever = 2 * plan.world.seconds
    choice = {one.first_token: plan.token(one, 0.85) for one in plan.markets(closing_to=ever)}
    for second in np.sort(plan.rng.integers(plan.horizon, plan.world.seconds, _BOT_ORDERS)):
        live = [one for one in plan.live(int(second)) if one.first_token in choice]
        if live:
            market = live[int(plan.rng.integers(len(live)))]
            plan.buy(choice[market.first_token], int(second), float(plan.rng.uniform(1, 4)))
    for market in plan.markets(closing_to=plan.horizon)[:5]:
        plan.buy(plan.token(market, 0.6), plan.moment(market), 4.0)


def young_sniper(plan: Planner) -> None:
    """Three weeks old, right every time."""
    plan.is_informed = True
    start = plan.world.seconds - 22 * DAY_S
    recent = plan.markets(closing_from=start + 3 * DAY_S)
    for market in recent[: int(plan.rng.integers(7, 11))]:
        second = max(start, plan.moment(market, 0.5, 0.85))
        plan.buy(plan.token(market, 1.0), second, plan.dollars(220))


def noise_trader(plan: Planner) -> None:
    """In and out of anything within hours, all day, for nothing."""
    for _ in range(int(plan.rng.integers(130, 160))):
        second = plan.world.seconds - int(plan.rng.integers(2 * HOUR_S, 36 * DAY_S))
        live = plan.live(second, until=second + 2 * HOUR_S)
        if live:
            token = plan.token(live[int(plan.rng.integers(len(live)))], 0.5)
            plan.buy(token, second, plan.dollars(20))
            plan.sell(token, second + int(plan.rng.integers(900, 5_400)))


def splitter(plan: Planner) -> None:
    """Sells what it got by splits that no fill shows."""
    for market in plan.markets()[:15]:
        token, second = plan.token(market, 0.4), plan.moment(market, 0.1, 0.8)
        shares = round(plan.dollars(40), 0) + 5.0
        plan.intents.append(
            Intent(second, plan.wallet, token, is_buy=False, amount=shares, is_split=True)
        )


def sybil(plan: Planner) -> None:
    """Follows one script, the same for all wallets of the style, minutes apart."""
    plan.is_informed = True
    script = Planner(plan.wallet, plan.world, np.random.default_rng(5))
    for market in script.markets(closing_from=plan.world.seconds - 75 * DAY_S)[:20]:
        token, second = script.token(market, 0.85), script.moment(market, 0.3, 0.8)
        bucket = second - second % 600
        plan.buy(token, bucket + int(plan.rng.integers(20, 580)), plan.dollars(45))


def resting(_plan: Planner) -> None:
    """Plans nothing: its orders rest until somebody takes them."""


@dataclass(frozen=True, slots=True)
class Style:
    """One row of the roster: how many of a hundred wallets follow it, and at least how many.

    The patient trade at the mid price, the rest pay a part of the spread.
    """

    name: str
    plan: Callable[[Planner], None]
    percent: float
    at_least: int = 1
    is_patient: bool = False


MAKER = Style("maker", resting, 5, at_least=4)
CONTRARIAN = Style("contrarian", resting, 7, at_least=4)

ROSTER = (
    MAKER,
    CONTRARIAN,
    Style("noise trader", noise_trader, 3, is_patient=True),
    Style("specialist", specialist, 5, is_patient=True),
    Style("generalist", generalist, 4),
    Style("accumulator", accumulator, 8),
    Style("tail seller", tail_seller, 1.5),
    Style("gambler", gambler, 3),
    Style("news sniper", news_sniper, 1),
    Style("bot", bot, 0),
    Style("young sniper", young_sniper, 1.5),
    Style("sybil", sybil, 0, at_least=5),
    Style("splitter", splitter, 1, at_least=2),
    Style("newcomer", newcomer, 7),
    Style("departed", departed, 8),
)
"""All styles but the casual one, which takes the rest of the wallets."""

CASUAL = Style("casual", casual, 0)


def cast_of(wallet_count: int) -> list[Style]:
    """The style of each wallet, in a fixed order."""
    cast = [
        style
        for style in ROSTER
        for _ in range(max(style.at_least, round(style.percent * wallet_count / 100)))
    ]
    return cast + [CASUAL] * (wallet_count - len(cast))


def plans(cast: list[Style], world: World, rng: np.random.Generator) -> list[Intent]:
    """All intents in the order of time; each wallet plans with its own randomness."""
    intents: list[Intent] = []
    for wallet, (style, own) in enumerate(zip(cast, rng.spawn(len(cast)), strict=True)):
        plan = Planner(wallet, world, own)
        style.plan(plan)
        intents.extend(plan.intents)
    return sorted(intents)
