from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from evaluator.domain import ids
from evaluator.domain.tables.history import FILLS
from evaluator.store import partitions
from evaluator.store.lake import Lake
from tests.store.sample_tables import DAILY, EVERY_TYPE, KINDS, NOTES, WALLET_ROWS

FULL = {
    "number": 1,
    "an_id": ids.surrogate("0xaa"),
    "a_ref": -1,
    "money_usdc": 1_234_567,
    "seen_at": datetime(2025, 5, 8, 12, 30, 1, 5, tzinfo=UTC),
    "on_date": date(2025, 5, 8),
    "words": "dé 'quoted' \" words",
    "word_list": ["Yes", "No", None, ""],
    "numbers": [0.5, None, -1.0],
    "ratio": -0.25,
    "whole": -(2**63),
    "small": 2**31 - 1,
    "is_so": True,
    "side": "SELL",
    "margins": [{"key": "x", "value": 1.5}, {"key": "y", "value": None}],
    "computed_at": datetime(1969, 1, 1, tzinfo=UTC),
}
EMPTY = {"number": 3, "word_list": [], "numbers": [], "words": "", "margins": []}


def every_type() -> pl.DataFrame:
    nulls = {"number": 2}
    return pl.DataFrame([FULL, nulls, EMPTY], schema=EVERY_TYPE.schema)


def test_every_type_comes_back_as_it_went_in(lake: Lake):
    rows = every_type()
    lake.commit(replace={(EVERY_TYPE, partitions.SINGLE): rows})
    with lake.snapshot() as now:
        assert_frame_equal(now.scan(EVERY_TYPE).collect(), rows)
        assert_frame_equal(now.read(EVERY_TYPE), rows)
        assert now.scan(EVERY_TYPE).collect_schema() == EVERY_TYPE.schema


def test_people_see_texts_decimals_and_words(lake: Lake):
    rows = every_type().with_columns(an_id=pl.Series(["0xaa", None, "0xbb"]))
    lake.commit(replace={(EVERY_TYPE, partitions.SINGLE): rows})
    with lake.snapshot() as now:
        shown = now.sql("SELECT * FROM every_type ORDER BY number")
    assert shown["an_id"].to_list() == ["0xaa", None, "0xbb"]
    assert shown["a_ref"].to_list() == ["f" * 16, None, None]
    assert [str(value) for value in shown["money_usdc"]] == ["1.234567", "None", "None"]
    assert shown["side"].to_list() == ["SELL", None, None]
    assert shown["seen_at"].dtype == pl.Datetime("us", "UTC")
    assert shown["word_list"][0].to_list() == FULL["word_list"]


@pytest.mark.parametrize("micro", [2**53 + 1, -1, 999_999_999_999_999_999])
def test_money_is_shown_exactly(lake: Lake, micro: int):
    row = pl.DataFrame([{"number": 1, "money_usdc": micro}], schema=EVERY_TYPE.schema)
    lake.commit(replace={(EVERY_TYPE, partitions.SINGLE): row})
    with lake.snapshot() as now:
        shown = now.sql("SELECT money_usdc FROM every_type").item()
    assert int(shown.scaleb(6)) == micro


def test_a_map_is_shown_for_labelled_numbers(lake: Lake):
    lake.commit(replace={(EVERY_TYPE, partitions.SINGLE): every_type()})
    with lake.snapshot() as now:
        shown = now.sql("SELECT margins['x'] AS x FROM every_type ORDER BY number")
    assert shown["x"].to_list() == [1.5, None, None]


def test_a_table_never_written_reads_as_empty_everywhere(lake: Lake):
    with lake.snapshot() as now:
        assert now.commit_id == 0
        assert_frame_equal(now.scan(EVERY_TYPE).collect(), EVERY_TYPE.schema.to_frame())
        assert now.sql("SELECT count(*) FROM every_type").item() == 0
        assert set(now.sql("SELECT * FROM every_type").columns) == set(EVERY_TYPE.schema)
        assert now.partitions(EVERY_TYPE) == ()
        assert now.version(EVERY_TYPE) == 0


def test_a_partition_may_be_written_without_rows(lake: Lake):
    day = partitions.day(date(2025, 5, 8))
    lake.commit(replace={(DAILY, day): DAILY.schema.to_frame()})
    with lake.snapshot() as now:
        assert now.partitions(DAILY) == (day,)
        assert now.scan(DAILY).collect().is_empty()


def test_rows_keep_their_order_when_read_by_many_threads(lake: Lake):
    numbers = np.arange(700_000)
    np.random.default_rng(1).shuffle(numbers)
    rows = pl.DataFrame({"number": numbers, "writer": numbers % 7})
    lake.commit(replace={(NOTES, partitions.SINGLE): rows})
    late = pl.DataFrame({"number": [-2, -1], "writer": [1, 1]})
    lake.commit(append={(NOTES, partitions.SINGLE): late})
    with lake.snapshot() as now:
        read = now.scan(NOTES).collect()
    assert read["number"].to_list() == [*range(700_000), -2, -1]


def test_partitions_are_read_in_their_order_and_only_those_asked_for(lake: Lake):
    days = [date(2025, 5, number) for number in (9, 7, 8)]
    frames = {
        (DAILY, partitions.day(day)): pl.DataFrame(
            {"on_date": [day, day], "number": [2, 1], "generation": [1, 1]}
        )
        for day in days
    }
    lake.commit(replace=frames)
    with lake.snapshot() as now:
        everything = now.scan(DAILY).select("on_date", "number").collect()
        some = now.scan(DAILY, partitions=[partitions.day(days[0])]).collect()
    assert everything.rows() == [(day, number) for day in sorted(days) for number in (1, 2)]
    assert some["on_date"].unique().to_list() == [days[0]]


def test_columns_conditions_and_pushed_down_queries_agree(lake: Lake):
    rows = pl.DataFrame({"number": range(1000), "writer": [n % 3 for n in range(1000)]})
    lake.commit(replace={(NOTES, partitions.SINGLE): rows})
    with lake.snapshot() as now:
        by_where = now.scan(NOTES, where="writer = ? AND number < ?", parameters=[2, 500])
        by_filter = now.scan(NOTES).filter(pl.col("writer") == 2, pl.col("number") < 500)
        assert_frame_equal(by_where.collect(), by_filter.collect())
        assert now.scan(NOTES, columns=["writer"]).collect().columns == ["writer"]
        assert now.scan(NOTES).head(5).collect()["number"].to_list() == [0, 1, 2, 3, 4]
        assert now.scan(NOTES).select(pl.len()).collect().item() == 1000
        assert now.scan(NOTES).collect(engine="streaming").height == 1000


def test_stored_sql_sees_surrogates_and_codes(lake: Lake):
    lake.commit(replace={(EVERY_TYPE, partitions.SINGLE): every_type()})
    with lake.snapshot() as now:
        found = now.stored_sql("SELECT an_id, side, money_usdc FROM every_type WHERE number = 1")
    assert found.row(0) == (FULL["an_id"], 1, 1_234_567)


def test_every_stored_type_is_covered():
    assert {dtype.stored for dtype in KINDS.values()} >= {c.dtype.stored for c in FILLS.columns}


def test_a_bucket_takes_only_its_own_wallets(lake: Lake):
    wallets = [f"0x{number:040x}" for number in range(40)]
    rows = pl.DataFrame({"proxy_wallet": wallets, "number": range(40), "ratio": 0.5})
    by_bucket = {
        (WALLET_ROWS, partitions.bucket(number)): rows.filter(
            ids.surrogates(rows["proxy_wallet"]) % 16 == number
        )
        for number in range(16)
    }
    lake.commit(upsert=by_bucket)
    with lake.snapshot() as now:
        shown = now.sql("SELECT proxy_wallet, number FROM wallet_rows ORDER BY number")
    assert shown["proxy_wallet"].to_list() == wallets
