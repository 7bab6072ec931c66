"""The oracle against numbers worked out by hand, so that it may be trusted against others."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.oracle.features import features
from tests.oracle.ledger import Ledger, ledger
from tests.oracle.stories import ANN, BOB, act, at, buy, market, sell, world
from tests.oracle.world import MICRO, World, WorldIndex, archive_world

if TYPE_CHECKING:
    from pathlib import Path

LATER = at(24 * 365)


def books_of(*facts: Any) -> Ledger:
    return ledger(world(*facts), ANN, LATER)


def closes(books: Ledger) -> list[tuple[float, float]]:
    """(shares, PnL in USDC) of each closed row."""
    return [(row.size_shares / MICRO, row.realised_pnl_usdc / MICRO) for row in books.closed]


def keeps(books: Ledger) -> list[tuple[float, float]]:
    """(shares, cost in USDC) of each open lot."""
    return [(lot.size_shares / MICRO, lot.cost_usdc / MICRO) for lot in books.open_lots()]


def trips(books: Ledger) -> list[float]:
    return [trip.pnl / MICRO for trip in books.trips]


def balance(books: Ledger) -> int:
    """Σ realised PnL − Σ open cost − Σ cash; nothing in sound books."""
    open_cost = sum(lot.cost_usdc for lot in books.open_lots())
    return books.realised - open_cost - sum(flow.amount for flow in books.cash)


# ── ledger ──────────────────────────────────────────────────────────────────────────────


def test_a_sell_across_two_lots_closes_the_older_first() -> None:
    books = books_of(buy(1, 100, 40), buy(2, 50, 27.5), sell(3, 120, 72))
    # 100 · (.60 − .40) = 20; 20 · (.60 − .55) = 1; 30 · .55 = 16.50 stay
    assert closes(books) == [(100, 20), (20, 1)]
    assert keeps(books) == [(30, 16.5)]
    assert books.coverage == 1
    assert trips(books) == []


def test_a_lot_is_cut_cumulatively_to_the_micro_dollar() -> None:
    books = books_of(buy(1, 3, 1), sell(2, 1, 0.5), sell(3, 1, 0.5), sell(4, 1, 0.5))
    # 1,000,000 micro over three shares: 333,333 + 333,333 + 333,334
    assert [row.cost_usdc for row in books.closed] == [333_333, 333_333, 333_334]
    assert trips(books) == [0.5]


def test_fees_are_in_cost_and_proceeds_but_not_in_prices_and_included_ones_are_not_applied() -> (
    None
):
    paid = books_of(buy(1, 10, 5, fee=100_000), sell(2, 10, 6, fee=200_000))
    held_back = books_of(buy(1, 10, 5, fee=100_000, is_fee_included=True), sell(2, 10, 6))
    # 6 − .20 − (5 + .10) = .70; with the fee already inside, 6 − 5 = 1
    assert closes(paid) == [(10, 0.7)]
    assert closes(held_back) == [(10, 1)]
    assert (paid.closed[0].open_price, paid.closed[0].close_price) == (0.5, 0.6)
    assert (paid.closed[0].fees_usdc, held_back.closed[0].fees_usdc) == (300_000, 100_000)


def test_shares_that_no_earlier_lot_explains_earn_nothing() -> None:
    books = books_of(buy(1, 100, 40), sell(2, 150, 90), buy(3, 10, 5))
    # 100 of 150 explained; their part of 90 is 60, less 40
    assert closes(books) == [(100, 20)]
    assert [(u.size, u.proceeds) for u in books.unexplained] == [(50 * MICRO, 30 * MICRO)]
    assert books.coverage == pytest.approx(2 / 3)
    assert keeps(books) == [(10, 5)]


def test_within_an_instant_acquisitions_come_first_unless_the_source_has_a_sequence() -> None:
    unnumbered = books_of(sell(1, 10, 6), buy(1, 10, 5))
    numbered = books_of(sell(1, 10, 6, seq=1), buy(1, 10, 5, seq=2))
    assert closes(unnumbered) == [(10, 1)]
    assert closes(numbered) == []
    assert numbered.coverage == 0


def test_resolution_closes_what_is_left_and_a_dead_loser_is_a_loss() -> None:
    books = books_of(buy(1, 10, 4), buy(2, 10, 3, token_id="no"), market(resolved=5))
    assert closes(books) == [(10, -3), (10, 6)]  # of one instant: by token, "no" before "yes"
    assert {row.close_id for row in books.closed} == {"resolve:yes", "resolve:no"}
    assert books.coverage is None
    assert trips(books) == [-3, 6]


def test_fills_after_resolution() -> None:
    books = books_of(
        buy(1, 10, 4), market(resolved=5), buy(6, 5, 4.5), sell(7, 12, 11.4), sell(8, 10, 9)
    )
    # 10 pay 10 − 4 = 6; 5 more close at once: 5 − 4.50 = .50; so RESOLVE paid 15 shares.
    # 12 go back at .95 for 1: −.60; of the last 10 only 3 are left to take back: 2.70 − 3 = −.30
    assert closes(books) == [(10, 6), (5, 0.5), (12, -0.6), (3, -0.3)]
    assert books.closed[1].closed_at == at(6)
    assert books.closed[2].open_fill_id == "resolve:yes"
    assert books.closed[2].opened_at == at(7)
    assert trips(books) == [6, 0.5, -0.6, -0.3]
    assert books.coverage == pytest.approx(15 / 22)
    assert balance(books) == 0


def test_a_split_is_divided_by_the_last_prices_and_a_merge_likewise() -> None:
    prices = (buy(1, 1, 0.6, proxy_wallet=BOB), buy(1, 1, 0.2, proxy_wallet=BOB, token_id="no"))
    books = books_of(*prices, act(2, "SPLIT", 10), sell(3, 10, 9), act(4, "MERGE", 4))
    # .6 and .2 make 7.50 and 2.50; sold for 9: +1.50. At the merge the last prices are .9 and
    # .2: 4 · 9/11 = 3.272727 for YES, all unexplained, and .727273 for NO, which cost 1: −.272727
    assert closes(books) == [(10, 1.5), (4, -0.272727)]
    assert keeps(books) == [(6, 1.5)]
    assert [(u.token_id, u.size, u.proceeds) for u in books.unexplained] == [
        ("yes", 4_000_000, 3_272_727)
    ]
    assert books.coverage == pytest.approx(14 / 18)
    assert balance(books) == 0


def test_a_split_without_all_prices_is_shared_equally_and_the_last_token_takes_the_rest() -> None:
    prices = buy(1, 1, 0.6, proxy_wallet=BOB)
    books = books_of(prices, act(2, "SPLIT", 0.000003))
    assert [lot.cost_usdc for lot in books.open_lots()] == [2, 1]  # "no" is last, and has 2


def test_redeem_is_cash_only_once_resolution_is_known() -> None:
    early = books_of(buy(1, 10, 4), act(2, "REDEEM", 10, 10, "yes"))
    late = books_of(buy(1, 10, 4), market(resolved=2), act(3, "REDEEM", 10, 10, "yes"))
    assert [row.close_kind for row in early.closed] == ["REDEEM"]
    assert [row.close_kind for row in late.closed] == ["RESOLVE"]
    assert closes(early) == closes(late) == [(10, 6)]
    assert (early.coverage, late.coverage) == (1, None)


def test_a_conversion_of_an_unknown_set_is_unexplained() -> None:
    books = books_of(buy(1, 10, 4, token_id="no"), act(2, "CONVERSION", 10, 0, "no"))
    assert closes(books) == []
    assert books.coverage == 0


def test_dust_belongs_to_the_next_trip() -> None:
    books = books_of(buy(1, 10, 5), sell(2, 9.995, 5.9970), buy(3, 10, 5), sell(4, 10.005, 6.003))
    # first trip: 5.9970 − 4.9975 = .9995; second: .005 of dust and 10 shares for 6.003 − 5.0025
    assert trips(books) == [pytest.approx(0.9995), pytest.approx(1.0005)]


def random_facts(seed: int) -> list[Any]:
    """Twenty fills and activities at whole hours, oversold ones included."""
    dice = random.Random(seed)
    facts: list[Any] = [market(resolved=15)]
    for number in range(20):
        make = dice.choice((buy, buy, sell))
        shares = dice.randint(1, 10_000_000) / MICRO
        price, token = dice.randint(1, 999) / 1000, dice.choice(("yes", "no"))
        facts.append(make(dice.randint(1, 20), shares, round(shares * price, 6), token_id=token,
                          fill_id=str(number), transaction_hash=f"0x{number}"))  # fmt: skip
    facts += [act(dice.randint(1, 20), "SPLIT", 5), act(dice.randint(1, 20), "MERGE", 3)]
    return facts


@pytest.mark.parametrize("seed", range(30))
def test_books_balance_and_shuffling_or_later_events_change_nothing(seed: int) -> None:
    facts = random_facts(seed)
    books = books_of(*facts)
    shuffled = random.Random(seed).sample(facts, len(facts))
    midway = ledger(world(*facts), ANN, at(10))
    assert balance(books) == 0
    assert balance(midway) == 0
    assert books_of(*shuffled).closed == books.closed
    assert midway.closed == [row for row in books.closed if row.closed_at < at(10)]


# ── features ────────────────────────────────────────────────────────────────────────────


def row_of(*facts: Any, day: int = 8, days: int = 7) -> dict[str, Any]:
    return features(world(*facts), ANN, at(24 * (day - 1)), days, force=True) or {}


def test_equity_follows_the_marks_of_others_and_the_resolution() -> None:
    row = row_of(
        buy(12, 100, 50), buy(60, 1, 0.3, proxy_wallet=BOB), market(resolved=108, end_at=at(66))
    )
    # base max(50, 100): 100 100 100 80 80 150 150 150; drawdown .2; held on days 1 to 5
    assert row["peak_capital_usdc"] == 50
    assert row["max_drawdown"] == pytest.approx(0.2)
    assert row["exposure_days"] == 5
    # returns 0 0 −.2 0 .875 0 0: mean .675/7, Σr² = .805625, variance (.805625 − .675²/7)/6
    assert row["return_stdev"] == pytest.approx(((0.805625 - 0.675**2 / 7) / 6) ** 0.5)
    assert row["daily_sharpe"] is None
    assert (row["roi"], row["roi_on_peak_capital"]) == (1, 1)
    assert row["hold_hours_mean"] == row["hold_hours_median"] == 96
    # payout 1 at .50: z = .5 ÷ √.25; an hour before the end (65 h) the price was .30: −20 cents
    assert (row["edge_per_share"], row["edge_z"]) == (0.5, 1)
    assert row["clv_cents"] == pytest.approx(-20)


def test_an_open_position_is_marked_and_a_loser_counted_once() -> None:
    row = row_of(buy(1, 10, 5), buy(2, 10, 5), buy(3, 1, 0.2, proxy_wallet=BOB))
    # 20 shares at .20 are worth 4 of a cost of 10
    assert row["unrealised_pnl_usdc"] == -6
    assert (row["open_loser_count"], row["open_loser_cost_ratio"]) == (1, 1)
    assert row["adjusted_win_rate"] == 0
    assert row["win_rate"] is None
    assert (row["settled_count"], row["max_single_loss_usdc"]) == (0, None)
    assert row["open_position_count"] == 1


def test_orders_chain_fills_with_gaps_up_to_ten_seconds() -> None:
    seconds = [0, 10, 20, 31]
    row = row_of(*[buy(1 + s / 3600, 1, 0.5, fill_id=str(s)) for s in seconds])
    assert (row["fill_count"], row["order_count"]) == (4, 2)
    assert row["burstiness_top_1h"] is None


def test_shape_of_sizes_and_prices() -> None:
    row = row_of(buy(1, 10, 1, role="maker"), buy(2, 10, 5.5), sell(3, 10, 9, role="unknown"))
    # notionals 1, 5.5, 9: median 5.5, p90 5.5 + .8 · 3.5 = 8.3, Gini (−2 + 18) ÷ (3 · 15.5)
    assert (row["median_fill_usdc"], row["p90_fill_usdc"]) == (5.5, pytest.approx(8.3))
    assert row["size_gini"] == pytest.approx(16 / 46.5)
    assert row["maker_share"] == 0.5
    assert row["buy_sell_balance"] == pytest.approx(2 / 3)
    # .10 and .90 are extreme, .55 is in the middle, all at the bound
    assert row["extreme_price_ratio"] == pytest.approx(2 / 3)
    assert row["mid_fill_ratio"] == pytest.approx(1 / 3)


def test_a_row_exists_for_a_fill_a_close_or_an_open_dollar_only() -> None:
    small, large = world(buy(1, 2, 1)), world(buy(1, 3, 1.000001))
    day = at(24 * 20)
    assert features(small, ANN, day, 7) is None
    assert (features(large, ANN, day, 7) or {})["fill_count"] == 0


def test_burstiness_counts_orders_in_a_half_open_hour() -> None:
    late = [buy(2 * k, 1, 0.5, fill_id=f"a{k}") for k in range(1, 21)]
    dense = [buy(100 + k / 10, 1, 0.5, fill_id=f"b{k}") for k in range(11)]
    # twenty orders two hours apart; eleven six minutes apart, of which the last is an hour later
    assert row_of(*late, *dense)["burstiness_top_1h"] == pytest.approx(10 / 31)


# ── the real archive ────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def archive(archive_folder: Path) -> World:
    return archive_world(archive_folder)


@pytest.mark.parametrize("event", ["fed-interest-rates-july-2023", "fed-interest-rates-june-2024"])
def test_what_some_win_others_lose(archive: World, event: str) -> None:
    markets = [one for one in archive.markets if one.event_slug == event]
    conditions = {one.condition_id for one in markets}
    fills = tuple(fill for fill in archive.fills if fill.condition_id in conditions)
    index = WorldIndex(replace(archive, fills=fills, markets=tuple(markets)))
    end = datetime(2025, 6, 1, tzinfo=UTC)
    total = 0
    for wallet in index.wallets():
        books = ledger(index, wallet, end)
        total += books.realised
        for sale in books.unexplained:  # never held in fills: worth its payout to its owner
            assert sale.token_id
            total += sale.proceeds - round(sale.size * (index.payout_of(sale.token_id) or 0))
        assert balance(books) == 0
        assert not any(books.held.values())
    # the chain itself drops fractions of a micro-dollar when it matches: 129 in June 2024
    assert abs(total) <= 150


def test_the_archive_is_read_whole(archive: World) -> None:
    assert len(archive.fills) == 287_157
    assert len({fill.proxy_wallet for fill in archive.fills}) == 33_610
    assert sum(bool(fill.fee) for fill in archive.fills) == 22
    assert all(market.payouts for market in archive.markets if market.resolved_at)
