"""How well verdicts agree with a planted truth: a confusion matrix, precision, recall.

Only a simulated world has a truth; nothing that computes a number reads it.
"""

import math
from dataclasses import dataclass

import polars as pl

Z_95 = 1.959963984540054
"""Quantile of the standard normal for a two-sided interval of 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A proportion of `hits` in `count` with its 95 % interval; all null where count is 0."""

    hits: int
    count: int
    value: float | None
    low: float | None
    high: float | None


def wilson(hits: int, count: int) -> Interval:
    """The score interval of a proportion (Wilson 1927).

    >>> wilson(8, 10)
    Interval(hits=8, count=10, value=0.8, low=0.4902, high=0.9433)
    """
    if count == 0:
        return Interval(hits, count, None, None, None)
    share, square = hits / count, Z_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    spread = share * (1 - share) / count + square / (4 * count**2)
    half = Z_95 * math.sqrt(spread) / (1 + square / count)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(hits, count, round(share, 4), round(low, 4), round(high, 4))


def confusion(pairs: pl.DataFrame) -> pl.DataFrame:
    """expected_label, persona, wallet_count: one row per pair that occurs, by name.

    `pairs` has one row per wallet with both labels.
    """
    counted = pairs.group_by("expected_label", "persona").agg(pl.len().alias("wallet_count"))
    return counted.sort("expected_label", "persona")


def agreement(matrix: pl.DataFrame) -> pl.DataFrame:
    """One row per label of either side: precision, recall, and their 95 % intervals.

    Precision is null where no wallet has the verdict, recall where none was planted.
    """
    labels = sorted({*matrix["expected_label"], *matrix["persona"]})
    count = pl.col("wallet_count").sum()
    rows = []
    for label in labels:
        found = matrix.filter(pl.col("persona") == label)
        planted = matrix.filter(pl.col("expected_label") == label)
        hits = int(planted.filter(pl.col("persona") == label).select(count).item())
        precision = wilson(hits, int(found.select(count).item()))
        recall = wilson(hits, int(planted.select(count).item()))
        rows.append({"label": label, **_named("precision", precision), **_named("recall", recall)})
    return pl.DataFrame(rows, schema=AGREEMENT)


def _named(name: str, interval: Interval) -> dict[str, float | int | None]:
    return {
        f"{name}_count": interval.count,
        name: interval.value,
        f"{name}_low": interval.low,
        f"{name}_high": interval.high,
    }


AGREEMENT = {
    "label": pl.String,
    "precision_count": pl.Int64,
    "precision": pl.Float64,
    "precision_low": pl.Float64,
    "precision_high": pl.Float64,
    "recall_count": pl.Int64,
    "recall": pl.Float64,
    "recall_low": pl.Float64,
    "recall_high": pl.Float64,
}
"""Columns of `agreement`: `_count` is what the proportion is of."""
