"""Arithmetic whose result does not depend on how a frame is cut into rows, threads or shards.

Polars adds floats in the order of its chunks, and divides a column by a constant through the
constant's reciprocal unless the frame has one row. Both move last bits, which a content hash
sees. So sums are taken over integers, in 128 bits where products need them, and divisions are
correctly rounded.
"""

import polars as pl

PICO = 10**12
"""Prices as integers: pico-USDC per share."""


def ratio(numerator: pl.Expr, denominator: pl.Expr | float) -> pl.Expr:
    """A correctly rounded quotient, null where the denominator is 0 or null.

    >>> pl.DataFrame({"a": [1, 2, 3]}).select(ratio(pl.col("a"), 10.0))["a"].to_list()
    [0.1, 0.2, 0.3]
    """
    # Adding a column of zeros makes the divisor a column of its own, never a constant.
    divisor = numerator.is_null().cast(pl.Float64) * 0.0 + denominator
    return pl.when(divisor != 0).then(numerator / divisor)


def wide(expr: pl.Expr) -> pl.Expr:
    """The integer in 128 bits: squares and products of micro-units fit."""
    return expr.cast(pl.Int128)


def pico(price: pl.Expr) -> pl.Expr:
    """A price as an integer number of pico-USDC."""
    return (price * PICO).round(0).cast(pl.Int64)


def variation(values: pl.Expr) -> pl.Expr:
    """Standard deviation (ddof 1) ÷ mean of integers; null under two values or at mean 0.

    >>> pl.DataFrame({"x": [1, 2, 3, 4]}).select(variation(pl.col("x")).round(6)).item()
    0.516398
    """
    n, total = wide(values.len()), wide(values).sum()
    squares = (wide(values) * wide(values)).sum()
    spread = ratio(n * squares - total * total, wide(n * (n - 1))).sqrt()
    return pl.when(n > 1).then(ratio(spread, ratio(total, n)))


def herfindahl(values: pl.Expr) -> pl.Expr:
    """Herfindahl-Hirschman index Σ x² ÷ (Σ x)² of integers; null at sum 0.

    Source: Hirschman (1964), American Economic Review 54.

    >>> pl.DataFrame({"x": [3, 1]}).select(herfindahl(pl.col("x"))).item()
    0.625
    """
    total = wide(values).sum()
    return ratio((wide(values) * wide(values)).sum(), total * total)


def gini(values: pl.Expr) -> pl.Expr:
    """Gini coefficient, Σ(2i − n − 1)·xᵢ ÷ (n·Σx) over ascending integers; null at sum 0.

    Source: Gini (1912), in the form of Dorfman (1979), Review of Economics and Statistics 61.

    >>> pl.DataFrame({"x": [1, 1, 2, 4]}).select(gini(pl.col("x"))).item()
    0.3125
    """
    n = values.len()
    ranks = 2 * pl.int_range(1, n + 1) - n - 1
    return ratio((wide(ranks) * values.sort()).sum(), wide(n) * values.sum())
