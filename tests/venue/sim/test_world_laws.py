"""Laws that hold in every simulated world, whatever its seed."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.venue.sim.world import History, World, WorldRules

DAYS = 20
SMALL = WorldRules(seed=3, wallets=40, void_share=0.3)
FRAMES = (
    ("fills", "filled_at"),
    ("activity", "happened_at"),
    ("comments", "posted_at"),
    ("wallets", "created_at"),
    ("prices", "priced_at"),
)
SIGN = pl.when(pl.col("side") == "BUY").then(1).otherwise(-1)

seeds = st.integers(0, 10_000)
few = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def world(seed: int) -> World:
    return World(WorldRules(seed=seed, wallets=40, mean_life_days=6, void_share=0.2))


def after(days: float, seed: int = 3) -> History:
    return world(seed).history(SMALL.start + timedelta(days=days))


def tokens(history: History) -> pl.DataFrame:
    """condition_id, event_slug, token_id, place, payout; one row per token."""
    known = [
        (condition, event, token, place, None if payouts is None else payouts[place])
        for condition, event, ids, payouts in history.markets.select(
            "condition_id", "event_slug", "token_ids", "payouts"
        ).iter_rows()
        for place, token in enumerate(ids)
    ]
    names = ("condition_id", "event_slug", "token_id", "place", "payout")
    return pl.DataFrame(known, schema=names, orient="row", infer_schema_length=None)


def movements(history: History) -> pl.DataFrame:
    """Every change of holdings but redemptions: proxy_wallet, token_id, sequence, shares."""
    columns = ("proxy_wallet", "token_id", "sequence", "shares")
    listed = tokens(history)
    traded = history.fills.with_columns((SIGN * pl.col("size_shares")).alias("shares"))
    sets = history.activity.filter(pl.col("kind").is_in(["SPLIT", "MERGE"])).drop("token_id")
    signed = pl.when(pl.col("kind") == "SPLIT").then(1).otherwise(-1) * pl.col("size_shares")
    split = sets.join(listed, on="condition_id").with_columns(signed.alias("shares"))
    parts = (traded, split, converted(history, listed))
    return pl.concat(part.select(columns) for part in parts).sort("sequence")


def converted(history: History, listed: pl.DataFrame) -> pl.DataFrame:
    """Conversions: NO of the markets named becomes YES of the event's others."""
    rows = history.activity.filter(pl.col("kind") == "CONVERSION").drop("token_id")
    named = rows.select("transaction_hash", "condition_id", pl.lit(1).alias("given"))
    events = listed.select("condition_id", "event_slug").unique()
    once = rows.join(events, on="condition_id").unique("transaction_hash").drop("condition_id")
    members = once.join(listed, on="event_slug").join(
        named, on=["transaction_hash", "condition_id"], how="left"
    )
    is_given = pl.col("given").is_not_null()
    moved = pl.when(is_given).then(-pl.col("size_shares")).otherwise(pl.col("size_shares"))
    return members.filter(is_given.cast(pl.Int64) == pl.col("place")).with_columns(
        moved.alias("shares")
    )


@few
@given(seed=seeds, hours=st.floats(1, 24 * DAYS))
def test_history_is_that_of_any_later_instant_cut_off(seed, hours):
    cut = SMALL.start + timedelta(hours=hours)
    shorter, longer = world(seed).history(cut), after(DAYS + 3, seed)
    for frame, instant in FRAMES:
        known = getattr(longer, frame).filter(pl.col(instant) < cut)
        assert getattr(shorter, frame).sort(pl.all()).equals(known.sort(pl.all())), frame


@few
@given(seed=seeds, hours=st.floats(1, 24 * DAYS))
def test_of_markets_the_future_is_null_and_the_rest_never_changes(seed, hours):
    cut = SMALL.start + timedelta(hours=hours)
    is_closed = pl.col("closed_at") < cut
    expected = (
        after(DAYS + 3, seed)
        .markets.filter(pl.col("opened_at") < cut)
        .with_columns(
            pl.when(is_closed).then(name).alias(name) for name in ("closed_at", "payouts")
        )
    )
    seen = world(seed).history(cut).markets
    assert seen.drop("liquidity_usdc").equals(expected.drop("liquidity_usdc"))


def test_history_does_not_depend_on_what_was_asked_before():
    asked = world(5)
    for days in (3, 12, 1):
        asked.history(SMALL.start + timedelta(days=days))
    again = asked.history(SMALL.start + timedelta(days=9))
    fresh = after(9, seed=5)
    for frame, _ in FRAMES:
        assert getattr(again, frame).equals(getattr(fresh, frame)), frame


def test_before_its_start_a_world_has_its_first_wallets_and_nothing_else():
    history = World(SMALL).history(SMALL.start)
    assert (history.wallets.height, history.fills.height, history.markets.height) == (40, 0, 0)
    assert (history.prices.height, history.comments.height, history.activity.height) == (0, 0, 0)
    earlier = World(SMALL).history(SMALL.start - timedelta(days=100))
    assert 10 < earlier.wallets.height < 40
    assert earlier.wallets["created_at"].max() < SMALL.start - timedelta(days=100)


@few
@given(seed=seeds)
def test_money_is_conserved_in_every_closed_event(seed):
    history = after(DAYS, seed)
    listed = tokens(history)
    events = listed.select("condition_id", "event_slug").unique()
    paid = history.fills.select("condition_id", (-SIGN * pl.col("notional_usdc")).alias("usdc"))
    moved = history.activity.filter(pl.col("kind").is_in(["SPLIT", "MERGE", "CONVERSION"])).select(
        "condition_id",
        (pl.when(pl.col("kind") == "SPLIT").then(-1).otherwise(1) * pl.col("amount_usdc")).alias(
            "usdc"
        ),
    )
    held = movements(history).group_by("token_id").agg(pl.col("shares").sum())
    value = held.join(listed, on="token_id").select(
        "condition_id", (pl.col("shares") * pl.col("payout")).cast(pl.Int64).alias("usdc")
    )
    total = (
        pl.concat([paid, moved, value])
        .join(events, on="condition_id")
        .group_by("event_slug")
        .agg(pl.col("usdc").sum(), pl.col("usdc").null_count().alias("open"))
        .filter(pl.col("open") == 0)
    )
    assert total.height >= 5
    assert total["usdc"].abs().max() == 0


@few
@given(seed=seeds)
def test_every_transaction_balances_shares_and_money_and_has_one_taker(seed):
    history = after(DAYS, seed)
    tradable = tokens(history).group_by("condition_id").agg(pl.len().alias("outcomes"))
    by_token = (
        history.fills.join(tradable, on="condition_id")
        .group_by("transaction_hash", "condition_id", "token_id", "outcomes")
        .agg(
            (SIGN * pl.col("size_shares")).sum().alias("shares"),
            (SIGN * pl.col("notional_usdc")).sum().alias("usdc"),
            pl.col("is_taker").sum().alias("takers"),
        )
        .group_by("transaction_hash")
        .agg(
            pl.col("condition_id").n_unique().alias("markets"),
            pl.col("shares").min().alias("fewest"),
            pl.col("shares").max().alias("most"),
            (pl.len() == pl.col("outcomes").first()).alias("is_set"),
            pl.col("usdc").sum(),
            pl.col("takers").sum(),
        )
    )
    assert by_token.filter((pl.col("markets") != 1) | (pl.col("takers") != 1)).is_empty()
    minted = by_token.filter(pl.col("is_set"))
    assert minted.filter(pl.col("fewest") != pl.col("most")).is_empty()
    assert minted.filter(pl.col("usdc") != pl.col("most")).is_empty()
    plain = by_token.filter(~pl.col("is_set"))
    assert plain.filter((pl.col("fewest") != 0) | (pl.col("usdc") != 0)).is_empty()
    assert plain.height > 100
    assert minted.height > 100


@few
@given(seed=seeds)
def test_nobody_ever_holds_less_than_nothing(seed):
    held = movements(after(DAYS, seed)).with_columns(
        pl.col("shares").cum_sum().over("proxy_wallet", "token_id").alias("held")
    )
    assert held["held"].min() >= 0


@few
@given(seed=seeds)
def test_payouts_sum_to_one_and_redemptions_pay_what_is_held(seed):
    history = after(DAYS, seed)
    closed = history.markets.filter(pl.col("closed_at").is_not_null())
    assert closed["payouts"].list.sum().unique().to_list() == [1.0]
    worth = pl.col("shares") * pl.col("payout")
    held = (
        movements(history)
        .group_by("proxy_wallet", "token_id")
        .agg(pl.col("shares").sum())
        .join(tokens(history), on="token_id")
        .group_by("proxy_wallet", "condition_id")
        .agg(
            worth.sum().cast(pl.Int64).alias("worth"),
            pl.col("shares").filter(pl.col("payout") > 0).sum().alias("winning"),
        )
    )
    redeemed = history.activity.filter(pl.col("kind") == "REDEEM").join(
        held, on=["proxy_wallet", "condition_id"], how="left"
    )
    assert redeemed.filter(pl.col("amount_usdc").ne_missing(pl.col("worth"))).is_empty()
    assert redeemed.filter(pl.col("size_shares").ne_missing(pl.col("winning"))).is_empty()
    assert redeemed.filter(pl.col("size_shares") == 0).height > 0
    opened = redeemed.join(history.markets, on="condition_id")
    assert opened.filter(pl.col("happened_at") <= pl.col("closed_at")).is_empty()
    assert redeemed["token_id"].null_count() == redeemed.height


def test_some_markets_pay_halves_and_some_close_late_or_early():
    history = World(WorldRules(wallets=30, void_share=0.3)).history(
        SMALL.start + timedelta(days=60)
    )
    closed = history.markets.filter(pl.col("closed_at").is_not_null())
    assert [0.5, 0.5] in closed["payouts"].to_list()
    late = closed["closed_at"] - closed["end_at"]
    assert late.min() < timedelta(0)
    assert late.max() > timedelta(hours=8)


def test_only_takers_pay_fees_and_by_the_rate_of_their_market():
    history = after(DAYS)
    rows = history.fills.join(history.markets.select("condition_id", "fee_rate"), on="condition_id")
    exact = pl.col("size_shares") * pl.col("fee_rate") * pl.col("price") * (1 - pl.col("price"))
    gap = (exact - pl.col("fee_usdc")).alias("gap")
    takers = rows.filter("is_taker").select(gap)["gap"]
    assert 0 <= takers.min() <= takers.max() < 11
    assert rows.filter(~pl.col("is_taker"))["fee_usdc"].max() == 0
    assert rows["fee_usdc"].sum() > 0


def test_before_fees_were_introduced_nobody_pays_one():
    rules = WorldRules(wallets=30, start=SMALL.start.replace(year=2025))
    history = World(rules).history(rules.start + timedelta(days=10))
    assert history.markets["fee_rate"].max() == 0.0
    assert history.fills["fee_usdc"].max() == 0


def test_places_on_the_chain_are_unique_and_ascend_with_time():
    history = after(DAYS)
    chain = pl.concat(
        [
            history.fills.select("sequence", pl.col("filled_at").alias("at")),
            history.activity.select("sequence", pl.col("happened_at").alias("at")),
        ]
    ).sort("sequence")
    assert chain["sequence"].n_unique() == chain.height
    assert chain["at"].is_sorted()


def test_all_prices_lie_between_nothing_and_one_and_fit_amounts_and_ticks():
    history = after(DAYS)
    price = history.fills["price"]
    assert 0 < price.min() < 0.1
    assert 0.9 < price.max() < 1
    assert (history.fills["notional_usdc"] / history.fills["size_shares"]).equals(price)
    whole = history.fills.select(pl.col("size_shares") % 10_000)["size_shares"]
    assert whole.max() == 0
    makers = history.fills.filter(~pl.col("is_taker")).join(
        history.markets.select("condition_id", "tick"), on="condition_id"
    )
    ticks = makers["price"] / makers["tick"]
    assert (ticks - ticks.round()).abs().max() < 1e-6


def test_some_fills_of_one_transaction_agree_in_all_that_is_visible():
    fills = after(DAYS).fills.drop("sequence")
    assert fills.height > fills.unique().height


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed must not be negative"),
        ({"wallets": 5}, "wallets must be 30 or more"),
        ({"start": SMALL.start + timedelta(hours=1)}, "start must be a midnight in UTC"),
        ({"start": SMALL.start.replace(tzinfo=None)}, "start must be a midnight in UTC"),
        ({"events_per_day": 0}, "events_per_day must be above 0, at most 100"),
        ({"half_spread": 0.2}, "half_spread must be 0.001 to 0.05"),
    ],
)
def test_rules_that_no_world_can_follow_are_refused(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        WorldRules(**change)


@pytest.mark.parametrize("wallets", [30, 31, 47, 64, 99, 300])
def test_so_many_wallets_are_there_at_the_start_with_every_style_among_them(wallets):
    truth = World(WorldRules(wallets=wallets)).truth(
        SMALL.start.replace(year=2026, month=7, day=20)
    )
    assert truth.height == wallets
    assert truth.filter(pl.col("style") != "CROWD")["style"].n_unique() == 16
