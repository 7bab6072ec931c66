"""The markets known, those most traded by the wallets we follow first."""

import polars as pl

from evaluator.domain.schema import MICRO
from evaluator.domain.tables.discovery import MARKET_SCORES, MARKETS
from evaluator.reports import places
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot


def markets_report(now: Snapshot, limit: int) -> pl.DataFrame:
    """The newest state of each market, with our fills and, where it has been scored, its score."""
    on, where = places.day_partition(now, MARKETS)
    markets = now.read(
        MARKETS,
        partitions=[where],
        columns=["condition_id", "question", "domain", "end_at", "closed", "resolved_at"],
    )
    scores = now.read(
        MARKET_SCORES, partitions=[partitions.day(on)], columns=["condition_id", "mscore"]
    )
    traded = now.stored_sql(
        "SELECT condition_id, count(*) AS fills, count(DISTINCT proxy_wallet) AS wallets, "
        "sum(notional_usdc)::BIGINT AS volume FROM fills GROUP BY condition_id"
    )
    return (
        markets.join(traded, on="condition_id", how="left")
        .join(scores, on="condition_id", how="left")
        .with_columns(
            pl.col("fills", "wallets", "volume").fill_null(0),
            (pl.col("volume").fill_null(0) / MICRO).alias("volume_usdc"),
        )
        .sort("volume_usdc", "condition_id", descending=[True, False])
        .head(limit)
        .pipe(lambda rows: places.in_words(now, rows, "condition_id"))
        .select(
            "question",
            "domain",
            "closed",
            "end_at",
            "mscore",
            "fills",
            "wallets",
            "volume_usdc",
            "condition_id",
        )
    )
