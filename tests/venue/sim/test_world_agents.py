"""What is planted: skill is what it says, and each style behaves as its definition needs."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from evaluator.venue.sim.agents import Population
from evaluator.venue.sim.bursts import NO_BURSTS
from evaluator.venue.sim.events import Schedule, daily_load
from evaluator.venue.sim.orders import kept_chance, orders
from evaluator.venue.sim.paths import path
from evaluator.venue.sim.play import scene
from evaluator.venue.sim.rules import DAY_S
from evaluator.venue.sim.styles import CODES, STYLES
from evaluator.venue.sim.world import World, WorldRules

RULES = WorldRules()
DAYS = 110
UNTIL = RULES.start + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def world():
    return World(RULES)


@pytest.fixture(scope="module")
def history(world):
    return world.history(UNTIL)


@pytest.fixture(scope="module")
def truth(world):
    return world.truth(UNTIL)


@pytest.fixture(scope="module")
def fills(history, truth):
    return history.fills.join(truth, on="proxy_wallet")


@pytest.fixture(scope="module")
def plans():
    return Schedule(WorldRules(events_per_day=6)).before(DAYS * DAY_S)


@pytest.fixture(scope="module")
def paths(plans):
    return [path(RULES, plan) for plan in plans]


def month_of(fills: pl.DataFrame, style: str) -> pl.DataFrame:
    """Fills of the last 30 days by wallets of a style that are past the gates before style."""
    label = STYLES[CODES[style]].label
    chosen = (pl.col("style") == style) & (pl.col("expected_label") == label)
    return fills.filter(chosen & (pl.col("filled_at") >= UNTIL - timedelta(days=30)))


def test_prices_are_martingales_so_that_no_rule_on_prices_earns_anything(plans, paths):
    """Half way and at the start, the mean of payout − price over all events is 0."""
    for part in (0.0, 0.5, 0.9):
        gaps = [
            ends.payouts[0] - ends.prices[0, int(part * (plan.grid_size - 1))]
            for plan, ends in zip(plans, paths, strict=True)
            if not plan.is_void
        ]
        z = np.mean(gaps) / np.std(gaps) * np.sqrt(len(gaps))
        assert abs(z) < 3.5
        assert len(gaps) > 500


def test_a_price_is_the_share_of_winners_at_that_price(plans, paths):
    known = [one for plan, one in zip(plans, paths, strict=True) if not plan.is_void]
    prices = np.concatenate([one.prices[::2, one.prices.shape[1] // 3] for one in known])
    payouts = np.concatenate([one.payouts[::2] for one in known])
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        band = (prices >= low) & (prices < low + 0.2)
        error = np.sqrt((prices[band] * (1 - prices[band])).sum()) / band.sum()
        assert abs(payouts[band].mean() - prices[band].mean()) < 3.5 * error


@pytest.mark.parametrize("skill", [0.0, 0.05, 0.3])
def test_letting_losers_pass_makes_winners_as_frequent_as_skill_says(skill):
    price = 0.4
    kept = kept_chance(np.array([price]), np.array([price + skill]), np.array([0.0]))[0]
    assert price / (price + (1 - price) * kept) == pytest.approx(price + skill)


def test_orders_win_as_often_as_price_and_skill_say(plans, paths):
    """Per style, payout − chance sums to 0 within 4 standard errors, counting events as draws."""
    population, load = Population(RULES), daily_load(plans, 400)
    gaps = {style.name: [] for style in STYLES}
    spread = dict.fromkeys(gaps, 0.0)
    for plan, ends in list(zip(plans, paths, strict=True))[:400]:
        agents = population.before(plan.closes)
        found = orders(scene(RULES, plan, ends, agents, NO_BURSTS, load))
        entry = found.is_buy & (not plan.is_void)
        surprise = ends.payouts[found.token] - found.chance
        for code in np.unique(agents.style[found.agent[entry]]):
            of_style = entry & (agents.style[found.agent] == code)
            chance = found.chance[of_style]
            gaps[STYLES[code].name].append(surprise[of_style].sum())
            spread[STYLES[code].name] += (chance * (1 - chance)).sum()
    tested = [style for style, sums in gaps.items() if len(sums) >= 40]
    assert len(tested) >= 12
    for style in tested:
        sums = np.array(gaps[style])
        assert abs(sums.sum()) < 4 * np.sqrt(max((sums**2).sum(), spread[style])), style


def test_those_planted_with_skill_earn_and_those_who_meet_them_pay(fills, history):
    closed = history.markets.drop_nulls("payouts")
    payout = closed.explode(["token_ids", "payouts"], empty_as_null=True, keep_nulls=True)
    resolved = fills.filter(pl.col("side") == "BUY").join(
        payout.select(pl.col("token_ids").alias("token_id"), pl.col("payouts").alias("payout")),
        on="token_id",
    )
    edge = dict(
        resolved.group_by("style")
        .agg((pl.col("payout") - pl.col("price")).mean().alias("edge"))
        .iter_rows()
    )
    for style in ("INFORMED_SPECIALIST", "CONSISTENT_GENERALIST", "SNIPER_INSIDER", "BOT_SWARM"):
        assert edge[style] > 0.08, style
    assert edge["CONTRARIAN"] < -0.03
    assert abs(edge["CROWD"]) < 0.06


def test_every_style_trades_and_every_wallet_has_one(truth, fills, history):
    assert truth["proxy_wallet"].to_list() == history.wallets["proxy_wallet"].to_list()
    assert set(fills["style"]) == {style.name for style in STYLES}
    assert truth["style"].null_count() == 0


def test_a_swarm_makes_over_two_hundred_tiny_fills_a_day(fills):
    mine = month_of(fills, "BOT_SWARM")
    assert mine.height / mine["proxy_wallet"].n_unique() / 30 >= 200
    assert mine["notional_usdc"].mean() <= 5e6


def test_a_cluster_places_the_same_orders_in_the_same_ten_minutes(fills):
    bucket = pl.col("filled_at").dt.epoch("s") // 600
    sets = [
        frozenset(rows.select("token_id", "side", bucket).iter_rows())
        for _, rows in fills.filter(pl.col("style") == "SYBIL_CLUSTER").group_by("proxy_wallet")
    ]
    close = [
        sum(len(one & other) > 0.8 * len(one | other) for other in sets) for one in sets if one
    ]
    assert min(close) >= 4
    assert min(len(one) for one in sets) >= 10


def test_providers_only_rest_and_sell_about_as_much_as_they_buy(fills):
    mine = month_of(fills, "LIQUIDITY_PROVIDER")
    assert not mine["is_taker"].any()
    assert 0.4 < (mine["side"] == "SELL").mean() < 0.6


def test_partners_who_wash_end_where_they_began(fills):
    mine = fills.filter(pl.col("style") == "WASH_TRADERS")
    sign = pl.when(pl.col("side") == "BUY").then(-1).otherwise(1)
    cash = mine.group_by("proxy_wallet", "token_id").agg(
        (sign * pl.col("size_shares")).sum().alias("size_shares"),
        (sign * pl.col("notional_usdc")).sum().alias("notional_usdc"),
    )
    flat = cash.filter(pl.col("size_shares") == 0)
    assert flat["notional_usdc"].unique().to_list() == [0]
    assert flat.height > 0.9 * cash.height
    assert mine["fee_usdc"].sum() == 0


def test_news_snipers_trade_in_one_hour_of_their_month(fills):
    mine = month_of(fills, "NEWS_SNIPER")
    for _, rows in mine.group_by("proxy_wallet"):
        at = rows["filled_at"].sort()
        most = max(((at >= t) & (at < t + timedelta(hours=1))).sum() for t in at)
        assert most >= 0.45 * rows.height  # two turns may fall into one window
    assert mine["proxy_wallet"].n_unique() >= 3


def test_near_certain_and_hardly_possible_are_what_their_buyers_buy(fills):
    for style, low, high in (
        ("TAIL_RISK_SELLER", 0.86, 0.97),
        ("LOW_ROI", 0.93, 1.0),
        ("JACKPOT_GAMBLER", 0.02, 0.2),
    ):
        prices = fills.filter(pl.col("style") == style)["price"]
        assert low <= prices.quantile(0.02) <= prices.quantile(0.98) <= high, style


def test_gates_of_age_number_and_silence_come_before_style(truth, fills):
    first = fills.group_by("proxy_wallet").agg(
        pl.col("filled_at").min().alias("first"),
        pl.col("filled_at").max().alias("last"),
        pl.len().alias("count"),
    )
    rows = truth.join(first, on="proxy_wallet", how="left")
    young = pl.col("first") > UNTIL - timedelta(days=30)
    labels = dict(
        rows.group_by("expected_label")
        .agg(young.all().alias("young"), pl.col("count").max().alias("most"))
        .select("expected_label", pl.struct("young", "most"))
        .iter_rows()
    )
    assert labels["TOO_YOUNG"]["young"]
    assert labels["SNIPER_INSIDER"]["young"]
    assert labels["TOO_FEW_TRADES"]["most"] < 10
    idle = rows.filter(pl.col("expected_label") == "INACTIVE")
    assert idle["last"].max() < UNTIL - timedelta(days=45)
    assert idle.height > 10


def test_activity_of_wallets_is_heavy_tailed_and_half_of_the_fills_rest(fills):
    counts = fills.group_by("proxy_wallet").len()["len"]
    assert counts.max() > 50 * counts.median()
    assert 0.4 < (~fills["is_taker"]).mean() < 0.7
    assert 50_000 < fills.height < 100_000
