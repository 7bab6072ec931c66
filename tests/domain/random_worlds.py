"""Random worlds from a `random.Random`, which a seed or hypothesis may steer.

Few wallets, tokens and instants, so that ties, overselling and late events are common.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.oracle.stories import ORIGIN
from tests.oracle.world import MICRO, Activity, Fill, Market, World

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from tests.oracle.world import ActivityKind, Role, Side

HUGE = 10**13
INSTANTS = 8
LISTED = (("m1", ("a", "b")), ("m2", ("c", "d")))
PAYOUTS = ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5))
SIDES: tuple[Side, ...] = ("BUY", "BUY", "SELL")
ROLES: tuple[Role, ...] = ("maker", "taker", "unknown")
KINDS: tuple[ActivityKind, ...] = ("SPLIT", "MERGE", "REDEEM", "CONVERSION")
DOMAINS = ("Politics", "Crypto", None)
TICKS = (0.001, 0.01)

SIZES = ((1, 9), (1, 30), (MICRO, 9 * MICRO), (9_990, 10_010), (1, HUGE))
"""A few micro-units, a few shares, dust, ten million shares."""
MODEST = ((9_990, 10_010), (MICRO, 9 * MICRO), (MICRO, 900 * MICRO))
"""Sizes whose sums are exact to 10⁻⁹ USDC in floating point."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Instants are `step` apart, and up to `jitter_s` seconds later."""

    step: timedelta = timedelta(minutes=1)
    jitter_s: int = 0
    sizes: tuple[tuple[int, int], ...] = SIZES
    listed: tuple[tuple[str, tuple[str, str]], ...] = LISTED

    def instant(self, dice: Random) -> datetime:
        """One of the instants."""
        jitter = timedelta(seconds=dice.randint(0, self.jitter_s))
        return ORIGIN + dice.randrange(INSTANTS) * self.step + jitter

    def size(self, dice: Random) -> int:
        """A size, often of whole shares."""
        size = dice.randint(*dice.choice(self.sizes))
        return dice.choice((size, size // MICRO * MICRO or MICRO))


CROWDED = Setting()
WEEKS = Setting(
    step=timedelta(hours=30),
    jitter_s=25,
    sizes=MODEST,
    listed=tuple((f"m{k}", (f"a{k}", f"b{k}")) for k in range(6)),
)
"""Ten days, six markets, orders within seconds: what features look at."""


def random_world(
    dice: Random, *, wallets: int = 2, events: int = 12, setting: Setting = CROWDED
) -> World:
    """Fills and activity of some wallets at eight instants."""
    names = [f"w{number}" for number in range(wallets)]
    has_sequence = dice.random() < 0.5
    fills = [
        _fill(dice, name, number, setting, number * wallets + place if has_sequence else None)
        for place, name in enumerate(names)
        for number in range(dice.randint(0, events))
    ]
    activity = [
        _activity(dice, name, number, setting)
        for name in names
        for number in range(dice.randint(0, events // 3))
    ]
    markets = tuple(_market(dice, name, tokens, setting) for name, tokens in setting.listed)
    return World(tuple(fills), tuple(activity), markets)


def _fill(
    dice: Random, wallet: str, number: int, setting: Setting, sequence: int | None
) -> Fill:  # fmt: skip
    market, tokens = dice.choice(setting.listed)
    size = setting.size(dice)
    notional = size * dice.randint(0, 1000) // 1000
    return Fill(
        fill_id=f"{wallet} fill {number}",
        proxy_wallet=wallet,
        condition_id=market,
        token_id=dice.choice(tokens),
        side=dice.choice(SIDES),
        size=size,
        notional=notional,
        fee=dice.choice((None, 0, notional // 50, dice.randint(0, notional))),
        is_fee_included=dice.random() < 0.3,
        role=dice.choice(ROLES),
        at=setting.instant(dice),
        seq=sequence,
        transaction_hash=f"0x{dice.randrange(3):x}{'0' * 63}",
        ordinal=number,
    )


def _activity(dice: Random, wallet: str, number: int, setting: Setting) -> Activity:
    market, tokens = dice.choice(setting.listed)
    # Shares of a division are floats to the implementation: exact up to some thousand USDC.
    kind, size = dice.choice(KINDS), min(setting.size(dice), 9_999 * MICRO)
    is_named = kind == "REDEEM" and dice.random() < 0.7
    return Activity(
        activity_id=f"{wallet} activity {number}",
        proxy_wallet=wallet,
        condition_id=market,
        kind=kind,
        token_id=dice.choice(tokens) if is_named else None,
        size=dice.choice((size, size, 0)) if kind == "REDEEM" else size,
        usdc=size * dice.randint(0, 1000) // 1000,
        at=setting.instant(dice),
        transaction_hash=f"0x{dice.randrange(3):x}{'0' * 63}",
        ordinal=number,
    )


def _market(dice: Random, name: str, tokens: tuple[str, ...], setting: Setting) -> Market:
    is_resolved = dice.random() < 0.7
    return Market(
        condition_id=name,
        event_slug=dice.choice(("event", "other event", None)),
        domain=dice.choice(DOMAINS),
        end_at=dice.choice((setting.instant(dice), None)),
        token_ids=tokens,
        payouts=dice.choice(PAYOUTS) if is_resolved else None,
        resolved_at=setting.instant(dice) if is_resolved else None,
        tick=dice.choice(TICKS),
    )


def closed_market(dice: Random, *, wallets: int = 5, trades: int = 40) -> World:
    """One market whose participants are all here and never sell what they do not hold.

    Each trade has two sides: shares change hands, or are minted, or are burnt. YES wins or loses.
    """
    names = [f"w{number}" for number in range(wallets)]
    held: dict[tuple[str, str], int] = {}
    fills: list[Fill] = []
    for number in range(trades):
        one, other = dice.sample(names, 2)
        price, size = dice.randint(1, 999), dice.randint(1, 10**8)
        kind = dice.choice(("mint", "mint", "pass", "burn"))
        size = min(size, *(held.get(pair, 0) for pair in _given(kind, one, other)), 10**8)
        if size == 0:
            continue
        for wallet, token, side in _sides(kind, one, other):
            paid = size * price // 1000
            notional = paid if token == "a" else size - paid
            fee = dice.choice((0, notional // 40))
            pair = (wallet, token)
            held[pair] = held.get(pair, 0) + (size if side == "BUY" else -size)
            fills.append(_half(wallet, token, side, number, (size, notional, fee)))
    end = ORIGIN + timedelta(minutes=trades + 1)
    payouts = dice.choice(PAYOUTS[:2])
    return World(tuple(fills), (), (Market("m1", "event", None, None, ("a", "b"), payouts, end),))


def _given(kind: str, one: str, other: str) -> list[tuple[str, str]]:
    """Who must hold what."""
    return {"mint": [], "pass": [(other, "a")], "burn": [(one, "a"), (other, "b")]}[kind]


def _sides(kind: str, one: str, other: str) -> tuple[tuple[str, str, Side], ...]:
    if kind == "mint":
        return (one, "a", "BUY"), (other, "b", "BUY")
    if kind == "pass":
        return (one, "a", "BUY"), (other, "a", "SELL")
    return (one, "a", "SELL"), (other, "b", "SELL")


def _half(
    wallet: str, token: str, side: Side, number: int, amounts: tuple[int, int, int]
) -> Fill:  # fmt: skip
    size, notional, fee = amounts
    return Fill(
        fill_id=f"{wallet} {side} {number}",
        proxy_wallet=wallet,
        condition_id="m1",
        token_id=token,
        side=side,
        size=size,
        notional=notional,
        fee=fee,
        is_fee_included=False,
        role="taker",
        at=ORIGIN + timedelta(minutes=number),
        seq=None,
        transaction_hash=f"0x{number:064x}",
    )
