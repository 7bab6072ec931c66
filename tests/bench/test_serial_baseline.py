import polars as pl
import pytest

from bench import serial_baseline
from bench.generate import working_copy
from bench.serial_ledger import Fill, Token, walk
from bench.stages import STAMP, WINDOWS, cells
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.stages import features, ledger
from evaluator.store import partitions
from evaluator.store.lake import Lake

HOUR = 3_600_000_000
MICRO = 1_000_000


@pytest.fixture(scope="module")
def lake(size, history_root, tmp_path_factory):
    lake = Lake(working_copy(history_root, tmp_path_factory.mktemp("serial") / "lake"))
    ledger.build_lots(lake)
    features.compute(lake, cells(size.last_day), STAMP)
    return lake


def test_every_wallet_of_a_tiny_history_equals_the_pipeline_in_every_feature(lake, size, tmp_path):
    table = tmp_path / "serial.duckdb"
    baseline = serial_baseline.run(lake, table, size.last_day, 10_000, 1)
    with lake.snapshot() as now:
        places = [partitions.day_window(size.last_day, window) for window in WINDOWS]
        published = now.read(WALLET_FEATURES, partitions=places)
    assert baseline.agreement.differing == {}
    assert baseline.agreement.rows > published.height / 2
    fair, connecting = baseline.ways
    assert fair.sampled_wallets == connecting.sampled_wallets > size.wallets / 2


def test_a_pipeline_that_computes_something_else_is_no_yardstick(lake, size, tmp_path):
    place = (WALLET_FEATURES, partitions.day_window(size.last_day, 90))
    with lake.snapshot() as now:
        rows = now.read(WALLET_FEATURES, partitions=[place[1]])
    try:
        lake.commit(replace={place: rows.with_columns(pl.col("fill_count") + 1)})
        with pytest.raises(
            serial_baseline.DifferentResultsError, match=r"these differ: .*fill_count"
        ):
            serial_baseline.run(lake, tmp_path / "serial.duckdb", size.last_day, 50, 1)
    finally:
        lake.commit(replace={place: rows})


def fill(at, side, size, price):
    notional = round(size * price * MICRO)
    return Fill(7, 1, at * HOUR, side, size * MICRO, price, notional, 0, False, 1)


def token(resolved_at):
    return Token(1, None, 0, 0.01, resolved_at, 1.0, None, [None] * 3)


def test_a_sale_across_two_lots_closes_the_older_first():
    fills = [fill(1, 0, 100, 0.40), fill(2, 0, 50, 0.60), fill(3, 1, 120, 0.70)]
    books = walk(fills, {7: token(None)}, 0, 48 * HOUR)
    assert [(piece.size // MICRO, piece.pnl // MICRO) for piece in books.closed] == [
        (100, 30),
        (20, 2),
    ]
    assert books.open_cost == 18 * MICRO
    assert books.trips == []


def test_a_resolution_closes_the_rest_at_the_payout():
    books = walk([fill(1, 0, 10, 0.40)], {7: token(5 * HOUR)}, 0, 48 * HOUR)
    (piece,) = books.closed
    assert (piece.closed_at, piece.pnl) == (5 * HOUR, 6 * MICRO)
    assert [trip.pnl for trip in books.trips] == [6 * MICRO]


def test_shares_that_no_lot_explains_earn_nothing():
    books = walk([fill(1, 1, 10, 0.40)], {7: token(None)}, 0, 48 * HOUR)
    assert (books.closed, books.disposed, books.explained) == ([], 10 * MICRO, 0)
