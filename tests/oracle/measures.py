"""Small statistics, each by its formula; None where undefined."""

from __future__ import annotations

from fractions import Fraction
from math import fsum, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

Z_95 = NormalDist().inv_cdf(0.975)


def ratio(part: float | Fraction, whole: float | Fraction) -> float | None:
    """Part ÷ whole; None over nothing.

    >>> ratio(1, 4), ratio(1, 0)
    (0.25, None)
    """
    return float(Fraction(part) / Fraction(whole)) if whole else None


def clamp01(value: float) -> float:
    """Clip to [0, 1]."""
    return min(1.0, max(0.0, value))


def mean(values: Sequence[float]) -> float | None:
    """Arithmetic mean."""
    return fsum(values) / len(values) if values else None


def stdev(values: Sequence[float]) -> float | None:
    """Sample standard deviation (ddof 1); None under two values.

    >>> stdev([1, 3])
    1.4142135623730951
    """
    if len(values) < 2:
        return None
    middle = fsum(values) / len(values)
    return sqrt(fsum((v - middle) ** 2 for v in values) / (len(values) - 1))


def quantile(values: Iterable[float], q: float) -> float | None:
    """Quantile with linear interpolation.

    >>> quantile([4, 1, 3, 2], 0.5), quantile([10, 20], 0.9)
    (2.5, 19.0)
    """
    ordered = sorted(values)
    if not ordered:
        return None
    place = Fraction(str(q)) * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def gini(values: Iterable[int]) -> float | None:
    """Gini coefficient Σ(2i − n − 1)·x_i ÷ (n·Σx), x ascending, i from 1.

    >>> gini([1, 1, 1]), gini([0, 0, 0, 4]), gini([])
    (0.0, 0.75, None)
    """
    ordered = sorted(values)
    n = len(ordered)
    weighted = sum((2 * i - n - 1) * x for i, x in enumerate(ordered, start=1))
    return ratio(weighted, n * sum(ordered))


def wilson_lower(wins: int, n: int) -> float | None:
    """Lower end of the two-sided 95 % Wilson interval (Wilson 1927).

    >>> round(wilson_lower(5, 10), 4)
    0.2366
    """
    if not n:
        return None
    p, z2 = wins / n, Z_95**2
    spread = Z_95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return (p + z2 / (2 * n) - spread) / (1 + z2 / n)


def weighted_median(pairs: Iterable[tuple[int, int]]) -> int | None:
    """Smallest value with at least half of the weight at or below it; pairs (value, weight).

    >>> weighted_median([(1, 1), (2, 1), (9, 2)])
    2
    """
    ordered = sorted(pairs)
    total, seen = sum(weight for _, weight in ordered), 0
    for value, weight in ordered:
        seen += weight
        if 2 * seen >= total:
            return value
    return None


def densest(starts: Iterable[datetime], span: timedelta) -> int:
    """Most instants in any [t, t + span)."""
    ordered = sorted(starts)
    best = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= span:
            first += 1
        best = max(best, last - first + 1)
    return best
