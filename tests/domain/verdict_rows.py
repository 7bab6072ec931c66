"""Hand-written rows for the persona rules, their verdicts, and the same by the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.personas.verdicts import Verdicts, classify
from tests.domain.comparison import same
from tests.oracle.personas import AllTime, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.oracle.personas import Verdict

Row = dict[str, Any]

PLAIN: Row = {
    "settled_count": 30, "win_rate": 0.7, "roi": 0.1, "wallet_age_days": 100.0,
    "days_since_last_fill": 1.0, "coverage": 1.0, "history_complete": True,
    "avg_win_usdc": 10.0, "max_single_loss_usdc": 20.0, "execution_share": None,
    "fills_per_week": 7.0, "fills_per_day": 1.0, "burstiness_top_1h": 0.2,
    "buy_sell_balance": 0.4, "maker_share": 0.3, "mid_fill_ratio": 0.1, "avg_fill_usdc": 50.0,
    "top1_pnl_share": 0.3, "open_position_count": 4, "concentration_top3": 0.75,
    "market_count": 10, "max_drawdown": 0.1, "daily_sharpe": 2.0, "hold_hours_mean": 24.0,
    "top_domain": "Politics", "top_domain_ratio": 0.6, "extreme_price_ratio": 0.1,
}  # fmt: skip
"""An INFORMED_SPECIALIST whom nothing else fits."""

SOUND: Row = {
    "career_fill_count": 100, "career_roi": 0.1, "recent_pnl_usdc": 5.0, "cluster_size": 1,
    "is_known_bot": False,
}  # fmt: skip
INTS = {"settled_count", "open_position_count", "market_count", "career_fill_count", "cluster_size"}
TYPES = {
    **{name: pl.Float64() for name in (PLAIN | SOUND).keys() - INTS},
    **{name: pl.Int64() for name in INTS},
    "history_complete": pl.Boolean(), "is_known_bot": pl.Boolean(), "top_domain": pl.String(),
}  # fmt: skip


@dataclass(frozen=True)
class Judged:
    """The verdict on one row, its exclusions and its traits."""

    persona: Row
    exclusions: list[Row]
    traits: dict[str, Row]

    def __getitem__(self, name: str) -> Any:
        """A column of the verdict; `margins` by label."""
        value = self.persona[name]
        return {one["key"]: one["value"] for one in value} if name == "margins" else value


def judge(*, with_stage_1: bool = True, **changes: Any) -> Judged:
    """The verdict on the plain row with some fields changed, which is also the oracle's."""
    row = {**PLAIN, **SOUND, **changes}
    frame = pl.DataFrame([{"proxy_wallet": 1, **row}], schema={"proxy_wallet": pl.Int64(), **TYPES})
    found = judged(classify(frame, PersonaRules(), with_stage_1=with_stage_1))
    expected = verdict(row, all_time(row), bypass_stage_1=not with_stage_1)
    assert different(found, expected) == {}
    return found


def judged(verdicts: Verdicts, wallet: int = 1) -> Judged:
    """The rows of one wallet."""
    mine = pl.col("proxy_wallet") == wallet
    (persona,) = verdicts.personas.filter(mine).to_dicts()
    traits = verdicts.traits.filter(mine).to_dicts()
    return Judged(
        persona,
        verdicts.exclusions.filter(mine).to_dicts(),
        {row["trait"]: row for row in traits},
    )


def all_time(row: Mapping[str, Any]) -> AllTime:
    """The gates' inputs as the oracle takes them."""
    return AllTime(
        fill_count=row["career_fill_count"],
        roi=row["career_roi"],
        recent_pnl_usdc=row["recent_pnl_usdc"],
        is_known_bot=row["is_known_bot"],
        cluster_size=row["cluster_size"],
    )


def different(found: Judged, expected: Verdict) -> dict[str, tuple[object, object]]:
    """(found, expected) of all that differs, margins of every detector included."""
    names = ("stage", "persona", "reason_code", "confidence", "follow_mode", "is_exclusion",
             "nearest_persona", "nearest_margin")  # fmt: skip
    pairs = {name: (found[name], getattr(expected, name)) for name in names}
    margins = found["margins"]
    pairs |= {
        f"margin of {label}": (margins[label], value) for label, value in expected.margins.items()
    }
    pairs["labels"] = (list(margins), list(expected.margins))
    pairs["traits"] = (spelled(found), set(expected.traits))
    pairs["followable"] = (found["is_followable"], expected.follow_mode is not None)
    return {name: pair for name, pair in pairs.items() if not same(*pair)}


def spelled(found: Judged) -> set[str]:
    """Traits as the oracle spells them."""
    return {
        name if row["detail"] is None else f"{name}={row['detail']}"
        for name, row in found.traits.items()
    }
