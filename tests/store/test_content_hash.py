from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.store import content_hash, partitions
from evaluator.store.lake import Lake
from tests.store.sample_tables import DAILY, EVERY_TYPE, HOLDINGS, NOTES
from tests.store.test_round_trip import every_type

ROWS = every_type()
CHANGED = {
    "number": 9,
    "an_id": 1,
    "a_ref": 1,
    "money_usdc": 1,
    "seen_at": datetime(2025, 5, 8, tzinfo=UTC),
    "on_date": date(2025, 5, 9),
    "words": "de",
    "word_list": ["Yes", "No", "", None],
    "numbers": [0.5, -1.0, None],
    "ratio": 0.25,
    "whole": 1,
    "small": 1,
    "is_so": False,
    "side": "BUY",
    "margins": [{"key": "x", "value": None}, {"key": "y", "value": 1.5}],
}


def hashed(rows: pl.DataFrame) -> str:
    return content_hash.hash_rows(EVERY_TYPE, rows)


def with_value(name: str, value: object) -> pl.DataFrame:
    rows = ROWS.to_dicts()
    rows[0][name] = value
    return pl.DataFrame(rows, schema=EVERY_TYPE.schema)


@pytest.mark.parametrize("name", CHANGED)
def test_one_value_changes_the_hash(name: str):
    assert hashed(with_value(name, CHANGED[name])) != hashed(ROWS)


@pytest.mark.parametrize("name", sorted(set(CHANGED) - {"number"}))
def test_a_null_is_not_a_zero(name: str):
    zeros = {pl.Int64: 0, pl.Int32: 0, pl.Float64: 0.0, pl.Boolean: False, pl.String: ""}
    zero = zeros.get(type(EVERY_TYPE.schema[name]), [])
    if zero != [] or isinstance(EVERY_TYPE.schema[name], pl.List):
        assert hashed(with_value(name, None)) != hashed(with_value(name, zero))


def test_text_is_not_the_same_when_it_is_split_elsewhere():
    one = with_value("word_list", ["ab", "c"])
    other = with_value("word_list", ["a", "bc"])
    assert hashed(one) != hashed(other)


def test_volatile_columns_and_the_sign_of_zero_do_not_count():
    later = with_value("computed_at", datetime(2030, 1, 1, tzinfo=UTC))
    assert hashed(later) == hashed(ROWS)
    assert hashed(with_value("ratio", 0.0)) == hashed(with_value("ratio", -0.0))


def test_order_and_chunks_do_not_count():
    turned = pl.concat([ROWS.tail(1), ROWS.head(2).reverse()], rechunk=False)
    assert hashed(turned) == hashed(ROWS)


def test_the_hash_is_the_same_on_any_machine():
    assert hashed(ROWS) == "def82aabc0dad2b6f42c45428882f856"


def test_files_and_their_split_do_not_count(lake: Lake, tmp_path):
    rows = pl.DataFrame({"number": range(1000), "writer": range(1000)})
    for part in (rows.tail(300), rows.slice(300, 400), rows.head(300)):
        lake.commit(append={(NOTES, "all"): part})
    whole = Lake(tmp_path / "whole", tables=(NOTES,), views=())
    whole.commit(replace={(NOTES, "all"): rows.sample(fraction=1, shuffle=True, seed=1)})
    with lake.snapshot() as split, whole.snapshot() as single:
        assert split.content_hash(NOTES) == single.content_hash(NOTES)
        assert split.content_hash(NOTES) == split.content_hash(NOTES, "all")
        assert split.content_hash(NOTES) != split.content_hash(HOLDINGS)


def test_a_partition_has_its_own_hash_and_an_empty_one_does_not_count(lake: Lake):
    days = [date(2025, 5, 7), date(2025, 5, 8)]
    names = [partitions.day(day) for day in days]
    for day, name in zip(days, names, strict=True):
        row = pl.DataFrame({"on_date": [day], "number": [1], "generation": [1]})
        lake.commit(replace={(DAILY, name): row})
    with lake.snapshot() as both:
        first, second = (both.content_hash(DAILY, name) for name in names)
        assert len({first, second, both.content_hash(DAILY)}) == 3
    lake.commit(replace={(DAILY, names[1]): DAILY.schema.to_frame()})
    with lake.snapshot() as one:
        assert one.content_hash(DAILY) == first
