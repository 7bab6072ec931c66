"""Outcome, marks, risk and edge: trips, lots, events, open positions, equity, payout against price."""

from __future__ import annotations

import pytest

from tests.domain.feature_stories import WEEK, other, priced_row, quote, row_of
from tests.oracle.stories import act, at, buy, market, sell

S = 1 / 3600
US = S / 1_000_000

# ── trips, lots, events ─────────────────────────────────────────────────────────────────


def trip(hours: float, pnl: float, token: str = "yes"):
    """Ten shares bought for 5 and sold two hours later."""
    return buy(hours, 10, 5, token_id=token), sell(hours + 2, 10, 5 + pnl, token_id=token)


def test_wins_losses_and_pushes():
    row = row_of(*trip(1, 2), *trip(4, -1), *trip(7, 0), *trip(10, 4), *trip(13, -3))
    counts = [row[f"{name}_count"] for name in ("settled", "win", "loss", "push")]
    assert counts == [5, 2, 2, 1]
    assert row["win_rate"] == 0.5
    assert (row["gross_gain"], row["gross_loss"], row["profit_factor"]) == (6, 4, 1.5)
    assert row["expectancy_usdc"] == pytest.approx(0.4)
    assert (row["avg_win_usdc"], row["max_single_loss_usdc"]) == (3, 3)
    assert row["roi"] == pytest.approx(2 / 25)


def test_the_lower_bound_of_five_wins_in_ten_is_wilsons():
    trips = [fill for k in range(10) for fill in trip(1 + 3 * k, 1 if k % 2 else -1)]
    assert row_of(*trips)["win_rate_lower"] == pytest.approx(0.2366, abs=5e-5)


def test_without_a_loss_there_is_no_profit_factor_and_the_largest_loss_is_zero():
    row = row_of(*trip(1, 2))
    assert (row["profit_factor"], row["max_single_loss_usdc"]) == (None, 0)


def test_a_push_alone_has_no_win_rate():
    row = row_of(*trip(1, 0))
    assert (row["settled_count"], row["win_rate"], row["avg_win_usdc"]) == (1, None, None)


def test_a_trip_counts_whole_in_the_window_in_which_it_becomes_flat():
    row = row_of(buy(-50, 10, 5), sell(-40, 5, 1), sell(10, 5, 5))
    # lots closed in the window make 2.5, the trip −1.5 + 2.5
    assert (row["realised_pnl_usdc"], row["expectancy_usdc"]) == (2.5, 1)
    row = row_of(buy(1, 10, 5), sell(2, 5, 5), sell(WEEK, 5, 5))
    assert (row["realised_pnl_usdc"], row["settled_count"]) == (2.5, 0)


def test_an_unexplained_sale_is_no_trip_and_earns_nothing():
    row = row_of(sell(1, 10, 5))
    assert (row["settled_count"], row["realised_pnl_usdc"], row["coverage"]) == (0, 0, 0)
    assert row["closed_event_count"] == 0


def test_events_net_the_lots_of_their_markets():
    listed = [
        market(condition_id=name, event_slug=event, token_ids=(name, f"{name} no"))
        for name, event in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "three"))
    ]
    pnl = {"a": 5, "b": -4, "c": 3, "d": -2}
    fills = [
        make(hour, 10, 5 + gain, token_id=name, condition_id=name)
        for name, result in pnl.items()
        for make, hour, gain in ((buy, 1, 0), (sell, 2, result))
    ]
    row = row_of(*listed, *fills)
    assert (row["closed_event_count"], row["profitable_event_count"]) == (3, 2)
    assert row["event_win_rate"] == pytest.approx(2 / 3)
    assert row["top1_pnl_share"] == 0.75  # 3 of 1 + 3


def test_without_a_profitable_event_there_is_no_top_share():
    assert row_of(*trip(1, -1))["top1_pnl_share"] is None


def test_a_resolution_at_as_of_is_not_seen_and_one_at_the_start_is():
    assert row_of(buy(1, 10, 4), market(resolved=WEEK))["settled_count"] == 0
    assert row_of(buy(-9, 10, 4), market(resolved=0))["realised_pnl_usdc"] == 6


# ── marks ───────────────────────────────────────────────────────────────────────────────


def test_a_mark_is_the_last_price_by_anyone_before_as_of():
    row = row_of(buy(1, 10, 5), other(2, 0.7), other(WEEK, 0.1))
    assert row["unrealised_pnl_usdc"] == pytest.approx(2)


def test_a_mark_of_the_price_series_comes_before_that_of_fills():
    facts = (buy(1, 10, 5), other(9, 0.7))
    assert priced_row(*facts, series=(quote(3, 0.6),))["unrealised_pnl_usdc"] == pytest.approx(1)
    late = priced_row(*facts, series=(quote(WEEK, 0.6),))
    assert late["unrealised_pnl_usdc"] == pytest.approx(2)


def test_an_open_loser_is_a_token_marked_below_half_its_cost():
    row = row_of(buy(1, 10, 5), buy(2, 10, 5), other(3, 0.25))
    assert (row["open_loser_count"], row["open_loser_cost_ratio"]) == (0, 0)
    row = row_of(buy(1, 10, 5), buy(2, 10, 5), buy(2, 10, 3, token_id="no"), other(3, 0.249))
    assert row["open_loser_count"] == 1
    assert row["open_loser_cost_ratio"] == pytest.approx(10 / 13)
    assert row["adjusted_win_rate"] == 0


def test_a_held_token_without_a_mark_makes_the_marks_unknown():
    row = row_of(act(1, "SPLIT", 10), *trip(2, 1))
    names = ("unrealised_pnl_usdc", "open_loser_count", "open_loser_cost_ratio")
    assert [row[name] for name in (*names, "adjusted_win_rate")] == [None] * 4
    assert row["max_drawdown"] is not None  # unpriced at cost


# ── capital and equity ──────────────────────────────────────────────────────────────────


def test_peak_capital_looks_after_every_event_even_within_a_second():
    sold = (buy(1, 10, 5, seq=1), sell(1, 10, 5, seq=2), buy(1, 10, 6, seq=3))
    held = (buy(1, 10, 5, seq=1), buy(1, 10, 6, seq=2), sell(1, 10, 5, seq=3))
    assert row_of(*sold)["peak_capital_usdc"] == 6
    assert row_of(*held)["peak_capital_usdc"] == 11


def test_peak_capital_includes_the_start_of_the_window():
    row = row_of(buy(-9, 10, 5), sell(1, 10, 7), buy(3, 10, 1))
    assert (row["peak_capital_usdc"], row["roi_on_peak_capital"]) == (5, 0.4)
    assert row_of(buy(-9, 10, 5), sell(-1, 10, 7), buy(3, 10, 1))["peak_capital_usdc"] == 1


def test_equity_follows_the_marks_of_others_and_the_resolution():
    row = row_of(buy(12, 100, 50), other(60, 0.3), market(resolved=108, end_at=at(66)))
    # 100 100 100 80 80 150 150 150; returns 0 0 −.2 0 .875 0 0
    assert row["max_drawdown"] == pytest.approx(0.2)
    assert row["exposure_days"] == 5
    assert row["return_stdev"] == pytest.approx(((0.805625 - 0.675**2 / 7) / 6) ** 0.5)
    assert row["daily_sharpe"] is None  # under 20 days of exposure


def test_four_days_of_exposure_have_no_deviation():
    assert row_of(buy(1, 10, 5), sell(73, 10, 5))["return_stdev"] is None
    assert row_of(buy(1, 10, 5), other(30, 0.6), sell(97, 10, 5))["return_stdev"] is not None


def test_twenty_days_of_exposure_have_a_sharpe_ratio_if_anything_moved():
    facts = (buy(1, 10, 5), sell(19 * 24 + 1, 10, 5))
    assert row_of(*facts, day=30, window=30)["daily_sharpe"] is None
    row = row_of(*facts, other(50, 0.6), day=30, window=30)
    assert (row["exposure_days"], row["daily_sharpe"]) == (20, pytest.approx(0, abs=0.1))
    short = row_of(buy(25, 10, 5), other(50, 0.6), sell(19 * 24 + 1, 10, 5), day=30, window=30)
    assert (short["exposure_days"], short["daily_sharpe"]) == (19, None)
    assert short["return_stdev"] is not None


def test_equity_at_or_below_zero_is_a_full_drawdown_without_returns():
    # a loss of 60 twice on a capital of 60, that is on a base of 100
    row = row_of(*(f for h in (1, 50, 100) for f in (buy(h, 100, 60), sell(h + 24, 100, 0))))
    assert row["peak_capital_usdc"] == 60
    assert (row["max_drawdown"], row["return_stdev"], row["daily_sharpe"]) == (1, None, None)


def test_drawdown_is_unknown_only_where_nothing_was_held_bought_or_closed():
    assert row_of(sell(1, 10, 5))["max_drawdown"] is None
    assert row_of(buy(-9, 10, 5))["max_drawdown"] == 0
    assert row_of(buy(1, 10, 0))["max_drawdown"] == 0  # a gift


# ── edge ────────────────────────────────────────────────────────────────────────────────


def test_edge_is_payout_less_price_whether_sold_later_or_not_and_without_fees():
    row = row_of(buy(1, 10, 4, fee=100_000), sell(2, 10, 3), buy(3, 30, 18), market(resolved=9))
    assert row["resolved_buy_count"] == 2
    assert row["edge_per_share"] == pytest.approx((10 * 0.6 + 30 * 0.4) / 40)


def test_a_buy_at_the_instant_of_resolution_has_no_edge():
    row = row_of(buy(9, 10, 4), market(resolved=9))
    assert (row["resolved_buy_count"], row["edge_per_share"]) == (0, None)
    assert row_of(buy(9 - US, 10, 4), market(resolved=9))["resolved_buy_count"] == 1


def test_edge_z_draws_once_per_event_its_token_with_most_bought():
    row = row_of(buy(1, 10, 4), buy(2, 10, 6), buy(3, 20, 8, token_id="no"), market(resolved=9))
    # YES for 10 at .50 against NO for 8: one draw, .5 ÷ √.25
    assert (row["resolved_event_count"], row["edge_z"]) == (1, 1)
    row = row_of(buy(1, 20, 8), buy(3, 10, 8, token_id="no"), market(resolved=9))
    # of equal notionals the smaller token: "no" at .80
    assert row["edge_z"] == pytest.approx(-0.8 / 0.4)


def test_edge_z_is_unknown_where_nothing_was_at_stake():
    assert row_of(buy(1, 10, 10), market(resolved=9))["edge_z"] is None


def test_the_closing_line_is_an_hour_or_more_before_the_end():
    facts = (buy(1, 10, 4), other(19, 0.7), other(19 + US, 0.9))
    assert row_of(*facts, market(resolved=20))["clv_cents"] == pytest.approx(30)
    early = row_of(*facts, market(resolved=30, end_at=at(20)))
    assert early["clv_cents"] == pytest.approx(30)


def test_buys_without_a_closing_line_are_left_out():
    late = buy(19.5, 10, 5, token_id="no")
    row = row_of(buy(1, 10, 4), other(2, 0.5), late, market(resolved=20))
    assert (row["resolved_buy_count"], row["clv_cents"]) == (2, pytest.approx(10))
    assert row_of(late, market(resolved=20))["clv_cents"] is None


def test_the_closing_line_of_the_series_comes_before_that_of_fills():
    facts = (buy(1, 10, 4), other(9, 0.7), market(resolved=20))
    row = priced_row(*facts, series=(quote(5, 0.6), quote(19.5, 0.9)))
    assert row["clv_cents"] == pytest.approx(20)


def test_timing_is_the_drift_of_the_price_series_after_entry():
    facts = (buy(10, 10, 4), buy(20, 30, 15), market(resolved=60))
    minute = 1 / 60
    series = (
        quote(9, 0.1), quote(10 + 5 * minute, 0.45), quote(10 + 6 * minute, 0.47),
        quote(20 + 59 * minute, 0.48), quote(33, 0.60), quote(44.1, 0.9),
    )  # fmt: skip
    row = priced_row(*facts, series=series)
    # five minutes: .45 − .40 for the first, no price for the second
    assert row["timing_5m_cents"] == pytest.approx(5)
    # an hour: .47 − .40 on 10 shares, .48 − .50 on 30
    assert row["timing_1h_cents"] == pytest.approx((10 * 7 - 30 * 2) / 40)
    # a day: .60 − .40 and .60 − .50 (the quote at 44.1 h is six minutes too late)
    assert row["timing_24h_cents"] == pytest.approx((10 * 20 + 30 * 10) / 40)


def test_fills_do_not_stand_in_for_a_price_series():
    row = row_of(buy(10, 10, 4), other(10.01, 0.5), market(resolved=60))
    assert [row[f"timing_{name}_cents"] for name in ("5m", "1h", "24h")] == [None] * 3
