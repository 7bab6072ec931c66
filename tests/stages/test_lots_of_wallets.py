"""Lots of some wallets: equal to those of whole buckets, and rebuilt exactly where they must be."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import polars as pl
import pytest

from evaluator.domain import ids
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, RESOLUTIONS
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.stages import history, ledger, parts
from evaluator.stages.ledger import NewRows
from evaluator.store import partitions
from evaluator.store.lake import Lake
from tests.domain.random_worlds import random_world
from tests.domain.worlds import activity_frame, fills_frame
from tests.oracle.stories import ORIGIN
from tests.oracle.world import Activity, Fill, Market, World

DAY = date(2026, 1, 1)
BOTH = (CLOSED_LOTS, OPEN_LOTS)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", threads=1)


def market_rows(markets: Iterable[Market]) -> pl.DataFrame:
    rows = [
        {
            "snapshot_date": DAY, "condition_id": one.condition_id, "event_slug": one.event_slug,
            "domain": one.domain, "end_at": one.end_at, "outcomes": list(one.token_ids),
            "token_ids": list(one.token_ids), "closed": one.payouts is not None,
            "payouts": list(one.payouts) if one.payouts else None,
            "resolved_at": one.resolved_at, "tick": one.tick,
        }
        for one in markets
    ]  # fmt: skip
    schema = dict(MARKETS.schema) | {"condition_id": pl.String(), "event_slug": pl.String()}
    full = [{name: row.get(name) for name in schema} | {"first_seen_at": ORIGIN} for row in rows]
    return pl.DataFrame(full, schema)


def resolution_rows(markets: Iterable[Market]) -> pl.DataFrame:
    rows = [
        {"token_id": token, "condition_id": one.condition_id, "payout": payout,
         "resolved_at": one.resolved_at}
        for one in markets if one.payouts
        for token, payout in zip(one.token_ids, one.payouts, strict=True)
    ]  # fmt: skip
    schema = dict(RESOLUTIONS.schema) | {"token_id": pl.String(), "condition_id": pl.String()}
    return pl.DataFrame(rows, schema)


def write(lake: Lake, world: World, *, with_markets: bool = True) -> None:
    """Everything of a world, in one commit; rows that are there stay."""
    resolved = resolution_rows(world.markets)
    frames = {FILLS: fills_frame(world.fills), ACTIVITY: activity_frame(world.activity)}
    lake.commit(
        append={
            (table, where): rows
            for table, frame in frames.items()
            for where, rows in parts.by_bucket(frame)
            if rows.height
        },
        upsert={
            (MARKETS, partitions.day(DAY)): market_rows(world.markets),
            (RESOLUTIONS, partitions.SINGLE): resolved,
        }
        if with_markets
        else {},
        texts=[pl.Series([ids.resolution_ref(token) for token in resolved["token_id"]])],
    )


def hashes(lake: Lake) -> dict[str, str]:
    with lake.snapshot() as now:
        return {table.name: now.content_hash(table) for table in BOTH}


def built_whole(lake: Lake) -> dict[str, str]:
    ledger.build_lots(lake)
    return hashes(lake)


def check_equal_to_whole(lake: Lake) -> None:
    """The lots of the lake are those of whole buckets, row for row."""
    with lake.snapshot() as now:
        known = history.tokens(now)
        built = [ledger.bucket_ledger(now, number, known) for number in history.ALL_BUCKETS]
        for table, expected in (
            (CLOSED_LOTS, [one.closed_lots for one in built]),
            (OPEN_LOTS, [one.open_lots for one in built]),
        ):
            rows = pl.concat(expected).sort(table.key)
            assert now.read(table).sort(table.key).equals(rows)


def a_world(seed: int, wallets: int = 9) -> World:
    world = random_world(Random(seed), wallets=wallets, events=14)
    assert world.fills
    return world


@pytest.mark.parametrize("seed", range(2))
def test_lots_of_wallets_one_group_after_another_equal_those_of_whole_buckets(
    lake: Lake, seed: int
):
    world = a_world(seed)
    write(lake, world)
    names = [f"w{number}" for number in range(9)]
    Random(seed).shuffle(names)
    for first in range(0, 9, 4):
        ledger.build_lots_of(lake, pl.Series(names[first : first + 4]))
    piecewise = hashes(lake)
    assert built_whole(lake) == piecewise


def test_lots_of_wallets_hold_only_their_rows(lake: Lake):
    write(lake, a_world(1))
    keys = ids.surrogates(pl.Series(["w1", "w4"]))
    with lake.snapshot() as now:
        lots = ledger.lots_of_wallets(now, keys)
    found = set(lots.closed["proxy_wallet"]) | set(lots.open["proxy_wallet"])
    assert found == set(keys)


def test_a_wallet_that_has_no_lots_any_more_loses_the_rows_it_had(lake: Lake):
    world = a_world(2)
    write(lake, world)
    ledger.build_lots(lake)
    with lake.snapshot() as now:
        someone = now.read(OPEN_LOTS)[:1].with_columns(
            proxy_wallet=pl.lit(ids.surrogate("a stranger"))
        )
    ((bucket, rows),) = [each for each in parts.by_bucket(someone) if each[1].height]
    before = hashes(lake)
    lake.commit(upsert={(OPEN_LOTS, bucket): rows})
    assert hashes(lake) != before
    ledger.build_lots_of(lake, pl.Series(["a stranger"]))
    assert hashes(lake) == before


@pytest.mark.parametrize("seed", range(2))
def test_lots_with_rows_about_to_be_committed_equal_those_built_after(lake: Lake, seed: int):
    world = a_world(seed)
    old = replace(world, fills=world.fills[::2], activity=world.activity[::2])
    write(lake, old)
    names = pl.Series([f"w{number}" for number in range(9)])
    new = NewRows(
        fills=(fills_frame(world.fills[1::2]),), activity=(activity_frame(world.activity[1::2]),)
    )
    with lake.snapshot() as now:
        early = ledger.lots_to_upsert(now, names, new)
    write(lake, world, with_markets=False)
    lake.commit(upsert=early)
    check_equal_to_whole(lake)


def changes(world: World, dice: Random) -> Iterable[World]:
    """The world as it becomes known: rows, resolutions, markets, facts of markets."""
    few = replace(
        world,
        fills=world.fills[: len(world.fills) // 2],
        activity=world.activity[: len(world.activity) // 2],
        markets=tuple(replace(one, payouts=None, resolved_at=None) for one in world.markets[:1]),
    )
    yield few
    listed = replace(few, markets=(*few.markets, *world.markets[1:]))
    yield listed
    yield replace(listed, activity=world.activity)
    for number in range(len(few.fills), len(world.fills), 12):
        yield replace(listed, fills=world.fills[:number], activity=world.activity)
    yield world
    renamed = [replace(one, domain=dice.choice(("Sports", "Crypto"))) for one in world.markets]
    yield replace(world, markets=tuple(renamed))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_after_every_change_refreshed_lots_equal_those_of_whole_buckets(lake: Lake, seed: int):
    world = a_world(seed, wallets=6)
    for state in changes(world, Random(seed)):
        write(lake, state)
        ledger.refresh_lots(lake)
        check_equal_to_whole(lake)


def stale(lake: Lake) -> set[str]:
    """The wallets that would be rebuilt now."""
    held = lake.held_commit(ledger.HOLD)
    with lake.snapshot() as now, lake.snapshot(at=held) as since:
        keys = ledger.stale_wallets(now, since)["proxy_wallet"]
    return {name for name in (f"w{number}" for number in range(40)) if ids.surrogate(name) in keys}


def one_fill(wallet: str, **changes) -> Fill:
    (fill, *_) = random_world(Random(1), wallets=1, events=12).fills
    given = {"fill_id": f"{wallet} extra", "proxy_wallet": wallet, "side": "BUY", **changes}
    return replace(fill, **given)


@pytest.fixture
def quiet(lake: Lake) -> World:
    """Thirty wallets of one fill each in market m1, lots built; w0 has a split there."""
    fills = tuple(one_fill(f"w{number}", token_id="a") for number in range(30))
    split = Activity(
        "w0 split", "w0", "m1", "SPLIT", None, 10**7, 10**7,
        fills[0].at.replace(second=59), "0x" + "1" * 64,
    )  # fmt: skip
    markets = (
        Market("m1", "event", "Crypto", None, ("a", "b"), None, None),
        Market("m2", None, None, None, ("c", "d"), None, None),
    )
    world = World(fills, (split,), markets)
    write(lake, world)
    ledger.refresh_lots(lake)
    return world


def test_nothing_is_stale_after_a_refresh_nor_after_folding_or_the_same_rows_again(
    lake: Lake, quiet: World
):
    assert stale(lake) == set()
    write(lake, quiet)
    for table in (FILLS, ACTIVITY, RESOLUTIONS, *BOTH):
        lake.fold(table)
    assert stale(lake) == set()
    before = lake.latest_commit_id()
    ledger.refresh_lots(lake)
    assert lake.latest_commit_id() == before


def test_a_wallet_with_a_new_fill_is_stale_and_nobody_else(lake: Lake, quiet: World):
    write(lake, replace(quiet, fills=(one_fill("w7", fill_id="another", token_id="c"),)))
    assert stale(lake) == {"w7"}
    ledger.refresh_lots(lake)
    with lake.snapshot() as now:
        upserts = [file.rows for file in now.files(OPEN_LOTS)[:] if file.mode == "upsert"]
    assert upserts == [2]


def test_a_new_fill_is_found_although_its_file_was_folded(lake: Lake, quiet: World):
    write(lake, replace(quiet, fills=(one_fill("w7", fill_id="another", token_id="c"),)))
    lake.fold(FILLS)
    assert stale(lake) == {"w7"}


def test_a_resolution_makes_stale_all_who_touched_the_market(lake: Lake, quiet: World):
    first, second = quiet.markets
    closed = replace(first, payouts=(1.0, 0.0), resolved_at=quiet.fills[0].at.replace(second=58))
    write(lake, replace(quiet, markets=(closed, second)))
    assert stale(lake) == {f"w{number}" for number in range(30)}
    ledger.refresh_lots(lake)
    check_equal_to_whole(lake)


def test_a_fill_read_late_makes_stale_whose_split_it_prices(lake: Lake, quiet: World):
    """The other token had no price, hence equal shares; now one of before the split is known."""
    late = one_fill("w9", fill_id="late", token_id="b")
    write(lake, replace(quiet, fills=(late,)))
    assert stale(lake) == {"w0", "w9"}
    ledger.refresh_lots(lake)
    check_equal_to_whole(lake)


def test_markets_read_again_with_the_same_facts_make_nobody_stale(lake: Lake, quiet: World):
    first, second = quiet.markets
    write(lake, replace(quiet, fills=(), activity=(), markets=(replace(first, tick=0.01), second)))
    assert stale(lake) == set()


def test_lots_are_built_whole_where_what_they_were_built_from_is_not_known(lake: Lake):
    write(lake, a_world(3))
    ledger.refresh_lots(lake)
    with lake.snapshot() as now:
        assert {file.mode.value for file in now.files(CLOSED_LOTS)} == {"base"}
    check_equal_to_whole(lake)


def test_lots_that_another_commits_from_older_rows_are_put_right_by_the_next_refresh(
    lake: Lake, quiet: World
):
    with lake.snapshot() as old:
        outdated = ledger.lots_to_upsert(old, pl.Series(["w7"]))
    write(lake, replace(quiet, fills=(one_fill("w7", fill_id="another", token_id="c"),)))
    lake.commit(upsert=outdated)
    ledger.refresh_lots(lake)
    check_equal_to_whole(lake)


def test_a_builder_overtaken_by_another_does_not_hold_what_it_built_from(lake: Lake, quiet: World):
    held = lake.held_commit(ledger.HOLD)
    write(lake, replace(quiet, fills=(one_fill("w3", fill_id="first", token_id="c"),)))
    with lake.snapshot() as old:
        write(lake, replace(quiet, fills=(one_fill("w3", fill_id="second", token_id="c"),)))
        ledger.refresh_lots(lake)
        late = ledger._rebuild_stale(lake, old, held, may_replace=True)
        assert late is not None
        assert not ledger._was_alone(lake, old, late)
