"""What a wallet did before as_of, whatever the window: the all-time side of its features."""

from datetime import timedelta

import polars as pl

from evaluator.domain.features.history import RECENT_DAYS, Bucket, Cell

CAREER_SUMS = (
    "career_fill_count",
    "sold_shares",
    "explained_shares",
    "career_pnl_usdc",
    "career_cost_usdc",
    "recent_pnl_usdc",
    "moved_shares",
)
"""Columns that are 0 where a wallet has nothing to sum."""


def career(bucket: Bucket, cell: Cell) -> pl.LazyFrame:
    """Everything before as_of, one row per wallet that did anything or was read.

    First and last fill, fills, realised PnL of all time and of 30 days, cost (micro-USDC),
    shares disposed of and of these explained (micro-shares).
    """
    return (
        _filled(bucket, cell)
        .join(_closed(bucket, cell), on="proxy_wallet", how="full", coalesce=True)
        .join(_moved(bucket, cell), on="proxy_wallet", how="full", coalesce=True)
        .join(bucket.ingested.lazy(), on="proxy_wallet", how="full", coalesce=True)
        .with_columns(pl.col(CAREER_SUMS).fill_null(0))
        .with_columns((pl.col("sold_shares") + pl.col("moved_shares")).alias("disposed_shares"))
    )


def _filled(bucket: Bucket, cell: Cell) -> pl.LazyFrame:
    at = pl.col("filled_at")
    known = bucket.fills.lazy().filter(at < cell.as_of)
    return known.group_by("proxy_wallet").agg(
        at.min().alias("career_first_fill_at"),
        at.max().alias("career_last_fill_at"),
        pl.len().cast(pl.Int64).alias("career_fill_count"),
        pl.col("size_shares").filter(pl.col("side") == "SELL").sum().alias("sold_shares"),
    )


def _closed(bucket: Bucket, cell: Cell) -> pl.LazyFrame:
    is_disposal = pl.col("close_kind") != "RESOLVE"
    is_recent = pl.col("closed_at") >= cell.as_of - timedelta(days=RECENT_DAYS)
    pnl = pl.col("realised_pnl_usdc")
    known = bucket.closed_lots.lazy().filter(pl.col("closed_at") < cell.as_of)
    return known.group_by("proxy_wallet").agg(
        pl.col("size_shares").filter(is_disposal).sum().alias("explained_shares"),
        pnl.sum().alias("career_pnl_usdc"),
        pl.col("cost_usdc").sum().alias("career_cost_usdc"),
        pnl.filter(is_recent).sum().alias("recent_pnl_usdc"),
    )


def _moved(bucket: Bucket, cell: Cell) -> pl.LazyFrame:
    known = bucket.disposed.lazy().filter(pl.col("at") < cell.as_of)
    return known.group_by("proxy_wallet").agg(pl.col("quantity").sum().alias("moved_shares"))
