"""Fills of an archive: which rows are fills, which are refused, and by which rule."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from evaluator.domain.tables.history import FILLS, QUARANTINE
from evaluator.venue.parquet import ArchiveColumnsMissingError, ArchiveFileMissingError
from tests.archive import CONDITION, NO, NOON, OTHER, WALLET, YES, archive, market, trade, without


def only(tmp_path, **fields):
    """The fill of an archive with this one trade."""
    (row,) = archive(tmp_path, [trade(**fields)]).read_fills().rows.rows(named=True)
    return row


def test_a_row_becomes_a_fill(tmp_path):
    read = archive(tmp_path).read_fills()
    (fill,) = read.rows.rows(named=True)
    fill_id = fill.pop("fill_id")
    assert isinstance(fill_id, int)
    assert fill == {
        "proxy_wallet": WALLET,
        "condition_id": CONDITION,
        "token_id": YES,
        "outcome_index": 0,
        "side": "BUY",
        "size_shares": 10_000_000,
        "price": 0.4,
        "notional_usdc": 4_000_000,
        "fee_usdc": 0,
        "is_fee_included": False,
        "role": "taker",
        "filled_at": datetime(2025, 2, 20, 12, tzinfo=UTC),
        "source_sequence": 0,
        "transaction_key": int("d4" * 7 + "d", 16),
        "transaction_hash": "0x" + "d4" * 32,
        "ordinal": 0,
    }
    assert read.counts.rows_read == 1
    assert read.counts.quarantined_count == 0


def test_columns_are_those_of_the_table_with_ids_as_texts(tmp_path):
    rows = archive(tmp_path).read_fills().rows
    assert rows.columns == FILLS.schema.names()
    texts = {"proxy_wallet", "condition_id", "token_id"}
    for name, dtype in FILLS.schema.items():
        assert rows.schema[name] == (pl.String if name in texts else dtype)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"proxyWallet": "0xabc"}, "bad_proxy_wallet"),
        ({"proxyWallet": None}, "bad_proxy_wallet"),
        ({"proxyWallet": "a1" * 20}, "bad_proxy_wallet"),
        ({"conditionId": "0xc3"}, "bad_condition_id"),
        ({"asset": "0x77"}, "bad_token_id"),
        ({"asset": "7.7e76"}, "bad_token_id"),
        ({"side": "HOLD"}, "bad_side"),
        ({"side": ""}, "bad_side"),
        ({"size": 0.0}, "bad_size"),
        ({"size": -1.0}, "bad_size"),
        ({"size": float("nan")}, "bad_size"),
        ({"size": 1e13}, "bad_size"),
        ({"price": 1.2}, "bad_price"),
        ({"price": -0.1}, "bad_price"),
        ({"price": "cheap"}, "bad_price"),
        ({"usdcSize": 10.5}, "bad_price"),  # 1.05 a share
        ({"price": None, "usdcSize": None}, "bad_price"),
        ({"usdcSize": "much"}, "bad_notional"),
        ({"usdcSize": -4.0}, "bad_notional"),
        ({"timestamp": 0}, "bad_timestamp"),
        ({"timestamp": None}, "bad_timestamp"),
        ({"timestamp": "yesterday"}, "bad_timestamp"),
        ({"outcomeIndex": 999}, "unknown_outcome_index"),
        ({"outcomeIndex": -1}, "unknown_outcome_index"),
        ({"outcomeIndex": 2}, "unknown_outcome_index"),  # the market has two outcomes
        ({"outcomeIndex": 0.5}, "unknown_outcome_index"),
    ],
)
def test_a_malformed_row_is_refused_alone(tmp_path, fields, rule):
    read = archive(tmp_path, [trade(), trade(proxyWallet=OTHER) | fields]).read_fills()
    assert read.rows["proxy_wallet"].to_list() == [WALLET]
    assert read.quarantine["rule"].to_list() == [rule]
    assert dict(read.counts.quarantined) == {rule: 1}


def test_a_refused_row_keeps_its_raw_payload(tmp_path):
    row = trade(side="HOLD", note="a column that nobody reads")
    (refused,) = archive(tmp_path, [row, trade()]).read_fills().quarantine.rows(named=True)
    assert refused["source"] == "trades_fomc.parquet"
    assert '"side":"HOLD"' in refused["payload"]
    assert '"note":"a column that nobody reads"' in refused["payload"]


def test_a_row_may_break_several_rules(tmp_path):
    read = archive(tmp_path, [trade(side="HOLD", size=0.0), trade()]).read_fills()
    assert read.quarantine["rule"].to_list() == ["bad_side", "bad_size"]
    assert read.quarantine["payload"].n_unique() == 1
    assert read.quarantine.columns == QUARANTINE.schema.names()


def test_equal_refused_rows_are_told_apart(tmp_path):
    read = archive(tmp_path, [trade(size=0.0)] * 3 + [trade()]).read_fills()
    assert read.quarantine.select("source", "row_key", "rule").n_unique() == 3


def test_what_is_refused_does_not_depend_on_the_order_of_rows(tmp_path):
    rows = [trade(size=0.0), trade(), trade(size=0.0), trade(side="HOLD"), trade(fee=-1.0)]
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    forward = archive(first, rows).read_fills().quarantine.drop("seen_at")
    backward = archive(second, rows[::-1]).read_fills().quarantine.drop("seen_at")
    assert forward.equals(backward)


@pytest.mark.parametrize(
    ("fields", "fee_usdc"),
    [
        ({"side": "BUY", "fee": 0.07}, 28_000),  # shares, at 0.40
        ({"side": "SELL", "fee": 0.07}, 70_000),  # USDC
        ({"fee": None}, None),
    ],
)
def test_a_fee_is_in_shares_of_a_purchase_and_usdc_of_a_sale(tmp_path, fields, fee_usdc):
    fill = only(tmp_path, **fields)
    assert fill["fee_usdc"] == fee_usdc
    assert fill["is_fee_included"] is False


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"side": "SELL", "fee": 4.01}, "fee_above_notional"),
        ({"side": "BUY", "fee": 10.1}, "fee_above_notional"),
        ({"fee": -0.1}, "bad_fee"),
        ({"fee": "free"}, "bad_fee"),
    ],
)
def test_an_unusable_fee_is_refused_and_the_fill_stays(tmp_path, fields, rule):
    read = archive(tmp_path, [trade(**fields)]).read_fills()
    assert read.rows["fee_usdc"].to_list() == [None]
    assert read.quarantine["rule"].to_list() == [rule]


def test_a_fee_may_be_the_whole_notional(tmp_path):
    assert only(tmp_path, side="SELL", fee=4.0)["fee_usdc"] == 4_000_000


def test_optional_columns_may_be_missing(tmp_path):
    optional = ("usdcSize", "outcomeIndex", "orderKey", "isTaker", "fee", "seq", "slug")
    read = archive(tmp_path, [without(trade(eventSlug=None), *optional)]).read_fills()
    (fill,) = read.rows.rows(named=True)
    assert fill["role"] == "unknown"
    assert fill["fee_usdc"] is None
    assert fill["source_sequence"] is None
    assert fill["outcome_index"] == 0  # the market knows its tokens
    assert fill["notional_usdc"] == 4_000_000


def test_numbers_times_and_flags_may_be_texts(tmp_path):
    texts = {"size": "10", "price": "0.4", "usdcSize": "4.0", "outcomeIndex": "0", "fee": "0"}
    expected = only(tmp_path)
    for timestamp in (str(NOON), "2025-02-20T12:00:00Z", "2025-02-20 12:00:00+00"):
        assert only(tmp_path, timestamp=timestamp, isTaker="true", **texts) == expected


def test_milliseconds_are_told_from_seconds(tmp_path):
    assert only(tmp_path, timestamp=NOON * 1000) == only(tmp_path)


def test_names_may_be_spelled_as_in_version_2(tmp_path):
    names = {
        "proxyWallet": "proxy_wallet",
        "conditionId": "condition_id",
        "usdcSize": "usdc_size",
        "outcomeIndex": "outcome_index",
        "transactionHash": "transaction_hash",
        "orderKey": "order_key",
        "isTaker": "is_taker",
        "asset": "token_id",
    }
    row = {names.get(name, name): value for name, value in trade().items()}
    (fill,) = archive(tmp_path, [row]).read_fills().rows.rows(named=True)
    assert fill == only(tmp_path)


def test_addresses_are_lower_case(tmp_path):
    upper = {"proxyWallet": "0x" + "A1" * 20, "conditionId": "0x" + "C3" * 32}
    assert only(tmp_path, **upper) == only(tmp_path)


def test_the_price_is_derived_and_its_noise_does_not_count(tmp_path):
    noisy = only(tmp_path, price=0.39999999999999997)
    assert noisy == only(tmp_path)
    assert noisy["price"] == 0.4


@pytest.mark.parametrize(
    ("size", "price", "notional_usdc"),
    [
        (0.000001, 0.5, 0),  # half of a micro-dollar goes to the even neighbour
        (0.000003, 0.5, 2),
        (100.1, 0.02532500243751818, 2_535_033),
    ],
)
def test_a_notional_not_given_is_size_times_price_half_even(tmp_path, size, price, notional_usdc):
    row = without(trade(size=size, price=price), "usdcSize")
    fills = archive(tmp_path, [row]).read_fills().rows
    assert fills["notional_usdc"].to_list() == [notional_usdc]


def test_a_given_notional_is_never_recomputed(tmp_path):
    assert only(tmp_path, usdcSize=3.999999)["notional_usdc"] == 3_999_999


def test_a_price_not_given_comes_from_the_notional(tmp_path):
    (fill,) = archive(tmp_path, [without(trade(), "price")]).read_fills().rows.rows(named=True)
    assert fill["price"] == 0.4


def test_rows_that_differ_in_the_order_only_are_two_fills(tmp_path):
    read = archive(tmp_path, [trade(), trade(orderKey="f" * 13)]).read_fills()
    assert read.rows.height == 2
    assert read.counts.duplicates == 0


def test_rows_that_agree_in_the_order_too_are_one_fill(tmp_path):
    read = archive(tmp_path, [trade(), trade(), trade(seq=7)]).read_fills()
    assert read.rows["source_sequence"].to_list() == [0]
    assert (read.counts.duplicates, read.counts.possible_undercount) == (2, 0)


def test_without_order_keys_equal_rows_are_one_fill_and_perhaps_two(tmp_path):
    row = without(trade(), "orderKey")
    read = archive(tmp_path, [row, row, row]).read_fills()
    assert read.rows["ordinal"].to_list() == [0]
    assert (read.counts.duplicates, read.counts.possible_undercount) == (2, 2)


def test_a_short_key_stands_for_a_hash_that_was_lost(tmp_path):
    row = without(trade(txKey="d4d4d4d4d4d4d"), "transactionHash")
    (fill,) = archive(tmp_path, [row]).read_fills().rows.rows(named=True)
    assert fill["transaction_hash"] is None
    assert fill["transaction_key"] == int("d4d4d4d4d4d4d00", 16)


def test_the_key_identifies_a_fill_whether_or_not_the_hash_is_known(tmp_path):
    key = "d4d4d4d4d4d4d"
    assert (
        only(tmp_path, txKey=key)["fill_id"]
        == (only(tmp_path, txKey=key, transactionHash=None)["fill_id"])
    )


def test_a_file_without_any_transaction_has_fills(tmp_path):
    row = without(trade(), "transactionHash")
    assert archive(tmp_path, [row]).read_fills().rows.height == 1


def test_a_fill_of_an_unknown_market_keeps_token_and_condition(tmp_path):
    other = {"conditionId": "0x" + "9" * 64, "asset": "5" * 77, "outcomeIndex": 1}
    fill = only(tmp_path, **other)
    assert fill["condition_id"] == other["conditionId"]
    assert fill["token_id"] == other["asset"]
    assert fill["outcome_index"] == 1


def test_the_market_decides_the_place_of_a_token(tmp_path):
    assert only(tmp_path, asset=NO, outcomeIndex=0)["outcome_index"] == 1


def test_fills_come_in_their_total_order_however_the_file_has_them(tmp_path):
    rows = [
        trade(seq=2),
        trade(seq=1, orderKey="1" * 13, side="SELL"),
        trade(seq=1, orderKey="2" * 13),
        trade(timestamp=NOON - 60, seq=9, orderKey="3" * 13),
        trade(seq=None, orderKey="4" * 13),
        trade(seq=2),
    ]
    fills = archive(tmp_path, rows).read_fills().rows
    assert fills["source_sequence"].to_list() == [9, 1, 1, 2, None]
    assert fills["side"].to_list() == ["BUY", "BUY", "SELL", "BUY", "BUY"]
    assert archive(tmp_path, rows[::-1]).read_fills().rows.equals(fills)


def test_several_files_are_one_history(tmp_path):
    archive(tmp_path)
    pl.DataFrame([trade()]).write_parquet(tmp_path / "trades_1.parquet")
    pl.DataFrame([trade(), trade(orderKey="f" * 13)]).write_parquet(tmp_path / "trades_2.parquet")
    read = archive(tmp_path, trades="trades_[12].parquet").read_fills()
    assert read.rows.height == 2
    assert (read.counts.rows_read, read.counts.duplicates) == (3, 1)


def test_a_missing_column_is_named(tmp_path):
    broken = archive(tmp_path, [without(trade(), "size", "price", "usdcSize")])
    with pytest.raises(ArchiveColumnsMissingError) as error:
        broken.read_fills()
    assert str(error.value) == (f"trades_fomc.parquet in {tmp_path} lacks size, price or usdcSize")


def test_a_missing_file_is_named(tmp_path):
    archive(tmp_path)
    (tmp_path / "trades_fomc.parquet").unlink()
    with pytest.raises(ArchiveFileMissingError) as error:
        archive(tmp_path, trades="mine*.parquet").read_fills()
    assert str(error.value) == f"no file mine*.parquet in {tmp_path}"
    assert "archive.trades" in error.value.hint


def test_known_markets_do_not_multiply_fills(tmp_path):
    markets = [market(), market(conditionId="0x" + "9" * 64)]  # both claim the same tokens
    assert archive(tmp_path, listed=markets).read_fills().rows.height == 1


def test_a_payload_may_hold_what_json_has_no_spelling_for(tmp_path):
    source = archive(tmp_path, [trade(size=0.0), trade()])
    path = tmp_path / "trades_fomc.parquet"
    odd = {
        "bytes": pl.lit(b"\xff"),
        "exact": pl.lit(Decimal("1.50")),
        "day": pl.lit(date(2025, 2, 20)),
        "span": pl.lit(timedelta(seconds=1)),
        "lists": pl.lit(pl.Series([[1, 2]])).first(),
        "object": pl.struct(pl.lit(b"\xff").alias("bytes")),
    }
    pl.read_parquet(path).with_columns(**odd).write_parquet(path)
    (payload,) = source.read_fills().quarantine["payload"]
    assert payload.endswith(
        '"bytes":"ff","exact":"1.50","day":"2025-02-20","span":1000000,"lists":[1,2],'
        '"object":"(Struct({\'bytes\': Binary}))"}'
    )


def test_columns_may_have_other_types(tmp_path):
    source = archive(tmp_path)
    path = tmp_path / "trades_fomc.parquet"
    pl.read_parquet(path).with_columns(
        pl.col("side").cast(pl.Categorical),
        pl.col("price").cast(pl.Decimal(10, 4)),
        pl.col("size").cast(pl.Int32),
        pl.from_epoch("timestamp").cast(pl.Datetime("ns")),
        pl.lit(None).alias("slug"),
    ).write_parquet(path)
    assert source.read_fills().rows.equals(archive(tmp_path).read_fills().rows)


def test_a_file_without_rows_is_an_archive_without_fills(tmp_path):
    source = archive(tmp_path)
    path = tmp_path / "trades_fomc.parquet"
    pl.read_parquet(path).clear().write_parquet(path)
    assert source.read_fills().rows.is_empty()


@pytest.mark.parametrize("pattern", ["/elsewhere/trades.parquet", ""])
def test_a_name_that_is_none_in_the_folder_is_a_missing_file(tmp_path, pattern):
    archive(tmp_path)
    with pytest.raises(ArchiveFileMissingError):
        archive(tmp_path, trades=pattern).read_fills()
