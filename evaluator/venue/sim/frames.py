"""Frames of a history from played events: numbers become ids and instants, the future is left out."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl

from evaluator.venue.sim.aftermath import KINDS
from evaluator.venue.sim.events import Kind, Plan
from evaluator.venue.sim.fees import FEE_EXPONENT, fee_rate
from evaluator.venue.sim.names import Names
from evaluator.venue.sim.paths import Path
from evaluator.venue.sim.play import Played
from evaluator.venue.sim.rules import GRID_S, WorldRules
from evaluator.venue.sim.seeds import Ints

UTC_US = pl.Datetime("us", "UTC")

MARKETS = pl.Schema(
    {
        "condition_id": pl.String(),
        "market_id": pl.String(),
        "event_id": pl.String(),
        "event_slug": pl.String(),
        "event_title": pl.String(),
        "slug": pl.String(),
        "question": pl.String(),
        "domain": pl.String(),
        "tags": pl.List(pl.String()),
        "outcomes": pl.List(pl.String()),
        "token_ids": pl.List(pl.String()),
        "opened_at": UTC_US,
        "end_at": UTC_US,
        "closed_at": UTC_US,
        "payouts": pl.List(pl.Float64()),
        "neg_risk": pl.Boolean(),
        "tick": pl.Float64(),
        "fee_rate": pl.Float64(),
        "fee_exponent": pl.Float64(),
        "liquidity_usdc": pl.Float64(),
    }
)


def instant(start: datetime, second: pl.Expr) -> pl.Expr:
    """The instant of a second since the start."""
    return (
        (pl.lit(start.astimezone(UTC)) + pl.duration(seconds=second))
        .dt.cast_time_unit("us")
        .cast(UTC_US)
    )


def markets(
    rules: WorldRules,
    plans: Sequence[Plan],
    named: Sequence[Names],
    paths: Sequence[Path],
    limit: int,
) -> pl.DataFrame:
    """One row per market that has opened; what comes at or after the limit is null."""
    rows = [
        row
        for plan, names, path in zip(plans, named, paths, strict=True)
        for row in _market_rows(rules, plan, names, path, limit)
    ]
    seconds = ("opened_at", "end_at", "closed_at")
    schema = {n: pl.Int64() if n in seconds else dtype for n, dtype in MARKETS.items()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(instant(rules.start, pl.col(name)).alias(name) for name in seconds)


def _market_rows(
    rules: WorldRules, plan: Plan, names: Names, path: Path, limit: int
) -> list[tuple[object, ...]]:
    is_closed = plan.closes < limit
    size = plan.counts[0]
    rate = fee_rate(rules, plan)
    return [
        (
            names.condition_ids[market],
            names.market_ids[market],
            names.event_id,
            names.event_slug,
            names.event_title,
            names.slugs[market],
            names.questions[market],
            plan.domain_name,
            [plan.domain_name, plan.kind.name.lower()],
            list(names.outcomes[market]),
            list(names.token_ids[market]),
            plan.opens,
            plan.ends,
            plan.closes if is_closed else None,
            path.payouts[market * size : (market + 1) * size].tolist() if is_closed else None,
            plan.kind is Kind.NEG_RISK,
            plan.tick,
            rate,
            FEE_EXPONENT,
            0.0 if is_closed else liquidity(plan, limit),
        )
        for market in range(len(plan.counts))
    ]


def liquidity(plan: Plan, second: int) -> float:
    """USDC in one market's book: it grows in the first fifth of the life, and swings by the day."""
    age = (second - plan.opens) / max(plan.closes - plan.opens, 1)
    swing = 1 + 0.2 * float(np.sin(2.4 * plan.number + second / 86_400))
    return round(plan.liquidity_usdc * (0.4 + 0.6 * min(5 * age, 1.0)) * swing, 2)


def fills(
    rules: WorldRules,
    played: Played,
    tokens: pl.DataFrame,
    addresses: pl.Series,
    limit: int,
) -> pl.DataFrame:
    """All fills before the limit, in the order of the chain. `tokens`: see `token_frame`."""
    rows = _numbered(played.fills, "token", tokens["event"], limit)
    token = rows["token"]
    return rows.select(
        addresses.gather(rows["agent"]).alias("proxy_wallet"),
        tokens["condition_id"].gather(token).alias("condition_id"),
        tokens["token_id"].gather(token).alias("token_id"),
        tokens["outcome_index"].gather(token).alias("outcome_index"),
        pl.when("is_buy").then(pl.lit("BUY")).otherwise(pl.lit("SELL")).alias("side"),
        "size_shares",
        "notional_usdc",
        (pl.col("notional_usdc") / pl.col("size_shares")).alias("price"),
        "fee_usdc",
        "is_taker",
        instant(rules.start, pl.col("second")).alias("filled_at"),
        "transaction_hash",
        "sequence",
    )


def activity(
    rules: WorldRules,
    played: Played,
    market_ids: pl.DataFrame,
    addresses: pl.Series,
    limit: int,
) -> pl.DataFrame:
    """All activity before the limit, in the order of the chain. `market_ids`: event, condition_id."""
    rows = _numbered(played.activity, "market", market_ids["event"], limit)
    is_nowhere = rows["market"] < 0
    known = market_ids["condition_id"].gather(rows["market"].clip(0))
    return rows.select(
        addresses.gather(rows["agent"]).alias("proxy_wallet"),
        pl.Series("kind", KINDS, dtype=pl.String).gather(rows["kind"]),
        pl.when(~is_nowhere).then(known).alias("condition_id"),
        pl.lit(None, pl.String).alias("token_id"),
        "size_shares",
        "amount_usdc",
        instant(rules.start, pl.col("second")).alias("happened_at"),
        "transaction_hash",
        "sequence",
    )


def _numbered(rows: pl.DataFrame, column: str, owner: pl.Series, limit: int) -> pl.DataFrame:
    """Rows before the limit, in the order of the chain; numbers within an event become those of all.

    `owner` names the event of each, ascending; numbers below 0 stay.
    """
    last = int(owner.to_numpy().max(initial=-1))
    is_seen = (pl.col("second") < limit) & (pl.col("event") <= last)
    seen = rows.filter(is_seen).sort("sequence")
    first = np.searchsorted(owner.to_numpy(), seen["event"].to_numpy())
    local = seen[column].to_numpy()
    return seen.with_columns(pl.Series(column, np.where(local < 0, -1, local + first)))


def token_frame(named: Sequence[Names]) -> pl.DataFrame:
    """One row per token of all events in order: event (its number), condition_id, token_id, outcome_index."""
    rows = [
        (place, condition_id, token_id, index)
        for place, names in enumerate(named)
        for condition_id, token_ids in zip(names.condition_ids, names.token_ids, strict=True)
        for index, token_id in enumerate(token_ids)
    ]
    schema = {
        "event": pl.Int64(),
        "condition_id": pl.String(),
        "token_id": pl.String(),
        "outcome_index": pl.Int32(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


NO_SERIES = pl.DataFrame(schema={"token": pl.Int64(), "second": pl.Int64(), "price": pl.Float64()})


def series(plan: Plan, path: Path, tokens: Ints, span: tuple[int, int]) -> pl.DataFrame:
    """Prices of some tokens of one event at grid places with low ≤ second < high: token, second, price."""
    low, high = span
    first = max(-(-(low - plan.opens) // GRID_S), 0)
    last = min(max(-(-(high - plan.opens) // GRID_S), first), plan.grid_size)
    places = np.arange(first, last)
    prices = path.prices[tokens, first:last]
    return pl.DataFrame(
        {
            "token": np.repeat(tokens, len(places)).astype(np.int64),
            "second": np.tile(plan.opens + places * GRID_S, len(tokens)).astype(np.int64),
            "price": np.round(prices.reshape(-1), 4),
        }
    )
