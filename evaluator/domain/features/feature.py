"""What a feature is: a row with name, type, unit, expression, meaning and null rule.

Features are aggregated over the source frames that `frames` prepares for one wallet bucket and
cell, or derived from other features of the same row.
"""

from dataclasses import dataclass
from enum import Enum, auto

import polars as pl

from evaluator.domain.exact import PICO, ratio, wide
from evaluator.domain.schema import FLOAT, INT, MICRO, Column, DataType


class Source(Enum):
    """Frame over which a feature is aggregated, by wallet."""

    FILLS = auto()
    """Fills of the window."""
    MARKETS = auto()
    """Markets with fills in the window: volume, and tokens bought."""
    DOMAINS = auto()
    """Domains with fills in the window, by volume."""
    ORDERS = auto()
    """Most orders that start within an hour."""
    LOTS = auto()
    """Pieces of lots closed in the window."""
    TRIPS = auto()
    """Round trips that became flat in the window."""
    EVENTS = auto()
    """Events with lots closed in the window, netted."""
    POSITIONS = auto()
    """Tokens held at as_of, marked."""
    CURVE = auto()
    """Capital and equity over the window."""
    BUYS = auto()
    """Buys made before the resolution in tokens resolved in the window."""
    DRAWS = auto()
    """One draw per event of those buys."""
    ROW = auto()
    """Other features of the row, its `as_of` and `window_days`, and the wallet's career."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One declared feature; `null` empty means never null.

    `is_total` marks a sum or count, which over nothing is 0; a ratio over nothing is null.
    """

    name: str
    source: Source
    expr: pl.Expr
    doc: str
    unit: str = ""
    null: str = ""
    dtype: DataType = FLOAT
    is_total: bool | None = None

    @property
    def is_zero_over_nothing(self) -> bool:
        """Whether a wallet without rows in the source has 0 rather than null."""
        return not self.null if self.is_total is None else self.is_total

    @property
    def column(self) -> Column:
        """The column of `wallet_features` that holds it."""
        return Column(self.name, self.dtype, self.doc, unit=self.unit, null=self.null)

    @property
    def aggregate(self) -> pl.Expr:
        """The expression, named and in the declared type."""
        return self.expr.cast(self.dtype.frame).alias(self.name)


def usdc(name: str) -> pl.Expr:
    """Sum of a micro-unit column in USDC or shares."""
    return ratio(pl.col(name).sum(), MICRO)


def count(expr: pl.Expr) -> pl.Expr:
    """How many rows satisfy a condition."""
    return expr.sum().cast(INT.frame)


def drift_cents(price_pico: str) -> pl.Expr:
    """Size-weighted (price − price paid) in cents over rows whose price is known.

    The price is in pico-USDC; what was paid is the notional itself. Null where none is known.
    """
    is_known = pl.col(price_pico).is_not_null()
    worth = (wide(pl.col(price_pico)) * pl.col("size_shares")).sum()
    paid = wide(pl.col("notional_usdc").filter(is_known).sum()) * PICO
    size = pl.col("size_shares").filter(is_known).sum()
    return ratio(ratio(worth - paid, PICO // 100), size)
