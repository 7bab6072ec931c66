"""Fills out of raw trade rows, as archives and the Data API spell them.

Column names are those of /trades. Rules refuse malformed rows; identity and order come from
`evaluator.domain.fills`.
"""

from datetime import UTC, datetime

import polars as pl

from evaluator.domain.fills import fill_ids, transaction_keys
from evaluator.domain.tables.history import ROLE, SIDE
from evaluator.venue.columns import Columns, micros, whole
from evaluator.venue.quarantine import ROW, Rule

REQUIRED = (
    ("proxyWallet",),
    ("side",),
    ("asset", "tokenId"),
    ("conditionId",),
    ("size",),
    ("timestamp",),
    ("price", "usdcSize"),
)
OPTIONAL = (
    "outcome",
    "outcomeIndex",
    "isTaker",
    "role",
    "traderSide",
    "fee",
    "transactionHash",
    "txKey",
    "orderHash",
    "orderKey",
    "seq",
    "title",
    "slug",
    "eventSlug",
)
WANTED = (*(name for names in REQUIRED for name in names), *OPTIONAL)

MAX_OUTCOMES = 256
"""Outcome slots of a condition, on chain."""

FEES_BEGAN = datetime(2026, 1, 5, tzinfo=UTC)
"""Before this instant no trade paid a fee."""

_NOISE_MICROS, _NOISE = 2, 1e-6

ADDRESS = "^0x[0-9a-f]{40}$"
CONDITION = "^0x[0-9a-f]{64}$"
TOKEN = "^[0-9]{1,78}$"  # noqa: S105 - a pattern, no secret


def refused_ids(column: str, pattern: str) -> pl.Expr:
    """Whether an identifier is missing or malformed."""
    return ~pl.col(column).str.contains(pattern).fill_null(value=False)


RULES = (
    Rule("bad_proxy_wallet", refused_ids("proxy_wallet", ADDRESS)),
    Rule("bad_condition_id", refused_ids("condition_id", CONDITION)),
    Rule("bad_token_id", refused_ids("token_id", TOKEN)),
    Rule("bad_side", pl.col("side").is_null()),
    Rule("bad_size", pl.col("size_shares").is_null() | (pl.col("size_shares") <= 0)),
    Rule("bad_price", pl.col("is_price_bad")),
    Rule("bad_notional", pl.col("is_notional_bad") | (pl.col("notional_usdc") < 0)),
    Rule("bad_timestamp", pl.col("filled_at").is_null()),
    Rule("unknown_outcome_index", pl.col("is_index_bad")),
    Rule("bad_fee", pl.col("is_fee_bad"), is_row_refused=False),
    Rule("fee_above_notional", pl.col("is_fee_too_large"), is_row_refused=False),
)


def parse(raw: pl.DataFrame, columns: Columns, known: pl.DataFrame) -> pl.DataFrame:
    """One row per raw row, for `RULES` to judge: the fields of a fill, and what is wrong with it.

    `known` lists tokens of known markets: token_id, condition_id, outcome_index, outcome_count.
    Where the market is known its order of tokens counts, else the row's own outcome index.
    """
    fields = raw.select(ROW, *_identifiers(columns), *_amounts(columns), *_labels(columns))
    counts = known.select("condition_id", "outcome_count").unique("condition_id")
    places = known.select("token_id", "outcome_index").unique("token_id", keep="first")
    placed = fields.join(counts, on="condition_id", how="left", maintain_order="left").join(
        places, on="token_id", how="left", maintain_order="left"
    )
    has_order_keys = pl.col("order").is_not_null().all()
    return placed.with_columns(*_derived(), has_order_keys=has_order_keys).with_columns(*_fees())


def identified(rows: pl.DataFrame, ordinal: pl.Series) -> pl.DataFrame:
    """Rows that passed the rules, with ordinal, transaction key and fill_id."""
    hashes = rows.select(pl.coalesce("transaction_hash", "transaction")).to_series()
    keyed = rows.with_columns(transaction_keys(hashes), ordinal.alias("ordinal"))
    return keyed.with_columns(fill_ids(keyed))


def _identifiers(columns: Columns) -> list[pl.Expr]:
    """Ids in lower case, and the keys of transaction and order."""
    transaction = columns.text("txKey", "transactionHash").str.to_lowercase()
    return [
        columns.text("proxyWallet").str.to_lowercase().alias("proxy_wallet"),
        columns.text("conditionId").str.to_lowercase().alias("condition_id"),
        columns.text("asset", "tokenId").alias("token_id"),
        transaction.alias("transaction"),
        columns.text("transactionHash").str.to_lowercase().alias("transaction_hash"),
        columns.text("orderKey", "orderHash").str.to_lowercase().alias("order"),
        columns.instant("timestamp").alias("filled_at"),
        whole(columns.number("seq")).alias("source_sequence"),
    ]


def _amounts(columns: Columns) -> list[pl.Expr]:
    """Numbers as reported, and whether the source gave them at all."""
    return [
        columns.micros("size").alias("size_shares"),
        columns.number("price").alias("reported_price"),
        columns.micros("usdcSize").alias("reported_notional"),
        columns.micros("fee").alias("reported_fee"),
        columns.number("outcomeIndex").alias("reported_index"),
        columns.is_given("price").alias("is_price_given"),
        columns.is_given("usdcSize").alias("is_notional_given"),
        columns.is_given("fee").alias("is_fee_given"),
        columns.is_given("outcomeIndex").alias("is_index_given"),
    ]


def _labels(columns: Columns) -> list[pl.Expr]:
    """Side and role, and the names by which a market unknown elsewhere can be listed."""
    side = columns.text("side")
    return [
        pl.when(side.is_in(SIDE.codes)).then(side).cast(SIDE.frame).alias("side"),
        _role(columns).alias("role"),
        columns.text("title").alias("title"),
        columns.text("slug").alias("slug"),
        columns.text("eventSlug").alias("event_slug"),
        columns.text("outcome").alias("outcome"),
    ]


def _role(columns: Columns) -> pl.Expr:
    """Maker or taker where the row says so, in a flag or in a word."""
    is_taker = columns.flag("isTaker")
    word = columns.text("role", "traderSide").str.to_lowercase()
    said = pl.when(word.is_in(["maker", "taker"])).then(word)
    flagged = pl.when(is_taker).then(pl.lit("taker")).when(~is_taker).then(pl.lit("maker"))
    return pl.coalesce(flagged, said, pl.lit("unknown")).cast(ROLE.frame)


def _derived() -> list[pl.Expr]:
    """Notional, price = notional ÷ size, the token's place, and what is wrong with them."""
    size, reported = pl.col("size_shares"), pl.col("reported_price")
    notional = pl.coalesce("reported_notional", whole(size * reported))
    price = pl.when(size > 0).then(notional / size)
    index = pl.col("reported_index")
    is_index_known = (index >= 0) & (index < pl.coalesce("outcome_count", MAX_OUTCOMES))
    is_place = is_index_known & (index == index.floor())
    return [
        notional.alias("notional_usdc"),
        price.alias("price"),
        micros(pl.coalesce(reported, price)).alias("price_micros"),
        pl.any_horizontal(
            pl.col("is_price_given") & reported.is_null(),
            ~reported.is_between(0, 1),
            price > 1,
            notional.is_null() & (size > 0),
        ).alias("is_price_bad"),
        (pl.col("is_notional_given") & pl.col("reported_notional").is_null()).alias(
            "is_notional_bad"
        ),
        (pl.col("is_index_given") & ~is_place.fill_null(value=False)).alias("is_index_bad"),
        pl.coalesce("outcome_index", pl.when(is_place).then(index))
        .cast(pl.Int32)
        .alias("outcome_index"),
    ]


def _fees() -> list[pl.Expr]:
    """The fee in USDC: as reported, else what the notional holds; null where unusable.

    A reported fee is in shares of a BUY, in USDC of a SELL.
    """
    reported = pl.col("reported_fee")
    in_usdc = pl.when(pl.col("side") == "BUY").then(whole(reported * pl.col("price")))
    fee = in_usdc.otherwise(reported)
    is_bad = pl.col("is_fee_given") & (reported.is_null() | (reported < 0))
    notional = pl.col("notional_usdc")
    is_too_large = ~is_bad & (notional >= 0) & (fee > notional)
    is_usable = ~is_bad & ~is_too_large.fill_null(value=False)
    contained = _contained_fee()
    return [
        pl.coalesce(pl.when(is_usable).then(fee), contained).alias("fee_usdc"),
        contained.is_not_null().alias("is_fee_included"),
        is_bad.alias("is_fee_bad"),
        is_too_large.alias("is_fee_too_large"),
    ]


def _contained_fee() -> pl.Expr:
    """The fee that `usdcSize` holds beyond size × price, null where none can be seen.

    Of a BUY the shares are net of it and the USDC gross, of a SELL the USDC are net: the price
    speaks of neither (docs.polymarket.com, fees; 41 of 41 recorded rows with a fee obey).
    """
    plain = whole(pl.col("size_shares") * pl.col("reported_price"))
    beyond = pl.col("reported_notional") - plain
    fee = pl.when(pl.col("side") == "BUY").then(beyond).otherwise(-beyond)
    is_seen = (fee > _NOISE_MICROS + plain * _NOISE) & (fee < plain)
    is_possible = ~pl.col("is_fee_given") & (pl.col("filled_at") >= FEES_BEGAN)
    return pl.when(is_seen & is_possible).then(fee)
