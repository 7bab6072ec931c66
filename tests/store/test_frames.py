from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.domain.schema import TEXT, Column, Table
from evaluator.store import partitions
from evaluator.store.errors import FrameRefusedError, UnknownPartitionError
from evaluator.store.lake import Lake
from tests.store.sample_tables import DAILY, EVERY_TYPE, HOLDINGS, NOTES, WALLET_ROWS

DAY = partitions.day(date(2025, 5, 8))


def refusal(lake: Lake, table: Table, frame: pl.DataFrame, partition: str = "all") -> str:
    with pytest.raises(FrameRefusedError) as caught:
        lake.commit(replace={(table, partition): frame})
    assert lake.latest_commit_id() == 0
    assert not list(lake.root.glob("*/**/*.duckdb"))
    return str(caught.value)


def of_every_type(**columns: object) -> pl.DataFrame:
    """Two rows of EVERY_TYPE, null but for the columns given."""
    rows = pl.DataFrame({"number": [1, 2]}).with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in EVERY_TYPE.schema.items()
        if name != "number"
    )
    return rows.with_columns(**{name: pl.Series(values) for name, values in columns.items()})


def test_missing_and_undeclared_columns_are_named(lake: Lake):
    frame = pl.DataFrame({"number": [1], "author": [2]})
    assert refusal(lake, NOTES, frame) == (
        "table notes: missing columns ['writer'], undeclared columns ['author']"
    )


def test_a_null_where_none_is_declared_is_refused(lake: Lake):
    frame = pl.DataFrame({"number": [1, 2, 3], "writer": [1, None, None]})
    assert refusal(lake, NOTES, frame) == (
        "table notes: column writer is never null, but 2 of 3 rows are, e.g. row 1"
    )


def test_two_rows_of_one_key_are_refused(lake: Lake):
    frame = pl.DataFrame({"owner": [1, 1, 2], "item": [1, 1, 1], "amount": [1, 2, 3]})
    assert refusal(lake, HOLDINGS, frame) == (
        "table holdings: 2 rows share a key (owner, item), e.g. (1, 1)"
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(lake: Lake, bad: float):
    tail = f"values that are no number, e.g. {bad}; undefined is null"
    assert refusal(lake, EVERY_TYPE, of_every_type(ratio=[bad, 1.0])) == (
        f"table every_type: column ratio has 1 {tail}"
    )
    assert refusal(lake, EVERY_TYPE, of_every_type(numbers=[[1.0, bad], [bad]])).endswith(
        f"column numbers has 2 {tail}"
    )
    labelled = pl.Series([[{"key": "a", "value": bad}], None], dtype=EVERY_TYPE.schema["margins"])
    assert refusal(lake, EVERY_TYPE, of_every_type(margins=labelled)).endswith(f"1 {tail}")


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("side", ["BUY", "HOLD"], "has 1 values that do not fit Enum"),
        ("small", [2**31, 1], "has 1 values that do not fit Int32, e.g. 2147483648"),
        ("ratio", [2**53 + 1, 1], "has 1 values that do not fit Float64"),
        ("whole", [0.5, 1.0], "is Float64, declared Int64"),
        ("money_usdc", ["1.5", "2"], "is String, declared Int64"),
        ("is_so", [1, 0], "is Int64, declared Boolean"),
        ("seen_at", [datetime(2025, 1, 1)] * 2, "is Datetime"),  # noqa: DTZ001 - is the point
        ("on_date", [datetime(2025, 1, 1, tzinfo=UTC)] * 2, "is Datetime"),
        ("words", [1, 2], "is Int64, declared String"),
        ("word_list", [[1], [2]], "is List(Int64), declared List(String)"),
    ],
)
def test_what_a_cast_would_change_is_refused(lake: Lake, column: str, values: list, problem: str):
    message = refusal(lake, EVERY_TYPE, of_every_type(**{column: values}))
    assert message.startswith(f"table every_type: column {column} {problem}")


def test_what_a_cast_keeps_is_taken(lake: Lake):
    frame = of_every_type(
        side=pl.Series(["BUY", "SELL"], dtype=pl.Categorical),
        small=pl.Series([1, None], dtype=pl.UInt8),
        ratio=pl.Series([1, 2], dtype=pl.Int16),
        seen_at=pl.Series([datetime(2025, 1, 1, tzinfo=UTC)] * 2).dt.convert_time_zone(
            "Asia/Tokyo"
        ),
        numbers=[[1, 2], []],
        words=pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    )
    lake.commit(replace={(EVERY_TYPE, "all"): frame})
    with lake.snapshot() as now:
        read = now.read(EVERY_TYPE)
    assert read["side"].to_list() == ["BUY", "SELL"]
    assert read["small"].to_list() == [1, None]
    assert read["ratio"].to_list() == [1.0, 2.0]
    assert read["seen_at"].to_list() == [datetime(2025, 1, 1, tzinfo=UTC)] * 2
    assert read["numbers"].to_list() == [[1.0, 2.0], []]


def test_a_lazy_frame_with_columns_in_another_order_is_taken(lake: Lake):
    frame = pl.LazyFrame({"writer": [1], "number": [7]})
    lake.commit(append={(NOTES, "all"): frame})
    with lake.snapshot() as now:
        assert now.read(NOTES).rows() == [(7, 1)]


@pytest.mark.parametrize(
    ("table", "partition", "form"),
    [
        (NOTES, "date=2025-05-08", "all"),
        (DAILY, "all", "date=2025-05-08"),
        (DAILY, "date=2025-05-08/window=30", "date=2025-05-08"),
        (WALLET_ROWS, "bucket=16", "bucket=07"),
        (WALLET_ROWS, "../bucket=01", "bucket=07"),
    ],
)
def test_a_partition_is_named_as_its_table_is_partitioned(
    lake: Lake, table: Table, partition: str, form: str
):
    with pytest.raises(UnknownPartitionError) as caught:
        lake.commit(replace={(table, partition): table.schema.to_frame()})
    assert caught.value.hint == f"partitions of {table.name} are named like {form}"


def test_rows_of_another_partition_are_refused(lake: Lake):
    other = pl.DataFrame({"on_date": [date(2025, 5, 9)], "number": [1], "generation": [1]})
    assert refusal(lake, DAILY, other, DAY).endswith(
        f"do not belong to partition {DAY}, e.g. (datetime.date(2025, 5, 9),)"
    )
    wallet = pl.DataFrame({"proxy_wallet": [17], "number": [1], "ratio": [0.5]})
    assert "1 rows do not belong" in refusal(lake, WALLET_ROWS, wallet, "bucket=02")


def test_rows_are_appended_to_append_only_tables_only(lake: Lake):
    with pytest.raises(FrameRefusedError):
        lake.commit(append={(DAILY, DAY): DAILY.schema.to_frame()})


def test_a_partition_is_changed_once_per_commit(lake: Lake):
    rows = pl.DataFrame({"number": [1], "writer": [1]})
    with pytest.raises(FrameRefusedError, match="given twice"):
        lake.commit(replace={(NOTES, "all"): rows}, append={(NOTES, "all"): rows})


def test_nothing_of_a_commit_is_left_where_one_frame_is_refused(lake: Lake):
    good = pl.DataFrame({"number": [1], "writer": [1]})
    bad = pl.DataFrame({"owner": [1], "item": [1], "amount": [None]})
    with pytest.raises(FrameRefusedError):
        lake.commit(replace={(NOTES, "all"): good, (HOLDINGS, "all"): bad})
    assert not list(lake.root.glob("*/**/*.duckdb"))
    assert not list(lake.root.glob("*/**/*.tmp"))


def test_a_name_that_sql_knows_may_name_a_column(tmp_path):
    table = Table("order", "One row.", ("select",), (Column("select", TEXT, "Key."),))
    lake = Lake(tmp_path, tables=(table,), views=())
    lake.commit(replace={(table, "all"): pl.DataFrame({"select": ["x"]})})
    with lake.snapshot() as now:
        assert now.read(table).item() == "x"
        assert now.sql('SELECT * FROM "order"').item() == "x"
