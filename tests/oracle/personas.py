"""The persona verdict of one wallet: gates, twelve detectors with margins, traits.

Three-valued logic throughout; a verdict is a pure function of a feature row, the
all-time facts and the size of the wallet's sybil component.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from tests.oracle.features import features
from tests.oracle.ledger import ledger
from tests.oracle.measures import ratio
from tests.oracle.world import MICRO

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from tests.oracle.world import WorldIndex

Row = Mapping[str, Any]
Sign = Literal[">", "≥", "<", "≤"]

WINDOW_DAYS = 30
MIN_SETTLED = 10
MIN_ROI = 0.05

FOLLOW_MODES = {
    "INFORMED_SPECIALIST": "mirror_with_delay",
    "CONSISTENT_GENERALIST": "mirror",
    "PATIENT_ACCUMULATOR": "mirror_slow",
}
NOT_EXCLUDED = {*FOLLOW_MODES, "INSUFFICIENT_HISTORY", "INSUFFICIENT_DATA", "UNCLASSIFIED"}
WITHOUT_CONFIDENCE = {"INSUFFICIENT_HISTORY", "INSUFFICIENT_DATA", "UNCLASSIFIED"}


@dataclass(frozen=True, slots=True)
class AllTime:
    """What the gates need beside the 30-day row; the age and idle days are in the row."""

    fill_count: int
    roi: float | None
    recent_pnl_usdc: float
    is_known_bot: bool = False
    cluster_size: int = 1


@dataclass(frozen=True, slots=True)
class Condition:
    """A metric held against a threshold; a NULL metric leaves it unknown."""

    metric: str
    value: float | None
    sign: Sign
    threshold: float

    @property
    def holds(self) -> bool | None:
        """True, False, or None where unknown."""
        if self.value is None:
            return None
        if self.sign == ">":
            return self.value > self.threshold
        if self.sign == "<":
            return self.value < self.threshold
        return self.value >= self.threshold if self.sign == "≥" else self.value <= self.threshold

    @property
    def margin(self) -> float | None:
        """Distance ÷ abs(threshold), positive where satisfied."""
        if self.value is None:
            return None
        distance = self.value - self.threshold
        return (distance if self.sign in ">≥" else -distance) / abs(self.threshold)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one current verdict of a wallet."""

    stage: str
    persona: str
    reason_code: str
    margins: dict[str, float | None]
    nearest_persona: str | None
    nearest_margin: float | None
    follow_mode: str | None
    confidence: float | None
    traits: tuple[str, ...]
    is_exclusion: bool


def detectors(row: Row, cluster_size: int) -> dict[str, tuple[Condition, ...]]:
    """All twelve, in order of priority; a detector is the conjunction of its conditions."""
    settled = row["settled_count"]
    win = row["win_rate"] if settled >= MIN_SETTLED else None
    roi = row["roi"]
    average, worst = row["avg_win_usdc"], row["max_single_loss_usdc"]
    tail = None if average is None or worst is None else ratio(worst, average)
    return {
        "SNIPER_INSIDER": (
            Condition("wallet_age_days", row["wallet_age_days"], "<", 30),
            Condition("win_rate", row["win_rate"], ">", 0.85),
            Condition("settled_count", settled, "≥", 5),
            Condition("settled_count", settled, "<", 20),
        ),
        "SYBIL_CLUSTER": (Condition("cluster_size", cluster_size, "≥", 4),),
        "EXECUTION_MASTER": (Condition("execution_share", row["execution_share"], ">", 0.70),),
        "TAIL_RISK_SELLER": (
            Condition("win_rate", win, ">", 0.80),
            Condition("max_single_loss_usdc / avg_win_usdc", tail, ">", 5),
        ),
        "NOISE_TRADER": (
            Condition("fills_per_week", row["fills_per_week"], ">", 50),
            Condition("abs(roi)", None if roi is None else abs(roi), "<", 0.02),
        ),
        "NEWS_SNIPER": (Condition("burstiness_top_1h", row["burstiness_top_1h"], ">", 0.70),),
        "LIQUIDITY_PROVIDER": (
            Condition("buy_sell_balance", row["buy_sell_balance"], "≥", 0.45),
            provides_liquidity(row),
        ),
        "BOT_SWARM": (
            Condition("fills_per_day", row["fills_per_day"], "≥", 200),
            Condition("avg_fill_usdc", row["avg_fill_usdc"], "≤", 5),
        ),
        "JACKPOT_GAMBLER": (
            Condition("top1_pnl_share", row["top1_pnl_share"], "≥", 0.60),
            Condition("win_rate", win, "≤", 0.45),
        ),
        "INFORMED_SPECIALIST": (
            Condition("open_position_count", row["open_position_count"], "≤", 5),
            Condition("concentration_top3", row["concentration_top3"], "≥", 0.60),
            Condition("win_rate", win, ">", 0.60),
        ),
        "CONSISTENT_GENERALIST": (
            Condition("market_count", row["market_count"], ">", 20),
            Condition("win_rate", win, "≥", 0.52),
            Condition("max_drawdown", row["max_drawdown"], "<", 0.15),
            Condition("daily_sharpe", row["daily_sharpe"], ">", 1),
        ),
        "PATIENT_ACCUMULATOR": (
            Condition("hold_hours_mean", row["hold_hours_mean"], ">", 48),
            Condition("fills_per_week", row["fills_per_week"], "<", 5),
            Condition("roi", roi, "≥", MIN_ROI),
        ),
    }


def provides_liquidity(row: Row) -> Condition:
    """Mostly resting orders, or prices near .50 where no role is known."""
    if row["maker_share"] is not None:
        return Condition("maker_share", row["maker_share"], "≥", 0.60)
    return Condition("mid_fill_ratio", row["mid_fill_ratio"], "≥", 0.60)


def all_of(conditions: Collection[Condition]) -> bool | None:
    """One false makes it false; else one unknown makes it unknown."""
    answers = [condition.holds for condition in conditions]
    if False in answers:
        return False
    return None if None in answers else True


def margin(conditions: Collection[Condition]) -> float | None:
    """The smallest of the conditions' margins; None if one is."""
    margins = [condition.margin for condition in conditions]
    known = [value for value in margins if value is not None]
    return min(known) if len(known) == len(margins) else None


def verdict(row: Row, all_time: AllTime, *, bypass_stage_1: bool = False) -> Verdict:
    """Stage 1, stage 1.5, then the detectors by priority."""
    found = detectors(row, all_time.cluster_size)
    gate = None if bypass_stage_1 else stage_1(row, all_time, found)
    if gate:
        return decided("1", gate, row, found)
    if all_time.recent_pnl_usdc < 0:
        return decided("1.5", "RECENT_LOSS", row, found)
    return decided("2", stage_2(row, found), row, found)


def stage_1(row: Row, all_time: AllTime, found: Mapping[str, Any]) -> str | None:
    """The first gate that closes; NULL passes, exactly at a bound passes."""
    age, idle, coverage = row["wallet_age_days"], row["days_since_last_fill"], row["coverage"]
    is_short = coverage is not None and coverage < 0.95
    gates = (
        ("KNOWN_BOT", all_time.is_known_bot),
        ("SNIPER_INSIDER", all_of(found["SNIPER_INSIDER"])),
        ("TOO_YOUNG", age is not None and age < 30),
        ("TOO_FEW_TRADES", all_time.fill_count < 10),
        ("INACTIVE", idle is not None and idle > 45),
        ("INSUFFICIENT_HISTORY", is_short or row["history_complete"] is False),
        ("NEGATIVE_ALL_TIME_ROI", all_time.roi is not None and all_time.roi < 0),
    )
    return next((name for name, closes in gates if closes), None)


def fired_first(found: Mapping[str, tuple[Condition, ...]]) -> str | None:
    """The first detector that fires, if any."""
    return next((name for name, conditions in found.items() if all_of(conditions)), None)


def stage_2(row: Row, found: Mapping[str, tuple[Condition, ...]]) -> str:
    """The label of the first detector that fires, or why none can be given."""
    fired = fired_first(found)
    if fired is None:
        unknown = any(all_of(found[name]) is None for name in FOLLOW_MODES)
        return "INSUFFICIENT_DATA" if unknown else "UNCLASSIFIED"
    if fired not in FOLLOW_MODES:
        return fired
    if row["roi"] is None:
        return "INSUFFICIENT_DATA"
    return "LOW_ROI" if row["roi"] < MIN_ROI else fired


def decided(
    stage: str, persona: str, row: Row, found: Mapping[str, tuple[Condition, ...]]
) -> Verdict:
    """The verdict with everything that explains it."""
    margins = {name: margin(conditions) for name, conditions in found.items()}
    known = {name: value for name, value in margins.items() if value is not None}
    nearest = None
    if persona == "UNCLASSIFIED" and known:
        nearest = max(known, key=lambda name: known[name])  # the first of equals: by priority
    return Verdict(
        stage=stage,
        persona=persona,
        reason_code=persona if stage != "2" else fired_first(found) or persona,
        margins=margins,
        nearest_persona=nearest,
        nearest_margin=None if nearest is None else known[nearest],
        follow_mode=FOLLOW_MODES.get(persona),
        confidence=confidence(stage, persona, row, found),
        traits=traits(row),
        is_exclusion=persona not in NOT_EXCLUDED,
    )


def confidence(
    stage: str, persona: str, row: Row, found: Mapping[str, tuple[Condition, ...]]
) -> float | None:
    """n/(n+10) · min(1, .5 + .5·m), m the margin of the detector that fired."""
    n = row["settled_count"]
    if persona in WITHOUT_CONFIDENCE or (stage == "2" and n is None):
        return None
    if stage != "2":
        return 1.0
    fired = next(name for name, conditions in found.items() if all_of(conditions))
    clipped = min(1.0, max(0.0, margin(found[fired]) or 0.0))
    return float(n / (n + 10) * min(1.0, 0.5 + 0.5 * clipped))


def traits(row: Row) -> tuple[str, ...]:
    """Additions to a persona, of any stage."""
    found = []
    if row["top_domain_ratio"] is not None and row["top_domain_ratio"] >= 0.65:
        found.append(f"TOPIC_LANE={row['top_domain']}")
    if row["extreme_price_ratio"] is not None and row["extreme_price_ratio"] >= 0.60:
        found.append("BONDER")
    if row["avg_fill_usdc"] is not None and row["avg_fill_usdc"] >= 100:
        found.append("WHALE")
    return tuple(found)


def all_time_facts(
    index: WorldIndex, wallet: str, as_of: datetime, *, known_bots: Collection[str] = (),
    cluster_size: int = 1,
) -> AllTime:  # fmt: skip
    """The gates' inputs from the whole history before as_of."""
    books = ledger(index, wallet, as_of)
    since = as_of - timedelta(days=WINDOW_DAYS)
    cost = sum(row.cost_usdc for row in books.closed)
    recent = sum(row.realised_pnl_usdc for row in books.closed if row.closed_at >= since)
    return AllTime(
        fill_count=sum(fill.at < as_of for fill in index.fills_of(wallet)),
        roi=ratio(books.realised, cost),
        recent_pnl_usdc=float(Fraction(recent, MICRO)),
        is_known_bot=wallet in known_bots,
        cluster_size=cluster_size,
    )


def persona(
    index: WorldIndex, wallet: str, as_of: datetime, *, known_bots: Collection[str] = (),
    cluster_size: int = 1, bypass_stage_1: bool = False,
) -> Verdict:  # fmt: skip
    """The verdict of a wallet of a world; a wallet without a row is computed all the same."""
    row = features(index, wallet, as_of, WINDOW_DAYS, force=True)
    facts = all_time_facts(index, wallet, as_of, known_bots=known_bots, cluster_size=cluster_size)
    return verdict(row or {}, facts, bypass_stage_1=bypass_stage_1)
