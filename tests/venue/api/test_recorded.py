"""Recorded answers of the real venue are read without a loss."""

import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from evaluator.domain.tables.discovery import LEADERBOARD
from evaluator.venue.api import reading, rows
from evaluator.venue.api.gamma import flattened
from tests.archive import real_archive

SEEN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)


def recorded(name: str) -> list[Any]:
    raw = (real_archive() / "raw" / name).read_bytes()
    content = json.loads(gzip.decompress(raw) if name.endswith(".gz") else raw)
    return content if isinstance(content, list) else [content]


def page(raw: list[Any], listing: reading.Listing) -> reading.Page:
    return reading.read_page(raw, listing, source="recorded", seen_at=SEEN_AT)


def trades_among(raw: list[Any]) -> list[Any]:
    return [row for row in raw if row.get("type", "TRADE") == "TRADE"]


@pytest.mark.parametrize(
    ("name", "fills", "with_fee"),
    [
        ("data-api_trades_5.json", 5, 0),
        ("data-api_activity_0x6a72.json", 10, 3),
        ("data-api_activity_0x4f34_500.json.gz", 298, 42),
        ("data-api_activity_all-types_0x09b4_50.json", 42, 7),
    ],
)
def test_recorded_trades_are_all_fills(name, fills, with_fee):
    found = reading.union([page(trades_among(recorded(name)), reading.TRADES)], reading.TRADES)
    assert found.rows.height == fills
    assert found.counts.quarantined_count == 0
    assert found.rows["is_fee_included"].sum() == with_fee
    assert (found.rows["fee_usdc"].is_not_null() == found.rows["is_fee_included"]).all()


def test_fees_withheld_in_shares_obey_the_formula_of_early_2026():
    raw = trades_among(recorded("data-api_activity_0x4f34_500.json.gz"))
    fills = reading.union([page(raw, reading.TRADES)], reading.TRADES).rows
    paid = fills.filter("is_fee_included").with_columns(
        usdc=pl.col("notional_usdc") / 1e6, fee=pl.col("fee_usdc") / 1e6
    )
    # The price without the fee; shares before it was withheld.
    price = (pl.col("usdc") - pl.col("fee")) / (pl.col("size_shares") / 1e6)
    gross = pl.col("usdc") / price
    formula = gross * price * 0.25 * (price * (1 - price)) ** 2
    off = paid.select(((pl.col("fee") - formula).abs() > 1e-3).sum()).item()
    assert (paid.height, off) == (42, 0)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("data-api_activity_0x6a72.json", {}),
        ("data-api_activity_0x4f34_500.json.gz", {"REDEEM": 201, "MAKER_REBATE": 1}),
        (
            "data-api_activity_all-types_0x09b4_50.json",
            {"REWARD": 4, "REDEEM": 2, "MAKER_REBATE": 1, "TAKER_REBATE": 1},
        ),
    ],
)
def test_recorded_activity_is_all_read(name, kinds):
    found = reading.union([page(recorded(name), reading.MOVEMENTS)], reading.MOVEMENTS)
    assert Counter(found.rows["kind"].cast(pl.String)) == kinds
    assert found.counts.quarantined_count == 0
    assert found.rows["activity_id"].is_unique().all()


@pytest.mark.parametrize(
    ("name", "listing"),
    [
        ("data-api_positions_0x09b4.json", reading.POSITIONS),
        ("data-api_positions_0x6a72.json", reading.POSITIONS),
        ("data-api_closed-positions_0x6a72.json", reading.CLOSED_POSITIONS),
    ],
)
def test_recorded_positions_are_all_read(name, listing):
    raw = recorded(name)
    found = reading.positions([page(raw, listing)], day=DAY)
    assert found.rows.height == len(raw)
    assert found.counts.quarantined_count == 0


@pytest.mark.parametrize(
    ("name", "markets", "events", "paid"),
    [
        ("gamma_market_single.json", 1, 1, 0),
        ("gamma_markets_us-election-2024-winner_17.json.gz", 17, 1, 0),
        ("gamma_markets_300closed_300open_2026-02.json.gz", 596, 516, 295),
        ("gamma_markets_closed_2020-2021_500.json.gz", 500, 500, 403),
    ],
)
def test_recorded_markets_are_all_read(name, markets, events, paid):
    raw = [flattened(row) for row in recorded(name)]
    found = reading.markets([page(raw, reading.MARKETS)], day=DAY, seen_at=SEEN_AT)
    assert found.rows.height == markets == len({row["conditionId"].lower() for row in raw})
    assert found.counts.quarantined_count == 0
    counts = found.rows.select(
        pl.col("event_slug").n_unique(), pl.col("payouts").is_not_null().sum()
    )
    assert counts.row(0) == (events, paid)


def test_the_recorded_leaderboard_is_all_read():
    raw = recorded("data-api_v1_leaderboard_50.json")
    board = rows.Board(DAY, "OVERALL", "WEEK")
    found = rows.leaderboard(rows.Rows(LEADERBOARD, "recorded", SEEN_AT), raw, board)
    assert sorted(found.rows["rank"]) == list(range(1, 51))
    assert (found.rows.height, found.counts.quarantined_count) == (50, 0)


def test_recorded_answers_cut_into_overlapping_pages_give_the_same_rows():
    raw = trades_among(recorded("data-api_activity_0x4f34_500.json.gz"))
    whole = reading.union([page(raw, reading.TRADES)], reading.TRADES)
    parts = [page(raw[first : first + 60], reading.TRADES) for first in range(0, 300, 40)]
    assert reading.union(reversed(parts), reading.TRADES).rows.equals(whole.rows)
