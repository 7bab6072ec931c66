"""Activity of the API as the ledger reads it: which shares it adds and takes."""

from datetime import UTC, datetime

import polars as pl

from evaluator.domain.ids import surrogates
from evaluator.domain.ledger.legs import activity_legs, disposed_shares, price_questions
from evaluator.venue.api import reading
from tests.venue.api.stub_host import payload

YES, NO = "11", "12"
OTHER_YES, OTHER_NO = "21", "22"
MARKET, OTHER = "0x" + "c3" * 32, "0x" + "d4" * 32
RESOLVED = datetime(2026, 7, 1, tzinfo=UTC)


def keyed(rows: pl.DataFrame, *names: str) -> pl.DataFrame:
    return rows.with_columns(pl.col(name).map_batches(surrogates) for name in names)


def tokens(resolved_at: datetime | None) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "token_id": [YES, NO, OTHER_YES, OTHER_NO],
            "token_rank": [0, 1, 2, 3],
            "condition_id": [MARKET, MARKET, OTHER, OTHER],
            "event_slug": ["rain"] * 4,
            "outcome_index": pl.Series([0, 1, 0, 1], dtype=pl.Int32),
            "neg_risk": [True] * 4,
            "payout": [1.0, 0.0, None, None],
            "resolved_at": pl.Series([resolved_at] * 4, dtype=pl.Datetime("us", "UTC")),
        }
    )
    return keyed(rows, "token_id", "condition_id", "event_slug")


def activity(name: str) -> pl.DataFrame:
    content = payload(name)
    raw = content["data"] if isinstance(content, dict) else content
    page = reading.read_page(raw, reading.MOVEMENTS, source=name, seen_at=RESOLVED)
    rows = reading.union([page], reading.MOVEMENTS).rows
    return keyed(rows, "proxy_wallet", "condition_id", "token_id")


def legs(name: str, resolved_at: datetime | None = RESOLVED) -> list[tuple]:
    known, moved = tokens(resolved_at), activity(name)
    prices = price_questions(moved, known).with_columns(price=pl.lit(None, pl.Float64))
    names = dict(
        zip(
            surrogates(pl.Series([YES, NO, OTHER_YES, OTHER_NO])),
            ("yes", "no", "other yes", "other no"),
            strict=True,
        )
    )
    found = activity_legs(moved, known, prices)
    return sorted(
        (row["kind"], names[row["token_id"]], row["is_open"], row["quantity"] / 1e6)
        for row in found.iter_rows(named=True)
    )


def test_splits_merges_and_conversions_move_every_token_they_concern():
    assert legs("activity_v1") == [
        ("CONVERSION", "no", False, 10.0),
        ("CONVERSION", "other no", False, 10.0),
        ("MERGE", "no", False, 20.5),
        ("MERGE", "yes", False, 20.5),
        ("SPLIT", "no", True, 50.0),
        ("SPLIT", "yes", True, 50.0),
    ]


def test_a_redemption_by_outcome_before_the_payout_is_known_closes_its_token():
    token = payload("activity_v2")["data"][1]["token_id"]
    moved = activity("activity_v2")
    known = tokens(None).with_columns(
        pl.when(pl.col("token_rank") == 0)
        .then(surrogates(pl.Series([token]))[0])
        .otherwise("token_id")
        .alias("token_id")
    )
    prices = price_questions(moved, known).with_columns(price=pl.lit(None, pl.Float64))
    redeemed = activity_legs(moved, known, prices).filter(pl.col("kind") == "REDEEM")
    assert sorted(redeemed.select("quantity", "cash", "is_open").rows()) == [
        (40_000_000, 40_000_000, False),
        (60_000_000, 0, False),
    ]


def test_a_redemption_that_names_no_token_is_unexplained_until_the_payout_is_known():
    moved = activity("activity_v1")
    at_redemption = moved.filter(pl.col("kind") == "REDEEM")
    assert disposed_shares(at_redemption, tokens(None))["quantity"].to_list() == [100_250_000]
    assert disposed_shares(at_redemption, tokens(RESOLVED)).is_empty()
