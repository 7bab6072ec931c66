"""Markets and resolutions of an archive."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from evaluator.domain.tables.discovery import MARKETS
from evaluator.venue.parquet import (
    ArchiveColumnsMissingError,
    ArchiveFileMissingError,
    ArchiveUnreadableError,
)
from tests.archive import CONDITION, NO, NOON, OTHER, YES, archive, market, trade, without

ELSEWHERE = "0x" + "9" * 64
SEEN_AT = datetime(2026, 1, 1, tzinfo=UTC)


def only(tmp_path, rows=(), **fields):
    """The market of an archive with this one market row."""
    read = archive(tmp_path, rows, [market(**fields)]).read_markets()
    return read.rows.row(by_predicate=pl.col("condition_id") == CONDITION, named=True)


def test_a_row_becomes_a_market(tmp_path):
    (row,) = archive(tmp_path, seen_at=SEEN_AT).read_markets().rows.rows(named=True)
    assert row == {
        "snapshot_date": date(2025, 2, 20),
        "condition_id": CONDITION,
        "question": "Will it?",
        "slug": "will-it",
        "event_slug": "it",
        "domain": None,
        "end_at": datetime(2025, 2, 21, tzinfo=UTC),
        "liquidity_usdc": None,
        "volume_24h_usdc": None,
        "volume_usdc": 10.0,
        "outcomes": ["Yes", "No"],
        "token_ids": [YES, NO],
        "closed": True,
        "resolved_at": datetime(2025, 2, 21, tzinfo=UTC),
        "payouts": [1.0, 0.0],
        "fee_rate": None,
        "fee_exponent": None,
        "tick": None,
        "neg_risk": None,
        "first_seen_at": SEEN_AT,
    }


def test_columns_are_those_of_the_table_with_ids_as_texts(tmp_path):
    rows = archive(tmp_path).read_markets().rows
    texts = {"condition_id", "event_slug", "domain"}
    for name, dtype in MARKETS.schema.items():
        assert rows.schema[name] == (pl.String if name in texts else dtype)


@pytest.mark.parametrize(
    ("fields", "domain"),
    [
        ({"category": "Sports"}, "Sports"),
        ({"category": "Sports", "tags": '["politics"]'}, "Sports"),
        ({"category": "", "tags": '["politics", "all"]'}, "politics"),
        ({"tags": ["politics", "all"]}, "politics"),
        ({"tags": "[]"}, None),
        ({}, None),
    ],
)
def test_the_domain_is_the_category_or_else_the_first_tag(tmp_path, fields, domain):
    assert only(tmp_path, **fields)["domain"] == domain


def test_whatever_else_a_file_says_is_used(tmp_path):
    row = only(
        tmp_path,
        liquidity="12.5",
        volume24hr=3.5,
        orderPriceMinTickSize=0.01,
        negRisk=True,
        feeSchedule='{"rate": 0.07, "exponent": 1, "takerOnly": true}',
    )
    assert (row["liquidity_usdc"], row["volume_24h_usdc"]) == (12.5, 3.5)
    assert (row["tick"], row["neg_risk"]) == (0.01, True)
    assert (row["fee_rate"], row["fee_exponent"]) == (0.07, 1.0)


def test_a_fee_schedule_may_be_an_object(tmp_path):
    row = only(tmp_path, feeSchedule={"rate": 0.05, "exponent": 2})
    assert (row["fee_rate"], row["fee_exponent"]) == (0.05, 2.0)


@pytest.mark.parametrize(
    ("prices", "payouts"),
    [
        ('["0.0000025", "0.9999975"]', [0.0, 1.0]),
        ("[0.5, 0.5]", [0.5, 0.5]),
        ('["0", "0"]', None),
        ('["0.62", "0.38"]', None),
    ],
)
def test_closing_prices_that_are_no_payouts_are_no_error(tmp_path, prices, payouts):
    read = archive(tmp_path, listed=[market(outcomePrices=prices)]).read_markets()
    assert read.rows["payouts"].to_list() == [payouts]
    assert read.rows["resolved_at"].is_null().to_list() == [payouts is None]
    assert read.quarantine.is_empty()


def test_an_open_market_has_no_payouts(tmp_path):
    row = only(tmp_path, closed=False)
    assert (row["closed"], row["payouts"], row["resolved_at"]) == (False, None, None)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"conditionId": "0x12"}, "bad_condition_id"),
        ({"conditionId": None}, "bad_condition_id"),
        ({"clobTokenIds": "[oops"}, "bad_token_ids"),
        ({"clobTokenIds": '{"a": 1}'}, "bad_token_ids"),
        ({"clobTokenIds": '["1", "0xff"]'}, "bad_token_ids"),
        ({"clobTokenIds": '["1", "1"]'}, "bad_token_ids"),
        ({"clobTokenIds": '["1", null]'}, "bad_token_ids"),
        ({"clobTokenIds": '["1", "\\ud800"]'}, "bad_token_ids"),
    ],
)
def test_a_market_without_id_or_readable_tokens_is_refused_alone(tmp_path, fields, rule):
    other = market(conditionId=ELSEWHERE, clobTokenIds='["1", "2"]')
    listed = [other, market() | fields]
    read = archive(tmp_path, [trade(conditionId=ELSEWHERE, asset="1")], listed).read_markets()
    assert read.rows["condition_id"].to_list() == [ELSEWHERE]
    assert read.quarantine.select("rule", "source").rows() == [(rule, "markets_fomc.parquet")]


@pytest.mark.parametrize(
    ("fields", "rule", "column"),
    [
        ({"outcomePrices": "[1, "}, "bad_outcome_prices", "payouts"),
        ({"outcomePrices": '["1"]'}, "bad_outcome_prices", "payouts"),
        ({"outcomePrices": '["yes", "no"]'}, "bad_outcome_prices", "payouts"),
        ({"endDate": "soon"}, "bad_end_date", "end_at"),
        ({"closedTime": "soon"}, "bad_closed_time", None),
        ({"outcomes": "[oops"}, "bad_outcomes", None),
    ],
)
def test_another_unreadable_part_is_refused_and_the_market_stays(tmp_path, fields, rule, column):
    read = archive(tmp_path, listed=[market(**fields)]).read_markets()
    assert read.quarantine["rule"].to_list() == [rule]
    if column:
        assert read.rows[column].to_list() == [None]


def test_unreadable_outcomes_are_unknown_names(tmp_path):
    assert only(tmp_path, outcomes="[oops")["outcomes"] == [None, None]


@pytest.mark.parametrize(
    ("fields", "resolved_at"),
    [
        ({"closedTime": "2025-02-20 13:00:00+00"}, datetime(2025, 2, 20, 13, tzinfo=UTC)),
        ({"endDate": "2025-02-21"}, datetime(2025, 2, 21, tzinfo=UTC)),
        ({"endDate": "2025-02-20T00:00:00Z"}, datetime(2025, 2, 20, 12, 0, 1, tzinfo=UTC)),
        ({"endDate": None}, datetime(2025, 2, 20, 12, 0, 1, tzinfo=UTC)),
    ],
)
def test_a_market_resolves_when_closed_or_after_end_and_last_fill(tmp_path, fields, resolved_at):
    assert only(tmp_path, **fields)["resolved_at"] == resolved_at


def test_a_refused_row_does_not_move_the_resolution(tmp_path):
    rows = [trade(), trade(timestamp=NOON + 10**6, size=0.0)]
    assert only(tmp_path, rows)["resolved_at"] == datetime(2025, 2, 21, tzinfo=UTC)


def test_resolutions_are_the_tokens_of_resolved_markets(tmp_path):
    still_open = market(conditionId=ELSEWHERE, clobTokenIds='["1", "2"]', closed=False)
    resolutions = archive(tmp_path, listed=[market(), still_open]).read_resolutions()
    at = datetime(2025, 2, 21, tzinfo=UTC)
    assert resolutions.rows() == [(YES, CONDITION, 1.0, at), (NO, CONDITION, 0.0, at)]


def test_a_market_that_only_fills_mention_is_listed_open(tmp_path):
    rows = [
        trade(),
        trade(conditionId=ELSEWHERE, asset="6", outcomeIndex=1, outcome="No", slug="else",
              eventSlug="elsewhere", title="Else?"),
        trade(conditionId=ELSEWHERE, asset="5", outcomeIndex=0, outcome="Yes", slug="else",
              eventSlug="elsewhere", title="Else?"),
    ]  # fmt: skip
    seen = archive(tmp_path, rows).read_markets().rows
    row = seen.row(by_predicate=pl.col("condition_id") == ELSEWHERE, named=True)
    assert (row["slug"], row["event_slug"], row["question"]) == ("else", "elsewhere", "Else?")
    assert (row["token_ids"], row["outcomes"]) == (["5", "6"], ["Yes", "No"])
    assert (row["closed"], row["payouts"]) == (False, None)


def test_a_place_that_no_fill_shows_stays_empty(tmp_path):
    rows = [trade(), trade(conditionId=ELSEWHERE, asset="6", outcomeIndex=1)]
    seen = archive(tmp_path, rows).read_markets().rows
    row = seen.row(by_predicate=pl.col("condition_id") == ELSEWHERE, named=True)
    assert row["token_ids"] == [None, "6"]


def test_tokens_of_unknown_places_stand_in_the_order_of_their_texts(tmp_path):
    rows = [trade(conditionId=ELSEWHERE, asset=token, outcomeIndex=None) for token in ("6", "5")]
    seen = archive(tmp_path, [trade(), *rows]).read_markets().rows
    row = seen.row(by_predicate=pl.col("condition_id") == ELSEWHERE, named=True)
    assert row["token_ids"] == ["5", "6"]


def test_fills_complete_what_a_market_row_lacks(tmp_path):
    row = only(tmp_path, eventSlug=None, slug=None, clobTokenIds=None)
    assert (row["event_slug"], row["slug"]) == ("it", "will-it")
    assert row["token_ids"] == [YES]


def test_of_several_rows_of_a_market_the_closed_one_counts(tmp_path):
    listed = [market(closed=False, volume=99.0), market(), market(volume=5.0)]
    for rows in (listed, listed[::-1]):
        read = archive(tmp_path, listed=rows).read_markets()
        assert read.rows.select("closed", "volume_usdc").rows() == [(True, 10.0)]
        assert read.counts.duplicates == 2


def test_markets_come_sorted_however_the_file_has_them(tmp_path):
    listed = [market(), market(conditionId=ELSEWHERE, clobTokenIds='["1", "2"]')]
    forward = archive(tmp_path, listed=listed, seen_at=SEEN_AT).read_markets().rows
    assert forward["condition_id"].is_sorted()
    assert (
        archive(tmp_path, listed=listed[::-1], seen_at=SEEN_AT).read_markets().rows.equals(forward)
    )


def test_three_outcomes_are_nothing_special(tmp_path):
    listed = [
        market(
            outcomes='["Home", "Draw", "Away"]',
            clobTokenIds='["1", "2", "3"]',
            outcomePrices='["0", "0", "1"]',
        )
    ]
    read = archive(tmp_path, [trade(asset="3", outcomeIndex=2)], listed)
    assert read.read_markets().rows["payouts"].to_list() == [[0.0, 0.0, 1.0]]
    assert read.read_fills().rows["outcome_index"].to_list() == [2]


def test_missing_columns_are_named(tmp_path):
    listed = [without(market(), "clobTokenIds", "closed")]
    with pytest.raises(ArchiveColumnsMissingError) as error:
        archive(tmp_path, listed=listed).read_markets()
    assert str(error.value) == f"markets_fomc.parquet in {tmp_path} lacks clobTokenIds, closed"


def test_a_missing_folder_is_named(tmp_path):
    nowhere = archive(tmp_path).__class__(tmp_path / "nowhere")
    with pytest.raises(ArchiveFileMissingError) as error:
        nowhere.read_markets()
    assert str(error.value) == f"there is no folder {tmp_path / 'nowhere'}"


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    source = archive(tmp_path)
    (tmp_path / "markets_fomc.parquet").write_text("conditionId,closed\n")
    with pytest.raises(
        ArchiveUnreadableError, match=r"^markets_fomc\.parquet in .* cannot be read"
    ):
        source.read_markets()


def test_other_wallets_do_not_matter_to_markets(tmp_path):
    assert only(tmp_path, [trade(), trade(proxyWallet=OTHER)]) | {"first_seen_at": 0} == (
        only(tmp_path) | {"first_seen_at": 0}
    )
