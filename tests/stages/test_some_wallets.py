"""Features of a few wallets are those that all wallets' features hold."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from evaluator.domain.features.history import Cell
from evaluator.domain.schema import MICRO
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import ACTIVITY, FILLS
from evaluator.domain.tables.ledger import OPEN_LOTS
from evaluator.domain.tables.market_data import PRICES
from evaluator.stages import features, history, ledger, parts, some_wallets
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history
from tests.stages.pipeline import STAMP, ingest_archive

LAST_DAY = date(2026, 6, 30)
CELLS = [Cell(LAST_DAY - timedelta(days=3), 30), Cell(LAST_DAY, 7)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """Sixty wallets over two months; some of them split, and some tokens have a price series."""
    folder = tmp_path_factory.mktemp("history")
    write_history(folder, end=LAST_DAY, wallets=60, events=8, days=60)
    lake = ingest_archive(tmp_path_factory.mktemp("some") / "lake", Archive(folder))
    with lake.snapshot() as now:
        fills = now.read(FILLS).sort("fill_id")
        held = now.read(OPEN_LOTS)["token_id"].unique().sort()
    lake.commit(append=dict(splits(fills[::50])), what="splits")
    at = datetime(2026, 6, 28, 12, tzinfo=UTC)
    lake.commit(append=dict(series(held[:20], at)), what="prices")
    ledger.build_lots(lake)
    features.compute(lake, CELLS, STAMP)
    return lake


def splits(fills: pl.DataFrame):
    rows = fills.select(
        (pl.col("fill_id") // 2).alias("activity_id"),
        "proxy_wallet",
        pl.lit("SPLIT", ACTIVITY.schema["kind"]).alias("kind"),
        "condition_id",
        pl.lit(None, pl.Int64).alias("token_id"),
        pl.lit(5 * MICRO).alias("size_shares"),
        pl.lit(5 * MICRO).alias("amount_usdc"),
        pl.col("filled_at").alias("happened_at"),
        "transaction_key",
        "transaction_hash",
        "ordinal",
    )
    for where, part in parts.by_bucket(rows):
        if part.height:
            yield (ACTIVITY, where), part


def series(tokens: pl.Series, at: datetime):
    rows = pl.DataFrame(
        {
            "token_id": tokens,
            "priced_at": at,
            "price": [0.3 + 0.01 * number for number in range(tokens.len())],
        }
    ).with_columns(pl.lit("venue").alias("source"))
    columns = [name for name in PRICES.schema if name in rows.columns]
    yield (PRICES, partitions.day(at.date())), rows.select(columns)


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("every", [1, 7])
def test_rows_of_some_wallets_equal_those_of_all_bit_for_bit(lake, cell, every):
    with lake.snapshot() as now:
        where = [partitions.day_window(cell.day, cell.window_days)]
        whole = now.read(WALLET_FEATURES, partitions=where).sort("proxy_wallet")
        some = whole.select("proxy_wallet")[::every]
        rows = some_wallets.rows(now, some, cell)
    assert rows.height == some.height > 3
    expected = whole.join(some, on="proxy_wallet", how="semi")
    shared = [name for name in expected.columns if name in rows.columns]
    assert rows.select(shared).equals(expected.select(shared))


def test_a_wallet_asked_for_has_a_row_even_if_it_did_nothing(lake):
    with lake.snapshot() as now:
        rows = some_wallets.rows(now, pl.DataFrame({"proxy_wallet": [17]}), CELLS[0])
    assert rows["settled_count"].to_list() == [0]


def test_more_keys_than_a_statement_names_read_everything(lake, monkeypatch):
    cell = CELLS[0]
    with lake.snapshot() as now:
        where = [partitions.day_window(cell.day, cell.window_days)]
        some = now.read(WALLET_FEATURES, partitions=where, columns=["proxy_wallet"])[:9]
        few = some_wallets.rows(now, some, cell)
        monkeypatch.setattr(history, "MOST_NAMED", 3)
        assert some_wallets.rows(now, some, cell).equals(few)
