"""Last known prices: daily marks, closing lines, and the price before an instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

import numpy as np
import polars as pl
import pytest

from evaluator.domain import prices
from evaluator.domain.features.history import Cell
from evaluator.domain.ids import surrogate
from tests.domain.random_worlds import CROWDED, Setting, random_world
from tests.domain.worlds import Run
from tests.oracle.stories import at, buy, market, world
from tests.oracle.world import WorldIndex

TIED = Setting(step=timedelta(hours=12))


def price_of(run: Run, hours: float, token: str = "yes") -> float | None:
    """The price of the last fill of a token strictly before an instant."""
    asked = pl.DataFrame(
        {"token_id": [surrogate(token)], "at": [at(hours)]},
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    fills = run.fills.select(prices.PRICE_COLUMNS)
    found: float | None = prices.fills_before(asked, fills)["price"][0]
    return found


def mark_of(run: Run, day: int = 1) -> float:
    """The mark of YES at the end of a day of January 2026."""
    marks = run.market([Cell(date(2026, 1, day), 1)]).marks
    row = run.tokens.filter(pl.col("token_text") == "yes")["token_rank"].item()
    return float(marks.prices[row, -1])


def test_a_price_is_known_from_the_instant_after_its_fill():
    run = Run(world(buy(1, 10, 4), buy(2, 10, 5)).world)
    assert [price_of(run, hours) for hours in (1, 1.5, 2, 2.5)] == [None, 0.4, 0.4, 0.5]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seq": 2}, {"seq": 1}),
        ({"seq": None}, {"seq": 1}),
        ({"side": "SELL"}, {"side": "BUY"}),
        ({"transaction_hash": "0x1" + "0" * 63}, {"transaction_hash": "0x0" + "f" * 63}),
        # the fifteenth digit, which a float of the key would lose
        ({"transaction_hash": "0xfffffffffffffff"}, {"transaction_hash": "0xffffffffffffffe"}),
    ],
)
def test_of_one_instant_the_last_in_the_total_order_counts(one, other):
    def fill(usdc, side="BUY", **fields):
        made = buy(1, 10, usdc, **fields)
        return type(made)(**{name: getattr(made, name) for name in made.__slots__} | {"side": side})

    run = Run(world(fill(3, **one), fill(6, **other)).world)
    assert price_of(run, 2) == mark_of(run) == 0.3
    assert WorldIndex(run.world).price_before("yes", at(2)) == pytest.approx(0.3)


def test_within_a_transaction_the_higher_price_is_the_later():
    run = Run(world(buy(1, 10, 3), buy(1, 10, 6), buy(1, 10, 5)).world)
    assert price_of(run, 2) == mark_of(run) == 0.6


@pytest.mark.parametrize("setting", [TIED, CROWDED])
@pytest.mark.parametrize("seed", range(4))
def test_marks_and_closing_lines_of_random_worlds_equal_the_oracle(seed, setting):
    random = random_world(Random(seed), wallets=30, events=20, setting=setting)
    run, index = Run(random), WorldIndex(random)
    found = run.market([Cell(date(2026, 1, day), 2) for day in (2, 4, 6)])
    compared = 0
    for row in found.tokens.to_dicts():
        token = row["token_text"]
        for number, mark in enumerate(found.marks.prices[row["token_rank"]]):
            midnight = found.marks.first + timedelta(days=number)
            expected = index.price_before(token, midnight)
            assert mark == (pytest.approx(float("nan"), nan_ok=True) if expected is None
                            else float(expected))  # fmt: skip
            compared += expected is not None
        ends = [end for end in (row["end_at"], row["resolved_at"]) if end]
        line = index.price_until(token, min(ends) - timedelta(hours=1)) if ends else None
        assert row["clv_price"] == (None if line is None else float(line))
    assert compared >= 8


def test_a_token_never_traded_has_no_mark_and_no_line():
    run = Run(world(buy(1, 10, 4, token_id="no"), market(resolved=9)).world)
    found = run.market([Cell(date(2026, 1, 1), 7)])
    yes = found.tokens.filter(pl.col("token_text") == "yes")
    assert yes["clv_price"].item() is None
    assert np.isnan(found.marks.prices[yes["token_rank"].item()]).all()
    assert found.marks.first == datetime(2025, 12, 26, tzinfo=UTC)
