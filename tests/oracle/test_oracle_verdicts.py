"""The oracle's scores, personas and clusters against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.oracle.clusters import clusters
from tests.oracle.personas import AllTime, persona, verdict
from tests.oracle.scores import scores
from tests.oracle.stories import ANN, BOB, at, buy, world

# ── scores ──────────────────────────────────────────────────────────────────────────────

GOLDEN: dict[str, Any] = {
    "proxy_wallet": ANN, "window_days": 30, "fill_count": 40, "closed_event_count": 8,
    "roi": 0.10, "return_stdev": 0.03, "win_rate": 0.55, "event_win_rate": 5 / 8,
    "timing_1h_cents": 3.0, "extreme_price_ratio": 0.1, "burstiness_top_1h": 0.1,
    "wallet_age_days": 120.0, "coverage": 1.0, "history_complete": True,
}  # fmt: skip


def test_the_golden_score() -> None:
    (on,), (off,) = scores([GOLDEN], {ANN: True}), scores([GOLDEN], {ANN: False})
    expected = {
        "edge": 0.5, "consistency": 0.7, "market_skill": 0.625, "timing": 0.65, "behavior": 0.9
    }  # fmt: skip
    assert on.components == pytest.approx(expected)
    assert on.wscore == pytest.approx(0.6375)
    assert off.wscore == pytest.approx(0.765)
    assert scores([GOLDEN])[0].wscore == pytest.approx(0.6375)


def test_an_unknown_component_is_dropped_and_a_short_history_not_ranked() -> None:
    rows = [
        {**GOLDEN, "timing_1h_cents": None},
        {**GOLDEN, "proxy_wallet": "0xa", "coverage": 0.94},
        {**GOLDEN, "proxy_wallet": "0xb", "fill_count": 9},
        {**GOLDEN, "proxy_wallet": "0xc", "closed_event_count": 0},
        {**GOLDEN, "proxy_wallet": "0xd", "win_rate": 0.5, "wallet_age_days": 89.0},
    ]
    found = scores(rows)
    assert found[0].wscore == pytest.approx((0.6375 - 0.15 * 0.65) / 0.85)
    assert [one.rank_reason for one in found] == [
        None, "INSUFFICIENT_HISTORY", "TOO_FEW_FILLS", "NO_CLOSES", None
    ]  # fmt: skip
    assert [one.rank for one in found] == [1, None, None, None, 2]
    assert [one.percentile for one in found] == [1, None, None, None, 0.5]
    assert found[4].wscore == pytest.approx(0.6375 * 0.8 * 0.8)


# ── personas ────────────────────────────────────────────────────────────────────────────

PLAIN: dict[str, Any] = {
    "settled_count": 30, "win_rate": 0.7, "roi": 0.1, "wallet_age_days": 100.0,
    "days_since_last_fill": 1.0, "coverage": 1.0, "history_complete": True,
    "avg_win_usdc": 10.0, "max_single_loss_usdc": 20.0, "execution_share": None,
    "fills_per_week": 7.0, "fills_per_day": 1.0, "burstiness_top_1h": 0.2,
    "buy_sell_balance": 0.4, "maker_share": 0.3, "mid_fill_ratio": 0.1, "avg_fill_usdc": 50.0,
    "top1_pnl_share": 0.3, "open_position_count": 4, "concentration_top3": 0.75,
    "market_count": 10, "max_drawdown": 0.1, "daily_sharpe": 2.0, "hold_hours_mean": 24.0,
    "top_domain": "Politics", "top_domain_ratio": 0.65, "extreme_price_ratio": 0.1,
}  # fmt: skip
SOUND = AllTime(fill_count=100, roi=0.1, recent_pnl_usdc=5.0)


def test_a_specialist_with_margins_confidence_and_trait() -> None:
    found = verdict(PLAIN, SOUND)
    # (5 − 4)/5 = .2, (.75 − .60)/.60 = .25, (.7 − .6)/.6 = .1667 is the smallest
    assert (found.stage, found.persona) == ("2", "INFORMED_SPECIALIST")
    assert found.margins["INFORMED_SPECIALIST"] == pytest.approx(1 / 6)
    assert found.margins["EXECUTION_MASTER"] is None
    assert found.margins["SYBIL_CLUSTER"] == -0.75
    assert found.margins["TAIL_RISK_SELLER"] == pytest.approx(-0.6)  # 20 ÷ 10 against 5
    assert found.confidence == pytest.approx(30 / 40 * (0.5 + 0.5 / 6))
    assert (found.follow_mode, found.traits) == ("mirror_with_delay", ("TOPIC_LANE=Politics",))


@pytest.mark.parametrize(
    ("change", "facts", "stage", "persona"),
    [
        ({}, {"is_known_bot": True}, "1", "KNOWN_BOT"),
        ({"wallet_age_days": 10.0, "win_rate": 0.9, "settled_count": 5}, {}, "1", "SNIPER_INSIDER"),
        ({"wallet_age_days": 29.9}, {}, "1", "TOO_YOUNG"),
        ({"wallet_age_days": 30.0}, {}, "2", "INFORMED_SPECIALIST"),
        ({"wallet_age_days": None}, {"fill_count": 0}, "1", "TOO_FEW_TRADES"),
        ({"days_since_last_fill": 45.1}, {}, "1", "INACTIVE"),
        ({"coverage": 0.94}, {"roi": -1.0}, "1", "INSUFFICIENT_HISTORY"),
        ({"coverage": None}, {"roi": None}, "2", "INFORMED_SPECIALIST"),
        ({}, {"roi": -0.01}, "1", "NEGATIVE_ALL_TIME_ROI"),
        ({}, {"recent_pnl_usdc": -0.01}, "1.5", "RECENT_LOSS"),
        ({}, {"cluster_size": 4}, "2", "SYBIL_CLUSTER"),
        ({"roi": 0.04}, {}, "2", "LOW_ROI"),
        ({"roi": None}, {}, "2", "INSUFFICIENT_DATA"),
        ({"settled_count": 9}, {}, "2", "INSUFFICIENT_DATA"),
        ({"win_rate": 0.55}, {}, "2", "UNCLASSIFIED"),
        ({"buy_sell_balance": 0.45, "maker_share": 0.6}, {}, "2", "LIQUIDITY_PROVIDER"),
        ({"buy_sell_balance": 0.45, "mid_fill_ratio": 0.9}, {}, "2", "INFORMED_SPECIALIST"),
    ],
)
def test_the_verdict_of(
    change: dict[str, Any], facts: dict[str, Any], stage: str, persona: str
) -> None:
    found = verdict({**PLAIN, **change}, replace(SOUND, **facts))
    assert (found.stage, found.persona) == (stage, persona)


def test_the_unclassified_are_told_the_nearest_label() -> None:
    found = verdict({**PLAIN, "win_rate": 0.55}, SOUND)
    # specialist (.55 − .6)/.6 = −.083; liquidity: .3 is −.5 from .6; generalist −.5; tail −.6
    assert found.nearest_persona == "INFORMED_SPECIALIST"
    assert found.nearest_margin == pytest.approx(-1 / 12)
    assert found.confidence is None


def test_stage_1_can_be_left_out() -> None:
    young = {**PLAIN, "wallet_age_days": 10.0}
    assert verdict(young, SOUND, bypass_stage_1=True).persona == "INFORMED_SPECIALIST"


def test_a_wallet_that_never_filled_has_a_verdict() -> None:
    found = persona(world(buy(1, 1, 0.5)), BOB, at(24))
    assert (found.stage, found.persona) == ("1", "TOO_FEW_TRADES")


def test_wallets_that_trade_alike_are_a_cluster() -> None:
    same = [
        buy(k, 1, 0.5, proxy_wallet=name, fill_id=f"{name}{k}")
        for k in range(1, 13)
        for name in ("0x1", "0x2", "0x3", "0x4", "0x5")
        if not (name == "0x5" and k < 4)  # 9 elements are too few
    ]
    found = clusters(world(*same), at(24))
    assert found["0x1"] == {"0x1", "0x2", "0x3", "0x4"}
    assert found["0x5"] == {"0x5"}
