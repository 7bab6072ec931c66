import json
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.ask import Caps
from evaluator.venue.sim.clock import fixed
from tests.venue.sim.asking import ask, flat, rows, walk
from tests.venue.sim.small_world import START, SmallWorld, at, busy_world, condition, wallet

LATER = at(400)
MANY = settings(max_examples=20, deadline=None)


def identity(row: dict) -> tuple:
    """What tells a fill from another, in either spelling."""
    names = (("proxy_wallet", "proxyWallet"), ("token_id", "asset"), ("side",), ("size",))
    names += (("price",), ("timestamp",), ("transaction_hash", "transactionHash"))
    return tuple(next(row[name] for name in either if name in row) for either in names)


def planted(world: SmallWorld, **wanted) -> Counter:
    """Fills that were written down, as `identity` sees them."""
    return Counter(
        (
            *(fill["proxy_wallet"], fill["token_id"], fill["side"], fill["size_shares"] / 1e6),
            fill["notional_usdc"] / fill["size_shares"],
            int(fill["filled_at"].timestamp()),
            fill["transaction_hash"],
        )
        for fill in world.fills
        if all(fill[name] == value for name, value in wanted.items())
    )


@MANY
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 40))
def test_a_walk_along_cursors_gives_every_row_once_for_any_limit(seed, limit):
    world = busy_world(seed)
    app = create_app(world, fixed(LATER))
    everything = flat(
        walk(app, "/v2/trades", condition=condition(1), taker_only="false", limit=limit)
    )
    assert Counter(map(identity, everything)) == planted(world, condition_id=condition(1))
    mine = flat(walk(app, "/v2/trades", user=wallet(1), taker_only="false", limit=limit, start=1))
    assert Counter(map(identity, mine)) == planted(world, proxy_wallet=wallet(1))
    assert [row["timestamp"] for row in mine] == sorted(
        (row["timestamp"] for row in mine), reverse=True
    )


@MANY
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 40))
def test_a_walk_along_offsets_gives_every_row_once_below_the_cap(seed, limit):
    world = busy_world(seed)
    app = create_app(world, fixed(LATER))
    found = []
    while page := rows(
        app, "/trades", market=condition(2), takerOnly="false", limit=limit, offset=len(found)
    ):
        found += page
    assert Counter(map(identity, found)) == planted(world, condition_id=condition(2))


@MANY
@given(seed=st.integers(0, 10_000), cut=st.integers(0, 40_000))
def test_windows_of_time_divide_a_feed_without_loss_or_repeat(seed, cut):
    world = busy_world(seed)
    app = create_app(world, fixed(LATER))
    middle = int(START.timestamp()) + cut
    both = []
    for bounds in ({"end": middle}, {"start": middle + 1}):
        both += rows(app, "/trades", user=wallet(2), takerOnly="false", limit=1000, **bounds)
    assert Counter(map(identity, both)) == planted(world, proxy_wallet=wallet(2))


@MANY
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 40))
def test_every_page_of_a_walk_but_the_last_is_full(seed, limit):
    app = create_app(busy_world(seed), fixed(LATER))
    pages = walk(app, "/v2/trades", condition=condition(1), taker_only="false", limit=limit)
    assert all(len(page) == limit for page in pages[:-1])
    assert 0 < len(pages[-1]) <= limit


@MANY
@given(seed=st.integers(0, 10_000), minutes=st.integers(0, 400))
def test_nothing_that_comes_after_the_clock_shows_anywhere(seed, minutes):
    world = busy_world(seed)
    now = at(1) + timedelta(minutes=minutes)
    world.market(7, opened_at=now, event_id="9007")
    world.comment(1, "too early", now, event=1)
    app = create_app(world, fixed(now))
    seen = flat(walk(app, "/v2/trades", condition=condition(1), taker_only="false"))
    assert len(seen) == sum(
        1 for f in world.fills if f["condition_id"] == condition(1) and f["filled_at"] < now
    )
    assert all(row["timestamp"] < now.timestamp() for row in seen)
    names = {row["conditionId"] for row in rows(app, "/markets", limit=500)}
    assert names == {condition(1), condition(2), condition(3)}
    assert rows(app, "/comments", parent_entity_type="Event", parent_entity_id="9000") == []
    assert rows(app, "/v2/trades", condition=condition(7))["data"] == []


def test_by_default_only_the_takers_side_of_a_trade_shows():
    world = SmallWorld()
    world.market(1)
    world.fill(1, "BUY", 10, 0.4, at(1))
    world.fill(2, "SELL", 10, 0.4, at(1), is_taker=False)
    app = create_app(world, fixed(at(2)))
    assert [row["proxyWallet"] for row in rows(app, "/trades")] == [wallet(1)]
    assert [row["proxy_wallet"] for row in rows(app, "/v2/trades")["data"]] == [wallet(1)]
    assert len(rows(app, "/trades", takerOnly="false")) == 2
    assert len(rows(app, "/v2/trades", takerOnly="false")["data"]) == 2


def test_version_1_knows_no_snake_case():
    world = busy_world()
    app = create_app(world, fixed(LATER))
    assert len(rows(app, "/trades", taker_only="false", limit=1000)) == len(
        rows(app, "/trades", limit=1000)
    )


def test_prices_are_derived_from_what_changed_hands_with_all_their_digits():
    world = SmallWorld()
    world.market(1)
    world.fill(1, "BUY", 0, 0, at(1), size_shares=30_974_624_038, notional_usdc=30_000_000_001)
    row = rows(create_app(world, fixed(at(2))), "/trades")[0]
    assert row["price"] == 30_000_000_001 / 30_974_624_038
    assert row["size"] == 30_974.624038


def test_without_a_start_history_goes_three_years_back():
    world = SmallWorld()
    world.market(1, opened_at=at(-40_000))
    world.fill(1, "BUY", 5, 0.5, at(-30_000))
    app = create_app(world, fixed(at(0)))
    mine = {"user": wallet(1)}
    assert rows(app, "/v2/trades", **mine)["data"] == []
    assert len(rows(app, "/v2/trades", **mine, start=1)["data"]) == 1
    assert len(rows(app, "/v2/activity", **mine, start=1)["data"]) == 1
    assert rows(app, "/v2/trades", condition=condition(1), start=1)["data"] == []


def test_start_and_end_are_inclusive():
    world = SmallWorld()
    world.market(1)
    for hour in (1, 2, 3):
        world.fill(1, "BUY", 5, 0.5, at(hour))
    app = create_app(world, fixed(at(9)))
    bounds = {"start": int(at(1).timestamp()), "end": int(at(2).timestamp())}
    assert len(rows(app, "/v2/trades", user=wallet(1), **bounds)["data"]) == 2
    assert len(rows(app, "/activity", user=wallet(1), **bounds)) == 2


def test_trades_below_a_hundredth_of_a_share_do_not_show_in_version_2():
    world = SmallWorld()
    world.market(1)
    world.fill(1, "BUY", 0.009, 0.5, at(1))
    app = create_app(world, fixed(at(2)))
    assert rows(app, "/v2/trades", user=wallet(1), filter_amount=0)["data"] == []
    assert len(rows(app, "/trades", user=wallet(1))) == 1


def test_pages_of_trades_come_round_again_beyond_the_cap_of_version_1():
    world = SmallWorld()
    world.market(1)
    for number in range(30):
        world.fill(1, "BUY", 1 + number, 0.5, at(1 + number))
    app = create_app(world, fixed(LATER), manner=Manner(caps=Caps(v1_trades_offset=10)))
    assert rows(app, "/trades", limit=3, offset=12) == rows(app, "/trades", limit=3, offset=2)
    assert rows(app, "/trades", limit=3, offset=10) != rows(app, "/trades", limit=3, offset=0)


def test_an_offset_of_activity_beyond_its_cap_is_refused():
    app = create_app(busy_world(), fixed(LATER), manner=Manner(caps=Caps(v1_activity_offset=10)))
    answer = ask(app, "/activity", user=wallet(1), offset=11)
    assert (answer.status_code, answer.json()) == (400, {"error": "max offset of 10 exceeded"})


def test_limits_of_version_1_are_clamped_and_those_of_version_2_refused():
    world = SmallWorld()
    world.market(1)
    for number in range(12):
        world.fill(1, "BUY", 1 + number, 0.5, at(1))
    caps = Caps(v1_trades_limit=10, v2_limit=10)
    app = create_app(world, fixed(LATER), manner=Manner(caps=caps))
    assert len(rows(app, "/trades", limit=11)) == 10
    answer = ask(app, "/v2/trades", limit=11)
    assert (answer.status_code, answer.json()) == (400, {"error": "max limit of 10 exceeded"})


def test_a_cursor_is_good_only_for_the_feed_and_the_wallet_that_it_was_issued_for():
    app = create_app(busy_world(), fixed(LATER))
    first = rows(app, "/v2/trades", user=wallet(1), limit=1, start=1)
    cursor = first["pagination"]["next_cursor"]
    for path, parameters in (
        ("/v2/activity", {"user": wallet(1)}),
        ("/v2/trades", {"user": wallet(2)}),
        ("/v2/trades", {}),
    ):
        assert ask(app, path, cursor=cursor, **parameters).status_code == 400
    assert ask(app, "/v2/trades", user=wallet(1), cursor=cursor[:-2] + "AA").status_code == 400
    assert ask(app, "/v2/trades", user=wallet(1), cursor="é").status_code == 400
    assert ask(app, "/v2/trades", user=wallet(1), cursor="bm90aGluZw").status_code == 400


def test_a_cursor_keeps_its_page_size_and_stands_still_while_rows_arrive():
    world = busy_world()
    times = [at(2)]
    app = create_app(world, lambda: times[-1])
    asked = {"condition": condition(1), "taker_only": "false"}
    first = rows(app, "/v2/trades", limit=4, **asked)
    cursor = first["pagination"]["next_cursor"]
    before = rows(app, "/v2/trades", cursor=cursor, limit=1, **asked)
    times.append(LATER)
    assert rows(app, "/v2/trades", cursor=cursor, **asked) == before
    assert before["pagination"]["limit"] == 4


def test_pages_by_offset_shift_while_rows_arrive():
    world = SmallWorld()
    world.market(1)
    for hour in range(1, 10):
        world.fill(1, "BUY", hour, 0.5, at(hour))
    times = [at(5.5)]
    app = create_app(world, lambda: times[-1])
    first = rows(app, "/trades", limit=2, offset=0)
    times.append(at(7.5))
    second = rows(app, "/trades", limit=2, offset=2)
    assert {row["size"] for row in first} == {row["size"] for row in second} == {4.0, 5.0}


def test_activity_can_be_read_oldest_first():
    app = create_app(busy_world(), fixed(LATER))
    asked = {"user": wallet(1), "start": 1, "limit": 7}
    falling = flat(walk(app, "/v2/activity", **asked))
    rising = flat(walk(app, "/v2/activity", sort_direction="ASC", **asked))
    assert rising == falling[::-1]


def test_a_market_feed_of_several_conditions_is_the_union_of_theirs():
    app = create_app(busy_world(), fixed(LATER))
    asked = {"taker_only": "false", "limit": 1000}
    single = [
        row
        for number in (1, 2)
        for row in rows(app, "/v2/trades", condition=condition(number), **asked)["data"]
    ]
    both = rows(app, "/v2/trades", condition=f"{condition(1)},{condition(2)}", **asked)["data"]
    assert Counter(map(identity, both)) == Counter(map(identity, single))
    of_event = rows(app, "/v2/trades", event_id="9001", **asked)["data"]
    assert {row["condition_id"] for row in of_event} == {condition(2), condition(3)}


def test_what_is_no_trade_names_no_outcome():
    world = SmallWorld()
    world.market(1, closed_at=at(5), payouts=[1.0, 0.0])
    world.act(1, "REDEEM", 12.5, 12.5, at(6))
    world.act(2, "REDEEM", 0, 0, at(6))
    world.act(3, "MAKER_REBATE", 0, 1.25, at(7), condition_id=None)
    app = create_app(world, fixed(at(8)))
    blank = {"asset": "", "side": "", "price": 0, "outcome": "", "outcomeIndex": 999}
    won = rows(app, "/activity", user=wallet(1))[0]
    assert won.items() >= (blank | {"type": "REDEEM", "size": 12.5, "usdcSize": 12.5}).items()
    assert rows(app, "/activity", user=wallet(2))[0]["size"] == 0
    rebate = rows(app, "/activity", user=wallet(3))[0]
    assert rebate.items() >= (blank | {"conditionId": "", "size": 1.25, "usdcSize": 1.25}).items()
    second = rows(app, "/v2/activity", user=wallet(1))["data"][0]
    assert second.items() >= {"token_id": "", "outcome_index": 999, "usdc_size": 12.5}.items()


def test_activity_shows_what_a_taker_paid_with_the_fee():
    world = SmallWorld()
    world.market(1)
    world.fill(1, "BUY", 100, 0.5, at(1), fee_usdc=1_000_000)
    world.fill(1, "SELL", 100, 0.5, at(2), fee_usdc=1_000_000)
    sold, bought = rows(create_app(world, fixed(at(3))), "/activity", user=wallet(1))
    assert (bought["usdcSize"], sold["usdcSize"]) == (51.0, 49.0)


def test_types_of_activity_are_filtered_and_unknown_ones_refused():
    app = create_app(busy_world(), fixed(LATER))
    asked = {"user": wallet(1), "start": 1, "limit": 1000}
    found = rows(app, "/v2/activity", type="SPLIT,REWARD", **asked)["data"]
    assert {row["type"] for row in found} <= {"SPLIT", "REWARD"}
    assert rows(app, "/v2/activity", type="DEPOSIT", **asked)["data"] == []
    assert ask(app, "/v2/activity", type="GIFT", user=wallet(1)).status_code == 400


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("/v2/trades", {"offset": 0}, "'offset' is not supported: follow pagination.next_cursor"),
        ("/v2/trades", {"user": "0x12"}, "invalid address: 0x12"),
        ("/v2/trades", {"condition": "0x12"}, "invalid condition id: 0x12"),
        (
            "/v2/trades",
            {"condition": ",".join(map(condition, range(21)))},
            "at most 20 distinct values are accepted for 'condition'",
        ),
        ("/v2/trades", {"limit": "ten"}, "invalid limit: ten"),
        ("/v2/trades", {"limit": -1}, "invalid limit: -1"),
        ("/v2/trades", {"side": "HOLD"}, "side must be one of BUY, SELL"),
        ("/v2/trades", {"taker_only": "maybe"}, "invalid taker_only: maybe"),
        ("/v2/trades", {"filter_amount": "nan"}, "invalid filter_amount: nan"),
        ("/v2/activity", {}, "required query param 'user' not provided"),
        ("/trades", {"user": "nobody"}, "invalid address: nobody"),
        ("/trades", {"market": "0x1"}, "invalid condition id: 0x1"),
        ("/trades", {"filterAmount": 5}, "filterType and filterAmount must be provided together"),
        ("/activity", {}, "required query param 'user' not provided"),
    ],
)
def test_a_malformed_parameter_is_a_400_that_says_which(path, parameters, said):
    answer = ask(create_app(busy_world(), fixed(LATER)), path, **parameters)
    assert (answer.status_code, answer.json()) == (400, {"error": said})


def test_a_wallet_or_market_that_nobody_knows_has_an_empty_feed():
    app = create_app(busy_world(), fixed(LATER))
    assert rows(app, "/trades", user=wallet(99)) == []
    assert rows(app, "/v2/trades", condition=condition(99))["data"] == []


def test_history_is_read_once_per_step_and_depends_on_the_instant_alone():
    world = busy_world()
    times = [at(2)]
    app = create_app(world, lambda: times[-1])
    rows(app, "/trades")
    readings = world.readings
    times.append(at(3))
    rows(app, "/trades")
    assert world.readings == readings
    times.append(at(30))
    late = rows(app, "/markets")
    assert world.readings == readings + 2
    assert late == rows(create_app(world, fixed(at(30))), "/markets")


def test_no_path_tells_the_truth_about_agents():
    app = create_app(busy_world(), fixed(LATER), manner=Manner(has_control=True))
    told = [route.path for route in app.routes]
    assert not [path for path in told if "truth" in path]
    assert "skill" not in json.dumps(rows(app, "/v2/leaderboard", time_period="all"))
