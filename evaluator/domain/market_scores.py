"""MScore and EScore: which markets are worth searching for wallets, and why.

Candidates out of a day's `markets`, five components and a gate for each, and the best events.
What the venue is asked, and when, belongs to `evaluator.stages.discovery`.
"""

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import reduce
from itertools import islice, pairwise
from typing import ClassVar

import polars as pl

from evaluator.domain.errors import ConfigurationError
from evaluator.domain.exact import ratio
from evaluator.domain.tables.discovery import MARKET_SCORES

UNKNOWN_COMPONENT = 0.5
"""What density and whale count where the venue did not say; their inputs are null then."""

_DAY_US = 86_400_000_000
_STAMPS = ("config_hash", "computed_at")


def _setting(default: float, doc: str) -> float:
    value: float = field(default=default, metadata={"doc": doc})
    return value


@dataclass(frozen=True, slots=True)
class DiscoveryRules:
    """Which markets are candidates, how they are scored, and what is searched for wallets.

    Weights are normalised to a sum of 1.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    min_liquidity_usdc: float = _setting(1_000.0, "Resting liquidity of a candidate.")
    min_volume_24h_usdc: float = _setting(5_000.0, "Volume of 24 hours of a candidate.")
    min_days_to_end: float = _setting(1.0, "Days to the end of a candidate, at least.")
    max_days_to_end: float = _setting(90.0, "Days to the end of a candidate, at most.")
    weight_liquidity: float = _setting(0.25, "Weight of liquidity.")
    weight_volume: float = _setting(0.25, "Weight of the volume of 24 hours.")
    weight_density: float = _setting(0.20, "Weight of the number of trades in 24 hours.")
    weight_whale: float = _setting(0.15, "Weight of 1 less the top holder's share.")
    weight_time: float = _setting(0.15, "Weight of the time to the end.")
    full_liquidity_decades: float = _setting(
        6.0, "Decimal logarithm of the liquidity at which its component is 1."
    )
    full_volume_usdc: float = _setting(500_000.0, "24-hour volume at which its component is 1.")
    full_trades: int = field(
        default=500,
        metadata={"doc": "Trades in 24 hours at which density is 1; none is counted beyond."},
    )
    rising_days: float = _setting(7.0, "Days to the end from which the time component is 1.")
    falling_days: float = _setting(30.0, "Days to the end beyond which it falls.")
    last_days: float = _setting(90.0, "Days to the end from which it is 0.")
    selected_events: int = field(
        default=50, metadata={"doc": "Best events whose markets are searched for wallets."}
    )
    feed_pages: int = field(
        default=15, metadata={"doc": "Pages of 200 read of the feed of a selected market."}
    )
    min_recent_trades: int = field(
        default=5, metadata={"doc": "Trades in that feed that make its wallet a discovery."}
    )
    leaderboard_categories: tuple[str, ...] = field(
        default=("OVERALL", "POLITICS", "CRYPTO"), metadata={"doc": "Leaderboards read."}
    )
    leaderboard_periods: tuple[str, ...] = field(
        default=("WEEK", "MONTH"), metadata={"doc": "Periods read of each leaderboard."}
    )


FEED_PAGE_ROWS = 200
"""Rows of a page of a market's feed."""

_POSITIVE = ("full_liquidity_decades", "full_trades", "feed_pages")


def check(rules: DiscoveryRules, table: str = "discovery") -> None:
    """Raise ConfigurationError, naming the key, where the rules make no score."""
    for each in fields(rules):
        _check_value(f"{table}.{each.name}", each.name, getattr(rules, each.name))
    if not sum(_raw_weights(rules)):
        raise ConfigurationError(f"{table}.weight_liquidity", "all weights are 0")
    if rules.min_days_to_end > rules.max_days_to_end:
        problem = f"should be at least min_days_to_end ({rules.min_days_to_end:g})"
        raise ConfigurationError(f"{table}.max_days_to_end", problem)
    if rules.full_volume_usdc <= 1:
        problem = f"should be more than 1: scores are logarithmic, not {rules.full_volume_usdc:g}"
        raise ConfigurationError(f"{table}.full_volume_usdc", problem)
    knots = ("rising_days", "falling_days", "last_days")
    for first, second in pairwise(knots):
        if not 0 < getattr(rules, first) < getattr(rules, second):
            problem = f"should be more than 0 and less than {second}"
            raise ConfigurationError(f"{table}.{first}", problem)


def candidates(markets: pl.DataFrame, at: datetime, rules: DiscoveryRules) -> pl.DataFrame:
    """One row per market of one day's `markets` that is open, liquid, traded and ends in time.

    Adds days_to_end and is_volume_lifetime; volume_24h_usdc is then the volume that counts:
    the lifetime's where that of 24 hours is missing. Bounds are inclusive.
    """
    remaining = (pl.col("end_at") - pl.lit(at)).dt.total_microseconds()
    known = markets.with_columns(
        ratio(remaining, float(_DAY_US)).alias("days_to_end"),
        pl.col("volume_24h_usdc").is_null().alias("is_volume_lifetime"),
        pl.coalesce("volume_24h_usdc", "volume_usdc").alias("volume_24h_usdc"),
    )
    return known.filter(
        ~pl.col("closed"),
        pl.col("liquidity_usdc") >= rules.min_liquidity_usdc,
        pl.col("volume_24h_usdc") >= rules.min_volume_24h_usdc,
        pl.col("days_to_end").is_between(rules.min_days_to_end, rules.max_days_to_end),
    )


def top_holders(holders: pl.DataFrame, markets: pl.DataFrame) -> pl.DataFrame:
    """condition_id and top_holder_ratio of the markets whose `holders` are known.

    The largest holder's share of what the listed holders of a token hold, of the token where
    it is largest. `holders`: token_id, amount_shares; `markets`: condition_id, token_id.

    >>> holders = pl.DataFrame({"token_id": ["1", "1", "2"], "amount_shares": [30, 10, 0]})
    >>> markets = pl.DataFrame({"condition_id": ["a", "a"], "token_id": ["1", "2"]})
    >>> top_holders(holders, markets).rows()
    [('a', 0.75)]
    """
    amount = pl.col("amount_shares")
    by_token = holders.group_by("token_id").agg(
        amount.max().alias("largest"), amount.sum().alias("all")
    )
    return (
        markets.join(by_token, on="token_id", how="inner")
        .with_columns(ratio(pl.col("largest"), pl.col("all")).alias("top_holder_ratio"))
        .group_by("condition_id")
        .agg(pl.col("top_holder_ratio").max())
        .sort("condition_id")
    )


def scores(
    listed: pl.DataFrame,
    trades_24h: pl.DataFrame,
    top_holder: pl.DataFrame,
    rules: DiscoveryRules,
) -> pl.DataFrame:
    """One row per candidate, best first: `market_scores` less the run's columns.

    `trades_24h` (condition_id, trades_24h_count) and `top_holder` (condition_id,
    top_holder_ratio) lack the markets that could not be read: null, which counts 0.5. Events
    are ranked by (escore desc, id); a market without an event is its own. Source: spec 30.

    >>> golden = pl.DataFrame({"liquidity_usdc": [5e4], "volume_24h_usdc": [2e4],
    ...     "trades_24h_count": [100], "top_holder_ratio": [0.4], "days_to_end": [14.0]})
    >>> [round(x, 6) for x in golden.select(mscore(DiscoveryRules())).row(0)]
    [0.783163, 0.754707, 0.2, 0.6, 1.0, 0.664467, 0.57929, 0.384919]
    """
    counted = pl.col("trades_24h_count").clip(0, rules.full_trades)
    known = (
        listed.join(trades_24h, on="condition_id", how="left", maintain_order="left")
        .join(top_holder, on="condition_id", how="left", maintain_order="left")
        .with_columns(counted.alias("trades_24h_count"))
    )
    scored = known.with_columns(
        pl.col("snapshot_date").alias("score_date"),
        pl.coalesce("event_slug", "condition_id").alias("event"),
        *mscore(rules),
    )
    ranked = scored.join(_events(scored), on="event", how="left", maintain_order="left")
    chosen = ranked.with_columns(is_selected=pl.col("event_rank") <= rules.selected_events)
    names = [name for name in MARKET_SCORES.schema.names() if name not in _STAMPS]
    best_first = chosen.sort(
        "event_rank", "mscore", "condition_id", descending=[False, True, False]
    )
    return best_first.select(names)


def mscore(rules: DiscoveryRules) -> list[pl.Expr]:
    """The components, raw_score, gate and mscore over the five inputs of a market."""
    parts = _components(rules)
    total = math.fsum(_raw_weights(rules))
    weights = [weight / total for weight in _raw_weights(rules)]
    raw = _sum(weight * part for weight, part in zip(weights, parts.values(), strict=True))
    gate = ratio(_sum(islice(parts.values(), 3)), 3.0)
    return [
        *(part.alias(name) for name, part in parts.items()),
        raw.alias("raw_score"),
        gate.alias("gate"),
        (raw * gate).clip(0, 1).alias("mscore"),
    ]


def _components(rules: DiscoveryRules) -> dict[str, pl.Expr]:
    """Each in [0, 1], in the order of the formula."""
    volume = _decades("volume_24h_usdc")
    density = ratio(pl.col("trades_24h_count"), float(rules.full_trades))
    return {
        "liquidity_score": ratio(_decades("liquidity_usdc"), rules.full_liquidity_decades).clip(
            0, 1
        ),
        "volume_score": ratio(volume, math.log10(rules.full_volume_usdc)).clip(0, 1),
        "density_score": density.clip(0, 1).fill_null(UNKNOWN_COMPONENT),
        "whale_score": (1 - pl.col("top_holder_ratio")).clip(0, 1).fill_null(UNKNOWN_COMPONENT),
        "time_score": time_score(rules),
    }


def time_score(rules: DiscoveryRules) -> pl.Expr:
    """0 at the end and from `last_days` on, 1 between the knots, linear between.

    >>> days = pl.DataFrame({"days_to_end": [0.0, 3.5, 7.0, 30.0, 60.0, 90.0]})
    >>> days.select(time_score(DiscoveryRules())).to_series().to_list()
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    days = pl.col("days_to_end")
    beyond = ratio(days - rules.falling_days, rules.last_days - rules.falling_days)
    return (
        pl.when((days <= 0) | (days >= rules.last_days))
        .then(0.0)
        .when(days < rules.rising_days)
        .then(ratio(days, rules.rising_days))
        .when(days <= rules.falling_days)
        .then(1.0)
        .otherwise(1 - beyond)
    )


def _sum(parts: Iterable[pl.Expr]) -> pl.Expr:
    """From left to right: `sum_horizontal` may add in any order."""
    return reduce(operator.add, parts)


def _decades(name: str) -> pl.Expr:
    return (pl.col(name) + 1).log10()


def _events(scored: pl.DataFrame) -> pl.DataFrame:
    """One row per event: its best score and its rank, ties by id."""
    best = scored.group_by("event").agg(pl.col("mscore").max().alias("escore"))
    order = best.sort("escore", "event", descending=[True, False])
    return order.with_row_index("event_rank", offset=1).with_columns(
        pl.col("event_rank").cast(pl.Int32)
    )


def _raw_weights(rules: DiscoveryRules) -> tuple[float, ...]:
    """Weights in the order of the components."""
    return (
        rules.weight_liquidity,
        rules.weight_volume,
        rules.weight_density,
        rules.weight_whale,
        rules.weight_time,
    )


def _check_value(key: str, name: str, value: object) -> None:
    """Numbers are finite and not negative, scales positive; lists are of different words."""
    if isinstance(value, tuple):
        if not value or not all(value) or len(set(value)) != len(value):
            raise ConfigurationError(key, f"should be different words, not {list(value)}")
    elif isinstance(value, int | float):
        if not math.isfinite(value):
            raise ConfigurationError(key, f"should be a finite number, not {value}")
        if value < 0:
            raise ConfigurationError(key, f"should be 0 or more, not {value:g}")
        if name in _POSITIVE and not value:
            raise ConfigurationError(key, f"should be more than 0, not {value:g}")
