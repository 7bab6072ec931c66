"""Order books and price series of the simulated world."""

from datetime import timedelta
from functools import cache

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.venue.sim.world import World, WorldRules

RULES = WorldRules(seed=11, wallets=40)
END = RULES.start + timedelta(days=15)
instants = st.floats(0.2, 14.9).map(lambda days: RULES.start + timedelta(days=days))
places = st.integers(0, 10**6)


@cache
def world():
    return World(RULES)


@cache
def history():
    return world().history(END)


@cache
def all_markets():
    return history().markets.to_dicts()


def one_of(markets, place):
    return markets[place % len(markets)]


def is_open(market, at):
    return market["opened_at"] <= at and (market["closed_at"] is None or at < market["closed_at"])


def price_at(token, at):
    series = world().prices([token], RULES.start, at + timedelta(microseconds=1))
    return series.sort("priced_at")["price"][-1]


@settings(deadline=None)
@given(place=places, at=instants)
def test_a_book_is_ordered_uncrossed_on_tick_and_around_the_price(place, at):
    market = one_of(all_markets(), place)
    for token in market["token_ids"] if market["opened_at"] <= at else ():
        book = world().book(token, at)
        bids, asks = [one.price for one in book.bids], [one.price for one in book.asks]
        assert max(len(bids), len(asks)) <= 50
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert all(0 < price < 1 for price in bids + asks)
        assert all(one.size_shares > 0 for one in book.bids + book.asks)
        assert all(abs(p / book.tick - round(p / book.tick)) < 1e-6 for p in bids + asks)
        assert bool(bids or asks) == is_open(market, at)
        if bids:
            assert bids[0] <= price_at(token, at) - 0.005
        if asks:
            assert asks[0] >= price_at(token, at) + 0.005
        if bids and asks:
            assert asks[0] - bids[0] < 0.06


@settings(deadline=None)
@given(place=places, days=st.floats(0, 5))
def test_the_book_of_one_of_two_outcomes_mirrors_the_other(place, days):
    pairs = [one for one in all_markets() if len(one["token_ids"]) == 2]
    market = one_of(pairs, place)
    at = market["opened_at"] + timedelta(days=days)
    one, other = (world().book(token, at) for token in market["token_ids"])
    for ours, theirs in ((one.bids, other.asks), (one.asks, other.bids)):
        assert [level.size_shares for level in ours] == [level.size_shares for level in theirs]
        assert [round(1 - level.price, 6) for level in ours] == [one.price for one in theirs]


def test_orders_trade_at_the_best_price_of_the_book_or_worse():
    """Takers who buy pay the best ask or more, those who sell get the best bid or less."""
    pairs = history().markets.filter(pl.col("outcomes").list.len() == 2)
    takers = history().fills.filter("is_taker").join(pairs, on="condition_id", how="semi")
    checked = 0
    for row in takers.sample(300, seed=1).iter_rows(named=True):
        book = world().book(row["token_id"], row["filled_at"])
        if row["fee_usdc"] > 0 and book.asks and book.bids:
            best = book.asks[0].price if row["side"] == "BUY" else book.bids[0].price
            worse = row["price"] - best if row["side"] == "BUY" else best - row["price"]
            assert -1e-9 <= worse < 0.05
            checked += 1
    assert checked > 100


def test_a_book_before_the_market_opens_does_not_exist():
    market = max(all_markets(), key=lambda one: one["opened_at"])
    with pytest.raises(KeyError):
        world().book(market["token_ids"][0], market["opened_at"] - timedelta(seconds=1))
    with pytest.raises(KeyError):
        world().book("1" * 78, END)


def test_price_series_of_tokens_are_those_of_history():
    tokens = [all_markets()[3]["token_ids"][1], all_markets()[0]["token_ids"][0], "1" * 78]
    low, high = RULES.start + timedelta(days=2, minutes=3), RULES.start + timedelta(days=6)
    wanted = history().prices.filter(
        pl.col("token_id").is_in(tokens)
        & (pl.col("priced_at") >= low)
        & (pl.col("priced_at") < high)
    )
    found = world().prices(tokens, low, high)
    assert found.sort("token_id", "priced_at").equals(wanted.sort("token_id", "priced_at"))
    assert found.height > 0


def test_prices_come_every_ten_minutes_while_a_market_is_open():
    prices = history().prices.sort("token_id", "priced_at")
    gaps = prices.select(pl.col("priced_at").diff().over("token_id"))["priced_at"].drop_nulls()
    assert gaps.unique().to_list() == [timedelta(minutes=10)]
    of_market = history().markets.explode("token_ids", empty_as_null=True, keep_nulls=True)
    spans = prices.group_by("token_id").agg(
        pl.col("priced_at").min().alias("first"), pl.col("priced_at").max().alias("last")
    )
    both = of_market.join(spans, left_on="token_ids", right_on="token_id")
    assert both.height == of_market.height
    assert (both["first"] == both["opened_at"]).all()
    assert both.filter(pl.col("last") >= pl.col("closed_at").fill_null(END)).is_empty()


def test_comments_come_from_wallets_there_and_speak_of_the_news():
    comments = history().comments.join(
        history().wallets, left_on="author", right_on="proxy_wallet", how="left"
    )
    assert comments["comment_id"].n_unique() == comments.height > 20
    assert comments.filter(pl.col("created_at") >= pl.col("posted_at")).is_empty()
    assert comments["created_at"].null_count() == 0
    assert comments.filter(pl.col("text").str.contains("news|report|sign")).height > 0
