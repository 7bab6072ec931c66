"""Makers and takers out of two listings: whatever the pages, never a guess."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.domain.tables.history import ROLE
from evaluator.venue.api import reading
from evaluator.venue.api.errors import VenueFaultError
from evaluator.venue.api.paging import Window, walk_by_cursor
from evaluator.venue.api.roles import Takers, stretch, told_apart, with_roles
from evaluator.venue.api.transport import Policy
from evaluator.venue.venue import Walk
from tests.venue.api.fake_time import FakeTime
from tests.venue.api.listings import (
    CONDITION,
    FIRST_SECOND,
    SEEN_AT,
    WALLETS,
    Cursors,
    Recounts,
    Row,
    at,
    gathering,
    instant,
    trade,
)
from tests.venue.api.stub_host import Asked, StubHost, Turns, v2

BOTH = pytest.mark.parametrize("dialect", ["v2", "v1"])
PATHS = {"v2": "/v2/trades", "v1": "/trades"}
FILTERS = {"v2": "taker_only", "v1": "takerOnly"}

Roled = tuple[Row, bool]
"""A raw row, and whether its wallet was the taker, which the row does not say."""

roled = st.tuples(
    st.builds(trade, st.integers(0, 8), st.integers(0, 1), st.integers(1, 2)), st.booleans()
)
many = settings(max_examples=25, deadline=None)


def sorted_down(rows: Sequence[Roled]) -> list[Roled]:
    return sorted(rows, key=lambda one: -one[0]["timestamp"])


listings = st.lists(roled, max_size=40).map(sorted_down)


def plain(rows: Sequence[Roled], *, takers: bool = False) -> list[Row]:
    return [row for row, is_taker in rows if is_taker or not takers]


def within(rows: Sequence[Row], window: Window) -> list[Row]:
    return [row for row in rows if window.holds(instant(row))]


def truth(rows: Sequence[Roled]) -> Counter[tuple[Any, ...]]:
    """How many fills of each identity and role there are."""
    return Counter(
        (row["proxyWallet"], row["timestamp"], row["size"], "taker" if is_taker else "maker")
        for row, is_taker in rows
    )


def found(fills: pl.DataFrame) -> Counter[tuple[Any, ...]]:
    assert fills["fill_id"].is_unique().all()
    return Counter(
        (
            row["proxy_wallet"],
            int(row["filled_at"].timestamp()),
            row["size_shares"] // 1_000_000,
            row["role"],
        )
        for row in fills.iter_rows(named=True)
    )


def walked(rows: Sequence[Row], window: Window, limit: int, pages: int, overlap: int = 0) -> Walk:
    shown = within(rows, window)
    return asyncio.run(
        walk_by_cursor(
            Cursors(shown, limit, overlap),
            gathering(window.start, window.end),
            max_pages=pages,
            since=window.start,
            recount=Recounts(list(rows)),
        )
    )


def told(walk: Walk, takers: Sequence[Row], limit: int, pages: int = 1000) -> Walk:
    async def read(window: Window) -> Walk:
        return await walk_by_cursor(
            Cursors(within(takers, window), limit),
            gathering(window.start, window.end),
            max_pages=pages,
            since=window.start,
            recount=Recounts(list(takers)),
        )

    return asyncio.run(told_apart(walk, read, complete_from=walk.covered_from))


def fills_of(rows: Sequence[Row]) -> pl.DataFrame:
    page = reading.read_page(rows, reading.TRADES, source="x", seen_at=SEEN_AT)
    return reading.union([page], reading.TRADES).rows


def by_second(fills: pl.DataFrame) -> dict[int, list[str]]:
    """The roles of each second, in order of their names."""
    roles: dict[int, list[str]] = {}
    for row in fills.iter_rows(named=True):
        second = int(row["filled_at"].timestamp()) - FIRST_SECOND
        roles[second] = sorted([*roles.get(second, []), row["role"]])
    return roles


@many
@given(
    rows=listings,
    limits=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    overlap=st.integers(0, 1),
)
def test_any_pages_of_both_listings_give_every_fill_its_role(rows, limits, overlap):
    walk = walked(plain(rows), Window(), limits[0], 1000, overlap)
    whole = told(walk, plain(rows, takers=True), limits[1])
    assert found(whole.found.rows) == truth(rows)
    assert whole == replace(walk, found=replace(walk.found, rows=whole.found.rows))


@many
@given(rows=listings, limit=st.integers(4, 8))
def test_a_history_read_in_steps_has_the_right_roles_although_the_first_ones_stay(rows, limit):
    parts, end = [fills_of([])], None
    for _ in range(80):
        walk = walked(plain(rows), Window(None, end), limit, pages=8)
        parts.append(told(walk, plain(rows, takers=True), limit, pages=9).found.rows)
        if walk.is_exhausted:
            break
        end = walk.covered_from
    stored = pl.concat(parts).unique("fill_id", keep="first")
    assert found(stored) == truth(rows)


@many
@given(rows=listings, limit=st.integers(2, 5), pages=st.integers(1, 4))
def test_a_listing_of_takers_cut_short_leaves_roles_unknown_and_none_wrong(rows, limit, pages):
    walk = walked(plain(rows), Window(), 1000, 1)
    fills = told(walk, plain(rows, takers=True), limit, pages).found.rows
    known = fills.filter(pl.col("role") != "unknown")
    assert found(known) <= truth(rows)
    takers = walked(plain(rows, takers=True), Window(), limit, pages)
    if not takers.is_exhausted and takers.found.rows.height:
        covered = pl.col("filled_at") >= takers.covered_from
        assert fills.filter(~covered)["role"].eq("unknown").all()
        assert fills.filter(covered)["role"].ne("unknown").all()


@many
@given(
    rows=listings,
    arriving=st.lists(roled, max_size=8),
    limit=st.integers(2, 7),
)
def test_rows_that_arrive_between_the_listings_make_no_role_wrong(rows, arriving, limit):
    later = sorted_down([*rows, *arriving])
    walk = walked(plain(rows), Window(), limit, 1000)
    fills = told(walk, plain(later, takers=True), limit).found.rows
    assert fills.height == len(rows)
    assert found(fills.filter(pl.col("role") != "unknown")) <= truth(later)
    untouched = {row["timestamp"] for row, _ in rows} - {row["timestamp"] for row, _ in arriving}
    still = [one for one in rows if one[0]["timestamp"] in untouched]
    kept = fills.filter(pl.col("filled_at").dt.epoch("s").is_in(sorted(untouched)))
    assert found(kept) == truth(still)


@many
@given(rows=listings, cuts=st.lists(st.booleans(), min_size=40, max_size=40), seed=st.randoms())
def test_any_part_of_the_fills_in_any_order_gets_the_roles_of_the_whole(rows, cuts, seed):
    fills, takers = fills_of(plain(rows)), Takers(fills_of(plain(rows, takers=True)))
    whole = with_roles(fills, takers)
    assert found(whole) == truth(rows)
    beyond = at(100)  # a part lacks rows, so no second of it is complete
    shuffled = takers.rows.sample(fraction=1.0, shuffle=True, seed=seed.randrange(1000))
    for part in fills.with_columns(cut=pl.Series(cuts[: fills.height])).partition_by("cut"):
        own = with_roles(part.drop("cut"), replace(takers, rows=shuffled), beyond)
        assert own.equals(whole.join(own, on="fill_id", how="semi", maintain_order="left"))


@many
@given(rows=listings, stale=st.integers(0, 9))
def test_a_markets_listing_of_takers_that_is_behind_makes_no_role_wrong(rows, stale):
    behind = [one for one in rows if one[0]["timestamp"] <= FIRST_SECOND + stale]
    takers = Takers(fills_of(plain(behind, takers=True)), has_all_wallets=True)
    fills = with_roles(fills_of(plain(rows)), takers)
    assert found(fills.filter(pl.col("role") != "unknown")) <= truth(behind)
    matched = {row["timestamp"] for row, is_taker in behind if is_taker}
    whole = [one for one in behind if one[0]["timestamp"] in matched]
    assert found(fills.filter(pl.col("filled_at").dt.epoch("s").is_in(sorted(matched)))) == truth(
        whole
    )


def test_a_taker_that_the_fills_lack_leaves_its_second_unknown():
    fills = fills_of([trade(3), trade(2, size=1), trade(1)])
    takers = Takers(fills_of([trade(3), trade(2, size=2)]))
    assert by_second(with_roles(fills, takers)) == {3: ["taker"], 2: ["unknown"], 1: ["maker"]}


def test_a_second_whose_fills_are_not_all_read_can_lack_a_taker():
    fills = fills_of([trade(3), trade(2, size=1)])
    takers = Takers(fills_of([trade(3), trade(2, size=2)]))
    assert by_second(with_roles(fills, takers, at(3))) == {3: ["taker"], 2: ["maker"]}


def test_of_equal_rows_whose_takers_are_in_doubt_only_the_sure_ones_have_a_role():
    fills = fills_of([trade(2)] * 3 + [trade(1)])
    takers = Takers(fills_of([trade(2)]), is_counted=False)
    assert by_second(with_roles(fills, takers)) == {
        2: ["taker", "unknown", "unknown"],
        1: ["maker"],
    }


def test_no_role_is_known_before_the_first_second_that_is_covered():
    fills = fills_of([trade(3), trade(2), trade(1)])
    takers = Takers(fills_of([trade(3), trade(1)]), covered_from=at(2))
    assert by_second(with_roles(fills, takers)) == {3: ["taker"], 2: ["maker"], 1: ["unknown"]}


def test_in_a_market_a_transaction_whose_taker_is_not_listed_has_no_roles():
    fills = fills_of([trade(3, 0), trade(3, 1), trade(2, 0), trade(2, 1)])
    takers = Takers(fills_of([trade(2, 1)]), has_all_wallets=True)
    assert by_second(with_roles(fills, takers)) == {
        3: ["unknown", "unknown"],
        2: ["maker", "taker"],
    }


def test_in_a_market_fills_without_a_transaction_are_not_taken_for_makers():
    nameless = [{**trade(2, wallet), "transactionHash": None} for wallet in (0, 1)]
    takers = Takers(fills_of(nameless[1:]), has_all_wallets=True)
    assert by_second(with_roles(fills_of(nameless), takers)) == {2: ["taker", "unknown"]}


def test_a_role_that_the_venue_tells_itself_stays():
    fills = fills_of([{**trade(2), "isTaker": False}, trade(1)])
    takers = Takers(fills_of([trade(2), trade(1)]))
    assert by_second(with_roles(fills, takers)) == {2: ["maker"], 1: ["taker"]}
    assert stretch(fills) == Window(at(1), at(1))
    assert stretch(with_roles(fills, takers)) is None


def takers_of(rows: Sequence[Row], count: int, dialect: str) -> Any:
    """A host that lists `rows`, of which the last `count` are takers'."""

    def answer(asked: Asked) -> Any:
        chosen = rows
        if asked.params[FILTERS[dialect]] == "true":
            chosen = rows[-count:] if count else []
        if asked.params.get("offset", "0") != "0":
            chosen = []
        return v2(list(chosen)) if dialect == "v2" else list(chosen)

    return answer


async def wallet_walk(host: StubHost, **options: Any) -> Walk:
    async with host.client(FakeTime().timing(), **options) as client:
        return await client.wallet_trades(WALLETS[0], max_pages=5)


@BOTH
def test_a_wallets_takers_are_asked_for_between_its_oldest_and_newest_fill(dialect):
    rows = [trade(9), trade(5), trade(2)]
    host = StubHost({PATHS[dialect]: takers_of(rows, 2, dialect)})
    walk = asyncio.run(wallet_walk(host, dialect=dialect))
    assert by_second(walk.found.rows) == {9: ["maker"], 5: ["taker"], 2: ["taker"]}
    first, last = host.asked[0].params, host.asked[-1].params
    assert [params[FILTERS[dialect]] for params in (first, last)] == ["false", "true"]
    bounds = (str(FIRST_SECOND + 2), str(FIRST_SECOND + 9))
    assert (last["start"], last["end"], last["limit"]) == (*bounds, first["limit"])
    assert walk.found.counts.rows_read == 3


@BOTH
def test_a_market_is_read_for_takers_down_to_its_oldest_fill(dialect):
    rows = [trade(9, 0), trade(9, 1), trade(2, 0), trade(2, 1)]
    host = StubHost({PATHS[dialect]: takers_of(rows, 1, dialect)})

    async def read() -> Walk:
        async with host.client(dialect=dialect) as client:
            return await client.market_trades(CONDITION, max_pages=5, since=at(1))

    walk = asyncio.run(read())
    assert by_second(walk.found.rows) == {9: ["unknown", "unknown"], 2: ["maker", "taker"]}
    assert host.asked[-1].params[FILTERS[dialect]] == "true"


@BOTH
def test_without_roles_nothing_is_asked_for_twice(dialect):
    host = StubHost({PATHS[dialect]: takers_of([trade(9), trade(5)], 1, dialect)})
    walk = asyncio.run(wallet_walk(host, dialect=dialect, has_roles=False))
    assert by_second(walk.found.rows) == {9: ["unknown"], 5: ["unknown"]}
    assert {asked.params[FILTERS[dialect]] for asked in host.asked} == {"false"}


@pytest.mark.parametrize("rows", [[], [{**trade(9), "isTaker": True}]])
def test_takers_are_not_asked_for_where_no_role_is_missing(rows):
    host = StubHost({PATHS["v2"]: v2(rows)})
    walk = asyncio.run(wallet_walk(host))
    assert (host.count(PATHS["v2"]), walk.found.rows.height) == (1, len(rows))


def test_a_refused_listing_of_takers_leaves_roles_unknown_and_is_logged(caplog):
    host = StubHost({PATHS["v2"]: Turns(v2([trade(9)]), httpx.Response(400, text="no filter"))})
    with caplog.at_level(logging.WARNING, "evaluator.venue.api.roles"):
        walk = asyncio.run(wallet_walk(host))
    assert by_second(walk.found.rows) == {9: ["unknown"]}
    assert "roles of 1 fills stay unknown: data /v2/trades answered 400" in caplog.text
    assert WALLETS[0] not in caplog.text


def test_a_listing_of_takers_that_may_work_later_fails_the_walk():
    host = StubHost({PATHS["v2"]: Turns(v2([trade(9)]), httpx.Response(503))})
    with pytest.raises(VenueFaultError):
        asyncio.run(wallet_walk(host, policy=Policy(max_attempts=2)))


def test_takers_without_an_end_and_without_a_row_tell_nothing():
    def answer(asked: Asked) -> Any:
        is_first = asked.params["taker_only"] == "false"
        return v2([trade(9)]) if is_first else v2([], f"{len(host.asked)}")

    host = StubHost({PATHS["v2"]: answer})
    assert by_second(asyncio.run(wallet_walk(host)).found.rows) == {9: ["unknown"]}


def test_equal_takers_on_two_pages_are_counted_again_among_takers_only():
    rows = [trade(9), *[trade(5)] * 3, trade(2)]

    def answer(asked: Asked) -> Any:
        params = asked.params
        shown = rows[1:4:2] if params["taker_only"] == "true" else rows
        shown = [
            row
            for row in shown
            if int(params["start"]) <= row["timestamp"] <= int(params.get("end", 2**40))
        ]
        if params["taker_only"] == "true" and params["start"] != params["end"]:
            place = int(params.get("cursor", "0"))
            return v2(shown[place : place + 1], str(place + 1) if place + 1 < len(shown) else None)
        return v2(shown)

    host = StubHost({PATHS["v2"]: answer})
    walk = asyncio.run(wallet_walk(host))
    assert by_second(walk.found.rows) == {
        9: ["maker"],
        5: ["maker", "taker", "taker"],
        2: ["maker"],
    }
    recounts = [asked.params for asked in host.asked if asked.params["start"] != "1"][2:]
    assert [params["taker_only"] for params in recounts] == ["true"]


def test_roles_are_of_the_declared_kind():
    fills = with_roles(fills_of([trade(1)]), Takers(fills_of([])))
    assert fills.schema["role"] == ROLE.frame
