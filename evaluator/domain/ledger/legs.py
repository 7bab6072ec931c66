"""Events of a wallet as legs: one row per event and token whose shares it adds or takes.

A fill is one leg. A split, merge or conversion is a leg per token, its USDC divided by the last
prices of the tokens; a redemption is a leg only before the payout of its token is known.
"""

import polars as pl

LEG_SCHEMA = pl.Schema(
    {
        "proxy_wallet": pl.Int64(),
        "condition_id": pl.Int64(),
        "token_id": pl.Int64(),
        "ref": pl.Int64(),
        "kind": pl.Enum(["BUY", "SELL", "SPLIT", "MERGE", "REDEEM", "CONVERSION"]),
        "is_open": pl.Boolean(),
        "at": pl.Datetime("us", "UTC"),
        "quantity": pl.Int64(),
        "cash": pl.Int64(),
        "fee": pl.Int64(),
        "price": pl.Float64(),
        "role": pl.Enum(["maker", "taker", "unknown"]),
        "source_sequence": pl.Int64(),
        "phase": pl.Int8(),
        "transaction_key": pl.Int64(),
        "order_token": pl.Int64(),
        "order_price": pl.Float64(),
        "order_size": pl.Int64(),
        "ordinal": pl.Int32(),
    }
)
"""`cash` is cost or proceeds with the fee applied (micro-USDC), `price` excludes it; the
`order_…` columns and `phase` (acquisitions 0, disposals 1, where the source has no sequence) place
the whole event. Activity that names no token comes before any token, and has no price."""

LEG_FILL_COLUMNS = (
    "proxy_wallet",
    "condition_id",
    "token_id",
    "fill_id",
    "side",
    "filled_at",
    "size_shares",
    "notional_usdc",
    "fee_usdc",
    "is_fee_included",
    "price",
    "role",
    "source_sequence",
    "transaction_key",
    "ordinal",
)
"""Columns of `fills` that legs need."""


def fill_legs(fills: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """One leg per fill; a null fee counts as none."""
    fee = pl.col("fee_usdc").fill_null(0)
    applied = pl.when("is_fee_included").then(0).otherwise(fee)
    is_open = pl.col("side") == "BUY"
    return (
        fills.lazy()
        .join(
            tokens.lazy().select("token_id", "token_rank"),
            on="token_id",
            how="left",
            maintain_order="left",
        )
        .select(
            "proxy_wallet",
            "condition_id",
            "token_id",
            pl.col("fill_id").alias("ref"),
            pl.col("side").cast(pl.String).cast(LEG_SCHEMA["kind"]).alias("kind"),
            is_open.alias("is_open"),
            pl.col("filled_at").alias("at"),
            pl.col("size_shares").alias("quantity"),
            (pl.col("notional_usdc") + pl.when(is_open).then(applied).otherwise(-applied)).alias(
                "cash"
            ),
            fee.alias("fee"),
            "price",
            "role",
            "source_sequence",
            # A sequence of the source stands in for the phase.
            (~is_open & pl.col("source_sequence").is_null()).cast(pl.Int8).alias("phase"),
            "transaction_key",
            pl.col("token_rank").cast(pl.Int64).alias("order_token"),
            pl.col("price").alias("order_price"),
            pl.col("size_shares").alias("order_size"),
            "ordinal",
        )
        .collect()
    )


def price_questions(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """The (token_id, at) pairs whose last price strictly before divides the USDC of an event."""
    return _members(activity, tokens).select("token_id", "at").unique().sort("at", "token_id")


def activity_legs(
    activity: pl.DataFrame, tokens: pl.DataFrame, prices: pl.DataFrame
) -> pl.DataFrame:
    """Legs of splits, merges, conversions and of redemptions before the payout is known.

    `prices` answers `price_questions` (token_id, at, price). A conversion in an event whose
    token set is unknown has no legs: its shares are unexplained, nothing is invented.
    """
    members = _weighted(_members(activity, tokens).join(prices, on=["token_id", "at"], how="left"))
    legs = [_split_legs(members), _conversion_legs(members), _redeem_legs(activity, tokens)]
    return pl.concat(legs).sort("ref", "token_id", "is_open")


def disposed_shares(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """Shares that activity disposed of (proxy_wallet, at, quantity), explained or not.

    Those without a leg are unexplained: conversions of an unknown set, merges in an unknown
    market, and redemptions that name no token before a payout of their market is known.
    """
    known = activity_legs(activity, tokens, _no_prices(activity, tokens)).filter(~pl.col("is_open"))
    conversions = _conversions(activity, tokens).filter(~pl.col("is_set_known"))
    merges = _events(activity, "MERGE").join(tokens, on="condition_id", how="anti")
    nameless = _events(activity, "REDEEM").filter(pl.col("token_id").is_null())
    paid = _payouts(tokens).group_by("condition_id").agg(pl.col("paid_at").min())
    redemptions = nameless.join(paid, on="condition_id", how="left").filter(_is_early())
    columns = ("proxy_wallet", "at", "quantity")
    return pl.concat(part.select(columns) for part in (known, conversions, merges, redemptions))


def _no_prices(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    return price_questions(activity, tokens).with_columns(pl.lit(None, pl.Float64).alias("price"))


_EVENT = ("proxy_wallet", "ref", "kind", "at", "quantity", "transaction_key", "ordinal")


def _events(activity: pl.DataFrame, *kinds: str) -> pl.DataFrame:
    """Activity of some kinds that moves shares; a losing redemption reports none."""
    moves = pl.col("kind").cast(pl.String).is_in(kinds) & (pl.col("size_shares") > 0)
    return activity.filter(moves).select(
        "proxy_wallet",
        pl.col("activity_id").alias("ref"),
        pl.col("kind").cast(pl.String),
        pl.col("happened_at").alias("at"),
        pl.col("size_shares").alias("quantity"),
        "transaction_key",
        "ordinal",
        "condition_id",
        "token_id",
        "amount_usdc",
    )


def _conversions(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """One row per conversion and market whose NO it gives up.

    Rows of one transaction and size are one conversion.
    """
    markets = tokens.select("condition_id", "event_slug", "neg_risk").unique("condition_id")
    same = ["proxy_wallet", "at", "transaction_key", "quantity"]
    return (
        _events(activity, "CONVERSION")
        .drop("token_id", "amount_usdc")
        .join(markets, on="condition_id", how="left")
        .with_columns(
            pl.col("ref").min().over(same),
            pl.col("neg_risk").fill_null(value=False).alias("is_set_known"),
        )
    )


def _members(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """One row per split, merge or conversion and token it moves.

    A split or merge moves every token of its market; a conversion the NO (`is_given`) of the
    markets it names and the YES of the event's other markets.
    """
    token = ("condition_id", "token_id", "token_rank", "outcome_index")
    pairs = (
        _events(activity, "SPLIT", "MERGE")
        .select(*_EVENT, "condition_id")
        .join(tokens.select(token), on="condition_id")
        .select(*_EVENT, *token, pl.lit(value=False).alias("is_given"))
    )
    named = _conversions(activity, tokens).filter("is_set_known")
    given = named.select("ref", "condition_id", pl.lit(value=True).alias("is_given"))
    conversions = (
        named.unique("ref", maintain_order=True)
        .select(*_EVENT, "event_slug")
        .join(tokens.select("event_slug", *token), on="event_slug", suffix="_named")
        .join(given, on=["ref", "condition_id"], how="left")
        .with_columns(pl.col("is_given").fill_null(value=False))
        .filter(pl.col("outcome_index") == pl.col("is_given").cast(pl.Int32))
        .select(*_EVENT, *token, "is_given")
    )
    return pl.concat([pairs, conversions])


def _weighted(members: pl.DataFrame) -> pl.DataFrame:
    """Adds `weight`: prices (of a given NO, 1 − price) normalised to 1 over the event.

    Equal weights unless every token has a price.
    """
    value = pl.when("is_given").then(1 - pl.col("price")).otherwise(pl.col("price"))
    priced = pl.col("price").is_not_null().all().over("ref") & (value.sum().over("ref") > 0)
    return members.with_columns(
        pl.when(priced)
        .then(value / value.sum().over("ref"))
        .otherwise(1 / pl.len().over("ref"))
        .alias("weight")
    )


_FLOAT_NOISE, _MICRO_NOISE = 4e-15, 1e-9


def _divided(rows: pl.DataFrame, total: pl.Expr) -> pl.DataFrame:
    """Adds `cash`: `total` by weight within each ref, floored, the remainder to the last token.

    The last in the order of outcomes. A whole share of which floating point fell short stays whole.
    """
    order = ("ref", "outcome_index", "token_rank", "token_id")
    ordered = rows.sort(order).with_columns(total.alias("total"))
    share = pl.col("total") * pl.col("weight") / pl.col("weight").sum().over("ref")
    whole = (share * (1 + _FLOAT_NOISE) + _MICRO_NOISE).floor()
    floored = ordered.with_columns(whole.cast(pl.Int64).alias("cash"))
    rest = pl.col("total") - pl.col("cash").sum().over("ref")
    is_last = pl.int_range(pl.len()).over("ref") == pl.len().over("ref") - 1
    return floored.with_columns(pl.col("cash") + pl.when(is_last).then(rest).otherwise(0))


_NO_TOKEN = pl.lit(-1)


def _as_legs(
    rows: pl.DataFrame, *, is_open: pl.Expr, phase: pl.Expr, order_token: pl.Expr = _NO_TOKEN
) -> pl.DataFrame:
    """Rows with ref, token, quantity and cash in the shape of `LEG_SCHEMA`."""
    columns = {
        "is_open": is_open,
        "fee": pl.lit(0),
        "price": pl.col("cash") / pl.col("quantity"),
        "role": pl.lit("unknown"),
        "source_sequence": pl.lit(None),
        "phase": phase,
        "order_token": order_token,
        "order_price": pl.lit(0.0),
        "order_size": pl.col("quantity"),
    }
    return rows.select(
        columns.get(name, pl.col(name)).cast(dtype).alias(name)
        for name, dtype in LEG_SCHEMA.items()
    )


def _split_legs(members: pl.DataFrame) -> pl.DataFrame:
    """A split opens, a merge closes `quantity` of each token, for `quantity` USDC in all."""
    rows = members.filter(pl.col("kind") != "CONVERSION")
    is_split = pl.col("kind") == "SPLIT"
    return _as_legs(_divided(rows, pl.col("quantity")), is_open=is_split, phase=~is_split)


def _conversion_legs(members: pl.DataFrame) -> pl.DataFrame:
    """NO in k of n outcomes becomes YES in the other n − k and (k − 1) USDC a share.

    A YES costs its weight, a NO brings 1 − its weight: both sides balance with the cash.
    """
    given = pl.col("is_given")
    taken_weight = pl.col("weight").filter(~given).sum().over("ref")
    rows = members.filter(pl.col("kind") == "CONVERSION").with_columns(
        (pl.col("quantity") * taken_weight).round(0).cast(pl.Int64).alias("spent"),
        ((given.sum().over("ref").cast(pl.Int64) - 1) * pl.col("quantity")).alias("freed"),
    )
    opened = _divided(rows.filter(~given), pl.col("spent"))
    sold = rows.filter(given).with_columns((1 - pl.col("weight")).alias("weight"))
    closed = _divided(sold, pl.col("spent") + pl.col("freed"))
    return pl.concat(_as_legs(side, is_open=~given, phase=pl.lit(1)) for side in (opened, closed))


def _redeem_legs(activity: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """A redemption made before its payout is known closes at USDC ÷ size; else it is cash only.

    One that names no token has no leg.
    """
    rows = (
        _events(activity, "REDEEM")
        .drop_nulls("token_id")
        .join(_payouts(tokens).drop("condition_id"), on="token_id", how="left")
        .filter(_is_early())
        .with_columns(pl.col("amount_usdc").alias("cash"))
    )
    token = pl.col("token_rank")
    return _as_legs(rows, is_open=pl.lit(value=False), phase=pl.lit(1), order_token=token)


def _payouts(tokens: pl.DataFrame) -> pl.DataFrame:
    """When the payout of each token is known, null where it is not."""
    paid_at = pl.when(pl.col("payout").is_not_null()).then("resolved_at")
    return tokens.select("token_id", "token_rank", "condition_id", paid_at.alias("paid_at"))


def _is_early() -> pl.Expr:
    """The event comes before the payout is known."""
    return pl.col("paid_at").is_null() | (pl.col("paid_at") > pl.col("at"))
