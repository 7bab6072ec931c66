import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.domain.validation import agreement, confusion, wilson

PAIRS = pl.DataFrame(
    {
        "expected_label": ["A", "A", "A", "B", "B"],
        "persona": ["A", "A", "B", "B", "C"],
    }
)


def test_the_matrix_counts_every_wallet_once():
    assert confusion(PAIRS).rows() == [
        ("A", "A", 2),
        ("A", "B", 1),
        ("B", "B", 1),
        ("B", "C", 1),
    ]


def test_precision_is_of_verdicts_and_recall_of_what_was_planted():
    rows = {row["label"]: row for row in agreement(confusion(PAIRS)).iter_rows(named=True)}
    assert (rows["A"]["precision"], rows["A"]["recall"]) == (1.0, pytest.approx(2 / 3, abs=1e-4))
    assert (rows["B"]["precision"], rows["B"]["recall"]) == (0.5, 0.5)
    assert (rows["C"]["precision"], rows["C"]["recall"]) == (0.0, None)
    assert rows["C"]["recall_count"] == 0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_proportion_and_lies_between_0_and_1(found):
    interval = wilson(*found)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_without_a_wallet_nothing_is_known():
    assert wilson(0, 0).value is None
