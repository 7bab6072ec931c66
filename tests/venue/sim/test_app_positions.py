from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.sim.app import create_app
from evaluator.venue.sim.clock import fixed
from tests.venue.sim.asking import ask, flat, rows, walk
from tests.venue.sim.small_world import SmallWorld, at, busy_world, condition, tokens, wallet

LATER = at(400)
MANY = settings(max_examples=15, deadline=None)
ALL = {"filter_amount": 0, "include_archived": "true"}


class Position:
    """The plain form of the rules: a weighted average, moved by buys, realised by sales."""

    def __init__(self):
        self.held = self.average = self.realised = self.bought = 0.0

    def buy(self, shares, price):
        self.average = (self.average * self.held + price * shares) / (self.held + shares)
        self.held += shares
        self.bought += shares

    def sell(self, shares, price):
        sold = min(shares, self.held)
        self.realised += sold * (price - self.average)
        self.held -= sold


def oracle(world: SmallWorld) -> dict[tuple[str, str], Position]:
    """Positions by wallet and token, one event after the other."""
    found: dict[tuple[str, str], Position] = defaultdict(Position)
    for event in sorted([*world.fills, *world.activity], key=lambda row: row["sequence"]):
        who, shares = event["proxy_wallet"], event["size_shares"] / 1e6
        if "side" in event:
            price = event["notional_usdc"] / event["size_shares"]
            position = found[who, event["token_id"]]
            (position.buy if event["side"] == "BUY" else position.sell)(shares, price)
        elif event["kind"] == "SPLIT":
            for token_id in tokens(int(event["condition_id"], 16)):
                found[who, token_id].buy(shares, 0.5)
    return found


def by_token(found: list[dict]) -> dict[str, dict]:
    return {row["token_id"]: row for row in found}


@MANY
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 10))
def test_positions_agree_with_the_rules_applied_event_by_event(seed, limit):
    world = busy_world(seed)
    expected = oracle(world)
    app = create_app(world, fixed(LATER))
    for number in (1, 6):
        mine = {
            token: position for (who, token), position in expected.items() if who == wallet(number)
        }
        shown = {}
        for status in ("OPEN", "CLOSED"):
            asked = {"user": wallet(number), "status": status, "limit": limit, **ALL}
            for row in flat(walk(app, "/v2/positions", **asked)):
                assert row["token_id"] not in shown
                shown[row["token_id"]] = row
        assert set(shown) == set(mine)
        for token, row in shown.items():
            position = mine[token]
            assert row["current_size"] == pytest.approx(position.held, abs=1e-4)
            assert row["avg_price"] == pytest.approx(position.average, abs=1e-4)
            assert row["realized_pnl"] == pytest.approx(position.realised, abs=1e-3)
            assert row["total_size"] == pytest.approx(position.bought, abs=1e-4)
            assert (row["status"] == "CLOSED") is (position.held < 0.01)


@MANY
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 10))
def test_a_walk_through_a_markets_positions_shows_each_holder_once(seed, limit):
    world = busy_world(seed)
    held = {key for key, position in oracle(world).items() if position.held >= 0.01}
    app = create_app(world, fixed(LATER))
    for sort_by in ("CURRENT_VALUE", "TOKENS", "TIMESTAMP", "REALIZED_PNL"):
        asked = {"condition": condition(2), "limit": limit, "sort_by": sort_by, **ALL}
        found = flat(walk(app, "/v2/positions", **asked))
        shown = [(row["proxy_wallet"], row["token_id"]) for row in found]
        assert sorted(shown) == sorted(key for key in held if key[1] in tokens(2))


def bought_and_resolved() -> SmallWorld:
    """Wallet 1 holds winners, 2 losers, 3 both and sold some, 4 redeemed, 5 has dust."""
    world = SmallWorld()
    world.market(1, closed_at=at(10), payouts=[1.0, 0.0])
    world.market(2)
    world.fill(1, "BUY", 100, 0.40, at(1), fee_usdc=2_000_000)
    world.fill(2, "BUY", 50, 0.60, at(1), outcome=1)
    world.act(3, "SPLIT", 20, 20, at(1), market=2)
    world.fill(3, "SELL", 8, 0.70, at(2), market=2)
    world.fill(4, "BUY", 10, 0.30, at(2))
    world.act(4, "REDEEM", 10, 10, at(12))
    world.fill(5, "BUY", 0.05, 0.30, at(2), market=2)
    return world


def test_a_redemption_realises_the_payout():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    row = rows(app, "/v2/positions", user=wallet(4), status="CLOSED")["data"][0]
    assert (row["current_size"], row["realized_pnl"], row["status"]) == (0.0, 7.0, "CLOSED")
    closed = rows(app, "/closed-positions", user=wallet(4))[0]
    assert (closed["realizedPnl"], closed["totalBought"], closed["curPrice"]) == (7.0, 10.0, 1.0)
    assert closed["timestamp"] == int(at(12).timestamp())


def test_a_resolved_position_that_is_still_held_is_open_and_redeemable():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    won = rows(app, "/v2/positions", user=wallet(1))["data"][0]
    assert (won["status"], won["redeemable"], won["current_price"]) == ("REDEEMABLE", True, 1.0)
    assert (won["entry_cost_usdc"], won["entry_fees_usdc"]) == (40.0, 2.0)
    assert (won["unrealized_pnl"], won["total_pnl"]) == (60.0, 60.0)
    lost = rows(app, "/v2/positions", user=wallet(2))["data"][0]
    assert (lost["status"], lost["current_value"]) == ("REDEEMABLE", 0.0)
    for status, count in (("REDEEMABLE", 0), ("REDEEMABLE_LOST", 1), ("CLOSED", 0)):
        assert len(rows(app, "/v2/positions", user=wallet(2), status=status)["data"]) == count


def test_before_the_market_closes_its_payout_is_not_told():
    app = create_app(bought_and_resolved(), fixed(at(9)))
    row = rows(app, "/v2/positions", user=wallet(1))["data"][0]
    assert (row["status"], row["redeemable"], row["current_price"]) == ("OPEN", False, 0.3)


def test_holding_every_outcome_is_mergeable():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    found = by_token(rows(app, "/v2/positions", user=wallet(3), status="MERGEABLE")["data"])
    assert set(found) == set(tokens(2))
    sold, kept = (found[token] for token in tokens(2))
    assert (sold["current_size"], sold["avg_price"], sold["realized_pnl"]) == (12.0, 0.5, 1.6)
    assert (kept["current_size"], kept["realized_pnl"]) == (20.0, 0.0)


def test_dust_is_hidden_unless_it_is_asked_for():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    mine = {"user": wallet(5)}
    assert rows(app, "/v2/positions", **mine)["data"] == []
    assert len(rows(app, "/v2/positions", **mine, filter_amount=0)["data"]) == 1
    assert rows(app, "/positions", **mine) == []
    assert len(rows(app, "/positions", **mine, sizeThreshold=0)) == 1


def test_version_1_shows_values_at_the_current_price():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    row = rows(app, "/positions", user=wallet(1))[0]
    assert (
        row.items()
        >= {
            "size": 100.0,
            "avgPrice": 0.4,
            "initialValue": 40.0,
            "currentValue": 100.0,
            "cashPnl": 60.0,
            "percentPnl": 150.0,
            "curPrice": 1.0,
            "redeemable": True,
            "oppositeAsset": tokens(1)[1],
            "endDate": "2026-09-11",
        }.items()
    )


def test_a_conversion_moves_the_cost_of_no_to_the_other_yes():
    world = SmallWorld()
    for number in (1, 2, 3):
        world.market(number, event_id="77", neg_risk=True)
    world.fill(1, "BUY", 10, 0.70, at(1), market=1, outcome=1)
    world.fill(1, "BUY", 10, 0.80, at(1), market=2, outcome=1)
    for number, usdc in ((1, 10), (2, 0)):
        world.act(1, "CONVERSION", 10, usdc, at(2), market=number, transaction_hash="0x" + "c" * 64)
    app = create_app(world, fixed(at(3)))
    found = by_token(rows(app, "/v2/positions", user=wallet(1), status="OPEN")["data"])
    assert set(found) == {tokens(3)[0]}
    gained = found[tokens(3)[0]]
    assert (gained["current_size"], gained["avg_price"]) == (10.0, 0.5)
    gone = rows(app, "/v2/positions", user=wallet(1), status="CLOSED")["data"]
    assert [row["realized_pnl"] for row in gone] == [0.0, 0.0]


def test_selling_more_than_was_held_realises_what_was_held():
    world = SmallWorld()
    world.market(1)
    world.fill(1, "BUY", 10, 0.2, at(1))
    world.fill(1, "SELL", 15, 0.5, at(2))
    row = rows(create_app(world, fixed(at(3))), "/v2/positions", user=wallet(1), status="CLOSED")
    assert row["data"][0]["realized_pnl"] == 3.0


def test_positions_can_be_asked_for_by_when_they_last_moved():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    late = {"user": wallet(3), "start": int(at(1).timestamp()) + 1}
    assert set(by_token(rows(app, "/v2/positions", **late)["data"])) == {tokens(2)[0]}


def test_a_cursor_of_positions_pins_status_and_order():
    app = create_app(busy_world(), fixed(LATER))
    asked = {"user": wallet(1), "limit": 1, **ALL}
    cursor = rows(app, "/v2/positions", sort_by="TOKENS", **asked)["pagination"]["next_cursor"]
    again = rows(app, "/v2/positions", user=wallet(1), cursor=cursor, **ALL)
    assert len(again["data"]) == 1
    assert ask(app, "/v2/positions", cursor=cursor).status_code == 400
    for contradiction in ({"status": "CLOSED"}, {"sort_by": "PRICE"}, {"sort_direction": "ASC"}):
        answer = ask(app, "/v2/positions", user=wallet(1), cursor=cursor, **contradiction)
        assert answer.status_code == 400


def test_positions_need_a_wallet_or_one_market():
    app = create_app(busy_world(), fixed(LATER))
    said = "required query param 'user' or 'condition' not provided"
    assert ask(app, "/v2/positions").json() == {"error": said}
    both = f"{condition(1)},{condition(2)}"
    assert ask(app, "/v2/positions", condition=both).status_code == 400
    assert rows(app, "/v2/positions", user=wallet(99))["data"] == []
    assert rows(app, "/v2/positions", condition=condition(99))["data"] == []


@MANY
@given(seed=st.integers(0, 10_000))
def test_holders_are_those_with_the_most_shares_largest_first(seed):
    world = busy_world(seed)
    held = {key: position.held for key, position in oracle(world).items()}
    app = create_app(world, fixed(LATER))
    for group in rows(app, "/holders", market=condition(1), minBalance=0):
        shown = [(one["amount"], one["proxyWallet"]) for one in group["holders"]]
        amounts = [amount for amount, _ in shown]
        assert amounts == sorted(amounts, reverse=True)
        expected = {who: n for (who, token), n in held.items() if token == group["token"]}
        expected = {who: amount for who, amount in expected.items() if amount > 1e-6}
        assert {who: amount for amount, who in shown} == pytest.approx(expected, abs=1e-5)


def test_version_2_nets_a_holders_outcomes_and_version_1_does_not():
    app = create_app(bought_and_resolved(), fixed(at(20)))
    netted = rows(app, "/v2/holders", condition=condition(2), min_balance=1)["data"]
    amounts = {group["token_id"]: [h["amount"] for h in group["holders"]] for group in netted}
    assert amounts == {tokens(2)[0]: [], tokens(2)[1]: [8.0]}
    gross = rows(app, "/v2/holders", condition=condition(2), include_pnl="true", min_balance=1)
    assert [h["amount"] for group in gross["data"] for h in group["holders"]] == [12.0, 20.0]
    assert gross["data"][0]["holders"][0]["realized_pnl"] == 1.6
    first = rows(app, "/holders", market=condition(2))
    assert [h["amount"] for group in first for h in group["holders"]] == [12.0, 20.0]


def test_a_walk_through_holders_shows_each_once():
    app = create_app(busy_world(), fixed(LATER))
    asked = {"condition": condition(1), "include_pnl": "true"}
    whole = rows(app, "/v2/holders", limit=100, **asked)["data"]
    expected = [(h["token_id"], h["proxy_wallet"]) for group in whole for h in group["holders"]]
    found = [
        (holder["token_id"], holder["proxy_wallet"])
        for group in flat(walk(app, "/v2/holders", limit=2, **asked))
        for holder in group["holders"]
    ]
    assert sorted(found) == sorted(expected)
    assert len(rows(app, "/holders", market=condition(1), limit=500)[0]["holders"]) <= 20


def leaders() -> SmallWorld:
    """Wallet 1 won long ago, wallet 2 wins now, in another category; wallet 3 only holds."""
    world = SmallWorld()
    world.market(1, domain="Sports", closed_at=at(200), payouts=[1.0, 0.0])
    world.market(2, domain="Crypto")
    world.fill(1, "BUY", 100, 0.40, at(1))
    world.fill(1, "SELL", 100, 0.90, at(2))
    world.fill(2, "BUY", 10, 0.50, at(395), market=2)
    world.fill(2, "SELL", 10, 0.80, at(396), market=2)
    world.fill(3, "BUY", 10, 0.50, at(395), market=2)
    return world


def board(app, **parameters) -> dict[str, float]:
    return {row["proxyWallet"]: row["pnl"] for row in rows(app, "/v1/leaderboard", **parameters)}


def test_the_board_of_a_day_counts_marked_equity_and_that_of_all_time_what_was_realised():
    app = create_app(leaders(), fixed(LATER))
    assert board(app) == pytest.approx({wallet(2): 3.0, wallet(3): 3.0})
    assert board(app, timePeriod="ALL") == pytest.approx(
        {wallet(1): 50.0, wallet(2): 3.0, wallet(3): 0.0}
    )


def test_boards_are_by_category():
    app = create_app(leaders(), fixed(LATER))
    assert board(app, timePeriod="ALL", category="SPORTS") == pytest.approx({wallet(1): 50.0})
    assert board(app, timePeriod="ALL", category="WEATHER") == {}


def test_ranks_are_strings_in_version_1_and_tie_in_version_2():
    app = create_app(leaders(), fixed(LATER))
    first = rows(app, "/v1/leaderboard", timePeriod="ALL", orderBy="VOL")
    assert [(row["rank"], row["proxyWallet"], row["vol"]) for row in first] == [
        ("1", wallet(1), pytest.approx(130.0)),
        ("2", wallet(2), pytest.approx(13.0)),
        ("3", wallet(3), pytest.approx(5.0)),
    ]
    second = rows(app, "/v2/leaderboard", time_period="day")["data"]
    assert [(row["rank"], row["user_id"], row["volume"]) for row in second] == [
        (1, wallet(2), 20.0),
        (1, wallet(3), 10.0),
    ]


def test_a_walk_through_a_board_shows_each_wallet_once_and_its_cursor_pins_the_board():
    app = create_app(busy_world(wallets=9), fixed(at(20)))
    whole = rows(app, "/v2/leaderboard", time_period="month", limit=1000)["data"]
    assert len(whole) > 10
    walked = flat(walk(app, "/v2/leaderboard", time_period="month", limit=4))
    assert walked == whole
    cursor = rows(app, "/v2/leaderboard", time_period="month", limit=4)["pagination"]["next_cursor"]
    assert rows(app, "/v2/leaderboard", cursor=cursor)["data"] == whole[4:8]
    assert ask(app, "/v2/leaderboard", cursor=cursor, time_period="day").status_code == 400


def test_a_wallets_standing_carries_both_ranks():
    app = create_app(leaders(), fixed(LATER))
    told = rows(app, "/v2/leaderboard", user=wallet(3), time_period="all")["data"]
    assert (told["rank_pnl"], told["rank_volume"], told["pnl"]) == (3, 3, 0.0)
    assert rows(app, "/v2/leaderboard", user=wallet(9))["data"] is None


def test_a_board_counts_only_what_lies_before_the_clock():
    app = create_app(leaders(), fixed(at(1) + timedelta(minutes=30)))
    assert set(board(app)) == {wallet(1)}
    assert ask(app, "/v2/leaderboard", time_period="year").json() == {
        "error": "time_period must be one of day, week, month, all"
    }
