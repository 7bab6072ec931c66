"""Identity and total order of fills."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.fills import (
    IDENTITY,
    UNKNOWN_KEY,
    fill_ids,
    in_total_order,
    ordinals,
    transaction_keys,
)
from evaluator.domain.ids import surrogate, surrogates
from evaluator.domain.tables.history import SIDE

NOON = datetime(2025, 2, 20, 12, tzinfo=UTC)
SCHEMA = {
    "transaction": pl.String,
    "order": pl.String,
    "proxy_wallet": pl.String,
    "token_id": pl.String,
    "side": SIDE.frame,
    "size_shares": pl.Int64,
    "price_micros": pl.Int64,
    "filled_at": pl.Datetime("us", "UTC"),
    "ordinal": pl.Int32,
}
ONE = {
    "transaction": "0x" + "d4" * 32,
    "order": "e5e5e5e5e5e5e",
    "proxy_wallet": "0x" + "a1" * 20,
    "token_id": "7" * 77,
    "side": "BUY",
    "size_shares": 10_000_000,
    "price_micros": 400_000,
    "filled_at": NOON,
    "ordinal": 0,
}


def frame(*rows):
    known = [{name: row[name] for name in SCHEMA} for row in rows]
    return pl.DataFrame(known, schema=SCHEMA)


def fill_id(**fields):
    return fill_ids(frame(ONE | fields)).item()


hexes = st.text("0123456789abcdef", min_size=13, max_size=13)
fills = st.fixed_dictionaries(
    {
        "transaction": st.one_of(st.none(), hexes.map(lambda key: f"0x{key * 4}")),
        "order": st.one_of(st.none(), st.sampled_from(["1" * 13, "2" * 13])),
        "proxy_wallet": st.sampled_from(["0x" + "a1" * 20, "0x" + "b2" * 20]),
        "token_id": st.sampled_from(["7" * 77, "8" * 77]),
        "side": st.sampled_from(["BUY", "SELL"]),
        "size_shares": st.integers(1, 3),
        "price_micros": st.integers(0, 3),
        "filled_at": st.integers(0, 2).map(lambda second: NOON + timedelta(seconds=second)),
        "ordinal": st.just(0),
        "source_sequence": st.one_of(st.none(), st.integers(0, 2)),
    }
)


def ordered(rows):
    table = pl.DataFrame(rows, schema=SCHEMA | {"source_sequence": pl.Int64})
    keyed = table.with_columns(
        transaction_keys(table["transaction"]),
        fill_ids(table),
        (pl.col("price_micros") / 1_000_000).alias("price"),
    )
    return in_total_order(keyed)


@settings(max_examples=40, deadline=None)
@given(st.lists(fills, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_shuffling_fills_changes_neither_ids_nor_order(rows, rng: random.Random):
    shuffled = rng.sample(rows, len(rows))
    assert ordered(rows).equals(ordered(shuffled))


def test_an_id_never_changes():
    assert fill_id() == 5070586132582161037 == by_hand(ONE)


def by_hand(fill):
    """The identity of one fill in plain integers."""
    state = 0x9E3779B97F4A7C15
    for name in ("transaction", "order"):
        digits = fill[name].removeprefix("0x")
        word = len(digits)
        for start in range(0, len(digits), 15):
            word = absorbed(word, int(digits[start : start + 15], 16))
        state = absorbed(state, word)
    for number in (
        surrogate(fill["proxy_wallet"]),
        surrogate(fill["token_id"]),
        ("BUY", "SELL").index(fill["side"]),
        fill["size_shares"],
        fill["price_micros"],
        int(fill["filled_at"].timestamp()),
        fill["ordinal"],
    ):
        state = absorbed(state, number)
    return state - 2**64 if state >= 2**63 else state


def absorbed(state, number):
    mixed = ((state ^ number % 2**64) + 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction", "0x" + "d4" * 31 + "d5"),
        ("transaction", "d4d4d4d4d4d4d"),
        ("transaction", None),
        ("order", "e5e5e5e5e5e5f"),
        ("order", None),
        ("proxy_wallet", "0x" + "a1" * 19 + "a2"),
        ("token_id", "7" * 76 + "8"),
        ("side", "SELL"),
        ("size_shares", 10_000_001),
        ("price_micros", 400_001),
        ("filled_at", NOON + timedelta(seconds=1)),
        ("ordinal", 1),
    ],
)
def test_every_field_counts(field, value):
    assert fill_id(**{field: value}) != fill_id()


def test_parts_of_a_second_do_not_count():
    assert fill_id(filled_at=NOON + timedelta(milliseconds=300)) == fill_id()


def test_the_case_and_prefix_of_a_hash_do_not_count():
    assert fill_id(transaction="D4" * 32) == fill_id()


def test_hex_digits_are_not_mistaken_for_the_text_they_spell():
    assert fill_id(transaction="zz") != fill_id(transaction="7a7a")


def test_a_null_is_not_zero():
    assert fill_id(order=None) != fill_id(order="0")


def test_fields_are_not_interchangeable():
    swapped = {"transaction": ONE["order"], "order": ONE["transaction"]}
    assert fill_id(**swapped) != fill_id()


def test_ids_do_not_depend_on_the_other_rows():
    both = frame(ONE | {"transaction": "tx-1"}, ONE, ONE | {"order": None})
    assert fill_ids(both)[1] == fill_id()


def test_surrogates_and_texts_give_the_same_id():
    text = frame(ONE)
    coded = text.with_columns(surrogates(text["proxy_wallet"]), surrogates(text["token_id"]))
    assert fill_ids(coded).equals(fill_ids(text))


def test_many_fills_have_many_ids():
    one = frame(ONE)
    many = pl.concat([one] * 100_000).with_columns(size_shares=pl.int_range(100_000))
    assert fill_ids(many).n_unique() == 100_000


def test_no_fill_has_no_id():
    assert fill_ids(frame()).to_list() == []


def test_ordinals_count_equal_rows_of_one_response():
    rows = frame(ONE, ONE | {"side": "SELL"}, ONE, ONE)
    assert ordinals(rows).to_list() == [0, 0, 1, 2]


def test_an_ordinal_is_no_part_of_what_it_counts():
    assert "ordinal" not in IDENTITY


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("0x" + "0" * 64, 0),
        ("0x" + "0" * 14 + "1" + "f" * 49, 1),
        ("f" * 64, 16**15 - 1),
        ("0000000000001", 256),
        (None, UNKNOWN_KEY),
    ],
)
def test_a_transaction_key_is_the_first_15_digits(text, key):
    assert transaction_keys(pl.Series([text], dtype=pl.String)).to_list() == [key]


@settings(max_examples=40, deadline=None)
@given(st.lists(hexes, min_size=2, max_size=20))
def test_transaction_keys_sort_as_the_hashes_do(texts):
    keys = transaction_keys(pl.Series(texts, dtype=pl.String)).to_list()
    assert [text for _, text in sorted(zip(keys, texts, strict=True))] == sorted(texts)


def test_texts_that_are_no_hashes_sort_as_texts():
    keys = transaction_keys(pl.Series(["tx-2", "tx-1", "tx-10"])).to_list()
    assert sorted(keys) == [keys[1], keys[2], keys[0]]


def test_the_order_is_time_then_sequence_then_acquisitions_then_the_fill_itself():
    expected = [
        {"filled_at": NOON - timedelta(seconds=1), "side": "SELL"},
        {"source_sequence": 1, "side": "SELL"},
        {"source_sequence": 2},
        {"transaction": "2"},
        {"transaction": "3"},
        {"transaction": "3", "token_id": "8" * 77},
        {"transaction": "3", "token_id": "8" * 77, "price_micros": 500_000},
        {"transaction": "3", "token_id": "8" * 77, "price_micros": 500_000, "size_shares": 10**8},
        {"side": "SELL", "transaction": "1"},
    ]
    rows = [ONE | {"source_sequence": None} | fields for fields in expected]
    assert ordered(rows[::-1]).equals(ordered(rows))
    assert ordered(rows).select(*SCHEMA).rows() == frame(*rows).rows()


def test_surrogates_are_ordered_by_a_rank_beside_them():
    rows = pl.DataFrame(
        {
            "filled_at": [NOON, NOON],
            "source_sequence": [0, 0],
            "side": ["BUY", "BUY"],
            "transaction_key": [1, 1],
            "token_id": [1, 2],
            "token_rank": [9, 3],
            "price": [0.5, 0.5],
            "size_shares": [1, 1],
            "ordinal": [0, 0],
            "fill_id": [1, 2],
        }
    )
    assert in_total_order(rows, "token_rank")["token_id"].to_list() == [2, 1]
