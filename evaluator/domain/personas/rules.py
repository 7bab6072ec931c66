"""Thresholds of the persona gates and detectors; all of them configuration."""

from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl

from evaluator.domain.exact import ratio


def _bound(default: float, doc: str) -> float:
    """A threshold with its meaning."""
    value: float = field(default=default, metadata={"doc": doc})
    return value


@dataclass(frozen=True, slots=True)
class PersonaRules:
    """Bounds of stages 1, 1.5 and 2; `confidence` and traits included."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    window_days: int = field(default=30, metadata={"doc": "Window of the features judged."})
    parallel_enabled: bool = field(
        default=True, metadata={"doc": "Classify shards in processes of their own."}
    )
    parallel_tasks: int = field(default=8, metadata={"doc": "Shards at most."})
    forced_tasks: int = field(
        default=0, metadata={"doc": "Exactly so many shards, whatever is useful; 0 decides."}
    )
    known_bots: tuple[str, ...] = field(
        default=(), metadata={"doc": "Addresses that are bots, lower-case 0x."}
    )
    stage1_min_wallet_age_days: float = _bound(30, "Younger wallets are TOO_YOUNG.")
    stage1_min_total_trades: float = _bound(10, "Fewer fills ever are TOO_FEW_TRADES.")
    stage1_max_inactive_days: float = _bound(45, "A longer silence is INACTIVE.")
    min_coverage: float = _bound(0.95, "Lower coverage is INSUFFICIENT_HISTORY.")
    min_all_time_roi: float = _bound(0.0, "Lower is NEGATIVE_ALL_TIME_ROI.")
    min_recent_pnl_usdc: float = _bound(0.0, "Lower PnL of 30 days is RECENT_LOSS.")
    min_settled: int = field(
        default=10, metadata={"doc": "Below it the win rate of detectors 4, 9 to 11 is unknown."}
    )
    sniper_max_age_days: float = _bound(30, "SNIPER_INSIDER: younger than.")
    sniper_min_win_rate: float = _bound(0.85, "SNIPER_INSIDER: win rate above.")
    sniper_min_settled: float = _bound(5, "SNIPER_INSIDER: settled trips from.")
    sniper_below_settled: float = _bound(20, "SNIPER_INSIDER: settled trips below.")
    sybil_min_wallets: float = _bound(4, "SYBIL_CLUSTER: wallets in the component from.")
    sybil_min_jaccard: float = _bound(0.80, "SYBIL_CLUSTER: overlap of two wallets above.")
    sybil_min_elements: int = field(
        default=10, metadata={"doc": "SYBIL_CLUSTER: order buckets of each wallet from."}
    )
    sybil_window_days: int = field(default=90, metadata={"doc": "SYBIL_CLUSTER: days looked at."})
    sybil_bucket_s: int = field(
        default=600, metadata={"doc": "SYBIL_CLUSTER: seconds of a bucket of order starts."}
    )
    execution_min_share: float = _bound(0.70, "EXECUTION_MASTER: execution share above.")
    tail_min_win_rate: float = _bound(0.80, "TAIL_RISK_SELLER: win rate above.")
    tail_min_loss_ratio: float = _bound(5, "TAIL_RISK_SELLER: worst loss ÷ mean win above.")
    noise_min_fills_per_week: float = _bound(50, "NOISE_TRADER: fills a week above.")
    noise_max_abs_roi: float = _bound(0.02, "NOISE_TRADER: |ROI| below.")
    news_min_burstiness: float = _bound(0.70, "NEWS_SNIPER: burstiness above.")
    maker_min_balance: float = _bound(0.45, "LIQUIDITY_PROVIDER: buy-sell balance from.")
    maker_min_share: float = _bound(0.60, "LIQUIDITY_PROVIDER: maker share from.")
    maker_min_mid_ratio: float = _bound(
        0.60, "LIQUIDITY_PROVIDER: mid fills from, where no role is known."
    )
    swarm_min_fills_per_day: float = _bound(200, "BOT_SWARM: fills a day from.")
    swarm_max_fill_usdc: float = _bound(5, "BOT_SWARM: mean fill up to.")
    gambler_min_top1_share: float = _bound(0.60, "JACKPOT_GAMBLER: top event's share from.")
    gambler_max_win_rate: float = _bound(0.45, "JACKPOT_GAMBLER: win rate up to.")
    specialist_max_positions: float = _bound(5, "INFORMED_SPECIALIST: open positions up to.")
    specialist_min_concentration: float = _bound(0.60, "INFORMED_SPECIALIST: top 3 share from.")
    specialist_min_win_rate: float = _bound(0.60, "INFORMED_SPECIALIST: win rate above.")
    generalist_min_markets: float = _bound(20, "CONSISTENT_GENERALIST: markets above.")
    generalist_min_win_rate: float = _bound(0.52, "CONSISTENT_GENERALIST: win rate from.")
    generalist_max_drawdown: float = _bound(0.15, "CONSISTENT_GENERALIST: drawdown below.")
    generalist_min_sharpe: float = _bound(1, "CONSISTENT_GENERALIST: daily Sharpe above.")
    accumulator_min_hold_hours: float = _bound(48, "PATIENT_ACCUMULATOR: mean hold above.")
    accumulator_max_fills_per_week: float = _bound(5, "PATIENT_ACCUMULATOR: fills a week below.")
    accumulator_min_roi: float = _bound(0.05, "PATIENT_ACCUMULATOR: ROI from.")
    followable_min_roi: float = _bound(0.05, "A lower ROI makes detectors 10 to 12 LOW_ROI.")
    lane_min_domain_ratio: float = _bound(0.65, "Trait TOPIC_LANE: share of the domain from.")
    bonder_min_extreme_ratio: float = _bound(0.60, "Trait BONDER: extreme prices from.")
    whale_min_fill_usdc: float = _bound(100, "Trait WHALE: mean fill from.")
    confidence_half: float = _bound(10, "Settled trips at which confidence reaches one half.")


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a metric with a bound; null where the metric is."""

    metric: str
    expr: pl.Expr
    sign: int
    threshold: float
    is_strict: bool

    @property
    def holds(self) -> pl.Expr:
        """True, false, or null where the metric is null."""
        distance = self.sign * (self.expr - self.threshold)
        return distance > 0 if self.is_strict else distance >= 0

    @property
    def margin(self) -> pl.Expr:
        """Distance ÷ |threshold|, positive where satisfied; null where the metric is."""
        return ratio(self.sign * (self.expr - self.threshold), abs(self.threshold))


@dataclass(frozen=True, slots=True)
class Either:
    """The first condition where its metric is known, else the second."""

    first: Condition
    second: Condition

    @property
    def holds(self) -> pl.Expr:
        """As the condition that applies; null where both metrics are null."""
        return pl.coalesce(self.first.holds, self.second.holds)

    @property
    def margin(self) -> pl.Expr:
        """As the condition that applies; null where both metrics are null."""
        return pl.coalesce(self.first.margin, self.second.margin)


def _metric(name: str, expr: pl.Expr | None) -> pl.Expr:
    return pl.col(name) if expr is None else expr


def above(metric: str, threshold: float, expr: pl.Expr | None = None) -> Condition:
    """Metric > threshold."""
    return Condition(metric, _metric(metric, expr), 1, threshold, is_strict=True)


def at_least(metric: str, threshold: float, expr: pl.Expr | None = None) -> Condition:
    """Metric ≥ threshold."""
    return Condition(metric, _metric(metric, expr), 1, threshold, is_strict=False)


def below(metric: str, threshold: float, expr: pl.Expr | None = None) -> Condition:
    """Metric < threshold."""
    return Condition(metric, _metric(metric, expr), -1, threshold, is_strict=True)


def at_most(metric: str, threshold: float, expr: pl.Expr | None = None) -> Condition:
    """Metric ≤ threshold."""
    return Condition(metric, _metric(metric, expr), -1, threshold, is_strict=False)
