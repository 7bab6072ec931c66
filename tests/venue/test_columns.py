"""Values in the spellings that the venue has."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.venue.columns import Columns

AT = datetime(2024, 3, 20, tzinfo=UTC)


def read(values, how, name="value"):
    frame = pl.DataFrame({"value": values}, strict=False)
    expression = getattr(Columns(frame.schema), how)(name)
    return frame.select(expression.alias("read")).to_series().to_list()


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2024-03-20T00:00:00Z", AT),
        ("2024-03-20", AT),
        ("2024-03-20 00:00:00+00", AT),
        ("2024-03-20T05:30:00+05:30", AT),
        ("2024-03-20T00:00:00", AT),
        (" 2024-03-20T00:00:00.000Z ", AT),
        ("1710892800", AT),
        ("1710892800000", AT),
        (1_710_892_800, AT),
        (1_710_892_800_000, AT),
        (1_710_892_800.0, AT),
        (AT, AT),
        (AT.replace(tzinfo=None), AT),
        (date(2024, 3, 20), AT),
        ("yesterday", None),
        ("2024-13-20", None),
        ("", None),
        (0, None),
        (-5, None),
        (4_102_444_800, None),
        (True, None),
    ],
)
def test_an_instant_has_many_spellings(value, instant):
    assert read([value], "instant") == [instant]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1", 1.0),
        (" 2.5 ", 2.5),
        ("1e3", 1000.0),
        (3, 3.0),
        ("x", None),
        ("", None),
        ("inf", None),
        (float("nan"), None),
        (True, None),
        ([1.0], None),
    ],
)
def test_a_number_may_be_a_text(value, number):
    assert read([value], "number") == [number]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ('["Yes", "No"]', ["Yes", "No"]),
        ("[0, 1.5e-3]", ["0", "0.0015"]),
        ('["a\\"b", "\\u00e9"]', ['a"b', "é"]),
        ("[]", []),
        ('["a", null]', ["a", None]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], ["1", "2"]),
        ("[1.2.3]", None),
        ('["a",]', None),
        ('["\\x"]', None),
        ("{}", None),
        ("", None),
        (7, None),
    ],
)
def test_a_list_may_be_json_inside_a_text(value, texts):
    assert read([value], "texts") == [texts]


def test_one_list_that_does_not_parse_leaves_the_others(tmp_path):
    assert read(['["a"]', "[oops", '["b"]'], "texts") == [["a"], None, ["b"]]


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (0, False), ("true", True), ("False", False), ("maybe", None), (None, None)],
)
def test_a_flag_may_be_a_word_or_a_number(value, flag):
    assert read([value], "flag") == [flag]


def test_an_absent_column_reads_as_null():
    for how in ("text", "number", "micros", "instant", "flag", "texts"):
        assert read([1, 2], how, "absent") in ([None], [None, None])


@pytest.mark.parametrize(
    ("number", "micros"),
    [(0.1, 100_000), (0.0000005, 0), (0.0000015, 2), (-0.0000015, -2), (1e12, None)],
)
def test_micro_units_are_rounded_half_to_even(number, micros):
    assert read([number], "micros") == [micros]
