"""The exchange of the demonstration history: carries plans out, wallet against wallet.

Every taker's order meets resting orders of other wallets, so money is conserved: a purchase is
met by sellers of the token, or by buyers of all other outcomes (the venue mints the set); a sale
by buyers of the token, or by sellers of all others (the venue merges it).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from evaluator.domain.schema import MICRO
from evaluator.venue.history_agents import Intent
from evaluator.venue.history_styles import CONTRARIAN, MAKER, Style
from evaluator.venue.history_world import World

TICKS = 1_000
"""Ticks of price in one USDC."""

LOT = 10_000
"""Micro-shares of the smallest step in size, 0.01 share."""

_FEE_DOMAIN = "Crypto"
_FEE_ODDS, _FEE_PER_MILLE = 0.04, 2
_SPREAD_TICKS = (10, 28)
_LOOKS = 4
_ONE_MAKER, _TWO_MAKERS = 0.7, 0.92


@dataclass(frozen=True, slots=True)
class Match:
    """One filled order of one wallet: micro-shares at a price in ticks; a taker has no counterparty."""

    second: int
    transaction: int
    wallet: int
    counterparty: int | None
    token: int
    is_buy: bool
    size: int
    tick: int
    fee: int = 0


@dataclass(slots=True)
class Position:
    """The venue's own account of a wallet and token, by weighted average."""

    held: int = 0
    average: float = 0.0
    realised: float = 0.0
    bought: int = 0

    def buy(self, size: int, price: float) -> None:
        """Move the average price."""
        self.average = (self.average * self.held + price * size) / (self.held + size)
        self.held += size
        self.bought += size

    def sell(self, size: int, price: float) -> None:
        """Realise what is held of the size."""
        known = min(size, self.held)
        self.realised += known / MICRO * (price - self.average)
        self.held -= known


@dataclass(slots=True)
class Exchange:
    """Positions of all wallets, and every match so far."""

    world: World
    cast: Sequence[Style]
    rng: np.random.Generator
    matches: list[Match] = field(default_factory=list)
    positions: defaultdict[tuple[int, int], Position] = field(
        default_factory=lambda: defaultdict(Position)
    )
    transactions: int = 0
    pools: dict[str, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.pools = {
            style.name: [wallet for wallet, own in enumerate(self.cast) if own is style]
            for style in (CONTRARIAN, MAKER)
        }

    def run(self, intents: Sequence[Intent]) -> None:
        """Carry out every intent that finds something to do, in the order given."""
        for intent in intents:
            tick = self._tick(intent)
            size = self._size(intent, tick)
            if size >= LOT:
                self._execute(intent, size, tick)
                self.transactions += 1

    def _tick(self, intent: Intent) -> int:
        """The price of the order: the mid, and a part of the spread unless its style is patient."""
        mid = self.world.price(intent.token, intent.second) * TICKS
        is_patient = self.cast[intent.wallet].is_patient
        spread = 0.0 if is_patient else float(self.rng.uniform(*_SPREAD_TICKS))
        others = len(self.world.market(intent.token).outcomes) - 1
        return int(np.clip(round(mid + (spread if intent.is_buy else -spread)), 2, TICKS - others))

    def _size(self, intent: Intent, tick: int) -> int:
        """Micro-shares of the order, a multiple of `LOT`; 0 where there is nothing to sell."""
        if intent.is_buy:
            return round(intent.amount * TICKS / tick * 100) * LOT
        if intent.is_split:
            return round(intent.amount * 100) * LOT
        held = self.positions[intent.wallet, intent.token].held
        return int(held * intent.amount) // LOT * LOT

    def _execute(self, intent: Intent, size: int, tick: int) -> None:
        """Record the resting orders that the taker meets, then its own."""
        if intent.is_split:
            self._split(intent, size)
        for maker, piece in self._resting(intent, size):
            self._meet(intent, maker, piece, tick)
        self._record(
            Match(
                second=intent.second,
                transaction=self.transactions,
                wallet=intent.wallet,
                counterparty=None,
                token=intent.token,
                is_buy=intent.is_buy,
                size=size,
                tick=tick,
                fee=self._fee(intent, size, tick),
            )
        )

    def _split(self, intent: Intent, size: int) -> None:
        """A set of all outcomes for what the wallet lacks, which no fill shows."""
        missing = size - self.positions[intent.wallet, intent.token].held
        market = self.world.market(intent.token)
        for token in market.tokens if missing > 0 else ():
            self.positions[intent.wallet, token].buy(missing, 1 / len(market.outcomes))

    def _fee(self, intent: Intent, size: int, tick: int) -> int:
        """A fee on a few orders of one domain: in shares of a purchase, in USDC of a sale."""
        is_due = self.world.market(intent.token).domain == _FEE_DOMAIN
        if not is_due or self.rng.random() > _FEE_ODDS:
            return 0
        return (size if intent.is_buy else size * tick // TICKS) * _FEE_PER_MILLE // 1000

    def _resting(self, intent: Intent, size: int) -> list[tuple[int, int]]:
        """Makers and the sizes they take: one, two, or one with two equal orders."""
        half = size // (2 * LOT) * LOT
        first, draw = self._maker(intent, size), self.rng.random()
        if draw < _ONE_MAKER or half < LOT:
            return [(first, size)]
        second = first if draw > _TWO_MAKERS else self._maker(intent, half)
        return [(first, half), (second, size - half)]

    def _maker(self, intent: Intent, size: int) -> int:
        """A resting wallet, of a few looked at rather one that gets rid of shares."""
        pool = self.pools[(CONTRARIAN if intent.is_informed else MAKER).name]
        looks = [pool[int(place)] for place in self.rng.integers(len(pool), size=_LOOKS)]
        given = self._given(intent)
        willing = (
            wallet
            for wallet in looks
            if given is not None and self.positions[wallet, given].held >= size
        )
        return next(willing, looks[0])

    def _given(self, intent: Intent) -> int | None:
        """The token a maker may sell against the order, None where there is no single one."""
        if intent.is_buy:
            return intent.token
        others = self._others(intent.token)
        return others[0] if len(others) == 1 else None

    def _others(self, token: int) -> list[int]:
        """The other tokens of the market."""
        return [other for other in self.world.market(token).tokens if other != token]

    def _meet(self, intent: Intent, maker: int, size: int, tick: int) -> None:
        """Record what a resting wallet does: sell, buy, or buy all other outcomes."""
        given = self._given(intent)
        rest = Match(
            second=intent.second,
            transaction=self.transactions,
            wallet=maker,
            counterparty=intent.wallet,
            token=intent.token,
            is_buy=True,
            size=size,
            tick=tick,
        )
        if given is not None and self.positions[maker, given].held >= size:
            given_tick = tick if intent.is_buy else TICKS - tick
            self._record(replace(rest, token=given, is_buy=False, tick=given_tick))
        elif not intent.is_buy:
            self._record(rest)
        else:
            for token, other_tick in self._complement(intent, tick):
                self._record(replace(rest, token=token, tick=other_tick))

    def _complement(self, intent: Intent, tick: int) -> list[tuple[int, int]]:
        """The other tokens with prices that fill the given one up to 1."""
        others = self._others(intent.token)
        left = TICKS - tick
        weights = np.array([self.world.price(token, intent.second) for token in others])
        ticks = 1 + np.floor((left - len(others)) * weights / weights.sum()).astype(int)
        ticks[-1] += left - ticks.sum()
        return list(zip(others, ticks.tolist(), strict=True))

    def _record(self, match: Match) -> None:
        """Keep the match, and move the wallet's position."""
        position = self.positions[match.wallet, match.token]
        price = match.tick / TICKS
        if match.is_buy:
            position.buy(match.size, price)
        else:
            position.sell(match.size, price)
        self.matches.append(match)
