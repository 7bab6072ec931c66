"""Markets as the ledger needs them: payouts, the instant they are known, one row per token.

Pure rules over declared tables; reading market rows belongs to `evaluator.venue`.
"""

import polars as pl

from evaluator.domain.ids import resolution_ref, surrogates

PAYOUT_TOLERANCE = 1e-4
"""How far a closing price may lie from 0, 0.5 or 1 to count as that payout."""

_FLOAT_NOISE = 1e-12


def payouts(closing_prices: pl.Expr) -> pl.Expr:
    """Exact payouts of a closed market from its list of outcome prices.

    Prices within 1e-4 of 0, 0.5 or 1 whose payouts sum to 1; null for any other list, such as
    `["0", "0"]` of old markets, where the winner is unknown.
    """
    snapped = closing_prices.cast(pl.List(pl.Float64)).list.eval(_snapped(pl.element()))
    is_known = ~snapped.list.eval(pl.element().is_null()).list.any()
    is_payout = is_known & (snapped.list.len() >= 2) & (snapped.list.sum() == 1.0)  # noqa: PLR2004
    return pl.when(is_payout).then(snapped)


def _snapped(price: pl.Expr) -> pl.Expr:
    """The payout next to a price, null where none is near."""
    bound = PAYOUT_TOLERANCE + _FLOAT_NOISE
    near = [pl.when((price - level).abs() <= bound).then(level) for level in (0.0, 0.5, 1.0)]
    return pl.coalesce(near)


def resolved_at(closed_at: pl.Expr, end_at: pl.Expr, last_fill_at: pl.Expr) -> pl.Expr:
    """When payouts are known: the venue's closing time, else max(end, last fill + 1 s).

    Null where all three are unknown.
    """
    after_fills = last_fill_at + pl.duration(seconds=1)
    return pl.coalesce(closed_at, pl.max_horizontal(end_at, after_fills))


def tokens(markets: pl.LazyFrame, resolutions: pl.LazyFrame | None = None) -> pl.LazyFrame:
    """One row per outcome token, sorted by token text; `TOKENS` lists the columns.

    Of a market seen on several days the latest row counts. A market without an event is its own.
    With `resolutions` (of surrogates), payout and instant come from there alone.
    """
    exploded = _exploded(_latest(markets))
    if resolutions is not None:
        known = resolutions.select("token_id", "payout", "resolved_at")
        unresolved = exploded.drop("payout", "resolved_at")
        exploded = unresolved.join(known, on="token_id", how="left", maintain_order="left")
    rank = pl.int_range(pl.len(), dtype=pl.Int64).alias("token_rank")
    return exploded.with_columns(rank).select(TOKENS)


TOKENS = (
    "token_id",  # surrogate of token_text
    "token_text",
    "token_rank",  # number in the order of the texts, for ties
    "condition_id",
    "event_slug",  # the market itself where it has no event
    "domain",
    "outcome_index",
    "end_at",
    "tick",
    "neg_risk",
    "resolved_at",
    "payout",
    "resolution_ref",  # surrogate of `resolve:<token_text>`
)
"""Columns of `tokens`; ids other than the token's are as in the frame of markets."""


def _latest(markets: pl.LazyFrame) -> pl.LazyFrame:
    """The last day's row of each market."""
    by_day = markets.sort("snapshot_date", "condition_id", maintain_order=True)
    return by_day.unique("condition_id", keep="last", maintain_order=True)


def _exploded(markets: pl.LazyFrame) -> pl.LazyFrame:
    """Markets by token, without the places whose token is unknown, in the order of token texts."""
    count = pl.col("token_ids").list.len()
    rows = markets.filter(count > 0).with_columns(
        pl.coalesce("event_slug", "condition_id").alias("event_slug"),
        pl.int_ranges(0, count, dtype=pl.Int32).alias("outcome_index"),
        pl.coalesce("payouts", pl.lit(None, pl.Float64).repeat_by(count)).alias("payout"),
        pl.col("token_ids").alias("token_text"),
    )
    by_token = rows.explode("outcome_index", "payout", "token_text").drop_nulls("token_text")
    text = pl.col("token_text")
    ref = pl.lit(resolution_ref("")) + text
    keyed = by_token.with_columns(
        text.map_batches(surrogates, return_dtype=pl.Int64).alias("token_id"),
        ref.map_batches(surrogates, return_dtype=pl.Int64).alias("resolution_ref"),
    )
    ordered = keyed.sort("token_text", "condition_id", maintain_order=True)
    return ordered.unique("token_text", keep="first", maintain_order=True)
