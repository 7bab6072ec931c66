"""Personas: every gate, detector, boundary and null branch, confidence, exclusions, traits."""

from __future__ import annotations

from typing import Any

import pytest

from evaluator.domain.personas.detectors import detectors, gates
from evaluator.domain.personas.rules import PersonaRules
from tests.domain.verdict_rows import judge

NONE = None
# Fails every detector, whatever is unknown: none of 10 to 12 can fire.
UNFIT: dict[str, Any] = {"open_position_count": 6, "market_count": 5, "hold_hours_mean": 2.0}


def test_a_specialist_with_margins_confidence_and_mode():
    found = judge()
    # (5 − 4)/5 = .2, (.75 − .60)/.60 = .25, and (.7 − .6)/.6 = .1667, the smallest
    assert (found["stage"], found["persona"]) == ("2", "INFORMED_SPECIALIST")
    assert found["reason_code"] == "INFORMED_SPECIALIST"
    assert found["margins"]["INFORMED_SPECIALIST"] == pytest.approx(1 / 6)
    assert found["margins"]["EXECUTION_MASTER"] is None
    assert found["margins"]["SYBIL_CLUSTER"] == -0.75
    assert found["margins"]["TAIL_RISK_SELLER"] == pytest.approx(-0.6)  # 20 ÷ 10 against 5
    assert found["confidence"] == pytest.approx(30 / 40 * (0.5 + 0.5 / 6))
    assert (found["follow_mode"], found["is_followable"]) == ("mirror_with_delay", True)
    assert not found["is_exclusion"]
    assert found.exclusions == []


# ── gates ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changes", "stage", "persona"),
    [
        ({"is_known_bot": True}, "1", "KNOWN_BOT"),
        ({"wallet_age_days": 29.99}, "1", "TOO_YOUNG"),
        ({"wallet_age_days": 30.0}, "2", "INFORMED_SPECIALIST"),
        ({"wallet_age_days": NONE}, "2", "INFORMED_SPECIALIST"),
        ({"career_fill_count": 9}, "1", "TOO_FEW_TRADES"),
        ({"career_fill_count": 10}, "2", "INFORMED_SPECIALIST"),
        ({"wallet_age_days": NONE, "career_fill_count": 0}, "1", "TOO_FEW_TRADES"),
        ({"days_since_last_fill": 45.01}, "1", "INACTIVE"),
        ({"days_since_last_fill": 45.0}, "2", "INFORMED_SPECIALIST"),
        ({"days_since_last_fill": NONE}, "2", "INFORMED_SPECIALIST"),
        ({"coverage": 0.9499}, "1", "INSUFFICIENT_HISTORY"),
        ({"coverage": 0.95}, "2", "INFORMED_SPECIALIST"),
        ({"coverage": NONE}, "2", "INFORMED_SPECIALIST"),
        ({"history_complete": False}, "1", "INSUFFICIENT_HISTORY"),
        ({"history_complete": False, "coverage": NONE}, "1", "INSUFFICIENT_HISTORY"),
        ({"history_complete": NONE}, "2", "INFORMED_SPECIALIST"),
        ({"career_roi": -0.0001}, "1", "NEGATIVE_ALL_TIME_ROI"),
        ({"career_roi": 0.0}, "2", "INFORMED_SPECIALIST"),
        ({"career_roi": NONE}, "2", "INFORMED_SPECIALIST"),
        ({"recent_pnl_usdc": -0.000001}, "1.5", "RECENT_LOSS"),
        ({"recent_pnl_usdc": 0.0}, "2", "INFORMED_SPECIALIST"),
    ],
)
def test_a_gate_closes_beyond_its_bound_and_lets_the_unknown_pass(changes, stage, persona):
    found = judge(**changes)
    assert (found["stage"], found["persona"]) == (stage, persona)
    if stage != "2":
        assert found["confidence"] == (None if persona == "INSUFFICIENT_HISTORY" else 1)
        assert found["is_exclusion"] == (persona != "INSUFFICIENT_HISTORY")
        assert not found["is_followable"]


def test_gates_close_in_their_order():
    closing: dict[str, Any] = {
        "is_known_bot": True, "wallet_age_days": 10.0, "career_fill_count": 5,
        "days_since_last_fill": 50.0, "coverage": 0.5, "career_roi": -1.0, "recent_pnl_usdc": -1.0,
        "win_rate": 0.9, "settled_count": 10,
    }  # fmt: skip
    opened = {
        "KNOWN_BOT": "is_known_bot", "SNIPER_INSIDER": "win_rate", "TOO_YOUNG": "wallet_age_days",
        "TOO_FEW_TRADES": "career_fill_count", "INACTIVE": "days_since_last_fill",
        "INSUFFICIENT_HISTORY": "coverage", "NEGATIVE_ALL_TIME_ROI": "career_roi",
        "RECENT_LOSS": "recent_pnl_usdc",
    }  # fmt: skip
    assert [gate.label for gate in gates(PersonaRules())] == list(opened)
    for label, field in opened.items():
        assert judge(**closing)["persona"] == label
        del closing[field]


def test_stage_1_can_be_left_out_but_not_a_recent_loss():
    assert judge(with_stage_1=False, wallet_age_days=1.0)["persona"] == "INFORMED_SPECIALIST"
    assert judge(with_stage_1=False, recent_pnl_usdc=-1.0)["persona"] == "RECENT_LOSS"


# ── detectors ───────────────────────────────────────────────────────────────────────────

SNIPER = {"wallet_age_days": 29.0, "win_rate": 0.86, "settled_count": 5}
SELLER = {"win_rate": 0.81, "max_single_loss_usdc": 50.1}
NOISY = {"fills_per_week": 51.0, "roi": 0.01}
RESTING = {"buy_sell_balance": 0.45, "maker_share": 0.60}
SWARM = {"fills_per_day": 200.0, "avg_fill_usdc": 5.0}
GAMBLER = {"top1_pnl_share": 0.60, "win_rate": 0.45}
GENERAL: dict[str, Any] = {"open_position_count": 6, "market_count": 21, "win_rate": 0.52, "max_drawdown": 0.149,
           "daily_sharpe": 1.01}  # fmt: skip
PATIENT = {"open_position_count": 6, "hold_hours_mean": 48.1, "fills_per_week": 4.9, "roi": 0.05}


@pytest.mark.parametrize(
    ("label", "fires", "misses", "unknown"),
    [
        ("SNIPER_INSIDER", SNIPER,
         [{"wallet_age_days": 30.0}, {"win_rate": 0.85}, {"settled_count": 4},
          {"settled_count": 20}], ["wallet_age_days", "win_rate"]),
        ("SYBIL_CLUSTER", {"cluster_size": 4}, [{"cluster_size": 3}], []),
        ("EXECUTION_MASTER", {"execution_share": 0.71}, [{"execution_share": 0.70}],
         ["execution_share"]),
        ("TAIL_RISK_SELLER", SELLER,
         [{"win_rate": 0.80}, {"max_single_loss_usdc": 50.0}],
         ["win_rate", "max_single_loss_usdc", "avg_win_usdc"]),
        ("NOISE_TRADER", NOISY, [{"fills_per_week": 50.0}, {"roi": 0.02}, {"roi": -0.02}],
         ["roi"]),
        ("NEWS_SNIPER", {"burstiness_top_1h": 0.71}, [{"burstiness_top_1h": 0.70}],
         ["burstiness_top_1h"]),
        ("LIQUIDITY_PROVIDER", RESTING, [{"buy_sell_balance": 0.449}, {"maker_share": 0.599}],
         ["buy_sell_balance"]),
        ("LIQUIDITY_PROVIDER", {**RESTING, "maker_share": NONE, "mid_fill_ratio": 0.60},
         [{"mid_fill_ratio": 0.599}, {"maker_share": 0.1}], ["mid_fill_ratio"]),
        ("BOT_SWARM", SWARM, [{"fills_per_day": 199.9}, {"avg_fill_usdc": 5.01}],
         ["avg_fill_usdc"]),
        ("JACKPOT_GAMBLER", GAMBLER, [{"top1_pnl_share": 0.599}, {"win_rate": 0.451}],
         ["top1_pnl_share", "win_rate"]),
        ("INFORMED_SPECIALIST", {"open_position_count": 5, "concentration_top3": 0.60},
         [{"open_position_count": 6}, {"concentration_top3": 0.599}, {"win_rate": 0.60}],
         ["concentration_top3", "win_rate"]),
        ("CONSISTENT_GENERALIST", GENERAL,
         [{"market_count": 20}, {"win_rate": 0.519}, {"max_drawdown": 0.15},
          {"daily_sharpe": 1.0}], ["win_rate", "max_drawdown", "daily_sharpe"]),
        ("PATIENT_ACCUMULATOR", PATIENT, [{"hold_hours_mean": 48.0}, {"fills_per_week": 5.0}],
         ["hold_hours_mean"]),
    ],
)  # fmt: skip
def test_a_detector_fires_within_its_bounds_and_not_where_a_metric_is_unknown(
    label, fires, misses, unknown
):
    base = fires if label == "INFORMED_SPECIALIST" else {**UNFIT, **fires}
    found = judge(with_stage_1=False, **base)
    assert found["persona"] == label
    assert found["margins"][label] >= 0
    assert found["confidence"] is not None
    for change in misses:
        missed = judge(with_stage_1=False, **{**base, **change})
        assert missed["persona"] != label
        assert missed["margins"][label] <= 0
    for name in unknown:
        blind = judge(with_stage_1=False, **{**base, name: NONE})
        assert blind["persona"] != label
        assert blind["margins"][label] is None


def test_a_win_rate_of_under_ten_settled_trips_is_unknown_to_all_but_the_first():
    few = judge(settled_count=9)
    assert few["persona"] == "INSUFFICIENT_DATA"
    names = ("TAIL_RISK_SELLER", "JACKPOT_GAMBLER", "INFORMED_SPECIALIST", "CONSISTENT_GENERALIST")
    assert [few["margins"][name] for name in names] == [None] * 4
    assert few["margins"]["SNIPER_INSIDER"] is not None
    assert judge(settled_count=10)["persona"] == "INFORMED_SPECIALIST"


def test_exclusions_come_first_and_detectors_by_priority():
    everything: dict[str, Any] = {**GENERAL, **RESTING, **SWARM, "burstiness_top_1h": 0.9, "cluster_size": 9,
                  "execution_share": 0.9, "open_position_count": 1}  # fmt: skip
    order: list[tuple[str, dict[str, Any]]] = [
        ("SYBIL_CLUSTER", {"cluster_size": 1}),
        ("EXECUTION_MASTER", {"execution_share": NONE}),
        ("NEWS_SNIPER", {"burstiness_top_1h": NONE}),
        ("LIQUIDITY_PROVIDER", {"maker_share": 0.1}),
        ("BOT_SWARM", {"avg_fill_usdc": 6.0}),
        ("CONSISTENT_GENERALIST", {}),
    ]
    for label, change in order:
        assert judge(**everything)["persona"] == label
        everything |= change


def test_margins_are_there_whatever_the_stage():
    labels = [detector.label for detector in detectors(PersonaRules())]
    for found in (judge(), judge(wallet_age_days=1.0), judge(recent_pnl_usdc=-1.0)):
        assert list(found["margins"]) == labels


# ── what is left ────────────────────────────────────────────────────────────────────────


def test_a_followable_label_with_a_low_roi_is_an_exclusion_with_its_confidence():
    low = judge(roi=0.0499)
    assert (low["persona"], low["is_exclusion"], low["is_followable"]) == ("LOW_ROI", True, False)
    assert low["confidence"] == judge()["confidence"]
    assert judge(roi=0.05)["persona"] == "INFORMED_SPECIALIST"


def test_a_followable_label_with_an_unknown_roi_is_insufficient_data():
    found = judge(roi=NONE)
    assert (found["persona"], found["is_exclusion"]) == ("INSUFFICIENT_DATA", False)
    assert found["confidence"] is None


def test_a_false_condition_decides_even_beside_an_unknown_one():
    # the specialist's metric is unknown, but its six positions already rule it out
    found = judge(**UNFIT, concentration_top3=NONE)
    assert found["persona"] == "UNCLASSIFIED"
    assert found["margins"]["INFORMED_SPECIALIST"] is None
    assert judge(**{**UNFIT, "open_position_count": 5}, concentration_top3=NONE)["persona"] == (
        "INSUFFICIENT_DATA"
    )


def test_an_unknown_exclusion_does_not_make_the_data_insufficient():
    assert judge(**UNFIT, burstiness_top_1h=NONE)["persona"] == "UNCLASSIFIED"


def test_the_unclassified_are_told_the_nearest_label():
    found = judge(win_rate=0.55)
    # specialist (.55 − .6)/.6 = −.083; liquidity −.5; generalist −.5; tail risk −.6
    assert (found["persona"], found["nearest_persona"]) == ("UNCLASSIFIED", "INFORMED_SPECIALIST")
    assert found["nearest_margin"] == pytest.approx(-1 / 12)
    assert (found["confidence"], found["is_exclusion"]) == (None, False)


def test_of_equally_near_labels_the_first_by_priority_is_named():
    # SYBIL_CLUSTER at 3 of 4 and CONSISTENT_GENERALIST at 15 of 20: both −.25
    found = judge(cluster_size=3, market_count=15, concentration_top3=0.3)
    assert (found["nearest_persona"], found["nearest_margin"]) == ("SYBIL_CLUSTER", -0.25)


def test_confidence_grows_with_settled_trips_and_margin_and_stays_under_one():
    assert judge(win_rate=0.6 + 1e-12)["confidence"] == pytest.approx(30 / 40 * 0.5)
    assert judge(settled_count=90, win_rate=1.0, open_position_count=0, concentration_top3=1.0,
                 max_single_loss_usdc=0.0)["confidence"] == pytest.approx(0.9 * (0.5 + 0.5 * 2 / 3))  # fmt: skip
    assert judge(cluster_size=40)["confidence"] == pytest.approx(30 / 40)  # a margin of 9 counts 1
    assert judge(cluster_size=40, settled_count=0)["confidence"] == 0


# ── exclusions and traits ───────────────────────────────────────────────────────────────


def test_every_exclusion_that_holds_is_listed_and_one_decides():
    found = judge(wallet_age_days=5.0, career_fill_count=3, career_roi=-0.5)
    assert {row["reason"]: row["is_deciding"] for row in found.exclusions} == {
        "TOO_YOUNG": True, "TOO_FEW_TRADES": False, "NEGATIVE_ALL_TIME_ROI": False
    }  # fmt: skip
    young = next(row for row in found.exclusions if row["reason"] == "TOO_YOUNG")
    assert (young["stage"], young["metric"], young["value"], young["threshold"]) == (
        "1", "wallet_age_days", 5.0, 30.0
    )  # fmt: skip


def test_detectors_exclude_only_those_that_reach_stage_2():
    excluded = judge(cluster_size=5, burstiness_top_1h=0.9).exclusions
    assert {row["reason"]: row["is_deciding"] for row in excluded} == {
        "SYBIL_CLUSTER": True, "NEWS_SNIPER": False
    }  # fmt: skip
    assert [row["reason"] for row in judge(cluster_size=5, wallet_age_days=1.0).exclusions] == [
        "TOO_YOUNG"
    ]


def test_a_low_roi_is_listed_and_a_short_history_is_no_exclusion():
    (low,) = judge(roi=0.01).exclusions
    assert (low["reason"], low["value"], low["is_deciding"]) == ("LOW_ROI", 0.01, True)
    assert judge(coverage=0.5).exclusions == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"top_domain_ratio": 0.65}, {"TOPIC_LANE"}),
        ({"top_domain_ratio": 0.649}, set()),
        ({"top_domain_ratio": NONE, "top_domain": NONE}, set()),
        ({"extreme_price_ratio": 0.60}, {"BONDER"}),
        ({"extreme_price_ratio": NONE}, set()),
        ({"avg_fill_usdc": 100.0}, {"WHALE"}),
        ({"avg_fill_usdc": 99.99}, set()),
        ({"avg_fill_usdc": 100.0, "wallet_age_days": 1.0}, {"WHALE"}),
        ({"top_domain_ratio": 1.0, "extreme_price_ratio": 1.0, "avg_fill_usdc": 500.0},
         {"TOPIC_LANE", "BONDER", "WHALE"}),
    ],
)  # fmt: skip
def test_traits_are_given_at_any_stage(changes, expected):
    assert set(judge(**changes).traits) == expected


def test_a_topic_lane_names_its_domain():
    lane = judge(top_domain_ratio=0.7).traits["TOPIC_LANE"]
    assert (lane["detail"], lane["value"]) == ("Politics", 0.7)
