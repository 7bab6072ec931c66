"""Rows of the implementation held against rows of the oracle, field by field."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

from evaluator.domain.features.catalogue import FEATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMES = tuple(feature.name for feature in FEATURES)
RELATIVE = 1e-9
ABSOLUTE = 1e-9  # a sum of many USDC that cancel out, in floating point


def same(found: object, expected: object) -> bool:
    """Equal; numbers within one part in 10⁹; null only to null."""
    if isinstance(found, float) and isinstance(expected, int | float):
        return isclose(found, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return type(found) is type(expected) and found == expected


def same_sharpe(found: object, expected: object, deviation: object) -> bool:
    """As `same`, but for what daily returns lose as floats near 1 less 1.

    Each is off by up to 2⁻⁵², and √365 times that over the deviation is the ratio's share.
    """
    if isinstance(found, float) and isinstance(expected, float) and isinstance(deviation, float):
        return isclose(found, expected, rel_tol=RELATIVE, abs_tol=20 * 2**-52 / deviation)
    return same(found, expected)


def differences(
    found: Mapping[str, object], expected: Mapping[str, object], names: Iterable[str] = NAMES
) -> dict[str, tuple[object, object]]:
    """(found, expected) of the fields that differ."""
    wrong = {
        name: (found[name], expected[name])
        for name in names
        if not same(found[name], expected[name])
    }
    sharpe, deviation = wrong.get("daily_sharpe"), expected["return_stdev"]
    if sharpe and same_sharpe(*sharpe, deviation):
        del wrong["daily_sharpe"]
    return wrong
