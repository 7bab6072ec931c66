"""Oddities of the venue's payloads, one test each, out of payloads in the recorded shapes."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.domain.markets import tokens
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, POSITIONS
from evaluator.venue.api import frames, reading
from evaluator.venue.api.gamma import flattened
from evaluator.venue.quarantine import Parsed, no_rows
from tests.venue.api.stub_host import payload

SEEN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)


def rows_of(name: str) -> list:
    content = payload(name)
    return content["data"] if isinstance(content, dict) else content


def read(name: str, listing: reading.Listing) -> Parsed:
    page = reading.read_page(rows_of(name), listing, source=name, seen_at=SEEN_AT)
    return reading.union([page], listing)


def markets(name: str) -> Parsed:
    rows = [flattened(row) for row in rows_of(name)]
    page = reading.read_page(rows, reading.MARKETS, source=name, seen_at=SEEN_AT)
    return reading.markets([page], day=DAY, seen_at=SEEN_AT)


def test_both_versions_of_the_trades_give_the_same_fills():
    first, second = read("trades_v1", reading.TRADES), read("trades_v2", reading.TRADES)
    assert first.rows.equals(second.rows)
    assert first.rows.schema == no_rows(FILLS).schema
    assert first.rows.height == 2


def test_a_fill_without_notional_takes_size_times_price():
    sold = read("trades_v2", reading.TRADES).rows.row(1, named=True)
    assert sold["notional_usdc"] == 12_487_500
    assert sold["price"] == 0.999
    assert (sold["fee_usdc"], sold["is_fee_included"], sold["role"]) == (None, False, "unknown")


def test_numbers_may_be_texts_and_names_null_or_boolean():
    bought = read("trades_v1", reading.TRADES).rows.filter(pl.col("side") == "BUY")
    assert read("trades_strings", reading.TRADES).rows.equals(bought)


def test_identical_rows_of_one_response_are_several_fills():
    rows = read("trades_twins", reading.TRADES).rows
    assert rows.height == 3
    assert sorted(rows["ordinal"]) == [0, 0, 1]


def test_an_outcome_that_the_venue_cannot_name_has_no_index():
    assert read("trades_unlabelled", reading.TRADES).rows["outcome_index"].to_list() == [None]


def test_impossible_trades_go_to_quarantine_and_the_others_stay():
    parsed = read("trades_refused", reading.TRADES)
    assert parsed.rows.height == 1
    assert dict(parsed.counts.quarantined) == {
        "bad_condition_id": 1,
        "bad_notional": 2,  # of a negative price, and of a negative size
        "bad_price": 2,
        "bad_proxy_wallet": 1,
        "bad_side": 1,
        "bad_size": 3,
        "bad_timestamp": 1,
        "bad_token_id": 1,
        "not_an_object": 2,
    }
    kept = parsed.quarantine.filter(pl.col("rule") == "bad_side")["payload"].item()
    assert '"side": "HOLD"' in kept
    assert set(parsed.quarantine["source"]) == {"trades_refused"}


def test_a_fee_that_the_usdc_contain_is_recorded_as_included():
    fill = read_trades_of("activity_v1").row(0, named=True)
    assert (fill["notional_usdc"], fill["size_shares"]) == (9_999_996, 11_988_288)
    assert (fill["fee_usdc"], fill["is_fee_included"]) == (49_717, True)


def read_trades_of(name: str) -> pl.DataFrame:
    rows = [row for row in rows_of(name) if row["type"] == "TRADE"]
    page = reading.read_page(rows, reading.TRADES, source=name, seen_at=SEEN_AT)
    return reading.union([page], reading.TRADES).rows


def test_activity_tells_all_that_moves_shares_or_cash_but_trades():
    parsed = read("activity_v1", reading.MOVEMENTS)
    assert parsed.rows.schema == no_rows(ACTIVITY).schema
    kinds = parsed.rows["kind"].cast(pl.String).value_counts().sort("kind").rows()
    assert kinds == [
        ("CONVERSION", 2),
        ("MAKER_REBATE", 1),
        ("MERGE", 1),
        ("REDEEM", 2),
        ("REWARD", 1),
        ("SPLIT", 1),
        ("TAKER_REBATE", 1),
        ("YIELD", 1),
    ]
    assert parsed.counts.quarantined_count == 0
    assert parsed.rows["activity_id"].is_unique().all()


def test_a_redemption_names_no_token_and_a_losing_one_moves_nothing():
    rows = read("activity_v1", reading.MOVEMENTS).rows
    redeemed = rows.filter(pl.col("kind") == "REDEEM").sort("size_shares")
    assert redeemed["size_shares"].to_list() == [0, 100_250_000]
    assert redeemed["amount_usdc"].to_list() == [0, 100_250_000]
    assert redeemed["token_id"].to_list() == [None, None]


def test_version_2_tells_redemptions_by_outcome():
    rows = read("activity_v2", reading.MOVEMENTS).rows
    redeemed = rows.filter(pl.col("kind") == "REDEEM")
    assert redeemed["token_id"].null_count() == 0
    assert sorted(redeemed["amount_usdc"]) == [0, 40_000_000]


def test_both_versions_of_the_same_movement_have_one_identity():
    splits = [
        read(name, reading.MOVEMENTS).rows.filter(pl.col("kind") == "SPLIT")
        for name in ("activity_v1", "activity_v2")
    ]
    assert splits[0].equals(splits[1])


def test_activity_that_no_table_knows_is_seen_in_quarantine():
    parsed = read("activity_refused", reading.MOVEMENTS)
    assert parsed.rows.is_empty()
    assert dict(parsed.counts.quarantined) == {
        "bad_amount": 2,
        "bad_condition_id": 1,
        "bad_size": 2,
        "bad_token_id": 1,
        "unknown_kind": 1,
    }


@pytest.mark.parametrize(
    ("opened", "closed"),
    [("positions_v1", "closed-positions_v1"), ("positions_v2_open", "positions_v2_closed")],
)
def test_positions_hold_dust_and_what_was_closed(opened, closed):
    kinds = (reading.POSITIONS, reading.CLOSED_POSITIONS)
    pages = [
        reading.read_page(rows_of(name), listing, source=name, seen_at=SEEN_AT)
        for name, listing in zip((opened, closed), kinds, strict=True)
    ]
    rows = reading.positions(pages, day=DAY).rows
    assert rows.schema == no_rows(POSITIONS).schema
    columns = ("size_shares", "bought_shares", "average_price", "realised_pnl_usdc")
    assert sorted(rows.select(columns).rows()) == [
        (0, 20_000_000, 1.0089, -3_500_000),
        (4_000, 10_000_000, 0.5, 2_500_000),
    ]


def test_lists_of_a_market_are_json_inside_texts():
    parsed = markets("markets_open")
    market = parsed.rows.row(by_predicate=pl.col("event_slug") == "rain", named=True)
    assert parsed.rows.schema == no_rows(MARKETS).schema
    assert market["outcomes"] == ["Yes", "No"]
    assert [len(token) for token in market["token_ids"]] == [77, 77]
    assert (market["fee_rate"], market["fee_exponent"], market["tick"]) == (0.07, 1.0, 0.01)


def test_the_domain_of_a_market_is_its_category_else_its_first_tag():
    assert sorted(markets("markets_open").rows["domain"]) == ["Crypto", "Weather"]


def test_a_market_of_the_second_protocol_lists_positions_for_tokens():
    known = markets("markets_open").rows.filter(pl.col("event_slug") == "rain")
    assert markets("markets_positions").rows["token_ids"].equals(known["token_ids"])


def test_prices_of_zero_for_all_outcomes_leave_the_winner_unknown():
    market = markets("markets_unknown_winner").rows.row(0, named=True)
    assert market["closed"]
    assert (market["payouts"], market["resolved_at"]) == (None, None)
    assert market["end_at"] == datetime(2020, 11, 4, tzinfo=UTC)


def test_a_market_may_pay_half_to_either_side():
    resolved = markets("markets_resolved").rows
    market = resolved.row(0, named=True)
    assert market["payouts"] == [0.5, 0.5]
    assert market["resolved_at"] == datetime(2026, 8, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert tokens(resolved.lazy()).collect()["payout"].to_list() == [0.5, 0.5]


def test_a_market_is_refused_without_id_or_tokens_and_kept_with_unknown_dates():
    parsed = markets("markets_refused")
    assert parsed.rows.height == 1
    assert dict(parsed.counts.quarantined) == {
        "bad_closed_time": 1,
        "bad_condition_id": 1,
        "bad_end_date": 1,
        "bad_outcome_prices": 1,
        "bad_token_ids": 1,
    }


def test_refused_rows_of_overlapping_pages_are_quarantined_once():
    raw = rows_of("trades_refused")
    pages = [
        reading.read_page(part, reading.TRADES, source="x", seen_at=SEEN_AT)
        for part in (raw, raw[:5], raw[3:])
    ]
    once = reading.union(pages[:1], reading.TRADES)
    again = reading.union(pages, reading.TRADES)
    assert again.quarantine.sort("row_key").equals(once.quarantine.sort("row_key"))
    assert again.counts.quarantined == once.counts.quarantined


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1, None], pl.Int64(), [1, None]),
        ([1, 2.5], pl.Float64(), [1.0, 2.5]),
        (["a", None], pl.String(), ["a", None]),
        ([True, None], pl.Boolean(), [True, None]),
        ([1, "2.5", True], pl.String(), ["1", "2.5", "true"]),
        ([2**200, 1], pl.String(), [str(2**200), "1"]),
        ([[1, "a"], {"b": None}], pl.String(), ['[1, "a"]', '{"b": null}']),
        ([None, None], pl.String(), [None, None]),
        ([10**400, 1.5], pl.Float64(), [None, 1.5]),
        (["\ud800x", "y"], pl.String(), ["?x", "y"]),
    ],
)
def test_a_column_takes_whatever_mixture_of_values_a_key_has(values, dtype, expected):
    column = frames.frame([{"size": value} for value in values], ("size",))["size"]
    assert column.dtype == dtype
    assert column.to_list() == expected
