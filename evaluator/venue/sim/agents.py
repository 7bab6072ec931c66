"""Who trades: all wallets there before an instant, as arrays that follow from the seed.

Wallets are numbered by birth. Those of one unit (partners, a cluster) are born together and have
numbers in a row; the first of them decides for all.
"""

from dataclasses import dataclass, fields

import numpy as np
import polars as pl

from evaluator.venue.sim.rules import DAY_S, WorldRules
from evaluator.venue.sim.seeds import Draw, Floats, Ints, hex_name, stream
from evaluator.venue.sim.styles import CODES, STYLES

_OLDEST_DAYS = 400
DOMAINS = ("Sports", "Politics", "Crypto", "Economics", "Culture", "Tech", "Geopolitics")
DOMAIN_SHARES = (0.26, 0.19, 0.18, 0.1, 0.1, 0.07, 0.1)
"""Domains of events."""

_LOCAL_DOMAINS = 3
"""Agents who keep to one domain choose among the first, where enough happens."""


@dataclass(frozen=True, slots=True)
class Agents:
    """One element per wallet: style, birth and activity in seconds since the start, habits.

    `member` is its place within its unit, `rate` and `size` are factors on what its style does,
    `phase` places what it does now and then.
    """

    style: Ints
    member: Ints
    born: Ints
    starts: Ints
    stops: Ints
    domain: Ints
    rate: Floats
    size: Floats
    phase: Floats

    def __len__(self) -> int:
        return len(self.style)

    def first(self, count: int) -> "Agents":
        """The first so many."""
        return Agents(*(getattr(self, field.name)[:count] for field in fields(self)))


class Population:
    """The wallets of a world, made day by day as far as anyone asks."""

    def __init__(self, rules: WorldRules) -> None:
        self._rules = rules
        self._days = [_settlers(rules)]
        self._all = self._days[0]
        self._addresses: list[str] = []

    def before(self, second: int) -> Agents:
        """Wallets born before a second since the start."""
        days = max(-(-second // DAY_S), 0)
        if len(self._days) <= days:
            more = [_arrivals(self._rules, day) for day in range(len(self._days) - 1, days)]
            self._days += more
            self._all = _joined(self._days)
        return self._all.first(int(np.searchsorted(self._all.born, second)))

    def addresses(self, count: int) -> pl.Series:
        """Addresses of the first wallets."""
        for number in range(len(self._addresses), count):
            self._addresses.append(hex_name(20, self._rules.seed, "wallet", number))
        return pl.Series("proxy_wallet", self._addresses[:count], dtype=pl.String)


def _joined(days: list[Agents]) -> Agents:
    return Agents(
        *(np.concatenate([getattr(day, field.name) for day in days]) for field in fields(Agents))
    )


def _settlers(rules: WorldRules) -> Agents:
    """Wallets there at the start: every style has its share, and one unit at least."""
    rng = stream(rules.seed, Draw.AGENTS, 0)
    shares = np.array([style.share for style in STYLES])
    sizes = np.array([style.unit for style in STYLES])
    units = np.maximum((shares / shares.sum() * rules.wallets / sizes).astype(int), 1)
    units[CODES["CROWD"]] = 0
    rest = rules.wallets - int((units * sizes).sum())
    units[CODES["CROWD"]] = max(rest, 0)
    styles = rng.permutation(np.repeat(np.arange(len(STYLES)), units))
    born = np.sort(rng.integers(-_OLDEST_DAYS * DAY_S, 0, len(styles)))
    return _made(rng, styles, born)


def _arrivals(rules: WorldRules, day: int) -> Agents:
    """Wallets born on one day."""
    rng = stream(rules.seed, Draw.ARRIVALS, day)
    shares = np.array([style.arriving for style in STYLES])
    count = int(rng.poisson(rules.new_wallets_per_day))
    styles = rng.choice(len(STYLES), size=count, p=shares / shares.sum())
    born = np.sort(rng.integers(day * DAY_S, (day + 1) * DAY_S, count))
    return _made(rng, styles, born)


def _made(rng: np.random.Generator, unit_styles: Ints, unit_born: Ints) -> Agents:
    """Wallets of units, each with habits of its own but for those of a unit."""
    count = len(unit_styles)
    sizes = np.array([style.unit for style in STYLES])[unit_styles]
    busiest = np.array(DOMAIN_SHARES[:_LOCAL_DOMAINS])
    domain = rng.choice(_LOCAL_DOMAINS, size=count, p=busiest / busiest.sum())
    rate = rng.normal(size=count) * np.array([s.spread_of_rate for s in STYLES])[unit_styles]
    size = rng.normal(size=count) * np.array([s.spread_of_wealth for s in STYLES])[unit_styles]
    phase = rng.random(count)
    days = np.array([np.inf if s.active_days is None else s.active_days for s in STYLES])
    delays = np.array([style.delay_days * DAY_S for style in STYLES])[unit_styles]
    starts = np.maximum(unit_born, 0) + delays.astype(np.int64)
    ends = starts + np.minimum(days[unit_styles] * (0.5 + 0.5 * rng.random(count)), 1e6) * DAY_S
    unit = np.repeat(np.arange(count), sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return Agents(
        style=unit_styles[unit].astype(np.int64),
        member=np.arange(len(unit)) - first,
        born=unit_born[unit],
        starts=starts[unit],
        stops=ends[unit].astype(np.int64),
        domain=domain[unit],
        rate=np.exp(rate)[unit],
        size=np.exp(size)[unit],
        phase=phase[unit],
    )
