"""Verdicts and clusters against the oracle: random and planted worlds, and the real archive."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from evaluator.domain.features.history import Cell
from evaluator.domain.ids import surrogate
from tests.domain.both import DAYS, MID_LIFE, Both, both
from tests.domain.random_worlds import WEEKS, random_world
from tests.domain.verdict_rows import different, judged
from tests.domain.worlds import Run
from tests.oracle.clusters import clusters
from tests.oracle.personas import persona
from tests.oracle.stories import ORIGIN, at, buy, world
from tests.oracle.world import World

HOUR = timedelta(hours=1)


def compare(known: Both, day: date, wallets: set[str], *, with_stage_1: bool = True) -> set[str]:
    """Hold the verdicts on these wallets against the oracle; the labels that occurred."""
    as_of = Cell(day, 30).as_of
    sizes = known.run.clusters(as_of)
    verdicts = known.run.judged(day, wallets, with_stage_1=with_stage_1)
    rows = verdicts.personas.partition_by("proxy_wallet", as_dict=True)
    parts = [
        (verdicts.exclusions.partition_by("proxy_wallet", as_dict=True)),
        (verdicts.traits.partition_by("proxy_wallet", as_dict=True)),
    ]
    wrong, labels = [], set()
    for wallet in sorted(wallets):
        key = (surrogate(wallet),)
        mine = type(verdicts)(
            rows[key],
            parts[0].get(key, verdicts.exclusions.clear()),
            parts[1].get(key, verdicts.traits.clear()),
        )
        found = judged(mine, key[0])
        expected = persona(
            known.index, wallet, as_of,
            cluster_size=sizes.get(wallet, 1), bypass_stage_1=not with_stage_1,
        )  # fmt: skip
        labels.add(expected.persona)
        if difference := different(found, expected):
            wrong.append((wallet, difference))
    assert not wrong, wrong[:5]
    return labels


@pytest.mark.parametrize("with_stage_1", [True, False])
def test_verdicts_on_random_wallets_equal_the_oracle(with_stage_1):
    known = both(random_world(Random(8), wallets=25, events=60, setting=WEEKS))
    compare(known, date(2026, 1, 14), known.wallets(), with_stage_1=with_stage_1)


def test_a_wallet_that_never_filled_has_a_verdict():
    known = both(World((buy(1, 1, 0.5),), (), ()))
    assert compare(known, date(2026, 1, 5), {"0xnobody"}) == {"TOO_FEW_TRADES"}


# ── clusters ────────────────────────────────────────────────────────────────────────────


def planted(dice: Random, *, loners: int = 20) -> World:
    """Groups that trade alike, some at the bound, among wallets that trade at random.

    `g<k>` copies a script of ten to thirty orders with at most one in ten replaced; `b<k>` shares
    exactly eight of ten elements with `b0`, which is not above .80.
    """
    fills, scripts = [], {}
    for group in range(4):
        script = dice.sample(range(2000), dice.randint(10, 30))
        for member in range(dice.randint(2, 6)):
            scripts[f"g{group}.{member}"] = [
                slot if dice.random() > 0.06 else dice.randrange(2000) for slot in script
            ]
    scripts |= {f"l{k}": dice.sample(range(2000), dice.randint(5, 25)) for k in range(loners)}
    scripts["b0"] = [3000 + k for k in range(9)]
    scripts["b1"] = [3000 + k for k in range(8)]  # too few elements
    scripts["b2"] = [4000 + k for k in range(10)]
    scripts["b3"] = [4000 + k for k in range(8)] + [5000, 5001]  # 8 of 12
    scripts["b4"] = [6000 + k for k in range(12)]
    scripts["b5"] = [6000 + k for k in range(10)]  # 10 of 12: a pair
    scripts["b6"] = [8000 + k for k in range(10)]
    scripts["b7"] = [8000 + k for k in range(8)] + [8100]  # 8 of 11
    scripts["b8"] = [9000 + k for k in range(15)]
    scripts["b9"] = [9000 + k for k in range(12)]  # 12 of 15: exactly .80
    for name, slots in scripts.items():
        for number, slot in enumerate(slots):
            token = "yes" if slot % 2 else "no"
            start = slot * 600 + dice.randint(0, 580)
            fills += [
                buy((start + extra) / 3600, 1, 0.5, proxy_wallet=name, token_id=token,
                    fill_id=f"{name} {number} {extra}")
                for extra in range(0, dice.choice((1, 1, 19)), 9)
            ]  # fmt: skip
    return World(tuple(fills), (), ())


@pytest.mark.parametrize("seed", range(4))
def test_clusters_of_planted_wallets_equal_brute_force(seed):
    known = both(planted(Random(seed)))
    as_of = ORIGIN + timedelta(days=70)
    expected = {
        wallet: len(group)
        for wallet, group in clusters(known.index, as_of).items()
        if len(group) > 1
    }
    assert known.run.clusters(as_of) == expected
    assert any(size >= 4 for size in expected.values())
    assert {"b4", "b5"} <= expected.keys()
    assert not {"b0", "b1", "b2", "b3", "b6", "b7", "b8", "b9"} & expected.keys()


@pytest.mark.parametrize("seed", range(3))
def test_clusters_of_random_wallets_equal_brute_force(seed):
    known = both(random_world(Random(seed), wallets=40, events=60, setting=WEEKS))
    as_of = ORIGIN + timedelta(days=9)
    sizes = {wallet: len(group) for wallet, group in clusters(known.index, as_of).items()}
    assert known.run.clusters(as_of) == {one: size for one, size in sizes.items() if size > 1}


def test_four_wallets_that_trade_alike_are_a_cluster_and_nine_elements_are_too_few():
    same = [
        buy(k, 1, 0.5, proxy_wallet=name, fill_id=f"{name}{k}")
        for k in range(1, 13)
        for name in ("0x1", "0x2", "0x3", "0x4", "0x5")
        if not (name == "0x5" and k < 4)
    ]
    found = Run(world(*same).world).clusters(at(24))
    assert found == dict.fromkeys(("0x1", "0x2", "0x3", "0x4"), 4)


def test_clusters_look_ninety_days_back_and_chain_orders_within_them():
    day = 24 * 90
    # an order under way when the ninety days open begins anew in them: without it nine elements
    first = [buy(-1 / 3600, 1, 0.5, fill_id="before"), buy(1 / 3600, 1, 0.5, fill_id="first")]
    rest = [buy(k, 1, 0.5, fill_id=f"{k}") for k in range(1, 10)]
    fills = [
        buy((fill.at - ORIGIN) / HOUR, 1, 0.5, fill_id=f"{name} {fill.fill_id}", proxy_wallet=name)
        for name in ("0x1", "0x2")
        for fill in (*first, *rest)
    ]
    run = Run(world(*fills).world)
    assert run.clusters(at(day)) == {"0x1": 2, "0x2": 2}
    assert run.clusters(at(day + 1)) == {}


# ── the real archive ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("with_stage_1", [True, False])
def test_verdicts_on_every_early_wallet_of_the_archive_equal_the_oracle(
    small_archive, with_stage_1
):
    wallets = small_archive.wallets()
    labels = compare(small_archive, date(2024, 6, 11), wallets, with_stage_1=with_stage_1)
    assert len(labels) >= 4


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("day", DAYS)
def test_every_survivor_of_stage_1_and_five_hundred_more_equal_the_oracle(whole_archive, day):
    run = whole_archive.run
    verdicts = run.judged(day, whole_archive.wallets())
    survivors = {row["proxy_wallet"] for row in run.named(verdicts.personas) if row["stage"] != "1"}
    assert len(survivors) >= (100 if day in MID_LIFE else 1)
    compare(whole_archive, day, survivors)
    compare(whole_archive, day, whole_archive.chosen(active=250, others=250), with_stage_1=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_clusters_of_the_archive_equal_brute_force(whole_archive):
    as_of = Cell(MID_LIFE[0], 30).as_of
    sizes = {wallet: len(group) for wallet, group in clusters(whole_archive.index, as_of).items()}
    found = {wallet: size for wallet, size in sizes.items() if size > 1}
    assert whole_archive.run.clusters(as_of) == found
