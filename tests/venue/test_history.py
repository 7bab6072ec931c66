"""The demonstration history: real shapes, conserved money, every kind of end."""

from datetime import date

import polars as pl
import pytest

from evaluator.domain.schema import MICRO
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history

END = date(2026, 3, 1)
FILES = ("trades_fomc.parquet", "markets_fomc.parquet", "positions_pnl_subgraph.parquet")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return write_history(tmp_path_factory.mktemp("history"), end=END)


@pytest.fixture(scope="module")
def source(history):
    return Archive(history.folder)


@pytest.fixture(scope="module")
def fills(source):
    return source.read_fills().rows


@pytest.fixture(scope="module")
def markets(source):
    return source.read_markets().rows


def test_it_reads_as_an_archive_without_a_complaint(history, source):
    for read in (source.read_fills(), source.read_markets(), source.read_positions()):
        assert read.counts.quarantined_count == 0
        assert read.counts.duplicates == 0
    assert source.read_fills().rows.height == history.fill_count
    assert source.last_day() == END


def test_its_size_is_that_of_a_demonstration(history):
    assert 25_000 <= history.fill_count <= 45_000
    assert 290 <= history.wallet_count <= 300
    assert 80 <= history.market_count <= 160


def test_the_same_arguments_give_the_same_history(history, tmp_path):
    write_history(tmp_path, end=END)
    for name in FILES:
        assert pl.read_parquet(tmp_path / name).equals(pl.read_parquet(history.folder / name))


def test_another_seed_gives_another_history(history, tmp_path):
    write_history(tmp_path, end=END, seed=8)
    first, second = (pl.read_parquet(one / FILES[0]) for one in (history.folder, tmp_path))
    assert not first.equals(second)


def test_another_end_moves_the_history_as_it_is(history, tmp_path):
    write_history(tmp_path, end=date(2026, 3, 2))
    first, second = (pl.read_parquet(one / FILES[0]) for one in (history.folder, tmp_path))
    assert (second["timestamp"] - first["timestamp"]).unique().to_list() == [86_400]


def test_columns_are_those_of_real_trades(history, archive_folder):
    real = set(pl.read_parquet_schema(archive_folder / FILES[0]))
    assert set(pl.read_parquet_schema(history.folder / FILES[0])) == real


def test_every_share_bought_was_sold_or_minted_and_every_dollar_paid_was_received(fills, markets):
    signed = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1)
    nets = fills.group_by("condition_id", "token_id").agg(
        (signed * pl.col("size_shares")).sum().alias("shares"),
        (signed * pl.col("notional_usdc")).sum().alias("paid"),
    )
    by_market = nets.group_by("condition_id").agg(
        pl.col("shares").min().alias("sets"),
        pl.col("shares").n_unique().alias("levels"),
        pl.col("paid").sum(),
        pl.len().alias("tokens"),
    )
    whole = by_market.join(markets, on="condition_id").filter(
        pl.col("tokens") == pl.col("token_ids").list.len()
    )
    assert whole.height > 80
    assert (whole["levels"] == 1).all()  # as many of each outcome
    assert (whole["paid"] == whole["sets"]).all()  # at one USDC a set


def test_markets_end_in_every_way(markets):
    payouts = markets["payouts"]
    assert (payouts.list.max() == 1.0).sum() > 80
    assert payouts.to_list().count([0.5, 0.5]) == 1
    assert markets.filter(pl.col("closed") & pl.col("payouts").is_null()).height == 1
    assert (~markets["closed"]).sum() >= 1
    assert set(markets["token_ids"].list.len()) == {2, 3, 4}
    assert markets["domain"].n_unique() == 5
    per_event = markets.group_by("event_slug").len()["len"]
    assert (per_event.min(), per_event.max()) == (2, 4)


def test_fills_come_in_every_shape(history, fills):
    assert set(fills["role"]) == {"maker", "taker"}
    assert set(fills["side"]) == {"BUY", "SELL"}
    assert 0 < (fills["fee_usdc"] > 0).sum() < 400
    rows = pl.read_parquet(history.folder / FILES[0])
    assert 0 < rows["transactionHash"].null_count() < rows.height / 3
    fields = ["txKey", "proxyWallet", "asset", "side", "size", "usdcSize", "timestamp"]
    assert rows.select(fields).is_duplicated().sum() > 100  # only their orders differ
    assert rows.select("txKey", "orderKey").n_unique() == rows.height


def test_some_wallets_sell_shares_that_no_fill_explains(fills):
    signed = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1) * pl.col("size_shares")
    nets = fills.group_by("proxy_wallet", "token_id").agg(signed.sum().alias("net"))
    assert nets.filter(pl.col("net") < 0)["proxy_wallet"].n_unique() == 3


def test_the_official_pnl_is_cash_plus_final_value_where_fills_explain_all(source, fills):
    signed = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1)
    ours = (
        fills.join(source.read_resolutions().select("token_id", "payout"), on="token_id")
        .group_by("proxy_wallet", "token_id", "payout")
        .agg(
            (-signed * pl.col("notional_usdc")).sum().alias("cash"),
            (signed * pl.col("size_shares")).sum().alias("net"),
            pl.col("size_shares").filter(pl.col("side") == "BUY").sum().alias("bought_shares"),
        )
    )
    official = source.read_positions().rows
    both = ours.join(official, on=["proxy_wallet", "token_id"], suffix="_official")
    same = both.filter(pl.col("bought_shares") == pl.col("bought_shares_official"))
    pnl = (same["cash"] + same["net"] * same["payout"]) / MICRO
    stated = same["realised_pnl_usdc"] / MICRO + same["unrealised_pnl_usdc"]
    assert (both.height - same.height) in range(1, 60)  # what splits brought
    assert ((pnl - stated).abs() < 0.01).all()


@pytest.mark.parametrize(("wallets", "events", "days"), [(30, 2, 40), (60, 8, 60)])
def test_small_histories_work_too(tmp_path, wallets, events, days):
    write_history(tmp_path, end=END, wallets=wallets, events=events, days=days)
    assert Archive(tmp_path).last_day() == END
