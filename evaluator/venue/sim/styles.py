"""Styles of agents as rows: how often, when, at what prices and with what skill each trades.

A row is chosen from the definitions of the persona detectors alone, so that the label is what
the definitions say about such behaviour; it is not tuned on what the detectors answer.
"""

from dataclasses import dataclass
from enum import Enum


class When(Enum):
    """The part of an event's life in which a style enters."""

    ANY = "any time"
    EARLY = "the first part of a longer life"
    LATE = "the last hours before the announced end"
    NEWS = "one burst after a news item"


class Then(Enum):
    """What follows an entry."""

    HOLD = "nothing: held until the market resolves"
    SELL = "sold after a while"
    HEDGE = "the other outcome is bought: a pair pays 1 whatever happens"
    RETURN = "partners trade back at the same price"


@dataclass(frozen=True, slots=True)
class Style:
    """One kind of agent.

    `label` is the persona that the definitions give such an agent; None where they give no one
    label. `skill` is the edge per share of its entries over the price, as far as `most_likely`,
    the highest chance of winning, allows; None where it is what others leave. `per_day` orders are spread over all open events; else an event is joined with
    probability `joins`, with `orders` in the mean. `band` bounds the price of an entry. `maker`
    is the share of entries that rest; `pieces` resting orders make up one entry. A `domain` is
    that of all its events; `is_local` agents keep to one domain each. Sizes, rates and means of
    wallets are log-normal with the spreads given.
    """

    name: str
    label: str | None
    skill: float | None
    share: float
    arriving: float = 0.0
    unit: int = 1
    per_day: float = 0.0
    joins: float = 0.0
    orders: float = 0.0
    when: When = When.ANY
    hours: float = 72.0
    band: tuple[float, float] = (0.05, 0.95)
    most_likely: float = 0.995
    usdc: float = 20.0
    spread_of_size: float = 0.6
    spread_of_rate: float = 0.3
    spread_of_wealth: float = 0.5
    maker: float = 0.4
    pieces: int = 1
    then: Then = Then.HOLD
    exits: float = 0.0
    hold_hours: float = 12.0
    breaks_even_at: float | None = None
    delay_days: float = 0.0
    active_days: float | None = None
    domain: str | None = None
    is_local: bool = False


CROWD = Style(
    "CROWD", None, 0.0, 92, arriving=50, joins=0.03, orders=1.3, spread_of_rate=1.1,
    usdc=45, spread_of_size=2.1, spread_of_wealth=0.8, band=(0.02, 0.98), maker=0.25,
    then=Then.SELL, exits=0.35, hold_hours=30,
)  # fmt: skip
CONTRARIAN = Style("CONTRARIAN", "NEGATIVE_ALL_TIME_ROI", None, 60, arriving=20, joins=0.3)
PROVIDER = Style("LIQUIDITY_PROVIDER", "LIQUIDITY_PROVIDER", 0.03, 20, arriving=2, joins=0.35)

STYLES = (
    CROWD,
    CONTRARIAN,
    PROVIDER,
    # Few open positions: enters in the last days; few large bets make the volume concentrated.
    Style(
        "INFORMED_SPECIALIST", "INFORMED_SPECIALIST", 0.25, 16, arriving=2, joins=0.9, orders=6.5,
        when=When.LATE, hours=96, band=(0.25, 0.72), usdc=450, spread_of_size=1.6, is_local=True,
    ),
    # Many equal bets on favourites over many events: steady, and no loss dwarfs a win.
    Style(
        "CONSISTENT_GENERALIST", "CONSISTENT_GENERALIST", 0.14, 9, arriving=1, joins=0.8,
        orders=2.3, band=(0.52, 0.74), usdc=320, spread_of_size=0.2,
    ),
    # Few early entries, held for weeks.
    Style(
        "PATIENT_ACCUMULATOR", "PATIENT_ACCUMULATOR", 0.22, 14, arriving=2, joins=0.3, orders=2.0,
        when=When.EARLY, band=(0.3, 0.7), usdc=1200, spread_of_size=0.4,
    ),
    # In and out all day, around zero: rests often enough to pay for its spreads and fees.
    Style(
        "NOISE_TRADER", "NOISE_TRADER", 0.0, 3, per_day=9.5, band=(0.3, 0.7), usdc=120,
        maker=1.0, then=Then.SELL, exits=1.0, hold_hours=1.0, breaks_even_at=0.005,
        spread_of_rate=0.1,
    ),
    # Near-certain outcomes: wins a little often, loses all of a stake now and then.
    Style(
        "TAIL_RISK_SELLER", "TAIL_RISK_SELLER", 0.035, 7, arriving=1, joins=0.9, orders=3.6,
        band=(0.87, 0.94), most_likely=0.97, usdc=600, spread_of_size=0.3,
    ),
    # Long shots with sizes that differ widely: one win makes the month.
    Style(
        "JACKPOT_GAMBLER", "JACKPOT_GAMBLER", 0.06, 10, arriving=2, joins=0.6, orders=1.5,
        band=(0.04, 0.16), usdc=90, spread_of_size=1.3,
    ),
    Style(
        "NEWS_SNIPER", "NEWS_SNIPER", 0.35, 7, arriving=1, orders=55, when=When.NEWS,
        band=(0.03, 0.93), usdc=250, maker=0.0,
    ),
    # A new wallet that knows, and stops after a dozen trades.
    Style(
        "SNIPER_INSIDER", "SNIPER_INSIDER", 0.6, 5, arriving=8, joins=0.85, orders=2.0,
        when=When.LATE, hours=60, band=(0.2, 0.7), most_likely=0.98, usdc=1200, maker=0.1,
        active_days=14,
    ),
    Style(
        "BOT_SWARM", "BOT_SWARM", 0.15, 1, arriving=0.2, per_day=92, band=(0.15, 0.85), usdc=10,
        spread_of_size=0.2, spread_of_rate=0.02, spread_of_wealth=0.1, maker=1.0, pieces=4,
        delay_days=70,
    ),
    Style(
        "SYBIL_CLUSTER", "SYBIL_CLUSTER", 0.12, 10, unit=5, joins=0.3, orders=1.6,
        band=(0.3, 0.8), usdc=400, maker=0.2,
    ),
    # Earns what its resting orders save: both outcomes, bought below the mid within minutes.
    Style(
        "EXECUTION_MASTER", "EXECUTION_MASTER", 0.0, 4, per_day=1.6, band=(0.25, 0.75), usdc=400,
        maker=1.0, then=Then.HEDGE, hold_hours=0.2, spread_of_size=0.3,
    ),
    # Trades with itself where no fee is due. No persona is meant for it: by the definitions
    # it trades much and earns exactly nothing, which is noise.
    Style(
        "WASH_TRADERS", "NOISE_TRADER", 0.0, 4, unit=2, per_day=8, band=(0.2, 0.8), usdc=400,
        maker=0.0, then=Then.RETURN, exits=1.0, hold_hours=0.1, domain="Geopolitics",
        spread_of_rate=0.1,
    ),
    # Buys what is as good as decided: right nearly always, for a few per cent.
    Style(
        "LOW_ROI", "LOW_ROI", 0.045, 8, arriving=2, joins=0.85, orders=2.4, when=When.LATE,
        hours=72, band=(0.952, 0.978), most_likely=0.9995, usdc=600, spread_of_size=2.0,
    ),
    Style(
        "DORMANT", None, 0.0, 15, arriving=8, joins=0.4, orders=2.0, active_days=25,
        then=Then.SELL, exits=0.3,
    ),
)  # fmt: skip
"""Every style; the place of a row is its code."""

CODES = {style.name: code for code, style in enumerate(STYLES)}
