"""The ledger of a simulated world: every share is explained, and money adds up to minus the fees."""

from datetime import timedelta

import polars as pl
import pytest

from evaluator.domain import ids, markets, prices
from evaluator.domain.fills import transaction_keys
from evaluator.domain.ledger import legs
from evaluator.domain.ledger.lots import build_ledger
from evaluator.venue.sim.world import World, WorldRules

RULES = WorldRules(seed=2, wallets=60, void_share=0.3)
KEYS = ("proxy_wallet", "condition_id", "token_id")


def keyed(frame):
    """Ids as surrogates, with the keys that a source without a sequence gives."""
    return frame.with_columns(
        ids.surrogates(frame[name]).alias(name) for name in KEYS
    ).with_columns(
        transaction_keys(frame["transaction_hash"]), pl.lit(0, pl.Int32).alias("ordinal")
    )


@pytest.fixture(scope="module")
def history():
    return World(RULES).history(RULES.start + timedelta(days=30))


@pytest.fixture(scope="module")
def tokens(history):
    listed = history.markets.with_columns(
        ids.surrogates(history.markets["condition_id"]),
        ids.surrogates(history.markets["event_slug"]),
        pl.lit(RULES.start.date()).alias("snapshot_date"),
        pl.col("closed_at").alias("resolved_at"),
    )
    return markets.tokens(listed.lazy()).collect()


@pytest.fixture(scope="module")
def fills(history):
    role = pl.when("is_taker").then(pl.lit("taker")).otherwise(pl.lit("maker"))
    return keyed(history.fills).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("fill_id"),
        role.cast(legs.LEG_SCHEMA["role"]).alias("role"),
        pl.col("side").cast(pl.Enum(["BUY", "SELL"])),
        pl.lit(value=False).alias("is_fee_included"),
        pl.lit(None, pl.Int64).alias("source_sequence"),
    )


@pytest.fixture(scope="module")
def activity(history):
    number = pl.int_range(pl.len(), dtype=pl.Int64) + 10**9
    return keyed(history.activity).with_columns(number.alias("activity_id"))


@pytest.fixture(scope="module")
def ledger(fills, activity, tokens):
    asked = legs.price_questions(activity, tokens)
    answered = prices.fills_before(asked, fills)
    all_legs = pl.concat(
        [legs.fill_legs(fills, tokens), legs.activity_legs(activity, tokens, answered)]
    )
    return build_ledger(all_legs, tokens)


def test_no_share_that_anyone_disposes_of_is_unexplained(ledger):
    assert ledger.unexplained.is_empty()
    assert ledger.closed_lots.height > 1000


def test_what_all_wallets_make_in_closed_events_is_minus_their_fees(ledger, fills, tokens):
    closed = ledger.closed_lots.filter(
        ~pl.col("event_slug").is_in(ledger.open_lots["event_slug"].implode())
    )
    events = closed["event_slug"].unique()
    inside = tokens.filter(pl.col("event_slug").is_in(events.implode()))["token_id"]
    fees = fills.filter(pl.col("token_id").is_in(inside.implode()))["fee_usdc"].sum()
    assert events.len() > 15
    assert closed["realised_pnl_usdc"].sum() == -fees
    assert fees > 0


def test_every_way_to_close_a_lot_occurs(ledger):
    kinds = ledger.closed_lots["close_kind"].cast(pl.String).unique().to_list()
    assert {"SELL", "MERGE", "RESOLVE", "CONVERSION"} <= set(kinds)
