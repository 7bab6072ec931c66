"""Flow, breadth and style: counts, sizes, orders, concentration, prices, holding times."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from evaluator.domain.features.catalogue import FEATURES
from tests.domain.feature_stories import WEEK, has_row, other, row_of
from tests.domain.worlds import Run
from tests.oracle.stories import ANN, act, at, buy, market, sell, world

S = 1 / 3600  # hours in a second
US = S / 1_000_000


def markets(*domains: str | None):
    """m1, m2 … with tokens t1, t2 …, each of its own event, and the domain given."""
    return [
        market(condition_id=f"m{n}", event_slug=f"e{n}", token_ids=(f"t{n}", f"u{n}"), domain=name)
        for n, name in enumerate(domains, 1)
    ]


def spend(usdc: float, number: int, hours: float = 1):
    """Ann buys in market m<number>."""
    return buy(
        hours, 10 * usdc, usdc, condition_id=f"m{number}", token_id=f"t{number}",
        fill_id=f"{number} at {hours}",
    )  # fmt: skip


# ── nothing ─────────────────────────────────────────────────────────────────────────────


def test_over_nothing_sums_and_counts_are_zero_and_the_rest_is_null():
    row = Run(world(other(1, 0.5)).world).row(ANN, date(2026, 1, 7), 7)
    for feature in FEATURES:
        expected = 0 if feature.is_zero_over_nothing else None
        assert row[feature.name] == expected, feature.name


def test_a_row_exists_for_a_fill_a_close_or_an_open_position_above_one_usdc():
    assert has_row(buy(1, 1, 0.1))
    assert has_row(buy(-200, 1, 0.1), market(resolved=3))
    assert has_row(buy(-200, 2, 1.000001))
    assert not has_row(buy(-200, 2, 1))
    assert not has_row(buy(WEEK, 100, 50))


# ── flow ────────────────────────────────────────────────────────────────────────────────


def test_the_window_holds_its_first_instant_and_not_as_of():
    row = row_of(buy(-US, 1, 0.1), buy(0, 1, 0.2), buy(WEEK - US, 1, 0.3), buy(WEEK, 1, 0.4))
    assert (row["fill_count"], row["volume_usdc"]) == (2, 0.5)
    assert (row["first_fill_at"], row["last_fill_at"]) == (at(0), at(WEEK - US))
    assert row["inputs_watermark"] == at(WEEK - US)
    assert row["active_days"] == 2
    assert row["fills_per_day"] == pytest.approx(2 / 7)
    assert row["fills_per_week"] == 2


def test_age_and_silence_count_all_fills_before_as_of_in_fractional_days():
    row = row_of(buy(-36, 1, 0.1), buy(WEEK - 6, 1, 0.1), buy(WEEK + 1, 1, 0.1))
    assert row["wallet_age_days"] == 8.5
    assert row["days_since_last_fill"] == 0.25


def test_orders_chain_fills_of_a_token_and_side_with_gaps_of_ten_seconds_at_most():
    row = row_of(*(buy(1 + s * S, 1, 0.5, fill_id=str(s)) for s in (0, 10, 20, 30.000001)))
    assert (row["fill_count"], row["order_count"]) == (4, 2)


def test_another_side_or_token_is_another_order():
    row = row_of(buy(1, 9, 4.5), sell(1 + S, 1, 0.5), buy(1 + 2 * S, 1, 0.5),
                 buy(1 + 3 * S, 1, 0.5, token_id="no"))  # fmt: skip
    assert row["order_count"] == 3
    assert (row["buy_count"], row["sell_count"]) == (3, 1)


def test_an_order_under_way_when_the_window_opens_begins_anew_in_it():
    row = row_of(buy(-S, 1, 0.5), buy(S, 1, 0.5))
    assert (row["fill_count"], row["order_count"]) == (1, 1)


def test_sizes_of_fills():
    row = row_of(buy(1, 10, 1), buy(2, 10, 5.5), sell(3, 10, 9))
    # 1, 5.5, 9: median 5.5; p90 5.5 + .8 · 3.5; Gini (−2 · 1 + 2 · 9) ÷ (3 · 15.5)
    assert row["median_fill_usdc"] == 5.5
    assert row["p90_fill_usdc"] == pytest.approx(8.3)
    assert row["avg_fill_usdc"] == pytest.approx(15.5 / 3)
    assert row["size_gini"] == pytest.approx(16 / 46.5)
    mean = 15.5 / 3
    spread = (((1 - mean) ** 2 + (5.5 - mean) ** 2 + (9 - mean) ** 2) / 2) ** 0.5
    assert row["size_cv"] == pytest.approx(spread / mean)


def test_one_fill_has_no_spread():
    row = row_of(buy(1, 10, 5))
    assert (row["size_cv"], row["size_gini"]) == (None, 0)


# ── breadth ─────────────────────────────────────────────────────────────────────────────


def test_concentration_is_the_share_of_the_three_largest_markets():
    few = row_of(*markets(None, None, None), spend(1, 1), spend(2, 2), spend(3, 3))
    many = row_of(*markets(*[None] * 4), *(spend(n, n) for n in (1, 2, 3, 4)))
    assert (few["concentration_top3"], many["concentration_top3"]) == (1, 0.9)
    assert many["market_hhi"] == pytest.approx((1 + 4 + 9 + 16) / 100)
    assert (many["market_count"], many["event_count"]) == (4, 4)


def test_the_top_domain_is_by_volume_then_by_name_and_an_unknown_one_only_divides():
    listed = markets("Sports", "Crypto", None)
    row = row_of(*listed, spend(2, 1), spend(2, 2), spend(4, 3))
    assert (row["top_domain"], row["top_domain_ratio"]) == ("Crypto", 0.25)
    row = row_of(*listed, spend(3, 1), spend(2, 2), spend(5, 3))
    assert (row["top_domain"], row["top_domain_ratio"]) == ("Sports", 0.3)
    row = row_of(*listed, spend(5, 3))
    assert (row["top_domain"], row["top_domain_ratio"]) == (None, None)


def test_a_market_without_an_event_is_its_own():
    one, two = (replace(listed, event_slug=None) for listed in markets(None, None))
    assert row_of(one, two, spend(1, 1), spend(1, 2))["event_count"] == 2


def test_an_open_position_counts_above_one_usdc_of_cost_over_all_its_lots():
    listed = markets(None, None, None)
    row = row_of(*listed, spend(1, 1), spend(0.5, 2), spend(0.500001, 2, 2), spend(3, 3, WEEK))
    assert row["open_position_count"] == 1


# ── style ───────────────────────────────────────────────────────────────────────────────


def test_prices_are_rounded_half_even_to_the_tick_before_they_meet_a_bound():
    def fills(*prices: float):
        return [buy(n, 10, 10 * p, fill_id=str(p)) for n, p in enumerate(prices, 1)]

    # .1005 → .100, .8995 → .900, .0995 … are extreme; .1006 → .101 and .8994 → .899 are not
    row = row_of(*fills(0.1005, 0.8995, 0.1, 0.9, 0.1006, 0.8994, 0.3, 0.3))
    assert (row["extreme_price_ratio"], row["mid_fill_ratio"]) == (0.5, 0)
    # .4495 → .450 (even) and .5505 → .550 are in the middle; .4494 and .5506 are not
    row = row_of(*fills(0.4495, 0.5505, 0.4494, 0.5506))
    assert row["mid_fill_ratio"] == 0.5
    # at a tick of .01: .105 → .10 and .455 → .46; at .445 → .44
    row = row_of(*fills(0.105, 0.455, 0.445, 0.3), market(tick=0.01))
    assert (row["extreme_price_ratio"], row["mid_fill_ratio"]) == (0.25, 0.25)


def test_maker_share_is_of_fills_of_known_role():
    roles = ("maker", "maker", "taker", "unknown")
    row = row_of(*(buy(n, 1, 0.5, role=role) for n, role in enumerate(roles, 1)))
    assert (row["role_known_count"], row["maker_share"]) == (3, pytest.approx(2 / 3))
    assert row_of(buy(1, 1, 0.5, role="unknown"))["maker_share"] is None


def test_balance_and_both_sides():
    row = row_of(buy(1, 9, 4.5), buy(2, 9, 4.5, token_id="no"), sell(3, 1, 0.5),
                 *markets(None), market(), spend(1, 1))  # fmt: skip
    assert row["buy_sell_balance"] == 0.5  # 1 − |3 − 1| ÷ 4
    assert row["both_sides_ratio"] == 0.5
    assert row["mean_entry_price"] == pytest.approx(10 / 28)
    only_sold = row_of(sell(3, 1, 0.5))
    assert (only_sold["both_sides_ratio"], only_sold["mean_entry_price"]) == (None, None)
    assert only_sold["buy_sell_balance"] == 0


def test_burstiness_counts_orders_of_a_half_open_hour_and_needs_thirty():
    calm = [buy(2 * k, 1, 0.5, fill_id=f"calm {k}") for k in range(1, 20)]
    burst = [buy(100 + k / 10, 1, 0.5, fill_id=f"burst {k}") for k in range(11)]
    # eleven orders six minutes apart, of which the last is an hour after the first
    assert row_of(*calm, *burst)["burstiness_top_1h"] == pytest.approx(10 / 30)
    assert row_of(*calm[1:], *burst)["burstiness_top_1h"] is None


def test_the_median_hold_is_the_smallest_that_half_of_the_shares_do_not_exceed():
    row = row_of(buy(1, 10, 5), sell(3, 4, 2), sell(5, 1, 0.5), sell(9, 5, 2.5))
    # 4 shares of 2 h, 1 of 4 h, 5 of 8 h: half of the ten is reached at 4 h
    assert row["hold_hours_median"] == 4
    assert row["hold_hours_mean"] == pytest.approx((8 + 4 + 40) / 10)


# ── quality ─────────────────────────────────────────────────────────────────────────────


def test_coverage_is_all_time_and_null_without_a_disposal():
    row = row_of(buy(-300, 10, 5), sell(-200, 20, 10), sell(WEEK, 5, 2))
    assert row["coverage"] == 0.5
    assert row_of(buy(1, 10, 5), market(resolved=3))["coverage"] is None


def test_activity_disposes_of_shares_too():
    row = row_of(buy(1, 10, 5), act(2, "MERGE", 10), act(3, "REDEEM", 4, 4))
    # ten of YES explained, ten of NO not, four of a nameless redemption neither
    assert row["coverage"] == pytest.approx(10 / 24)


def test_a_wallet_without_a_fill_may_have_a_ledger():
    row = row_of(act(1, "SPLIT", 10), act(2, "MERGE", 4))
    assert row["proxy_wallet"] == ANN
    assert (row["fill_count"], row["realised_pnl_usdc"], row["coverage"]) == (0, 0, 1)
    assert (row["wallet_age_days"], row["inputs_watermark"]) == (None, None)
    assert row["open_position_count"] == 2
