"""Features against the oracle: random worlds, and the wallets of the real archive."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING

import pytest

from evaluator.domain.features.catalogue import FEATURES
from evaluator.domain.features.history import Cell
from evaluator.domain.ids import surrogate
from tests.domain.both import DAYS, MID_LIFE, Both, both
from tests.domain.comparison import differences
from tests.domain.random_worlds import WEEKS, random_world
from tests.oracle.features import features
from tests.oracle.ledger import ledger
from tests.oracle.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable

MICRO = 10**6


def compare(known: Both, days: Iterable[date], wallets: set[str]) -> int:
    """Hold every row of these wallets against the oracle; the number of rows compared."""
    compared, wrong = 0, []
    for cell, frame in known.run.features(days).items():
        keys = [surrogate(wallet) for wallet in wallets]
        rows = known.run.named(frame.filter(frame["proxy_wallet"].is_in(keys)))
        found = {row["proxy_wallet"]: row for row in rows}
        rows_due = {
            wallet: row
            for wallet in sorted(wallets)
            if (row := features(known.index, wallet, cell.as_of, cell.window_days)) is not None
        }
        assert found.keys() == rows_due.keys()
        for wallet, row in rows_due.items():
            compared += 1
            if different := differences(found[wallet], row):
                wrong.append((cell, wallet, different))
    assert not wrong, wrong[:5]
    return compared


# ── random worlds ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(2))
def test_features_of_random_wallets_equal_the_oracle(seed):
    known = both(random_world(Random(seed), wallets=20, events=45, setting=WEEKS))
    days = (date(2026, 1, 6), date(2026, 1, 14))
    assert compare(known, days, known.wallets()) > 80


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 130))
def test_features_of_many_random_wallets_equal_the_oracle(seed):
    known = both(random_world(Random(seed), wallets=60, events=60, setting=WEEKS))
    compare(known, [date(2026, 1, 3 * k) for k in range(1, 9)], known.wallets())


def test_a_feature_is_null_only_where_it_says_so():
    run = both(random_world(Random(9), wallets=40, events=20, setting=WEEKS)).run
    for frame in run.features([date(2026, 1, 5)]).values():
        for feature in FEATURES:
            if not feature.null:
                assert frame[feature.name].null_count() == 0, feature.name
            assert frame[feature.name].dtype == feature.dtype.frame


def test_later_events_change_no_feature():
    world = random_world(Random(3), wallets=20, events=30, setting=WEEKS)
    as_of = datetime(2026, 1, 6, tzinfo=UTC)
    early = World(
        tuple(fill for fill in world.fills if fill.at < as_of),
        tuple(event for event in world.activity if event.at < as_of),
        world.markets,
    )
    cells = [one.run.features([date(2026, 1, 5)]) for one in (both(world), both(early))]
    for cell in cells[0]:
        assert cells[0][cell].equals(cells[1][cell])


# ── the real archive ────────────────────────────────────────────────────────────────────


def test_every_early_wallet_of_the_archive_equals_the_oracle(small_archive):
    days = (date(2023, 6, 1), date(2024, 6, 11))
    assert compare(small_archive, days, small_archive.wallets()) > 1000


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_wallets_on_five_days_and_three_windows_equal_the_oracle(whole_archive):
    wallets = whole_archive.chosen(active=80, others=170)
    assert compare(whole_archive, DAYS, wallets) > 900


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", [date(2024, 8, 20), *MID_LIFE])
def test_the_split_into_realised_and_open_equals_the_share_by_share_matcher(whole_archive, day):
    run, index = whole_archive.run, whole_archive.index
    cell = Cell(day, 7)
    wallets = whole_archive.chosen(active=250, others=250)
    (frame,) = run.features([day], [cell.window_days], wallets).values()
    held = 0
    for row in run.named(frame):
        books = ledger(index, row["proxy_wallet"], cell.as_of)
        assert (row["career_pnl_usdc"] or 0) == books.realised
        open_cost = {token: cost for token, cost in books.cost.items() if books.held[token]}
        prices = {token: index.price_before(token, cell.as_of) for token in open_cost}
        value = sum(books.held[token] * (prices[token] or 0) for token in open_cost)
        unrealised = float((value - sum(open_cost.values())) / Fraction(MICRO))
        assert row["unrealised_pnl_usdc"] == pytest.approx(unrealised, rel=1e-9, abs=1e-9)
        assert row["open_position_count"] == sum(cost > MICRO for cost in open_cost.values())
        held += bool(open_cost)
    assert held > 20
