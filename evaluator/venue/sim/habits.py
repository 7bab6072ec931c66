"""Styles as arrays, looked up by the codes of agents."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluator.venue.sim.agents import DOMAINS
from evaluator.venue.sim.seeds import Flags, Floats, Ints
from evaluator.venue.sim.styles import STYLES, Style

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Habit:
    """Fields of `Style`, an element per agent or order. Undefined: NaN; no domain: −1.

    `orders` and `per_day` count what is looked at, before skill lets losers pass. A style whose
    edge is what others leave has no orders of its own.
    """

    per_day: Floats
    joins: Floats
    orders: Floats
    when: Names
    hours: Floats
    low: Floats
    high: Floats
    skill: Floats
    most_likely: Floats
    usdc: Floats
    spread_of_size: Floats
    maker: Floats
    pieces: Ints
    unit: Ints
    then: Names
    exits: Floats
    hold_hours: Floats
    breaks_even_at: Floats
    domain: Ints
    is_local: Flags

    def of(self, codes: Ints) -> "Habit":
        """Habits of agents of these styles."""
        return self.take(codes)

    def take(self, which: Flags | Ints) -> "Habit":
        """Some of the elements."""
        return Habit(*(getattr(self, field.name)[which] for field in fields(self)))


def _decides(style: Style) -> bool:
    """Whether it places orders of its own, rather than meeting those of others."""
    return style.orders > 0 or style.per_day > 0


def _looked_at(style: Style) -> float:
    """Tokens looked at for each that is bought, in the middle of the band."""
    middle = sum(style.band) / 2
    wanted = min(middle + (style.skill or 0.0), style.most_likely)
    return max(wanted, middle) / middle


def _row(style: Style) -> dict[str, Any]:
    """The fields of a habit, of one style."""
    plain = {f.name: getattr(style, f.name, None) for f in fields(Habit)}
    return plain | {
        "per_day": style.per_day * _looked_at(style),
        "orders": style.orders * _looked_at(style),
        "joins": style.joins if _decides(style) else 0.0,
        "when": style.when.name,
        "then": style.then.name,
        "low": style.band[0],
        "high": style.band[1],
        "skill": style.skill or 0.0,
        "breaks_even_at": np.nan if style.breaks_even_at is None else style.breaks_even_at,
        "domain": -1 if style.domain is None else DOMAINS.index(style.domain),
    }


_ROWS = [_row(style) for style in STYLES]
HABITS = Habit(
    **{field.name: np.array([row[field.name] for row in _ROWS]) for field in fields(Habit)}
)
