"""The world of the demonstration history: events, markets, tokens and their prices over time.

Who trades in it is in `history_agents`, how trades come about in `history_exchange`.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
DOMAINS = ("Sports", "Politics", "Crypto", "Economics", "Culture")

_YES_NO = ("Yes", "No")
_THREE_WAY = ("Home", "Draw", "Away")
_FOUR_WAY = ("Alpha", "Beta", "Gamma", "Delta")
_LOWEST_PRICE = 0.015
_HOURLY_VOLATILITY = 0.035
_CONVERGENCE = 5.0
_OPEN_DAYS = 12


@dataclass(frozen=True, slots=True)
class Market:
    """One market: its names, its life in seconds since the start of the history, its end."""

    event: int
    domain: str
    event_slug: str
    title: str
    outcomes: tuple[str, ...]
    first_token: int
    opens_s: int
    closes_s: int
    winner: int | None
    is_ambiguous: bool

    @property
    def tokens(self) -> range:
        """Numbers of its outcome tokens."""
        return range(self.first_token, self.first_token + len(self.outcomes))


@dataclass(frozen=True, slots=True)
class World:
    """Everything that is true of the history before anyone trades."""

    end: date
    days: int
    markets: tuple[Market, ...]
    market_of: Ints
    payout: Floats
    prices: Floats

    @property
    def seconds(self) -> int:
        """Length of the history."""
        return self.days * DAY_S

    def price(self, token: int, second: int) -> float:
        """Mid price of a token in the hour of that second."""
        return float(self.prices[token, min(second, self.seconds - 1) // HOUR_S])

    def market(self, token: int) -> Market:
        """The market of a token."""
        return self.markets[int(self.market_of[token])]

    def is_closed(self, market: Market) -> bool:
        """Whether the market has closed by the end of the history."""
        return market.closes_s < self.seconds


def build(*, end: date, days: int, event_count: int, rng: np.random.Generator) -> World:
    """A world with every kind of end: winners, a draw, a market closed without a clear result.

    The first market of the first event is the draw, that of the second is unclear; the last
    event, with more than ten the last tenth, is still open when the history ends.
    """
    markets: list[Market] = []
    for event in range(event_count):
        markets.extend(_event(event, event_count, days, len_tokens(markets), rng))
    payout = np.concatenate([_payouts(market) for market in markets])
    prices = np.concatenate([_path(market, days, rng) for market in markets])
    owner = np.repeat(np.arange(len(markets)), [len(market.outcomes) for market in markets])
    return World(end, days, tuple(markets), owner.astype(np.int64), payout, prices)


def len_tokens(markets: list[Market]) -> int:
    """Number of tokens of the markets so far."""
    return sum(len(market.outcomes) for market in markets)


def _event(
    event: int, event_count: int, days: int, first_token: int, rng: np.random.Generator
) -> list[Market]:
    """The markets of one event: two to four, which open together and close within a day."""
    domain = DOMAINS[event % len(DOMAINS)]
    outcomes = _outcomes(event)
    opens, closes = _life(event, event_count, days, rng)
    markets = []
    for number in range(int(rng.integers(2, 5))):
        winner = int(rng.integers(len(outcomes)))
        is_ambiguous = (event, number) == (1, 0)
        is_draw = (event, number) == (0, 0)
        markets.append(
            Market(
                event=event,
                domain=domain,
                event_slug=f"{domain.lower()}-event-{event + 1}",
                title=f"{domain} event {event + 1}, question {number + 1}?",
                outcomes=outcomes,
                first_token=first_token,
                opens_s=opens,
                closes_s=closes + int(rng.integers(DAY_S)),
                winner=None if is_ambiguous or is_draw else winner,
                is_ambiguous=is_ambiguous,
            )
        )
        first_token += len(outcomes)
    return markets


def _outcomes(event: int) -> tuple[str, ...]:
    """Outcome names: mostly Yes and No, three or four names now and then."""
    if event % 10 == 5:  # noqa: PLR2004 - one event in ten, in the domain of sports
        return _THREE_WAY
    return _FOUR_WAY if event % 20 == 8 else _YES_NO  # noqa: PLR2004 - one in twenty


def _life(event: int, event_count: int, days: int, rng: np.random.Generator) -> tuple[int, int]:
    """Opening and close: two events in five close in the last month, one in ten is still open."""
    length = int(rng.integers(14, 40))
    position = event / event_count
    if position >= 0.9 or event == event_count - 1:  # noqa: PLR2004 - see above
        closes = days + int(rng.integers(1, _OPEN_DAYS))
    elif position >= 0.4:  # noqa: PLR2004 - see above
        closes = days - int(rng.integers(2, 29))
    else:
        closes = int(rng.integers(20, max(days - 30, 21)))
    opens = max(0, closes - length)
    return opens * DAY_S, closes * DAY_S


def _payouts(market: Market) -> Floats:
    """Payout per token: one winner, or one half each of two."""
    payouts = np.zeros(len(market.outcomes))
    if market.winner is None:
        payouts[:2] = 0.5
    else:
        payouts[market.winner] = 1.0
    return payouts


def _path(market: Market, days: int, rng: np.random.Generator) -> Floats:
    """Hourly prices of the market's tokens, summing to 1: a walk that ends at the winner."""
    hours = np.arange(days * 24)
    count = len(market.outcomes)
    steps = rng.normal(0.0, _HOURLY_VOLATILITY, (count, hours.size))
    scores = rng.normal(0.0, 0.6, (count, 1)) + np.cumsum(steps, axis=1)
    if market.winner is not None:
        life = market.closes_s - market.opens_s
        progress = np.clip((hours * HOUR_S - market.opens_s) / life, 0.0, 1.0)
        scores[market.winner] += _CONVERGENCE * progress**2
    weights = np.exp(scores - scores.max(axis=0))
    shares = weights / weights.sum(axis=0)
    floor: Floats = _LOWEST_PRICE + (1.0 - count * _LOWEST_PRICE) * shares
    return floor
