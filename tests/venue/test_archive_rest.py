"""Positions, the state of ingestion and the last day of an archive."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.venue.archive import ArchiveEmptyError
from evaluator.venue.parquet import ArchiveColumnsMissingError
from tests.archive import CONDITION, NO, NOON, OTHER, WALLET, YES, archive, position, trade, without


def with_positions(folder, *rows):
    """An archive with these official positions."""
    path = folder / "positions_pnl_subgraph.parquet"
    pl.DataFrame(rows, infer_schema_length=None, strict=False).write_parquet(path)
    return archive(folder)


def test_a_row_becomes_a_position(tmp_path):
    (row,) = with_positions(tmp_path, position()).read_positions().rows.rows(named=True)
    assert row == {
        "snapshot_date": date(2025, 2, 20),
        "proxy_wallet": WALLET,
        "token_id": YES,
        "condition_id": CONDITION,
        "event_slug": "it",
        "size_shares": 10_000_000,
        "bought_shares": 10_000_000,
        "average_price": 0.4,
        "current_price": 1.0,
        "realised_pnl_usdc": 0,
        "unrealised_pnl_usdc": 6.0,
    }


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"proxyWallet": "somebody"}, "bad_proxy_wallet"),
        ({"asset": "no"}, "bad_token_id"),
        ({"conditionId": "0x1"}, "bad_condition_id"),
        ({"amount": -1.0}, "bad_size"),
        ({"amount": None}, "bad_number"),
        ({"avgPrice": "?"}, "bad_number"),
        ({"realizedPnl": float("inf")}, "bad_number"),
    ],
)
def test_a_malformed_position_is_refused_alone(tmp_path, fields, rule):
    rows = (position(), position(proxyWallet=OTHER) | fields)
    read = with_positions(tmp_path, *rows).read_positions()
    assert read.rows["proxy_wallet"].to_list() == [WALLET]
    assert read.quarantine["rule"].to_list() == [rule]


def test_average_prices_and_pnl_may_be_negative(tmp_path):
    row = position(avgPrice=-0.12, realizedPnl=-3.0)  # neg-risk conversions lead there
    read = with_positions(tmp_path, row).read_positions()
    assert read.rows.select("average_price", "realised_pnl_usdc").rows() == [(-0.12, -3_000_000)]


def test_positions_come_sorted_one_per_wallet_and_token(tmp_path):
    rows = [position(asset=NO), position(totalBought=4.0), position(), position(proxyWallet=OTHER)]
    read = with_positions(tmp_path, *rows).read_positions()
    assert read.rows.select("proxy_wallet", "token_id", "bought_shares").rows() == [
        (WALLET, YES, 10_000_000),
        (WALLET, NO, 10_000_000),
        (OTHER, YES, 10_000_000),
    ]
    assert read.counts.duplicates == 1
    assert with_positions(tmp_path, *rows[::-1]).read_positions().rows.equals(read.rows)


def test_a_folder_without_positions_has_none(tmp_path):
    read = archive(tmp_path).read_positions()
    assert read.rows.is_empty()
    assert read.quarantine.is_empty()


def test_missing_columns_are_named(tmp_path):
    with pytest.raises(ArchiveColumnsMissingError, match=r"lacks amount or size, curPrice$"):
        with_positions(tmp_path, without(position(), "amount", "curPrice")).read_positions()


def test_the_last_day_is_that_of_the_newest_fill(tmp_path):
    rows = [trade(), trade(timestamp=NOON + 86_400), trade(timestamp=NOON + 10**6, size=0.0)]
    assert archive(tmp_path, rows).last_day() == date(2025, 2, 21)


def test_an_archive_without_a_fill_has_no_last_day(tmp_path):
    with pytest.raises(ArchiveEmptyError) as error:
        archive(tmp_path, [trade(size=0.0)]).last_day()
    assert str(error.value) == f"none of the 1 rows of trades_fomc.parquet in {tmp_path} is a fill"


def test_fills_of_an_archive_without_a_fill_are_an_empty_table(tmp_path):
    read = archive(tmp_path, [trade(size=0.0)]).read_fills()
    assert read.rows.is_empty()
    assert read.counts.quarantined_count == 1


def test_the_state_says_what_the_fills_of_a_wallet_cover(tmp_path):
    rows = [trade(), trade(timestamp=NOON + 60, orderKey="1" * 13), trade(proxyWallet=OTHER)]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    state = archive(tmp_path, rows, seen_at=at).read_ingest_state()
    noon, later = (datetime(2025, 2, 20, 12, minute, tzinfo=UTC) for minute in (0, 1))
    assert state.rows() == [
        (WALLET, noon, later, None, True, at),
        (OTHER, noon, noon, None, True, at),
    ]


@pytest.mark.parametrize(
    ("row", "setting", "is_complete"),
    [
        (trade(), None, True),
        (without(trade(), "orderKey"), None, False),
        (trade(), False, False),
        (without(trade(), "orderKey"), True, True),
    ],
)
def test_history_is_complete_with_order_keys_unless_a_setting_says_otherwise(
    tmp_path, row, setting, is_complete
):
    state = archive(tmp_path, [row], history_complete=setting).read_ingest_state()
    assert state["history_complete"].to_list() == [is_complete]


def test_one_file_without_order_keys_makes_its_wallets_incomplete(tmp_path):
    archive(tmp_path, [trade(), trade(proxyWallet=OTHER)])
    pl.DataFrame([without(trade(), "orderKey")]).write_parquet(tmp_path / "trades_2.parquet")
    state = archive(
        tmp_path, [trade(), trade(proxyWallet=OTHER)], trades="trades_*.parquet"
    ).read_ingest_state()
    assert state.select("proxy_wallet", "history_complete").rows() == [
        (WALLET, False),
        (OTHER, True),
    ]
