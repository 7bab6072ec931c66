"""Payouts, the instant they are known, and one row per token."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from evaluator.domain import markets
from evaluator.domain.ids import resolution_ref, surrogate
from evaluator.domain.tables.discovery import MARKETS
from evaluator.venue.quarantine import conform

NOON = datetime(2025, 2, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("prices", "payouts"),
    [
        ([1.0, 0.0], [1.0, 0.0]),
        ([0.0000025, 0.9999975], [0.0, 1.0]),
        ([0.9999, 0.0001], [1.0, 0.0]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
        ([0.5, 0.0, 0.5], [0.5, 0.0, 0.5]),
        ([0.0, 0.0], None),  # old markets: the winner is unknown, not "all lost"
        ([1.0, 1.0], None),
        ([0.9998, 0.0002], None),
        ([0.62, 0.38], None),
        ([1 / 3, 1 / 3, 1 / 3], None),
        ([None, 1.0], None),
        ([1.0], None),
        ([], None),
        (None, None),
    ],
)
def test_payouts_are_closing_prices_next_to_0_a_half_or_1_that_sum_to_1(prices, payouts):
    frame = pl.DataFrame({"prices": [prices]}, schema={"prices": pl.List(pl.Float64)})
    known = frame.select(markets.payouts(pl.col("prices"))).to_series()
    assert known.to_list() == [payouts]


@pytest.mark.parametrize(
    ("closed_at", "end_at", "last_fill_at", "resolved_at"),
    [
        (NOON, LATER, LATER, NOON),
        (None, LATER, NOON, LATER),
        (None, NOON, LATER, LATER + timedelta(seconds=1)),
        (None, NOON, NOON, NOON + timedelta(seconds=1)),
        (None, NOON, None, NOON),
        (None, None, NOON, NOON + timedelta(seconds=1)),
        (None, None, None, None),
    ],
)
def test_payouts_are_known_from_the_closing_time_or_after_end_and_last_fill(
    closed_at, end_at, last_fill_at, resolved_at
):
    instants = {"closed": closed_at, "end": end_at, "last": last_fill_at}
    frame = pl.DataFrame([instants], schema=dict.fromkeys(instants, pl.Datetime("us", "UTC")))
    known = frame.select(markets.resolved_at(*map(pl.col, instants))).to_series()
    assert known.to_list() == [resolved_at]


def listed(*rows):
    blank = dict.fromkeys(MARKETS.schema)
    known = {"snapshot_date": date(2025, 2, 20), "closed": False, "outcomes": []}
    schema = MARKETS.schema | dict.fromkeys(("condition_id", "event_slug", "domain"), pl.String())
    frame = pl.DataFrame([blank | known | row for row in rows], schema=schema)
    return conform(frame, MARKETS).lazy()


def test_a_token_knows_its_market_place_payout_and_rank():
    market = {"condition_id": "c", "event_slug": "e", "domain": "Sports", "token_ids": ["9", "10"]}
    resolved = {"payouts": [0.0, 1.0], "resolved_at": NOON, "end_at": NOON, "tick": 0.01}
    tokens = markets.tokens(listed(market | resolved | {"neg_risk": True})).collect()
    assert tokens.columns == list(markets.TOKENS)
    assert tokens.row(0, named=True) == {
        "token_id": surrogate("10"),
        "token_text": "10",
        "token_rank": 0,
        "condition_id": "c",
        "event_slug": "e",
        "domain": "Sports",
        "outcome_index": 1,
        "end_at": NOON,
        "tick": 0.01,
        "neg_risk": True,
        "resolved_at": NOON,
        "payout": 1.0,
        "resolution_ref": surrogate(resolution_ref("10")),
    }
    assert tokens["token_text"].to_list() == ["10", "9"]  # texts are ordered as texts
    assert tokens["payout"].to_list() == [1.0, 0.0]


def test_a_market_without_an_event_is_its_own_event():
    tokens = markets.tokens(listed({"condition_id": "c", "token_ids": ["1"]})).collect()
    assert tokens["event_slug"].to_list() == ["c"]


def test_the_latest_day_of_a_market_counts():
    first = {"condition_id": "c", "token_ids": ["1", "2"], "snapshot_date": date(2025, 2, 19)}
    second = first | {"snapshot_date": date(2025, 2, 20), "payouts": [1.0, 0.0], "domain": "D"}
    for rows in ([first, second], [second, first]):
        tokens = markets.tokens(listed(*rows)).collect()
        assert tokens["payout"].to_list() == [1.0, 0.0]
        assert tokens["domain"].to_list() == ["D", "D"]


def test_places_without_a_known_token_have_no_row():
    tokens = markets.tokens(listed({"condition_id": "c", "token_ids": [None, "2"]})).collect()
    assert tokens.select("token_text", "outcome_index").rows() == [("2", 1)]


def test_resolutions_replace_what_markets_say():
    market = {"condition_id": "c", "token_ids": ["1", "2"], "payouts": [1.0, 0.0]}
    resolutions = pl.LazyFrame(
        {"token_id": [surrogate("2")], "payout": [0.5], "resolved_at": [NOON]},
    )
    tokens = markets.tokens(listed(market), resolutions).collect()
    assert tokens.select("token_text", "payout", "resolved_at").rows() == [
        ("1", None, None),
        ("2", 0.5, NOON),
    ]


def test_no_market_has_no_token():
    assert markets.tokens(listed()).collect().height == 0
