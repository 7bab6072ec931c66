"""The venue of the real simulated world, small."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from evaluator.venue.sim.app import PATHS, create_app
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.world import World, WorldRules
from tests.venue.sim.asking import flat, rows, walk

RULES = WorldRules(seed=3, start=datetime(2026, 8, 1, tzinfo=UTC), wallets=60)
NOW = datetime(2026, 8, 21, 15, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def world():
    return World(RULES)


@pytest.fixture(scope="module")
def app(world):
    return create_app(world, fixed(NOW))


@pytest.fixture(scope="module")
def history(world):
    return world.history(NOW)


def test_the_feeds_of_all_markets_hold_every_fill_of_the_world_and_no_other(app, history):
    found: Counter = Counter()
    for condition in history.markets["condition_id"]:
        asked = {"condition": condition, "taker_only": "false", "limit": 1000}
        for row in flat(walk(app, "/v2/trades", **asked)):
            found[row["proxy_wallet"], row["transaction_hash"], round(row["size"] * 1e6)] += 1
    expected = history.fills.select("proxy_wallet", "transaction_hash", "size_shares")
    assert found == Counter(expected.iter_rows())
    assert sum(found.values()) > 1000


def test_the_activity_of_a_wallet_is_its_fills_and_movements_in_order(app, history):
    for wallet in history.fills["proxy_wallet"].unique().sort().head(5):
        asked = {"user": wallet, "start": 1, "limit": 500, "sort_direction": "ASC"}
        found = flat(walk(app, "/v2/activity", **asked))
        kinds = Counter(row["type"] for row in found)
        mine = pl.col("proxy_wallet") == wallet
        moved = history.activity.filter(mine)["kind"].cast(pl.String).to_list()
        assert kinds == Counter(moved) + Counter({"TRADE": history.fills.filter(mine).height})
        times = [row["timestamp"] for row in found]
        assert times == sorted(times)


def test_as_many_shares_of_every_outcome_are_held(app, history):
    markets = history.markets.filter(~pl.col("neg_risk") & pl.col("closed_at").is_null())
    assert markets.height > 3
    for market in markets.iter_rows(named=True):
        held: dict[str, float] = defaultdict(float)
        for status in ("OPEN", "CLOSED"):
            asked = {"condition": market["condition_id"], "status": status, "filter_amount": 0}
            for row in flat(walk(app, "/v2/positions", limit=1000, **asked)):
                held[row["token_id"]] += row["current_size"]
        most = max(held.values(), default=0)
        assert all(held[token] == pytest.approx(most, abs=0.05) for token in market["token_ids"]), (
            market["slug"]
        )


def test_after_redemption_nothing_is_left_of_a_winner_but_what_nobody_redeemed(app, history):
    redeemed = history.activity.filter(pl.col("kind").cast(pl.String) == "REDEEM").head(20)
    assert redeemed.height == 20
    for row in redeemed.iter_rows(named=True):
        asked = {"user": row["proxy_wallet"], "condition": row["condition_id"]}
        assert rows(app, "/v2/positions", **asked, filter_amount=0)["data"] == []


def test_what_was_shown_at_an_instant_is_shown_again_later(world):
    early, late = NOW - timedelta(days=3), NOW
    times = [early]
    venue = create_app(world, lambda: times[-1])
    asked = {"taker_only": "false", "limit": 200}
    first = rows(venue, "/v2/trades", **asked)
    second = rows(venue, "/v2/trades", cursor=first["pagination"]["next_cursor"], **asked)
    times.append(late)
    assert rows(venue, "/v2/trades", cursor=first["pagination"]["next_cursor"], **asked) == second
    assert all(row["timestamp"] < early.timestamp() for row in second["data"])


def test_gamma_lists_every_open_market_and_their_books_can_be_read(app, history):
    shown = rows(app, "/markets", closed="false", limit=500)
    open_ids = history.markets.filter(pl.col("closed_at").is_null())["condition_id"]
    assert {row["conditionId"] for row in shown} == set(open_ids)
    for row in shown[:5]:
        for token_id in json.loads(row["clobTokenIds"]):
            book = rows(app, "/book", token_id=token_id)
            bids = [float(level["price"]) for level in book["bids"]]
            asks = [float(level["price"]) for level in book["asks"]]
            assert bids == sorted(bids)
            assert asks == sorted(asks, reverse=True)
            assert not (bids and asks) or bids[-1] < asks[-1]
            points = rows(app, "/prices-history", market=token_id, interval="1d")["history"]
            assert all(0 <= point["p"] <= 1 and point["t"] <= NOW.timestamp() for point in points)


def test_the_board_of_all_time_sums_what_positions_have_realised(app):
    leader = rows(app, "/v1/leaderboard", timePeriod="ALL", limit=1)[0]
    realised = sum(
        row["realized_pnl"]
        for status in ("OPEN", "CLOSED")
        for row in flat(
            walk(
                app,
                "/v2/positions",
                user=leader["proxyWallet"],
                status=status,
                filter_amount=0,
                limit=1000,
            )
        )
    )
    assert leader["pnl"] == pytest.approx(realised, abs=0.1)
    assert leader["pnl"] > 0


def test_no_answer_names_what_was_planted(app, world):
    planted = world.truth(NOW)
    words = {word for word in planted["style"].cast(pl.String).unique() if word}
    assert len(words) > 3
    wallet = planted["proxy_wallet"][0]
    told = ""
    for path in PATHS:
        if path.method != "GET" or path.path in {
            "/book",
            "/midpoint",
            "/prices-history",
            "/comments",
        }:
            continue
        asked = {"user": wallet} if path.path not in {"/markets", "/events"} else {"limit": 500}
        if "holders" in path.path:
            condition = world.history(NOW).markets["condition_id"][0]
            asked = {"market" if path.path == "/holders" else "condition": condition}
        told += json.dumps(rows(app, path.path, **asked))
    fields = set(told.split('"'))
    assert not words & fields
    assert not {"style", "skill", "expected_label"} & fields
