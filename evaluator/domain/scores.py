"""WScore: a wallet's score in a window, with its components, multipliers and reasons.

A version is a named formula over a row of `wallet_features`; v1 is the classic one.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl

from evaluator.domain.exact import ratio

VERSION = "v1"

TOO_FEW_FILLS = "TOO_FEW_FILLS"
NO_CLOSES = "NO_CLOSES"
INSUFFICIENT_HISTORY = "INSUFFICIENT_HISTORY"


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """Weights and bounds of v1; weights are normalised over the components that are known."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    version: str = field(default=VERSION, metadata={"doc": "Formula that ranks."})
    min_fills: int = field(default=10, metadata={"doc": "Fills in the window for a score."})
    min_coverage: float = field(default=0.95, metadata={"doc": "Coverage needed to be ranked."})
    weight_edge: float = field(default=0.30, metadata={"doc": "Weight of edge."})
    weight_consistency: float = field(default=0.25, metadata={"doc": "Weight of consistency."})
    weight_market_skill: float = field(default=0.20, metadata={"doc": "Weight of market_skill."})
    weight_timing: float = field(default=0.15, metadata={"doc": "Weight of timing."})
    weight_behavior: float = field(default=0.10, metadata={"doc": "Weight of behavior."})
    full_roi: float = field(default=0.20, metadata={"doc": "ROI at which edge is 1."})
    full_stdev: float = field(
        default=0.10, metadata={"doc": "Daily return deviation at which consistency is 0."}
    )
    full_timing_cents: float = field(
        default=10.0, metadata={"doc": "Drift in cents at which timing is 1 (and 0, negated)."}
    )
    bad_win_rate: float = field(default=0.45, metadata={"doc": "Below it the score is halved."})
    fair_win_rate: float = field(default=0.52, metadata={"doc": "Below it the score loses 20 %."})
    bad_win_rate_multiplier: float = field(default=0.50, metadata={"doc": "Multiplier below bad."})
    fair_win_rate_multiplier: float = field(
        default=0.80, metadata={"doc": "Multiplier below fair."}
    )
    trusted_age_days: float = field(default=90.0, metadata={"doc": "Age from which full trust."})
    young_multiplier: float = field(default=0.80, metadata={"doc": "Multiplier of the younger."})
    leaderboard_top: int = field(default=500, metadata={"doc": "Ranks that count as known."})
    obscure_multiplier: float = field(
        default=1.20, metadata={"doc": "Multiplier outside the leaderboard's top."}
    )


@dataclass(frozen=True, slots=True)
class Component:
    """One component of v1 in [0, 1], its weight, and its expression over a feature row."""

    name: str
    weight: float
    expr: pl.Expr


def components(rules: ScoreRules) -> tuple[Component, ...]:
    """The components in the order of the formula; each is null where its input is."""
    noise = pl.concat_list("extreme_price_ratio", "burstiness_top_1h").list.drop_nulls()
    drift = pl.col("timing_1h_cents")
    return (
        Component(
            "edge", rules.weight_edge, ratio(pl.col("roi").clip(0), rules.full_roi).clip(0, 1)
        ),
        Component(
            "consistency",
            rules.weight_consistency,
            (1 - ratio(pl.col("return_stdev"), rules.full_stdev)).clip(0, 1),
        ),
        Component("market_skill", rules.weight_market_skill, pl.col("event_win_rate")),
        Component(
            "timing",
            rules.weight_timing,
            ratio(drift + rules.full_timing_cents, 2 * rules.full_timing_cents).clip(0, 1),
        ),
        Component("behavior", rules.weight_behavior, (1 - noise.list.mean()).clip(0, 1)),
    )


def wallet_scores(
    features: pl.DataFrame, on_leaderboard: pl.DataFrame | None, rules: ScoreRules
) -> pl.DataFrame:
    """One row per row of `features` (one day and window), as `wallet_scores` less the run's columns.

    `on_leaderboard` holds the wallets (proxy_wallet) of the leaderboard's top; None where no
    leaderboard is known, which multiplies by 1.
    """
    parts = components(rules)
    scored = (
        features.lazy()
        .with_columns(part.expr.alias(part.name) for part in parts)
        .with_columns(_weighted_mean(parts).alias("base"), _reason(rules).alias("score_reason"))
        .with_columns(**_multipliers(on_leaderboard, rules))
        .with_columns(
            pl.when(pl.col("score_reason").is_null())
            .then(
                _product("base", "win_rate_multiplier", "trust_multiplier", "obscurity_multiplier")
            )
            .alias("raw_score"),
            _used(parts).alias("components_used"),
            pl.coalesce("score_reason", _history_reason(rules)).alias("rank_reason"),
        )
        .with_columns(
            pl.col("rank_reason").is_null().alias("is_rankable"),
            pl.col("raw_score").clip(0, 1).alias("wscore"),
        )
        .select(_columns(parts))
    )
    return scored.collect()


def ranked(scores: pl.DataFrame, addresses: pl.DataFrame) -> pl.DataFrame:
    """The scores of one day, window and version with rank and percentile over the rankable.

    By the unclamped product, best first, ties by address (`addresses`: proxy_wallet, address).
    """
    order = (
        scores.filter("is_rankable")
        .join(addresses, on="proxy_wallet", how="left")
        .sort("raw_score", "address", "proxy_wallet", descending=[True, False, False])
        .with_row_index("rank", offset=1)
    )
    places = order.select(
        "proxy_wallet",
        pl.col("rank").cast(pl.Int64),
        ratio(pl.len() - pl.col("rank").cast(pl.Int64) + 1, pl.len()).alias("percentile"),
    )
    return scores.join(places, on="proxy_wallet", how="left", maintain_order="left")


def _columns(parts: tuple[Component, ...]) -> list[str | pl.Expr]:
    """The columns of `wallet_scores` that the formula gives."""
    return [
        "proxy_wallet",
        pl.col("feature_date").alias("score_date"),
        "window_days",
        pl.lit(VERSION).alias("score_version"),
        "wscore",
        "score_reason",
        *(part.name for part in parts),
        "components_used",
        "win_rate_multiplier",
        "trust_multiplier",
        "obscurity_multiplier",
        "raw_score",
        pl.lit(None, pl.Float64).alias("interval_low"),
        pl.lit(None, pl.Float64).alias("interval_high"),
        pl.col("closed_event_count").alias("support_events"),
        pl.col("fill_count").alias("support_fills"),
        "is_rankable",
        "rank_reason",
    ]


def _weighted_mean(parts: tuple[Component, ...]) -> pl.Expr:
    """Σ weight · component ÷ Σ weight over the known components; null where none is known."""
    weights = pl.sum_horizontal(
        pl.when(pl.col(part.name).is_not_null()).then(part.weight) for part in parts
    )
    total = pl.sum_horizontal(part.weight * pl.col(part.name) for part in parts)
    return ratio(total, weights)


def _used(parts: tuple[Component, ...]) -> pl.Expr:
    names = [pl.when(pl.col(p.name).is_not_null()).then(pl.lit(p.name)) for p in parts]
    return pl.concat_str(names, separator=",", ignore_nulls=True)


def _reason(rules: ScoreRules) -> pl.Expr:
    """Why there is no score: too few fills first, then no closed lot."""
    return (
        pl.when(pl.col("fill_count") < rules.min_fills)
        .then(pl.lit(TOO_FEW_FILLS))
        .when(pl.col("closed_event_count") == 0)
        .then(pl.lit(NO_CLOSES))
    )


def _history_reason(rules: ScoreRules) -> pl.Expr:
    """A truncated history flips rankings; an unknown coverage or completeness passes."""
    is_short = pl.col("coverage") < rules.min_coverage
    is_cut = ~pl.col("history_complete")
    return pl.when(is_short | is_cut).then(pl.lit(INSUFFICIENT_HISTORY))


def _multipliers(on_leaderboard: pl.DataFrame | None, rules: ScoreRules) -> dict[str, pl.Expr]:
    """Each 1 where its input is unknown."""
    win_rate = (
        pl.when(pl.col("win_rate") < rules.bad_win_rate)
        .then(rules.bad_win_rate_multiplier)
        .when(pl.col("win_rate") < rules.fair_win_rate)
        .then(rules.fair_win_rate_multiplier)
        .otherwise(1.0)
    )
    is_young = pl.col("wallet_age_days") < rules.trusted_age_days
    obscurity = pl.lit(1.0)
    if on_leaderboard is not None:
        is_known = pl.col("proxy_wallet").is_in(on_leaderboard["proxy_wallet"].implode())
        obscurity = pl.when(is_known).then(1.0).otherwise(rules.obscure_multiplier)
    return {
        "win_rate_multiplier": win_rate,
        "trust_multiplier": pl.when(is_young).then(rules.young_multiplier).otherwise(1.0),
        "obscurity_multiplier": obscurity,
    }


def _product(*names: str) -> pl.Expr:
    product = pl.col(names[0])
    for name in names[1:]:
        product = product * pl.col(name)
    return product
