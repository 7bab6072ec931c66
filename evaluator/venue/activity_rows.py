"""Activity out of raw rows of the Data API: what moves shares or cash of a wallet but trades.

Rows of trades are left out, because the trades feed gives them; a kind that no table knows is
refused by a rule, so that a new one is seen.
"""

import polars as pl

from evaluator.domain.fills import transaction_keys
from evaluator.domain.ids import surrogates
from evaluator.domain.tables.history import ACTIVITY_KIND
from evaluator.venue.columns import Columns
from evaluator.venue.fill_rows import ADDRESS, CONDITION, TOKEN, refused_ids
from evaluator.venue.quarantine import ROW, Rule

WANTED = (
    "proxyWallet",
    "timestamp",
    "conditionId",
    "type",
    "size",
    "usdcSize",
    "transactionHash",
    "asset",
    "tokenId",
)

IDENTITY = (
    "transaction_hash",
    "proxy_wallet",
    "kind",
    "condition_id",
    "token_id",
    "size_shares",
    "amount_usdc",
    "happened_at",
)
"""Fields that make a movement what it is, besides its ordinal."""

_OF_A_MARKET = ("SPLIT", "MERGE", "REDEEM", "CONVERSION")
_SAME_AMOUNT = ("SPLIT", "MERGE", "REWARD", "MAKER_REBATE", "TAKER_REBATE", "YIELD")
"""Kinds whose USDC are as many as their shares, where only one of the two is given."""

_SEPARATOR, _NULL = "\x1f", "\x00"


def _malformed(column: str, pattern: str) -> pl.Expr:
    """Whether an id is there, and malformed."""
    return pl.col(column).is_not_null() & refused_ids(column, pattern)


RULES = (
    Rule("bad_proxy_wallet", refused_ids("proxy_wallet", ADDRESS)),
    Rule("unknown_kind", pl.col("kind").is_null()),
    Rule(
        "bad_condition_id",
        _malformed("condition_id", CONDITION)
        | (pl.col("kind").cast(pl.String).is_in(_OF_A_MARKET) & pl.col("condition_id").is_null()),
    ),
    Rule("bad_token_id", _malformed("token_id", TOKEN)),
    Rule("bad_size", pl.col("size_shares").is_null() | (pl.col("size_shares") < 0)),
    Rule("bad_amount", pl.col("amount_usdc").is_null() | (pl.col("amount_usdc") < 0)),
    Rule("bad_timestamp", pl.col("happened_at").is_null()),
)


def is_trade(columns: Columns) -> pl.Expr:
    """Whether a raw row is a trade."""
    return (columns.text("type").str.to_uppercase() == "TRADE").fill_null(value=False)


def parse(raw: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """One row per raw row that is no trade, for `RULES` to judge."""
    word = columns.text("type").str.to_uppercase()
    kind = pl.when(word.is_in(ACTIVITY_KIND.codes)).then(word).cast(ACTIVITY_KIND.frame)
    size, amount = columns.micros("size"), columns.micros("usdcSize")
    is_same = word.is_in(_SAME_AMOUNT)
    return raw.filter(~is_trade(columns)).select(
        ROW,
        columns.text("proxyWallet").str.to_lowercase().alias("proxy_wallet"),
        kind.alias("kind"),
        columns.text("conditionId").str.to_lowercase().alias("condition_id"),
        columns.text("asset", "tokenId").alias("token_id"),
        pl.when(is_same).then(pl.coalesce(size, amount)).otherwise(size).alias("size_shares"),
        pl.when(is_same).then(pl.coalesce(amount, size)).otherwise(amount).alias("amount_usdc"),
        columns.instant("timestamp").alias("happened_at"),
        columns.text("transactionHash").str.to_lowercase().alias("transaction_hash"),
    )


def ordinals(rows: pl.DataFrame) -> pl.Series:
    """Number of each row among those of one response that agree in `IDENTITY`, from 0."""
    number = pl.int_range(pl.len(), dtype=pl.Int32).over(IDENTITY)
    return rows.select(number.alias("ordinal")).to_series()


def identified(rows: pl.DataFrame, ordinal: pl.Series) -> pl.DataFrame:
    """Rows that passed the rules, with ordinal, transaction key and activity_id."""
    keyed = rows.with_columns(transaction_keys(rows["transaction_hash"]), ordinal.alias("ordinal"))
    fields = [
        pl.col(name).dt.epoch("s") if name == "happened_at" else pl.col(name)
        for name in (*IDENTITY, "ordinal")
    ]
    texts = [field.cast(pl.String).fill_null(_NULL) for field in fields]
    digest = pl.concat_str(texts, separator=_SEPARATOR)
    return keyed.with_columns(
        digest.map_batches(surrogates, return_dtype=pl.Int64).alias("activity_id")
    )
