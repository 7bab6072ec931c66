"""What may be traded: events with their markets and lives, before anyone knows how they end.

A plan follows from the seed and the event's number. How prices move is in `paths`.
"""

from bisect import bisect_left
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter

import numpy as np

from evaluator.venue.sim.agents import DOMAIN_SHARES, DOMAINS
from evaluator.venue.sim.rules import DAY_S, GRID_S, WorldRules
from evaluator.venue.sim.seeds import Draw, Floats, Ints, stream


class Kind(Enum):
    """How the markets of an event hang together; the value is its share of events."""

    BINARY = 0.42
    MANY = 0.12
    NEG_RISK = 0.28
    SEPARATE = 0.18


_HOUR_S = 3_600
_SPREAD_OF_LIFE = 0.75
_LIFE_OF_DOMAIN = (0.5, 1.6, 0.6, 1.2, 1.0, 1.3, 1.2)
_SHORTEST_S, _LONGEST_S = 6 * _HOUR_S, 85 * DAY_S
_EARLY_SHARE = 0.1
_FINE_TICK_SHARE = 0.45
_OPEN_AT_START = 0.9


@dataclass(frozen=True, slots=True)
class Plan:
    """One event. Instants are seconds since the start of the world.

    `counts` are the outcomes of each market. It opens on the grid of prices and closes when the
    venue resolves it. `news` are grid places at which the price jumps, ascending.
    """

    number: int
    kind: Kind
    domain: int
    counts: tuple[int, ...]
    opens: int
    ends: int
    closes: int
    news: tuple[int, ...]
    is_void: bool
    tick: float
    half_spread: float
    liquidity_usdc: float
    popularity: float

    @property
    def token_count(self) -> int:
        """Outcome tokens of all its markets."""
        return sum(self.counts)

    @property
    def market_of(self) -> Ints:
        """The market of each token."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @property
    def first_token(self) -> Ints:
        """The first token of each market."""
        counts = np.array(self.counts)
        return np.asarray(np.cumsum(counts) - counts)

    @property
    def grid_size(self) -> int:
        """Grid places from opening up to the last before it closes."""
        return -(-(self.closes - self.opens) // GRID_S)

    @property
    def news_at(self) -> tuple[int, ...]:
        """Seconds at which the news moves the price."""
        return tuple(self.opens + (place + 1) * GRID_S for place in self.news)

    @property
    def domain_name(self) -> str:
        """Its domain."""
        return DOMAINS[self.domain]


class Schedule:
    """All events of a world, made day by day as far as anyone asks."""

    def __init__(self, rules: WorldRules) -> None:
        self._rules = rules
        self._plans: list[Plan] = []
        self._days = 0

    def before(self, second: int) -> list[Plan]:
        """Events that opened before a second since the start, in that order, which is by number."""
        while self._days * DAY_S < second:
            self._add_day(self._days)
            self._days += 1
        return self._plans[: bisect_left(self._plans, second, key=attrgetter("opens"))]

    def plan(self, number: int) -> Plan:
        """One event of a day that has been asked for."""
        return self._plans[number]

    def _add_day(self, day: int) -> None:
        rng = stream(self._rules.seed, Draw.EVENT_COUNT, day)
        count = int(rng.poisson(self._rules.events_per_day))
        if day == 0:
            count += round(self._rules.events_per_day * self._rules.mean_life_days * _OPEN_AT_START)
        opens = day * DAY_S + np.sort(rng.integers(0, DAY_S // GRID_S, count)) * GRID_S
        first = len(self._plans)
        self._plans += [
            _plan(self._rules, first + place, int(second)) for place, second in enumerate(opens)
        ]


def _plan(rules: WorldRules, number: int, opens: int) -> Plan:
    """The plan of one event."""
    rng = stream(rules.seed, Draw.PLAN, number)
    kinds = list(Kind)
    kind = kinds[int(rng.choice(len(kinds), p=[kind.value for kind in kinds]))]
    domain = int(rng.choice(len(DOMAINS), p=DOMAIN_SHARES))
    life = rules.mean_life_days * DAY_S * _LIFE_OF_DOMAIN[domain]
    life *= float(np.exp(rng.normal(-(_SPREAD_OF_LIFE**2) / 2, _SPREAD_OF_LIFE)))
    life = float(np.clip(life, _SHORTEST_S, _LONGEST_S))
    ends = -(-(opens + int(life)) // _HOUR_S) * _HOUR_S
    closes = _close(rules, rng, opens, ends)
    popularity = float(np.exp(rng.normal(0, 0.6)))
    return Plan(
        number=number,
        kind=kind,
        domain=domain,
        counts=_counts(kind, rng),
        opens=opens,
        ends=ends,
        closes=closes,
        news=_news(rng, (closes - opens) // GRID_S),
        is_void=kind is Kind.BINARY and rng.random() < rules.void_share,
        tick=0.001 if rng.random() < _FINE_TICK_SHARE else 0.01,
        half_spread=rules.half_spread * float(rng.uniform(0.7, 1.6)),
        liquidity_usdc=round(14_000 * popularity * float(np.exp(rng.normal(0, 0.5))), 2),
        popularity=popularity,
    )


def _counts(kind: Kind, rng: np.random.Generator) -> tuple[int, ...]:
    """Outcomes of each market."""
    if kind is Kind.BINARY:
        return (2,)
    if kind is Kind.MANY:
        return (int(rng.integers(3, 5)),)
    return (2,) * int(rng.integers(3, 8) if kind is Kind.NEG_RISK else rng.integers(2, 5))


def _close(rules: WorldRules, rng: np.random.Generator, opens: int, ends: int) -> int:
    """When the venue resolves: soon after the announced end, long after it, or before."""
    draw, part = rng.random(2)
    if draw < _EARLY_SHARE:
        return ends - int((0.05 + 0.25 * part) * (ends - opens))
    if draw < _EARLY_SHARE + rules.late_share:
        return ends + 2 * _HOUR_S + int(part**2 * 4 * DAY_S)
    return ends + 300 + int(part * (2 * _HOUR_S - 300))


def _news(rng: np.random.Generator, places: int) -> tuple[int, ...]:
    """Grid places of news: one a week or so, none in the first and last tenth."""
    count = 1 + int(rng.poisson(places * GRID_S / (7 * DAY_S)))
    low, high = max(places // 10, 2), max(places * 9 // 10, 4)
    return tuple(sorted({int(place) for place in rng.integers(low, high, count)}))


def daily_load(plans: list[Plan], days: int) -> Floats:
    """Mean number of open events on each day: a row per domain."""
    edges = np.arange(days + 1) * DAY_S
    closes = np.array([plan.closes for plan in plans], dtype=np.int64)
    opens = np.array([plan.opens for plan in plans], dtype=np.int64)
    overlap = np.minimum(edges[1:, None], closes) - np.maximum(edges[:-1, None], opens)
    is_of = np.array([plan.domain for plan in plans]) == np.arange(len(DOMAINS))[:, None]
    return np.asarray(is_of @ np.clip(overlap, 0, DAY_S).T / DAY_S)
