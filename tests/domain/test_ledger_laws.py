"""The ledger on random worlds: the naive matcher and the laws; and conversions of a known set."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.domain.ledger.lots import build_ledger
from tests.domain.ledgers import assert_equals_oracle, assert_laws
from tests.domain.random_worlds import closed_market, random_world
from tests.domain.worlds import Run
from tests.oracle.stories import ANN, act, at, buy, market
from tests.oracle.world import World

LOOSE = settings(deadline=None, suppress_health_check=list(HealthCheck))
DICE = st.randoms(use_true_random=False)

# ── conversions of a known set ──────────────────────────────────────────────────────────

RACE = tuple(
    market(condition_id=name, event_slug="race", token_ids=(f"{name} yes", f"{name} no"))
    for name in ("a", "b", "c")
)


def convert(*given: str, shares: float = 10) -> Run:
    """Ann buys NO of each name and gives it up; prices of NO are .80, .70 and .50."""
    priced = {"a": 0.8, "b": 0.7, "c": 0.5}
    fills = [
        buy(0.5, 1, price, token_id=f"{name} {side}", condition_id=name, proxy_wallet="0xbob",
            fill_id=f"{name} {side}")
        for name, no in priced.items() for side, price in (("no", no), ("yes", round(1 - no, 6)))
    ]  # fmt: skip
    fills += [
        buy(1, shares, shares * priced[name], token_id=f"{name} no", condition_id=name)
        for name in given
    ]
    acts = [
        replace(act(2, "CONVERSION", shares), condition_id=name, activity_id=f"convert {name}")
        for name in given
    ]
    return Run(World(tuple(fills), tuple(acts), RACE), neg_risk=frozenset({"race"}))


def test_one_no_becomes_yes_of_the_others_for_no_cash():
    run = convert("a")
    closed = run.named(run.ledger.closed_lots)
    kept = [row for row in run.named(run.ledger.open_lots) if row["proxy_wallet"] == ANN]
    # YES at .30 and .50; a's NO given up, worth 1 − .20: the weights .2, .3, .5 sum to 1
    assert [(row["close_kind"], row["proceeds_usdc"]) for row in closed] == [
        ("CONVERSION", 8_000_000)
    ]
    assert {row["token_id"]: row["cost_usdc"] for row in kept} == {
        "b yes": 3_000_000, "c yes": 5_000_000
    }  # fmt: skip
    assert {row["opened_as"] for row in kept} == {"unknown"}
    assert_laws(run)


def test_two_nos_bring_one_usdc_a_share_and_the_yes_of_the_third():
    run = convert("a", "b")
    closed = run.named(run.ledger.closed_lots)
    kept = [row for row in run.named(run.ledger.open_lots) if row["proxy_wallet"] == ANN]
    assert {row["token_id"]: row["proceeds_usdc"] for row in closed} == {
        "a no": 8_000_000, "b no": 7_000_000
    }  # fmt: skip
    assert [(row["token_id"], row["cost_usdc"]) for row in kept] == [("c yes", 5_000_000)]
    moved = sum(row["proceeds_usdc"] for row in closed) - sum(row["cost_usdc"] for row in kept)
    assert moved == 10_000_000  # (2 − 1) · 10 USDC
    assert_laws(run)


def test_all_nos_bring_all_but_one_usdc_a_share():
    run = convert("a", "b", "c")
    assert sum(row["proceeds_usdc"] for row in run.named(run.ledger.closed_lots)) == 20_000_000
    assert_laws(run)


# ── the oracle and the laws, on random worlds ───────────────────────────────────────────


@settings(LOOSE, max_examples=10)
@given(dice=DICE)
def test_lots_equal_the_naive_matcher_and_keep_the_laws(dice):
    run = Run(random_world(dice))
    assert_equals_oracle(run)
    assert_laws(run)


@pytest.mark.parametrize("seed", range(2))
def test_lots_of_many_wallets_equal_the_naive_matcher_and_keep_the_laws(seed):
    run = Run(random_world(Random(seed), wallets=150, events=14))
    assert_equals_oracle(run)
    assert_laws(run)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(LOOSE, max_examples=1500)
@given(dice=DICE)
def test_lots_equal_the_naive_matcher_for_long(dice):
    run = Run(random_world(dice, wallets=4, events=16))
    assert_equals_oracle(run)
    assert_laws(run)


@settings(LOOSE, max_examples=4)
@given(dice=DICE)
def test_the_order_of_the_input_changes_nothing(dice):
    world = random_world(dice, wallets=8)
    run = Run(world)
    mixed = Run(
        World(
            fills=tuple(dice.sample(world.fills, len(world.fills))),
            activity=tuple(dice.sample(world.activity, len(world.activity))),
            markets=tuple(dice.sample(world.markets, len(world.markets))),
        )
    )
    expected, found = run.ledger, mixed.ledger
    assert found.closed_lots.equals(expected.closed_lots)
    order = ["proxy_wallet", "token_id", "open_order"]
    assert found.open_lots.sort(order).equals(expected.open_lots.sort(order))
    assert found.unexplained.sort("ref", "token_id").equals(
        expected.unexplained.sort("ref", "token_id")
    )
    shuffled = build_ledger(run.legs.sample(fraction=1, shuffle=True, seed=1), run.tokens)
    assert shuffled.closed_lots.equals(expected.closed_lots)


@settings(LOOSE, max_examples=4)
@given(dice=DICE, minute=st.integers(1, 7))
def test_events_from_as_of_on_change_no_row_before_it(dice, minute):
    world, as_of = random_world(dice, wallets=8), at(minute / 60)
    early = World(
        tuple(fill for fill in world.fills if fill.at < as_of),
        tuple(event for event in world.activity if event.at < as_of),
        world.markets,
    )
    before = pl.col("closed_at") < as_of
    expected = Run(early).ledger.closed_lots.filter(before)
    assert Run(world).ledger.closed_lots.filter(before).equals(expected)


@pytest.mark.parametrize("seed", range(3))
def test_what_some_win_in_a_closed_market_others_lose_but_for_the_fees(seed):
    run = Run(closed_market(Random(seed), wallets=6, trades=200))
    fees = run.fills["fee_usdc"].sum()
    assert run.ledger.unexplained.is_empty()
    assert run.ledger.open_lots.is_empty()
    assert fees > 0
    assert run.ledger.closed_lots["realised_pnl_usdc"].sum() == -fees
    assert run.ledger.closed_lots["fees_usdc"].sum() == fees
