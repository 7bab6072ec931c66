"""What a question to the venue consists of, apart from its path."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from evaluator.venue.sim.parameters import Query
from evaluator.venue.sim.past import Present

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caps:
    """Largest pages and offsets, by kind of listing; beyond the cap of trades rows repeat."""

    v2_limit: int = 1_000
    conditions: int = 20
    v1_trades_limit: int = 1_000
    v1_trades_offset: int = 10_000
    v1_activity_limit: int = 500
    v1_activity_offset: int = 5_000
    v1_positions_limit: int = 500
    v1_positions_offset: int = 10_000
    v1_closed_limit: int = 50
    v1_closed_offset: int = 100_000
    v1_holders_limit: int = 20
    v1_board_limit: int = 50
    v1_board_offset: int = 1_000
    gamma_limit: int = 500
    gamma_offset: int = 2_000
    comments_offset: int = 200
    books: int = 500
    price_points: int = 4_300


@dataclass(frozen=True, slots=True)
class PageFaults:
    """How a page is spoilt: rows shown again, an offset that has shifted, rows out of order."""

    overlap: int = 0
    shift: int = 0
    shuffle: random.Random | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, and the moment and the manner in which it is answered."""

    present: Present
    query: Query
    caps: Caps = Caps()
    faults: PageFaults = PageFaults()
    body: Any = field(default=None)

    def shown(self, rows: list[T]) -> list[T]:
        """The rows of a page, out of order where a fault says so."""
        if self.faults.shuffle is not None:
            self.faults.shuffle.shuffle(rows)
        return rows

    def window(self, rows: Sequence[T] | NDArray[Any], offset: int, limit: int) -> list[T]:
        """The part of a listing that an offset and a limit select.

        A shifted page begins earlier: rows that came in since the page before push others back.
        It always has a row that the page before did not have.
        """
        first = max(0, offset - min(self.faults.shift, max(0, limit - 1)))
        part = rows[first : first + limit]
        return self.shown(part.tolist() if isinstance(part, np.ndarray) else list(part))
