"""Which agents trade in a burst after which news: about one news item a month for each."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from evaluator.venue.sim.agents import Agents
from evaluator.venue.sim.events import Plan
from evaluator.venue.sim.rules import DAY_S
from evaluator.venue.sim.seeds import Ints
from evaluator.venue.sim.styles import STYLES, When

_PERIOD_S = 32 * DAY_S
PATIENCE_S = 3 * DAY_S
"""How long an agent whose turn has come waits for news."""

_CODES = [code for code, style in enumerate(STYLES) if style.when is When.NEWS]


@dataclass(frozen=True, slots=True)
class Bursts:
    """Agents with the second of the news they trade on."""

    agents: Ints
    seconds: Ints


def bursts(agents: Agents, plans: list[Plan], until: int) -> dict[int, Bursts]:
    """By event number, for turns that come before a second.

    A turn takes one of the news of the days after it, so `plans` reach `PATIENCE_S` further.
    """
    known = sorted((at, plan.number) for plan in plans for at in plan.news_at)
    instants = np.array([at for at, _ in known], dtype=np.int64)
    chosen: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for agent in np.flatnonzero(np.isin(agents.style, _CODES)):
        start, phase = int(agents.starts[agent]), float(agents.phase[agent])
        turns = np.arange(start + int(phase * _PERIOD_S), until, _PERIOD_S)
        low, high = np.searchsorted(instants, [turns, turns + PATIENCE_S])
        for turn, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            if first < last:
                place = first + int(phase * 7919 * (turn + 1) % 1 * (last - first))
                at, event = known[place]
                chosen[event].append((int(agent), at))
    return {
        event: Bursts(*np.array(pairs, dtype=np.int64).T) for event, pairs in sorted(chosen.items())
    }


NO_BURSTS = Bursts(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
