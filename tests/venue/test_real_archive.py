"""Known facts of the real archive, as its README counts them."""

from datetime import date

import polars as pl
import pytest

from evaluator.domain.fills import in_total_order
from evaluator.domain.schema import MICRO
from evaluator.venue.archive import Archive

NOBEL = "trades_nobel2025_dataapi.parquet"


@pytest.fixture(scope="module")
def real(archive_folder):
    return Archive(archive_folder)


@pytest.fixture(scope="module")
def fills(real):
    return real.read_fills().rows


@pytest.fixture(scope="module")
def markets(real):
    return real.read_markets().rows


def test_every_row_is_a_fill(real, fills):
    counts = real.read_fills().counts
    assert (counts.rows_read, counts.duplicates, counts.quarantined_count) == (287_157, 0, 0)
    assert fills["fill_id"].n_unique() == 287_157
    assert fills["proxy_wallet"].n_unique() == 33_610
    assert real.last_day() == date(2025, 5, 7)


def test_3140_fills_agree_in_all_but_their_order(archive_folder):
    fields = ["txKey", "proxyWallet", "asset", "side", "size", "usdcSize", "timestamp"]
    rows = pl.scan_parquet(archive_folder / "trades_fomc.parquet").select(fields).collect()
    assert rows.is_duplicated().sum() == 3_140


def test_the_sum_of_taker_sizes_is_the_volume_of_39_of_44_markets(fills, markets):
    taken = fills.filter(pl.col("role") == "taker").group_by("condition_id").agg(
        pl.col("size_shares").sum() / MICRO
    )  # fmt: skip
    compared = taken.join(markets, on="condition_id")
    error = (compared["size_shares"] - compared["volume_usdc"]).abs()
    assert (compared.height, (error <= 0.01).sum()) == (44, 39)


def test_22_fills_have_a_fee(fills):
    assert fills.filter(pl.col("fee_usdc") > 0).height == 22
    assert fills["fee_usdc"].null_count() == 0
    first = fills.filter(pl.col("fee_usdc") > 0)["fee_usdc"][0]
    assert first == 9_800  # 0.07 shares at 0.14


def test_prices_are_within_bounds_and_fit_notional_and_size(fills):
    assert fills["price"].is_between(0, 1, closed="none").all()
    assert (fills["notional_usdc"] / fills["size_shares"] == fills["price"]).all()


def test_cash_and_final_values_of_a_resolved_event_sum_to_nothing(real, fills, markets):
    payouts = real.read_resolutions().select("token_id", "payout")
    signed = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1)
    flows = (
        fills.join(payouts, on="token_id")
        .join(markets.select("condition_id", "event_slug"), on="condition_id")
        .group_by("event_slug")
        .agg(
            (-signed * pl.col("notional_usdc")).sum().alias("cash"),
            (signed * pl.col("size_shares") * pl.col("payout")).sum().alias("value"),
        )
    )
    residue = (flows["cash"] + flows["value"]).abs() / MICRO
    assert flows.height == 13
    assert residue.max() < 0.01


def test_72_of_74_markets_are_resolved(real, markets):
    assert (markets.height, markets["resolved_at"].null_count()) == (74, 2)
    assert markets.filter("closed")["payouts"].null_count() == 0
    assert real.read_resolutions().height == 144


def test_no_market_resolves_before_its_last_fill(fills, markets):
    last = fills.group_by("condition_id").agg(pl.col("filled_at").max())
    resolved = markets.filter(pl.col("resolved_at").is_not_null())
    both = resolved.join(last, on="condition_id")
    assert (both["resolved_at"] > both["filled_at"]).all()


def test_all_official_positions_are_read(real):
    read = real.read_positions()
    assert read.rows.height == 162_805
    assert read.counts.quarantined_count == 0


def test_the_history_of_every_wallet_is_complete(real):
    state = real.read_ingest_state()
    assert state.height == 33_610
    assert state["history_complete"].all()


def test_fills_stand_in_their_total_order(fills):
    assert in_total_order(fills).equals(fills)


def test_an_archive_that_wraps_round_has_each_fill_once(archive_folder):
    nobel = Archive(archive_folder, trades=NOBEL)
    read = nobel.read_fills()
    assert read.rows.height == 1_500
    assert (read.counts.duplicates, read.counts.possible_undercount) == (3_500, 3_500)
    assert read.rows["fee_usdc"].null_count() == 1_500
    assert not nobel.read_ingest_state()["history_complete"].any()


def test_markets_that_the_market_file_lacks_come_from_the_fills(archive_folder):
    nobel = Archive(archive_folder, trades=NOBEL)
    seen = nobel.read_markets().rows.filter(pl.col("event_slug") == "nobel-peace-prize-winner-2025")
    assert seen.height == 20
    assert not seen["closed"].any()
    assert seen["token_ids"].list.len().to_list().count(2) == 17  # of three only one was traded
