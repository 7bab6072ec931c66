"""Markets out of raw market rows, as archives and the Gamma API spell them.

Rows for markets that only trades mention are made here too. What a payout is and when it is
known are rules of `evaluator.domain.markets`.
"""

from datetime import date, datetime

import polars as pl

from evaluator.domain import markets as market_rules
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import RESOLUTIONS
from evaluator.venue.columns import Columns
from evaluator.venue.fill_rows import CONDITION, TOKEN, refused_ids
from evaluator.venue.quarantine import ROW, Rule, conform

REQUIRED = (("conditionId",), ("clobTokenIds",), ("outcomePrices",), ("closed",))
OPTIONAL = (
    "question",
    "title",
    "slug",
    "eventSlug",
    "category",
    "tags",
    "endDate",
    "closedTime",
    "liquidity",
    "liquidityNum",
    "volume",
    "volumeNum",
    "volume24hr",
    "outcomes",
    "orderPriceMinTickSize",
    "tick",
    "feeSchedule",
    "negRisk",
)
WANTED = (*(name for names in REQUIRED for name in names), *OPTIONAL)

RULES = (
    Rule("bad_condition_id", refused_ids("condition_id", CONDITION)),
    Rule("bad_token_ids", pl.col("is_tokens_bad")),
    Rule("bad_outcomes", pl.col("is_outcomes_bad"), is_row_refused=False),
    Rule("bad_outcome_prices", pl.col("is_prices_bad"), is_row_refused=False),
    Rule("bad_end_date", pl.col("is_end_bad"), is_row_refused=False),
    Rule("bad_closed_time", pl.col("is_closed_time_bad"), is_row_refused=False),
)
"""A market needs its id and readable tokens; anything else unreadable is unknown, and recorded."""


def parse(raw: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """One row per raw row, for `RULES` to judge: the fields of a market, and what is wrong.

    Lists that do not fit the tokens are null.
    """
    fields = raw.select(ROW, *_names(columns), *_numbers(columns), *_lists(columns))
    count = pl.col("token_ids").list.len()
    prices = pl.col("outcome_prices").list.eval(pl.element().cast(pl.Float64, strict=False))
    is_number = ~prices.list.eval(pl.element().is_null()).list.any()
    return fields.with_columns(
        _fitting(pl.col("outcomes"), count).alias("outcomes"),
        _fitting(pl.when(is_number).then(prices), count).alias("outcome_prices"),
    ).with_columns(
        (pl.col("is_tokens_given") & ~_are_tokens(pl.col("token_ids"))).alias("is_tokens_bad"),
        (pl.col("is_outcomes_given") & pl.col("outcomes").is_null()).alias("is_outcomes_bad"),
        (pl.col("is_prices_given") & pl.col("outcome_prices").is_null()).alias("is_prices_bad"),
    )


def one_each(markets: pl.DataFrame) -> pl.DataFrame:
    """One row per market: of several the closed one, then the one of the larger volume."""
    if markets["condition_id"].is_unique().all():
        return markets
    whole_row = pl.struct(pl.exclude(ROW)).struct.json_encode()
    ranked = markets.sort(
        "condition_id", ~pl.col("closed"), -pl.col("volume_usdc"), whole_row, nulls_last=True
    )
    return ranked.unique("condition_id", keep="first", maintain_order=True)


def seen_in(fills: pl.DataFrame) -> pl.DataFrame:
    """One row per market with fills: names, tokens, outcomes, its last fill.

    Tokens stand in outcome order, null where no fill shows one; in the order of their texts
    where an outcome index is unknown.
    """
    named = fills.group_by("condition_id").agg(
        pl.col("title", "slug", "event_slug").min(),
        pl.col("filled_at").max().alias("last_fill_at"),
    )
    tokens = fills.group_by("condition_id", "token_id").agg(
        pl.col("outcome_index").min(), pl.col("outcome").min()
    )
    is_placed = pl.col("outcome_index").is_not_null().all().over("condition_id")
    in_order = pl.concat(
        [_placed(tokens.filter(is_placed)), tokens.filter(~is_placed).sort("token_id")],
        how="diagonal",
    )
    lists = in_order.group_by("condition_id", maintain_order=True).agg(
        pl.col("token_id").alias("token_ids"), pl.col("outcome").alias("outcomes")
    )
    return named.join(lists, on="condition_id", how="left")


def table(
    listed: pl.DataFrame, seen: pl.DataFrame, *, snapshot_date: date, seen_at: datetime
) -> pl.DataFrame:
    """Rows of `markets`, sorted by id: those listed, completed from fills, and those only seen."""
    both = listed.join(seen, on="condition_id", how="full", coalesce=True, suffix="_seen")
    has_tokens = pl.col("token_ids").list.len().fill_null(0) > 0
    tokens = pl.when(has_tokens).then("token_ids").otherwise("token_ids_seen")
    completed = both.with_columns(
        pl.coalesce("question", "title").alias("question"),
        pl.coalesce("slug", "slug_seen").alias("slug"),
        pl.coalesce("event_slug", "event_slug_seen").alias("event_slug"),
        pl.coalesce(tokens, pl.lit([], pl.List(pl.String))).alias("token_ids"),
        pl.col("closed").fill_null(value=False),
    )
    rows = completed.with_columns(*_outcomes_and_payouts()).with_columns(
        pl.when(pl.col("payouts").is_not_null())
        .then(market_rules.resolved_at(*map(pl.col, ("closed_at", "end_at", "last_fill_at"))))
        .alias("resolved_at"),
        pl.lit(snapshot_date).alias("snapshot_date"),
        pl.lit(seen_at).alias("first_seen_at"),
    )
    return conform(rows.sort("condition_id"), MARKETS)


def resolutions(markets: pl.DataFrame) -> pl.DataFrame:
    """Rows of `resolutions` out of `markets`: one per token whose payout and instant are known."""
    known = markets.filter(pl.col("payouts").is_not_null() & pl.col("resolved_at").is_not_null())
    by_token = known.select(
        "condition_id",
        "resolved_at",
        pl.col("token_ids").alias("token_id"),
        pl.col("payouts").alias("payout"),
    ).explode("token_id", "payout")
    unique = by_token.drop_nulls("token_id").sort("token_id", "condition_id")
    return conform(unique.unique("token_id", keep="first", maintain_order=True), RESOLUTIONS)


def known_tokens(listed: pl.DataFrame) -> pl.DataFrame:
    """One row per token of the listed markets: its market, its place and the number of places."""
    count = pl.col("token_ids").list.len()
    rows = listed.filter(count > 0).select(
        "condition_id",
        pl.col("token_ids").alias("token_id"),
        pl.int_ranges(0, count, dtype=pl.Int32).alias("outcome_index"),
        count.cast(pl.Int64).alias("outcome_count"),
    )
    exploded = rows.explode("token_id", "outcome_index").sort("token_id", "condition_id")
    return exploded.unique("token_id", keep="first", maintain_order=True)


def _names(columns: Columns) -> list[pl.Expr]:
    """Ids, words and instants."""
    return [
        columns.text("conditionId").str.to_lowercase().alias("condition_id"),
        columns.text("question", "title").alias("question"),
        columns.text("slug").alias("slug"),
        columns.text("eventSlug").alias("event_slug"),
        pl.coalesce(columns.text("category"), columns.texts("tags").list.first()).alias("domain"),
        columns.instant("endDate").alias("end_at"),
        columns.instant("closedTime").alias("closed_at"),
        (columns.is_given("endDate") & columns.instant("endDate").is_null()).alias("is_end_bad"),
        (columns.is_given("closedTime") & columns.instant("closedTime").is_null()).alias(
            "is_closed_time_bad"
        ),
        columns.flag("closed").fill_null(value=False).alias("closed"),
        columns.flag("negRisk").alias("neg_risk"),
    ]


def _numbers(columns: Columns) -> list[pl.Expr]:
    """Liquidity, volumes, tick and fee schedule."""
    return [
        columns.number("liquidityNum", "liquidity").alias("liquidity_usdc"),
        columns.number("volume24hr").alias("volume_24h_usdc"),
        columns.number("volumeNum", "volume").alias("volume_usdc"),
        columns.number("orderPriceMinTickSize", "tick").alias("tick"),
        columns.member("feeSchedule", "rate").alias("fee_rate"),
        columns.member("feeSchedule", "exponent").alias("fee_exponent"),
    ]


def _lists(columns: Columns) -> list[pl.Expr]:
    """The three lists of a market, and whether the source gave them."""
    return [
        columns.texts("clobTokenIds").alias("token_ids"),
        columns.texts("outcomes").alias("outcomes"),
        columns.texts("outcomePrices").alias("outcome_prices"),
        columns.is_given("clobTokenIds").alias("is_tokens_given"),
        columns.is_given("outcomes").alias("is_outcomes_given"),
        columns.is_given("outcomePrices").alias("is_prices_given"),
    ]


def _fitting(values: pl.Expr, count: pl.Expr) -> pl.Expr:
    """A list that has one element per token, or whose tokens are unknown; else null."""
    return pl.when((values.list.len() == count) | (count.fill_null(0) == 0)).then(values)


def _are_tokens(values: pl.Expr) -> pl.Expr:
    """Whether a list could be read and holds distinct token ids only."""
    is_token = pl.element().str.contains(TOKEN).fill_null(value=False)
    is_distinct = values.list.n_unique() == values.list.len()
    return (values.list.eval(is_token).list.all() & is_distinct).fill_null(value=False)


def _placed(tokens: pl.DataFrame) -> pl.DataFrame:
    """Tokens at their outcome index, with rows of null tokens for places that no fill shows."""
    last = pl.col("outcome_index").max()
    places = tokens.group_by("condition_id").agg(pl.int_range(last + 1).alias("outcome_index"))
    grid = places.explode("outcome_index").with_columns(pl.col("outcome_index").cast(pl.Int32))
    first = tokens.sort("token_id").unique(
        ["condition_id", "outcome_index"], keep="first", maintain_order=True
    )
    placed = grid.join(first, on=["condition_id", "outcome_index"], how="left")
    return placed.sort("condition_id", "outcome_index")


def _outcomes_and_payouts() -> list[pl.Expr]:
    """Outcome names, null where unknown, and payouts of closed markets, one per token each."""
    count = pl.col("token_ids").list.len()
    names = [
        pl.when(pl.col(name).list.len() == count).then(name)
        for name in ("outcomes", "outcomes_seen")
    ]
    payouts = market_rules.payouts(_fitting_exactly("outcome_prices"))
    return [
        pl.coalesce(*names, pl.lit(None, pl.String).repeat_by(count)).alias("outcomes"),
        pl.when("closed").then(payouts).alias("payouts"),
    ]


def _fitting_exactly(name: str) -> pl.Expr:
    return pl.when(pl.col(name).list.len() == pl.col("token_ids").list.len()).then(name)
