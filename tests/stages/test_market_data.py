"""Prices, books and comments of what is followed: whose, since when, and at what cost."""

import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain import ids
from evaluator.domain.errors import PermanentError, TransientError
from evaluator.domain.tables.discovery import MARKET_SCORES, MARKETS, WALLETS
from evaluator.domain.tables.history import RESOLUTIONS
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.stages import followed, ingest, ingestion, ledger, market_data
from evaluator.stages.ingestion_markets import read_missing_markets
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.venue.quarantine import no_rows
from tests.stages.hand_made_venue import (
    NOW,
    HandMadeVenue,
    address,
    condition,
    fill,
    market,
    movement,
    token,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TODAY = NOW.date()
RULES = IngestionRules(concurrency=3, tokens_per_request=2)
LAST = NOW - HOUR
"""The hour that has just ended."""


class RefusedError(PermanentError):
    code = "refused"


class DownError(TransientError):
    code = "down"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Markets 1 to 6; wallet 1 is known, wallet 9 is not; the event of market 5 is selected."""
    lake = Lake(tmp_path / "lake", threads=1)
    listed = [market(number) for number in range(1, 7)]
    write_markets(lake, listed)
    lake.commit(
        append={(WALLETS, partitions.day(TODAY)): known_wallets(1, 2)},
        replace={(MARKET_SCORES, partitions.day(TODAY)): scores([4, 5], selected=5)},
    )
    return lake


def write_markets(lake: Lake, listed, day: date = TODAY) -> None:
    rows = asyncio.run(
        HandMadeVenue(listed=listed).markets(day, [m["condition_id"] for m in listed])
    )
    lake.commit(upsert={(MARKETS, partitions.day(day)): rows.rows})


def known_wallets(*numbers: int) -> pl.DataFrame:
    rows = [(address(number), "HOLDER", NOW, None) for number in numbers]
    return pl.DataFrame(rows, no_rows(WALLETS).schema, orient="row")


def scores(numbers, *, selected: int) -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(MARKET_SCORES.schema.names(), 1.0), "score_date": TODAY,
            "condition_id": condition(number), "event_slug": f"event-{number}",
            "is_volume_lifetime": False, "trades_24h_count": 1, "event_rank": 1,
            "is_selected": number == selected, "config_hash": "x", "computed_at": NOW,
        }
        for number in numbers
    ]  # fmt: skip
    return pl.DataFrame(rows, no_rows(MARKET_SCORES).schema)


def with_fills(lake: Lake, *trades) -> None:
    venue = HandMadeVenue(trades=list(trades))
    names = sorted({row["proxy_wallet"] for row in trades})
    asyncio.run(ingestion.ingest_wallets(lake, venue, names, RULES))
    ledger.build_lots_of(lake, pl.Series(names))


def followed_tokens(lake: Lake, at: datetime = NOW) -> list[str]:
    with lake.snapshot() as now:
        return followed.tokens(now, at, DAY)["token_text"].to_list()


def price(number: int, at: datetime, value: float = 0.4, outcome: int = 0) -> dict[str, object]:
    return {"token_id": token(number, outcome), "priced_at": at, "price": value, "source": "test"}


def hourly(number: int, *, days: int) -> list[dict[str, object]]:
    return [price(number, NOW - HOUR * (back + 1)) for back in range(24 * days)]


def read(what, lake: Lake, venue: HandMadeVenue, hour=LAST, rules=RULES):
    return asyncio.run(what(lake, venue, hour, rules))


def held(lake: Lake, table) -> pl.DataFrame:
    with lake.snapshot() as now:
        return now.sql(f"SELECT * FROM {table.name}")


def test_followed_are_selected_events_recent_trades_of_known_wallets_and_what_they_hold(
    lake: Lake,
):
    with_fills(
        lake,
        fill(1, 1, NOW - HOUR),
        fill(1, 2, NOW - 3 * DAY),
        fill(1, 3, NOW - 4 * DAY),
        fill(1, 3, NOW - 3 * DAY, side="SELL"),
        fill(9, 4, NOW - HOUR),
    )
    assert followed_tokens(lake) == [token(1), token(2), token(5, 0), token(5, 1)]


def test_tokens_of_markets_nobody_has_listed_are_followed_too(lake: Lake):
    with_fills(lake, fill(1, 77, NOW - HOUR))
    assert followed_tokens(lake)[0] == token(77)


def test_the_prices_of_the_hour_are_read_and_those_outside_of_it_are_not(lake: Lake):
    venue = HandMadeVenue(price_rows=hourly(5, days=1))
    read(market_data.read_prices, lake, venue)
    assert held(lake, PRICES)["priced_at"].to_list() == [LAST]


def test_a_token_met_first_is_read_from_its_first_fill_on_in_chunks(lake: Lake):
    with_fills(lake, fill(9, 1, NOW - 40 * DAY), fill(1, 1, NOW - HOUR))
    venue = HandMadeVenue(price_rows=hourly(1, days=60))
    read(market_data.read_prices, lake, venue)
    found = held(lake, PRICES)["priced_at"]
    assert (found.min(), found.max(), len(found)) == (NOW - 40 * DAY, LAST, 40 * 24)
    assert venue.asked("prices").count(token(1)) == 4  # 40 days in chunks of 15, and the hour


def test_a_history_is_read_no_further_back_than_its_bound(lake: Lake):
    with_fills(lake, fill(1, 1, NOW - 300 * DAY), fill(1, 1, NOW - HOUR))
    rules = replace(RULES, price_history_days=10)
    read(market_data.read_prices, lake, HandMadeVenue(price_rows=hourly(1, days=30)), rules=rules)
    assert held(lake, PRICES)["priced_at"].min() == NOW - 10 * DAY


def test_a_series_that_is_there_is_only_continued(lake: Lake):
    with_fills(lake, fill(1, 1, NOW - 5 * DAY))
    venue = HandMadeVenue(price_rows=hourly(1, days=6))
    read(market_data.read_prices, lake, venue)
    later = replace(venue, price_rows=[*venue.price_rows, price(1, NOW)], calls=[])
    read(market_data.read_prices, lake, later, NOW)
    assert later.asked("prices").count(token(1)) == 1
    assert held(lake, PRICES)["priced_at"].max() == NOW


def test_a_series_begun_before_an_older_fill_was_known_is_completed(lake: Lake):
    venue = HandMadeVenue(price_rows=hourly(5, days=30))
    read(market_data.read_prices, lake, venue)
    with_fills(lake, fill(1, 5, NOW - 20 * DAY))
    read(market_data.read_prices, lake, venue)
    found = held(lake, PRICES).filter(pl.col("token_id") == token(5))["priced_at"]
    assert (found.min(), len(found)) == (NOW - 20 * DAY, 20 * 24)


def test_reading_an_hour_again_adds_nothing(lake: Lake):
    with_fills(lake, fill(1, 1, NOW - 3 * DAY))
    venue = HandMadeVenue(price_rows=[*hourly(1, days=4), *hourly(5, days=2)])
    read(market_data.read_prices, lake, venue)
    before = held(lake, PRICES).height
    assert read(market_data.read_prices, lake, venue).commit.rows() == 0
    assert held(lake, PRICES).height == before > 0


def test_prices_lie_in_the_partition_of_their_day(lake: Lake):
    with_fills(lake, fill(1, 1, NOW - 3 * DAY))
    read(market_data.read_prices, lake, HandMadeVenue(price_rows=hourly(1, days=4)))
    with lake.snapshot() as now:
        for name in now.partitions(PRICES):
            days = now.read(PRICES, partitions=[name])["priced_at"].dt.date().unique().to_list()
            assert [partitions.day(day) for day in days] == [name]
        assert len(now.partitions(PRICES)) == 4


def test_a_token_that_fails_costs_itself_and_nothing_of_it_is_kept(lake: Lake):
    with_fills(lake, fill(1, 1, NOW - 3 * DAY), fill(1, 2, NOW - 3 * DAY))

    class Failing(HandMadeVenue):
        async def prices(self, token_id, *, start, end):
            if token_id == token(1) and start >= LAST:
                raise DownError("not now")
            return await HandMadeVenue.prices(self, token_id, start=start, end=end)

    rows = [*hourly(1, days=4), *hourly(2, days=4)]
    found = read(market_data.read_prices, lake, Failing(price_rows=rows))
    assert [(each.subject, each.error) for each in found.problems] == [
        (token(1), "DownError: not now")
    ]
    assert held(lake, PRICES)["token_id"].unique().to_list() == [token(2)]


def test_a_venue_without_prices_is_not_asked_for_all_of_them(lake: Lake):
    with_fills(lake, *(fill(1, number, NOW - HOUR) for number in range(1, 7)))
    dead = HandMadeVenue(dies_after=0)
    found = read(market_data.read_prices, lake, dead)
    assert len(dead.calls) == RULES.tokens_per_request
    assert [each.subject for each in found.problems][-1] == "5 tokens"


def test_tokens_over_the_bound_of_a_pass_are_the_least_active_and_are_counted(lake: Lake):
    with_fills(lake, *(fill(1, number, NOW - number * HOUR) for number in range(1, 5)))
    venue = HandMadeVenue()
    found = read(market_data.read_prices, lake, venue, rules=replace(RULES, tokens_per_pass=3))
    assert set(venue.asked("prices")) == {token(1), token(2), token(3)}
    (left,) = found.problems
    assert left.subject == "3 tokens"
    assert left.error == "left to the next pass: more than one pass reads"


def test_many_prices_are_committed_a_part_at_a_time(lake: Lake):
    with_fills(lake, *(fill(1, number, NOW - DAY) for number in range(1, 7)))
    rows = [each for number in range(1, 7) for each in hourly(number, days=2)]
    rules = replace(RULES, price_rows_per_commit=30)
    before = lake.latest_commit_id()
    read(market_data.read_prices, lake, HandMadeVenue(price_rows=rows), rules=rules)
    assert lake.latest_commit_id() - before >= 3
    assert held(lake, PRICES)["token_id"].n_unique() == 6


def book(number: int, at: datetime = NOW) -> dict[str, object]:
    levels = {"bid_prices": [0.4], "bid_sizes": [10.0], "ask_prices": [], "ask_sizes": []}
    return {"token_id": token(number), "observed_at": at, "read_at": at, **levels}


def test_books_are_read_of_live_tokens_and_kept_on_the_day_they_show(lake: Lake):
    with_fills(lake, fill(1, 1), fill(1, 2))
    resolved = market(2, closed=True, payouts=[1.0, 0.0], resolved_at=NOW - DAY / 2)
    write_markets(lake, [market(1), resolved])
    ingest.publish_resolutions(lake)
    venue = HandMadeVenue(book_rows=[book(1), book(2), book(5)])
    read(market_data.read_books, lake, venue)
    assert sorted(held(lake, BOOKS)["token_id"]) == [token(1), token(5)]
    with lake.snapshot() as now:
        assert now.partitions(BOOKS) == (partitions.day(TODAY),)


def test_a_token_whose_book_is_refused_costs_itself_and_not_its_chunk(lake: Lake):
    with_fills(lake, fill(1, 1), fill(1, 2))
    bad = token(1)

    class Refusing(HandMadeVenue):
        async def books(self, token_ids):
            if bad in token_ids:
                raise RefusedError("no book")
            return await HandMadeVenue.books(self, token_ids)

    found = read(market_data.read_books, lake, Refusing(book_rows=[book(2), book(5)]))
    assert [each.subject for each in found.problems] == [bad]
    assert sorted(held(lake, BOOKS)["token_id"]) == [token(2), token(5)]


def test_the_books_of_a_past_hour_are_a_problem_and_not_those_of_today(lake: Lake):
    venue = HandMadeVenue(book_rows=[book(5)])
    found = read(market_data.read_books, lake, venue, NOW - 2 * HOUR)
    assert [each.error for each in found.problems] == [
        "the books of a past hour cannot be read any more"
    ]
    assert venue.calls == []


def comment(name: str, number: int, at: datetime) -> dict[str, object]:
    return {
        "comment_id": name, "condition_id": None, "event_slug": f"event-{number}",
        "author": address(1), "text": name, "posted_at": at, "seen_at": NOW,
    }  # fmt: skip


def test_comments_are_read_since_the_newest_one_of_their_event(lake: Lake):
    venue = HandMadeVenue(
        comment_rows=[
            comment("too old", 5, NOW - 40 * DAY),
            comment("old", 5, NOW - 2 * DAY),
            comment("of another event", 4, NOW - 2 * DAY),
        ]
    )
    read(market_data.read_comments, lake, venue)
    assert held(lake, COMMENTS)["comment_id"].to_list() == ["old"]
    asked = []

    class Listening(HandMadeVenue):
        async def comments(self, event_slug, *, since=None):
            asked.append((event_slug, since))
            return await HandMadeVenue.comments(self, event_slug, since=since)

    rows = [*venue.comment_rows, comment("new", 5, NOW)]
    read(market_data.read_comments, lake, Listening(comment_rows=rows))
    assert asked == [("event-5", NOW - 2 * DAY - RULES.overlap)]
    assert sorted(held(lake, COMMENTS)["comment_id"]) == ["new", "old"]


def missing(lake: Lake, venue: HandMadeVenue, rules=RULES):
    return asyncio.run(read_missing_markets(lake, venue, TODAY, rules))


def test_markets_that_only_fills_or_movements_mention_are_read(lake: Lake):
    names = [address(1)]
    moved = movement(1, "SPLIT", NOW - HOUR, condition_id=condition(52))
    history = HandMadeVenue(trades=[fill(1, 51), fill(1, 1)], movements=[moved])
    asyncio.run(ingestion.ingest_wallets(lake, history, names, RULES))
    venue = HandMadeVenue(listed=[market(number) for number in (1, 51, 52)])
    missing(lake, venue)
    asked = set(",".join(venue.asked("markets")).split(","))
    assert asked == {condition(51), condition(52)}
    assert {condition(51), condition(52)} <= set(held(lake, MARKETS)["condition_id"])


def test_traded_markets_past_their_end_are_read_until_they_are_resolved(lake: Lake):
    over = {"end_at": NOW - HOUR}
    write_markets(lake, [market(1, **over), market(2, **over)])
    with_fills(lake, fill(1, 1), fill(1, 3))
    resolved = market(1, **over, closed=True, payouts=[0.0, 1.0], resolved_at=NOW - HOUR / 2)
    venue = HandMadeVenue(listed=[resolved, market(2, **over), market(3)])
    missing(lake, venue)
    assert venue.asked("markets") == [condition(1)]
    ingest.publish_resolutions(lake)
    found = held_resolutions(lake)
    assert found == {ids.surrogate(token(1, 0)): 0.0, ids.surrogate(token(1, 1)): 1.0}
    venue.calls.clear()
    missing(lake, venue)
    assert venue.calls == []


def held_resolutions(lake: Lake) -> dict[int, float]:
    with lake.snapshot() as now:
        return dict(now.read(RESOLUTIONS, columns=["token_id", "payout"]).iter_rows())


def test_a_market_keeps_the_instant_at_which_it_was_seen_first(lake: Lake):
    write_markets(lake, [market(1, end_at=NOW - HOUR)])
    with_fills(lake, fill(1, 1))
    later = HandMadeVenue(listed=[market(1)], at=NOW + DAY)
    missing(lake, later)
    with lake.snapshot() as now:
        seen = now.sql("SELECT first_seen_at FROM markets WHERE condition_id = ?", [condition(1)])
    assert seen["first_seen_at"].to_list() == [NOW]


def test_markets_over_the_bound_of_a_pass_are_counted_and_unknown_ones_come_first(lake: Lake):
    write_markets(lake, [market(1, end_at=NOW - HOUR)])
    with_fills(lake, fill(1, 1), fill(1, 51, NOW - 2 * HOUR), fill(1, 52, NOW - 3 * HOUR))
    venue = HandMadeVenue()
    found = missing(lake, venue, replace(RULES, markets_per_pass=2))
    assert venue.asked("markets") == [f"{condition(51)},{condition(52)}"]
    assert [each.subject for each in found.problems] == ["1 markets"]
