"""The verdict on each wallet: stage, label, margins, confidence; exclusions and traits.

A pure function of the wallet's features at as_of; it has no memory.
"""

from dataclasses import dataclass

import polars as pl

from evaluator.domain.exact import ratio
from evaluator.domain.personas.detectors import (
    FIRST_FOLLOWABLE,
    Detector,
    Gate,
    detectors,
    gates,
)
from evaluator.domain.personas.rules import PersonaRules

LOW_ROI = "LOW_ROI"
INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
UNCLASSIFIED = "UNCLASSIFIED"


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Rows of `wallet_personas`, `wallet_exclusions` and `wallet_traits`, without day and run."""

    personas: pl.DataFrame
    exclusions: pl.DataFrame
    traits: pl.DataFrame


def classify(rows: pl.DataFrame, rules: PersonaRules, *, with_stage_1: bool = True) -> Verdicts:
    """One verdict per row.

    `rows` has the features of `rules.window_days` and the columns career_fill_count,
    career_roi, recent_pnl_usdc, cluster_size and is_known_bot.
    """
    asked = [gate for gate in gates(rules) if with_stage_1 or gate.stage != "1"]
    fired = detectors(rules)
    judged = (
        rows.lazy()
        .with_columns(
            *(gate.fails.fill_null(value=False).alias(f"fails_{gate.label}") for gate in asked),
            *(detector.fires.alias(f"fires_{detector.label}") for detector in fired),
            *(detector.margin.alias(f"margin_{detector.label}") for detector in fired),
        )
        .with_columns(
            pl.coalesce(_named(f"fails_{gate.label}", gate.label) for gate in asked).alias("gate"),
            pl.coalesce(_named(f"fires_{d.label}", d.label) for d in fired).alias("fired"),
        )
        .with_columns(_label(fired, rules).alias("persona"))
        .collect()
    )
    return Verdicts(
        _personas(judged, asked, fired, rules),
        _exclusions(judged, asked, fired, rules),
        _traits(rows, rules),
    )


def _named(flag: str, label: str) -> pl.Expr:
    return pl.when(flag).then(pl.lit(label))


def _label(fired: tuple[Detector, ...], rules: PersonaRules) -> pl.Expr:
    """The gate that fails first; else the detector that fires first, unless its ROI is low."""
    followable = [detector.label for detector in fired[FIRST_FOLLOWABLE:]]
    is_followable = pl.col("fired").is_in(followable)
    roi = pl.col("roi")
    is_unknown = pl.any_horizontal(pl.col(f"fires_{label}").is_null() for label in followable)
    return (
        pl.when(pl.col("gate").is_not_null())
        .then("gate")
        .when(is_followable & roi.is_null())
        .then(pl.lit(INSUFFICIENT_DATA))
        .when(is_followable & (roi < rules.followable_min_roi))
        .then(pl.lit(LOW_ROI))
        .when(pl.col("fired").is_not_null())
        .then("fired")
        .when(is_unknown)
        .then(pl.lit(INSUFFICIENT_DATA))
        .otherwise(pl.lit(UNCLASSIFIED))
    )


def _personas(
    judged: pl.DataFrame, asked: list[Gate], fired: tuple[Detector, ...], rules: PersonaRules
) -> pl.DataFrame:
    modes = {detector.label: detector.follow_mode for detector in fired if detector.follow_mode}
    stages = {gate.label: gate.stage for gate in asked}
    persona = pl.col("persona")
    nearest = pl.max_horizontal(f"margin_{detector.label}" for detector in fired)
    is_unclassified = persona == UNCLASSIFIED
    return judged.select(
        "proxy_wallet",
        persona,
        pl.when(pl.col("gate").is_not_null())
        .then(pl.col("gate").replace_strict(stages, default=None, return_dtype=pl.String))
        .otherwise(pl.lit("2"))
        .alias("stage"),
        pl.coalesce("gate", "fired", "persona").alias("reason_code"),
        _confidence(fired, rules).alias("confidence"),
        persona.is_in(_exclusion_labels(asked, fired)).alias("is_exclusion"),
        persona.is_in(list(modes)).alias("is_followable"),
        persona.replace_strict(modes, default=None, return_dtype=pl.String).alias("follow_mode"),
        _margins(fired).alias("margins"),
        pl.when(is_unclassified)
        .then(pl.coalesce(_nearest(detector, nearest) for detector in fired))
        .alias("nearest_persona"),
        pl.when(is_unclassified).then(nearest).alias("nearest_margin"),
        "settled_count",
    )


def _exclusion_labels(asked: list[Gate], fired: tuple[Detector, ...]) -> list[str]:
    by_gate = [gate.label for gate in asked if gate.is_exclusion]
    return [*by_gate, *(detector.label for detector in fired[:FIRST_FOLLOWABLE]), LOW_ROI]


def _nearest(detector: Detector, nearest: pl.Expr) -> pl.Expr:
    return pl.when(pl.col(f"margin_{detector.label}") == nearest).then(pl.lit(detector.label))


def _margins(fired: tuple[Detector, ...]) -> pl.Expr:
    return pl.concat_list(
        pl.struct(
            pl.lit(detector.label).alias("key"),
            pl.col(f"margin_{detector.label}").alias("value"),
        )
        for detector in fired
    )


def _confidence(fired: tuple[Detector, ...], rules: PersonaRules) -> pl.Expr:
    """Confidence n ÷ (n + 10) · min(1, .5 + .5·m); 1 for gates, null for labels without support."""
    n = pl.col("settled_count")
    winner = pl.coalesce(
        pl.when(pl.col("fired") == detector.label).then(f"margin_{detector.label}")
        for detector in fired
    ).clip(0, 1)
    certainty = ratio(n, n + rules.confidence_half) * pl.min_horizontal(1.0, 0.5 + 0.5 * winner)
    no_confidence = ["INSUFFICIENT_HISTORY", INSUFFICIENT_DATA, UNCLASSIFIED]
    return (
        pl.when(pl.col("persona").is_in(no_confidence))
        .then(None)
        .when(pl.col("gate").is_not_null())
        .then(1.0)
        .otherwise(certainty)
    )


@dataclass(frozen=True, slots=True)
class _Exclusion:
    """A label that excludes, where it applies, and the metric and bound to show for it."""

    label: str
    stage: str
    applies: pl.Expr
    metric: str
    value: pl.Expr
    threshold: float | None


def _exclusions(
    judged: pl.DataFrame, asked: list[Gate], fired: tuple[Detector, ...], rules: PersonaRules
) -> pl.DataFrame:
    """Every exclusion that holds, with the metric of the gate or of the detector's first condition.

    A detector of stage 2 counts only for wallets that reached stage 2.
    """
    by_gate = [
        _Exclusion(
            gate.label,
            gate.stage,
            pl.col(f"fails_{gate.label}"),
            gate.metric,
            pl.col(gate.metric),
            gate.threshold,
        )
        for gate in asked
        if gate.is_exclusion
    ]
    by_detector = [_exclusion(detector) for detector in fired[:FIRST_FOLLOWABLE]]
    is_low = pl.col("persona") == LOW_ROI
    low = _Exclusion(LOW_ROI, "2", is_low, "roi", pl.col("roi"), rules.followable_min_roi)
    return pl.concat(_excluded(judged, each) for each in (*by_gate, *by_detector, low))


def _exclusion(detector: Detector) -> _Exclusion:
    first = detector.conditions[0]
    applies = pl.col("gate").is_null() & pl.col(f"fires_{detector.label}")
    return _Exclusion(detector.label, "2", applies, first.metric, first.expr, first.threshold)


def _excluded(judged: pl.DataFrame, exclusion: _Exclusion) -> pl.DataFrame:
    return judged.filter(exclusion.applies).select(
        "proxy_wallet",
        pl.lit(exclusion.label).alias("reason"),
        pl.lit(exclusion.stage).alias("stage"),
        pl.lit(exclusion.metric).alias("metric"),
        exclusion.value.cast(pl.Float64).alias("value"),
        pl.lit(exclusion.threshold, pl.Float64).alias("threshold"),
        (pl.col("persona") == exclusion.label).alias("is_deciding"),
    )


def _traits(rows: pl.DataFrame, rules: PersonaRules) -> pl.DataFrame:
    """TOPIC_LANE, BONDER and WHALE, whatever the verdict."""
    traits = (
        ("TOPIC_LANE", "top_domain_ratio", rules.lane_min_domain_ratio, pl.col("top_domain")),
        ("BONDER", "extreme_price_ratio", rules.bonder_min_extreme_ratio, pl.lit(None, pl.String)),
        ("WHALE", "avg_fill_usdc", rules.whale_min_fill_usdc, pl.lit(None, pl.String)),
    )
    return pl.concat(
        rows.filter(pl.col(metric) >= bound).select(
            "proxy_wallet",
            pl.lit(trait).alias("trait"),
            detail.alias("detail"),
            pl.col(metric).alias("value"),
        )
        for trait, metric, bound, detail in traits
    )
