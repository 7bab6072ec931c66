"""Rows by the partitions of the lake that they belong to."""

from collections.abc import Iterator, Sequence

import polars as pl

from evaluator.domain import ids
from evaluator.stages.history import ALL_BUCKETS
from evaluator.store import partitions


def by_bucket(
    rows: pl.DataFrame, buckets: Sequence[int] = ALL_BUCKETS
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of each of these wallet buckets, whether their wallets are texts or surrogates."""
    wallet = rows["proxy_wallet"]
    keys = ids.surrogates(wallet) if wallet.dtype == pl.String else wallet
    numbers = keys.to_frame("proxy_wallet").select(ids.bucket_expr()).to_series()
    for number in buckets:
        yield partitions.bucket(number), rows.filter(numbers == number)


def by_day(rows: pl.DataFrame, instant: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of each UTC day of an instant, the earliest day first."""
    days = rows[instant].dt.date()
    for day in days.unique().sort():
        yield partitions.day(day), rows.filter(days == day)
