"""Gates and detectors as rows: label, conditions, follow mode.

A detector fires when all its conditions hold. Logic is three-valued: one false condition makes
it false, otherwise a null makes it unknown, and unknown does not fire.
"""

from dataclasses import dataclass

import polars as pl

from evaluator.domain.exact import ratio
from evaluator.domain.personas.rules import (
    Condition,
    Either,
    PersonaRules,
    above,
    at_least,
    at_most,
    below,
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of stage 1 or 1.5: its label applies where `fails`; a null metric passes."""

    label: str
    stage: str
    metric: str
    threshold: float | None
    fails: pl.Expr
    is_exclusion: bool = True


@dataclass(frozen=True, slots=True)
class Detector:
    """One label of stage 2; those with a follow mode are worth following."""

    label: str
    conditions: tuple[Condition, *tuple[Condition | Either, ...]]
    follow_mode: str | None = None

    @property
    def fires(self) -> pl.Expr:
        """True, false, or null where a null decides."""
        return pl.all_horizontal(condition.holds for condition in self.conditions)

    @property
    def margin(self) -> pl.Expr:
        """The smallest margin of the conditions; null if one of them is null."""
        margins = [condition.margin for condition in self.conditions]
        is_known = pl.all_horizontal(margin.is_not_null() for margin in margins)
        return pl.when(is_known).then(pl.min_horizontal(margins))


def gates(rules: PersonaRules) -> tuple[Gate, ...]:
    """Stage 1 and 1.5 in their order; exactly at a bound passes."""
    sniper = detectors(rules)[0]
    is_short = (pl.col("coverage") < rules.min_coverage) | ~pl.col("history_complete")
    return (
        Gate("KNOWN_BOT", "1", "is_known_bot", None, pl.col("is_known_bot")),
        Gate(sniper.label, "1", "win_rate", rules.sniper_min_win_rate, sniper.fires),
        _at_least("TOO_YOUNG", "1", "wallet_age_days", rules.stage1_min_wallet_age_days),
        _at_least("TOO_FEW_TRADES", "1", "career_fill_count", rules.stage1_min_total_trades),
        Gate(
            "INACTIVE",
            "1",
            "days_since_last_fill",
            rules.stage1_max_inactive_days,
            pl.col("days_since_last_fill") > rules.stage1_max_inactive_days,
        ),
        Gate(
            "INSUFFICIENT_HISTORY",
            "1",
            "coverage",
            rules.min_coverage,
            is_short,
            is_exclusion=False,
        ),
        _at_least("NEGATIVE_ALL_TIME_ROI", "1", "career_roi", rules.min_all_time_roi),
        _at_least("RECENT_LOSS", "1.5", "recent_pnl_usdc", rules.min_recent_pnl_usdc),
    )


def _at_least(label: str, stage: str, metric: str, bound: float) -> Gate:
    """A gate that a metric below its bound does not pass."""
    return Gate(label, stage, metric, bound, pl.col(metric) < bound)


FIRST_FOLLOWABLE = 9
"""Index of the first detector that is no exclusion."""


def detectors(rules: PersonaRules) -> tuple[Detector, ...]:
    """The twelve detectors by priority, exclusions first."""
    return (*_suspicious(rules), *_not_worth_following(rules), *_followable(rules))


def _win_rate(rules: PersonaRules) -> pl.Expr:
    """The win rate where enough trips are settled to believe it."""
    return pl.when(pl.col("settled_count") >= rules.min_settled).then(pl.col("win_rate"))


def _suspicious(rules: PersonaRules) -> tuple[Detector, ...]:
    loss_ratio = ratio(pl.col("max_single_loss_usdc"), pl.col("avg_win_usdc"))
    return (
        Detector(
            "SNIPER_INSIDER",
            (
                below("wallet_age_days", rules.sniper_max_age_days),
                above("win_rate", rules.sniper_min_win_rate),
                at_least("settled_count", rules.sniper_min_settled),
                below("settled_count", rules.sniper_below_settled),
            ),
        ),
        Detector("SYBIL_CLUSTER", (at_least("cluster_size", rules.sybil_min_wallets),)),
        Detector("EXECUTION_MASTER", (above("execution_share", rules.execution_min_share),)),
        Detector(
            "TAIL_RISK_SELLER",
            (
                above("win_rate", rules.tail_min_win_rate, _win_rate(rules)),
                above("loss_ratio", rules.tail_min_loss_ratio, loss_ratio),
            ),
        ),
    )


def _not_worth_following(rules: PersonaRules) -> tuple[Detector, ...]:
    rests = Either(
        at_least("maker_share", rules.maker_min_share),
        at_least("mid_fill_ratio", rules.maker_min_mid_ratio),
    )
    return (
        Detector(
            "NOISE_TRADER",
            (
                above("fills_per_week", rules.noise_min_fills_per_week),
                below("abs_roi", rules.noise_max_abs_roi, pl.col("roi").abs()),
            ),
        ),
        Detector("NEWS_SNIPER", (above("burstiness_top_1h", rules.news_min_burstiness),)),
        Detector(
            "LIQUIDITY_PROVIDER", (at_least("buy_sell_balance", rules.maker_min_balance), rests)
        ),
        Detector(
            "BOT_SWARM",
            (
                at_least("fills_per_day", rules.swarm_min_fills_per_day),
                at_most("avg_fill_usdc", rules.swarm_max_fill_usdc),
            ),
        ),
        Detector(
            "JACKPOT_GAMBLER",
            (
                at_least("top1_pnl_share", rules.gambler_min_top1_share),
                at_most("win_rate", rules.gambler_max_win_rate, _win_rate(rules)),
            ),
        ),
    )


def _followable(rules: PersonaRules) -> tuple[Detector, ...]:
    win_rate = _win_rate(rules)
    return (
        Detector(
            "INFORMED_SPECIALIST",
            (
                at_most("open_position_count", rules.specialist_max_positions),
                at_least("concentration_top3", rules.specialist_min_concentration),
                above("win_rate", rules.specialist_min_win_rate, win_rate),
            ),
            follow_mode="mirror_with_delay",
        ),
        Detector(
            "CONSISTENT_GENERALIST",
            (
                above("market_count", rules.generalist_min_markets),
                at_least("win_rate", rules.generalist_min_win_rate, win_rate),
                below("max_drawdown", rules.generalist_max_drawdown),
                above("daily_sharpe", rules.generalist_min_sharpe),
            ),
            follow_mode="mirror",
        ),
        Detector(
            "PATIENT_ACCUMULATOR",
            (
                above("hold_hours_mean", rules.accumulator_min_hold_hours),
                below("fills_per_week", rules.accumulator_max_fills_per_week),
                at_least("roi", rules.accumulator_min_roi),
            ),
            follow_mode="mirror_slow",
        ),
    )
