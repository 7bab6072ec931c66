"""One world for the oracle and for the implementation, and which real wallets and days to compare."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from tests.domain.worlds import Run
from tests.oracle.world import WorldIndex

if TYPE_CHECKING:
    from tests.oracle.world import World

MID_LIFE = (date(2024, 9, 10), date(2025, 4, 15))
"""Days in the middle of the archive's two large events."""

DAYS = (date(2023, 6, 1), date(2024, 6, 11), *MID_LIFE, date(2025, 5, 7))


@dataclass(frozen=True)
class Both:
    """A world with the oracle's look-ups, and the implementation over it."""

    index: WorldIndex
    run: Run

    def wallets(self) -> set[str]:
        """Every wallet."""
        return set(self.index.wallets())

    def chosen(self, *, active: int, others: int = 0) -> set[str]:
        """The wallets with most fills, and some of the rest."""
        fills = self.index.fills
        ranked = sorted(fills, key=lambda wallet: (-len(fills[wallet]), wallet))
        return {*ranked[:active], *Random(7).sample(ranked[active:], others)}


def both(world: World) -> Both:
    """A world for both."""
    return Both(WorldIndex(world), Run(world))
