"""The venue's own positions out of raw rows, as archives and the Data API spell them."""

from datetime import date

import polars as pl

from evaluator.domain.tables.history import POSITIONS
from evaluator.venue.columns import Columns
from evaluator.venue.fill_rows import ADDRESS, CONDITION, TOKEN, refused_ids
from evaluator.venue.quarantine import ROW, Rule, conform

REQUIRED = (
    ("proxyWallet",),
    ("asset", "tokenId"),
    ("conditionId",),
    ("amount", "size"),
    ("avgPrice",),
    ("realizedPnl",),
    ("curPrice",),
)
OPTIONAL = ("eventSlug", "totalBought", "totalSize", "currentSize", "currentPrice")
WANTED = (*(name for names in REQUIRED for name in names), *OPTIONAL)

_NUMBERS = ("size_shares", "average_price", "realised_pnl_usdc", "current_price")

RULES = (
    Rule("bad_proxy_wallet", refused_ids("proxy_wallet", ADDRESS)),
    Rule("bad_condition_id", refused_ids("condition_id", CONDITION)),
    Rule("bad_token_id", refused_ids("token_id", TOKEN)),
    Rule("bad_size", pl.col("size_shares") < 0),
    Rule("bad_number", pl.any_horizontal(pl.col(name).is_null() for name in _NUMBERS)),
)


def parse(raw: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """One row per raw row, for `RULES` to judge: the venue's numbers for a wallet and a token."""
    return raw.select(
        ROW,
        columns.text("proxyWallet").str.to_lowercase().alias("proxy_wallet"),
        columns.text("asset", "tokenId").alias("token_id"),
        columns.text("conditionId").str.to_lowercase().alias("condition_id"),
        columns.text("eventSlug").alias("event_slug"),
        columns.micros("amount", "size", "currentSize").alias("size_shares"),
        columns.micros("totalBought", "totalSize").alias("bought_shares"),
        columns.number("avgPrice").alias("average_price"),
        columns.number("curPrice", "currentPrice").alias("current_price"),
        columns.micros("realizedPnl").alias("realised_pnl_usdc"),
        columns.number("amount", "size", "currentSize").alias("size"),
    )


def table(rows: pl.DataFrame, *, snapshot_date: date) -> pl.DataFrame:
    """Rows of `positions`, sorted by wallet and token; of several the one that bought most."""
    valued = rows.with_columns(
        unrealised_pnl_usdc=pl.col("size") * (pl.col("current_price") - pl.col("average_price")),
        snapshot_date=pl.lit(snapshot_date),
    )
    declared = conform(valued, POSITIONS)
    keys = ["proxy_wallet", "token_id"]
    others = [name for name in declared.columns if name not in {*keys, "bought_shares"}]
    ordered = declared.sort(*keys, "bought_shares", *others)
    return ordered.unique(keys, keep="last", maintain_order=True)
