"""What a wallet of the demonstration history has to plan its orders with.

Plans look ahead in the world: skill is how often that look is right. The styles themselves are
in `history_styles`; the exchange carries plans out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evaluator.venue.history_world import DAY_S, HOUR_S, Market, World

RECENT_DAYS = 29
"""Days that styles mean by the last month; one less than the window of the personas."""

_LONG_SHOT = 0.08


@dataclass(frozen=True, slots=True, order=True)
class Intent:
    """One planned order: buy for some USDC, or sell a part of what is held.

    `amount` is USDC of a purchase, the fraction of the holding of a sale, shares of a sale out
    of a split. Informed orders find other counterparties than the rest.
    """

    second: int
    wallet: int
    token: int
    is_buy: bool
    amount: float
    is_informed: bool = False
    is_split: bool = False


@dataclass(slots=True)
class Planner:
    """The tools of one wallet: the world, its own randomness, the intents so far."""

    wallet: int
    world: World
    rng: np.random.Generator
    intents: list[Intent] = field(default_factory=list)
    is_informed: bool = False

    @property
    def horizon(self) -> int:
        """Start of the last month, as the evaluation sees it."""
        return self.world.seconds - RECENT_DAYS * DAY_S

    def markets(self, *, closing_from: int = 0, closing_to: int | None = None) -> list[Market]:
        """Markets with a winner that close in the time given, in random order."""
        until = self.world.seconds if closing_to is None else closing_to
        found = [
            market
            for market in self.world.markets
            if closing_from <= market.closes_s < until and market.winner is not None
        ]
        return [found[place] for place in self.rng.permutation(len(found))]

    def live(self, second: int, until: int | None = None) -> list[Market]:
        """Markets that trade at a second, and still do at another."""
        last = second if until is None else until
        return [one for one in self.world.markets if one.opens_s <= second and last < one.closes_s]

    def best(self, token: int, seconds: Sequence[int]) -> int:
        """The second of the highest price."""
        return max(seconds, key=lambda second: self.world.price(token, second))

    def token(self, market: Market, skill: float) -> int:
        """A token of the market: the winner always with skill 1, by chance with 0.5, never with 0."""
        chance = 1 / len(market.outcomes)
        better = chance + (2 * skill - 1) * (1 - chance)
        odds = better if skill >= 0.5 else 2 * skill * chance  # noqa: PLR2004 - chance, see above
        others = [place for place in range(len(market.outcomes)) if place != market.winner]
        if market.winner is not None and self.rng.random() < odds:
            return market.first_token + market.winner
        return market.first_token + int(self.rng.choice(others))

    def moment(self, market: Market, early: float = 0.02, late: float = 0.97) -> int:
        """A second in a part of the market's life, before the end of the history."""
        life = market.closes_s - market.opens_s
        second = market.opens_s + int(life * self.rng.uniform(early, late))
        return min(second, self.world.seconds - int(self.rng.integers(1, DAY_S)))

    def dollars(self, median: float) -> float:
        """A log-normal amount."""
        return round(float(median * np.exp(self.rng.normal(0.0, 0.5))), 2)

    def buy(self, token: int, second: int, dollars: float) -> None:
        """Plan a purchase."""
        self._add(token, second, dollars, is_buy=True)

    def sell(self, token: int, second: int, fraction: float = 1.0) -> None:
        """Plan the sale of a part of what will be held."""
        self._add(token, second, fraction, is_buy=False)

    def wander(
        self, markets: Sequence[Market], count: int, *, skill: float, not_before: int = 0
    ) -> None:
        """Plan purchases at random, and sales of a third of them within days."""
        for _ in range(count if markets else 0):
            market = markets[int(self.rng.integers(len(markets)))]
            token, second = self.token(market, skill), self.moment(market, late=0.85)
            if second < not_before or self.world.price(token, second) < _LONG_SHOT:
                continue
            self.buy(token, second, self.dollars(18))
            if self.rng.random() < 1 / 3:
                part = float(self.rng.choice([1.0, 1.0, 0.5, 0.3]))
                self.sell(token, second + int(self.rng.integers(HOUR_S, 3 * DAY_S)), part)

    def _add(self, token: int, second: int, amount: float, *, is_buy: bool) -> None:
        if second < min(self.world.market(token).closes_s, self.world.seconds):
            self.intents.append(
                Intent(second, self.wallet, token, is_buy, amount, self.is_informed)
            )
