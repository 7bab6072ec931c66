"""How the prices of an event move: martingales in [0, 1] that end at 0 or 1.

P = Φ(W(τ) ÷ √(1 − τ)) for a Brownian motion W on a clock τ from 0 to 1 is the chance that W ends
above 0, so it has no drift. The clock runs evenly, leaps at news, and hurries before the close.
More than two outcomes break a stick: each piece is a product of independent martingales.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evaluator.venue.sim.events import Kind, Plan
from evaluator.venue.sim.rules import GRID_S, WorldRules
from evaluator.venue.sim.seeds import Draw, Floats, Ints, stream

_NEWS_TIME, _FINAL_TIME = 0.3, 0.2
_FINAL_PART = 0.05
_LAST = 0.985
_LOWEST = 0.002


@dataclass(frozen=True, slots=True)
class Path:
    """Prices per token and grid place from the opening on, and the payout of each token."""

    opens: int
    prices: Floats
    payouts: Floats

    def at(self, tokens: Ints, seconds: Ints) -> Floats:
        """Prices of tokens at seconds since the start, each that of the last grid place."""
        return np.asarray(self.prices[tokens, self.places(seconds)])

    def places(self, seconds: Ints) -> Ints:
        """Grid places of seconds."""
        places = (seconds - self.opens) // GRID_S
        return np.asarray(np.clip(places, 0, self.prices.shape[1] - 1))


def normal_cdf(x: Floats) -> Floats:
    """Φ by Abramowitz and Stegun 7.1.26, to 1.5e-7."""
    z = np.abs(x) / np.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = ((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t
    upper = 0.5 * (poly + 0.254829592) * t * np.exp(-z * z)
    return np.asarray(np.where(x < 0, upper, 1 - upper))


def path(rules: WorldRules, plan: Plan) -> Path:
    """The path of one event, its end included."""
    rng = stream(rules.seed, Draw.PATH, plan.number)
    clock = _clock(plan, rng)
    starts = _starts(plan, rng)
    steps = np.diff(clock, append=1.0)
    walks = rng.normal(size=(len(starts), plan.grid_size)) * np.sqrt(steps)
    walks = starts[:, None] + np.cumsum(walks, axis=1)
    before = np.concatenate([starts[:, None], walks[:, :-1]], axis=1)
    chances = normal_cdf(before / np.sqrt(1 - clock))
    final = (walks[:, -1] > 0).astype(np.float64)
    ends = np.concatenate([chances, final[:, None]], axis=1)
    tokens = _tokens(plan.kind, ends)
    payouts = np.full(plan.token_count, 0.5) if plan.is_void else tokens[:, -1]
    prices = np.clip(tokens[:, :-1], _LOWEST, 1 - _LOWEST)
    return Path(opens=plan.opens, prices=prices, payouts=payouts)


def _clock(plan: Plan, rng: np.random.Generator) -> Floats:
    """τ at each grid place, from 0 to just below 1."""
    places = np.arange(plan.grid_size)
    pace = np.full(plan.grid_size, (1 - _NEWS_TIME - _FINAL_TIME) / plan.grid_size)
    last = plan.grid_size - max(int(plan.grid_size * _FINAL_PART), 1)
    pace[last:] += _FINAL_TIME / (plan.grid_size - last)
    weights = rng.dirichlet(np.full(len(plan.news), 2.0))
    np.add.at(pace, np.minimum(np.array(plan.news), places[-1]), _NEWS_TIME * weights)
    clock = np.cumsum(pace)
    return np.asarray(np.concatenate([[0.0], clock[:-1]]) / clock[-1] * _LAST)


def _starts(plan: Plan, rng: np.random.Generator) -> Floats:
    """Where each walk starts: pieces of a stick about equal, a market of its own anywhere."""
    normal = NormalDist()
    if plan.kind in (Kind.MANY, Kind.NEG_RISK):
        count = plan.counts[0] if plan.kind is Kind.MANY else len(plan.counts)
        centres = [normal.inv_cdf(1 / (count - place)) for place in range(count - 1)]
        return np.array(centres) + rng.normal(0, 0.4, count - 1)
    return rng.normal(0, 0.7, len(plan.counts))


def _tokens(kind: Kind, chances: Floats) -> Floats:
    """One row per token."""
    if kind in (Kind.MANY, Kind.NEG_RISK):
        left = np.cumprod(1 - chances, axis=0)
        before = np.concatenate([np.ones((1, chances.shape[1])), left[:-1]])
        chances = np.concatenate([chances * before, left[-1:]])
    if kind is Kind.MANY:
        return chances
    pairs = np.stack([chances, 1 - chances], axis=1)
    return np.asarray(pairs.reshape(-1, chances.shape[1]))
