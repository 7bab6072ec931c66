"""The client against the simulated venue in process: faults change nothing that is read."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from evaluator.venue.api.client import VenueClient, open_client
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.limits import Buckets
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import Policy, Timing
from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.ask import Caps
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.faults import Faults
from evaluator.venue.sim.in_process import BASE_URL, InProcess
from evaluator.venue.venue import MarketFilter
from tests.venue.api.fake_time import FakeTime
from tests.venue.sim.small_world import at, busy_world, condition, tokens, wallet

LATER = at(400)
DAY = LATER.date()
SMALL = Caps(v1_trades_limit=25, v1_trades_offset=75, v1_activity_limit=7, v1_activity_offset=21)
PATIENT = Policy(max_attempts=8, deadline_s=600.0, circuit_threshold=1000)
HARSH = {
    "rate_limited": 0.1,
    "server_error": 0.1,
    "truncated": 0.1,
    "dropped": 0.1,
    "duplicated": 0.4,
    "shifted": 0.3,
    "shuffled": 0.4,
}


def world():
    made = busy_world(7, transactions=150)
    for number in range(30):
        made.comment(number, "Sure.", at(2 + number), event=1)
        made.quote(tokens(1)[0], 0.3 + number / 100, at(2 + number))
    return made


async def everything(client: VenueClient) -> dict[str, pl.DataFrame]:
    """Every table that the venue gives, of all its markets and wallets."""
    wallets = [wallet(number) for number in range(1, 11)]
    markets = [condition(number) for number in (1, 2, 3)]

    async def of_each(ask: Callable[[Any], Awaitable[Any]], whom: list[Any]) -> pl.DataFrame:
        answers = await asyncio.gather(*map(ask, whom))
        found = [getattr(answer, "found", answer) for answer in answers]
        assert all(one.counts.quarantined_count == 0 for one in found)
        assert all(one.counts.possible_undercount == 0 for one in found)
        return pl.concat([one.rows for one in found])

    span = {"start": at(0), "end": at(48)}
    return {
        "markets": (await client.open_markets(DAY, MarketFilter())).rows,
        "fills": await of_each(lambda w: client.wallet_trades(w, max_pages=500), wallets),
        "feed": await of_each(lambda m: client.market_trades(m, max_pages=500), markets),
        "activity": await of_each(lambda w: client.wallet_activity(w, max_pages=500), wallets),
        "positions": await of_each(lambda w: client.wallet_positions(DAY, w), wallets),
        "holders": await of_each(lambda m: client.holders(DAY, m), markets),
        "leaderboard": (await client.leaderboard(DAY, "OVERALL", "ALL")).rows,
        "comments": (await client.comments("event-1")).rows,
        "books": (await client.books([tokens(1)[0], "404"])).rows.drop("read_at"),
        "prices": (await client.prices(tokens(1)[0], **span)).rows,
    }


def read_all(dialect: str, faults: Faults | None, **options: Any) -> dict[str, pl.DataFrame]:
    clock = FakeTime()
    timing = Timing(fixed(LATER), clock.monotonic, clock.sleep, lambda: 0.0)
    caps = SMALL if dialect == "v1" and faults is not None else Caps()
    app = create_app(world(), fixed(LATER), faults=faults, manner=Manner(caps=caps))
    chosen = Options(dialect=dialect, policy=PATIENT, **options)
    hosts = Hosts(BASE_URL, BASE_URL, BASE_URL)

    async def read() -> dict[str, pl.DataFrame]:
        how = {"timing": timing, "transport": InProcess(app), "buckets": Buckets()}
        async with open_client(hosts, chosen, **how) as client:
            return await everything(client)

    return asyncio.run(read())


@pytest.fixture(scope="module")
def calm() -> dict[str, pl.DataFrame]:
    return read_all("v2", None)


def test_the_venue_gives_every_table(calm):
    truth = world()
    assert calm["fills"].height == len(truth.fills) > 400
    assert set(calm["feed"]["fill_id"]) == set(calm["fills"]["fill_id"])
    assert calm["activity"].height == len(truth.activity)
    assert {name: rows.height for name, rows in calm.items() if rows.is_empty()} == {}
    assert calm["comments"].height == 30


def counted_roles(fills: pl.DataFrame, role: pl.Expr) -> pl.DataFrame:
    """How many fills of each look have each role; equal rows are interchangeable."""
    look = ["proxy_wallet", "token_id", "side", "size_shares", "filled_at", "transaction_hash"]
    named = fills.with_columns(pl.col("side").cast(pl.String), role=role.cast(pl.String))
    keys = [*look, "role"]
    return named.group_by(keys).len("fills").sort(keys)


@pytest.mark.parametrize("name", ["fills", "feed"])
def test_every_fill_has_the_role_that_it_had_in_the_world(calm, name):
    truth = world().history(LATER).fills
    word = pl.when("is_taker").then(pl.lit("taker")).otherwise(pl.lit("maker"))
    expected = counted_roles(truth, word)
    assert counted_roles(calm[name], pl.col("role")).equals(expected)
    assert set(expected["role"]) == {"maker", "taker"}


@pytest.mark.parametrize("dialect", ["v2", "v1"])
@pytest.mark.parametrize("is_cut_short", [True, False])
def test_a_market_read_in_part_has_all_roles_of_what_was_read(calm, dialect, is_cut_short):
    app = create_app(world(), fixed(LATER))
    hosts = Hosts(BASE_URL, BASE_URL, BASE_URL)
    since = None if is_cut_short else calm["feed"]["filled_at"].median()

    async def part(rows_a_page: int) -> pl.DataFrame:
        options = Options(dialect=dialect, market_page_rows=rows_a_page)
        how = {"transport": InProcess(app), "buckets": Buckets()}
        async with open_client(hosts, options, **how) as client:
            pages = 2 if is_cut_short else 500
            walk = await client.market_trades(condition(1), max_pages=pages, since=since)
            return walk.found.rows

    for rows_a_page in range(5, 15):
        read = asyncio.run(part(rows_a_page))
        assert read.height >= 2 * rows_a_page
        assert read.join(calm["feed"], on=["fill_id", "role"], how="anti").is_empty()


def test_version_1_gives_the_same_fills_and_movements_as_version_2(calm):
    old = read_all("v1", None)
    for name in ("fills", "feed", "activity", "markets", "comments", "prices", "books"):
        assert old[name].equals(calm[name]), name
    same = ["proxy_wallet", "token_id", "size_shares", "realised_pnl_usdc"]
    assert old["positions"].select(same).equals(calm["positions"].select(same))


@pytest.mark.parametrize("seed", range(3))
def test_faults_of_version_2_change_no_table(calm, seed):
    spoilt = read_all("v2", Faults(seed=seed, **HARSH), feed_page_rows=40, market_page_rows=25)
    for name, rows in calm.items():
        assert spoilt[name].equals(rows), name


@pytest.mark.parametrize("seed", range(1))
def test_faults_and_caps_of_version_1_change_no_table(calm, seed):
    spoilt = read_all("v1", Faults(seed=seed, **HARSH))
    for name in ("fills", "activity", "markets", "comments", "prices", "books"):
        assert spoilt[name].equals(calm[name]), name
    # Offsets end early in the feed of a market: fewer fills, but no other role.
    feed = spoilt["feed"].filter(pl.col("role") != "unknown")
    assert feed.join(calm["feed"], on=["fill_id", "role"], how="anti").is_empty()
    assert feed.height > 20


def test_a_walk_in_steps_reads_what_one_walk_reads(calm):
    app = create_app(world(), fixed(LATER))
    hosts = Hosts(BASE_URL, BASE_URL, BASE_URL)
    options = Options(feed_page_rows=10)

    async def stepwise() -> pl.DataFrame:
        async with open_client(
            hosts, options, transport=InProcess(app), buckets=Buckets()
        ) as client:
            parts, end = [], None
            for _ in range(100):
                walk = await client.wallet_trades(wallet(1), max_pages=1, end=end)
                parts.append(walk.found.rows)
                if walk.is_exhausted:
                    return pl.concat(parts).unique("fill_id")
                end = walk.covered_from
            raise AssertionError

    own = calm["fills"].filter(pl.col("proxy_wallet") == wallet(1))
    assert asyncio.run(stepwise()).sort("fill_id").equals(own.sort("fill_id"))


def test_a_window_gives_its_rows_only(calm):
    app = create_app(world(), fixed(LATER))
    hosts = Hosts(BASE_URL, BASE_URL, BASE_URL)
    own = calm["fills"].filter(pl.col("proxy_wallet") == wallet(1))
    start, end = own["filled_at"][3], own["filled_at"][-3]

    async def window() -> pl.DataFrame:
        async with open_client(hosts, transport=InProcess(app), buckets=Buckets()) as client:
            walk = await client.wallet_trades(wallet(1), max_pages=9, start=start, end=end)
            assert walk.is_exhausted
            return walk.found.rows

    inside = own.filter(pl.col("filled_at").is_between(start, end))
    assert asyncio.run(window()).equals(inside)
    assert end - start > timedelta(minutes=1)
