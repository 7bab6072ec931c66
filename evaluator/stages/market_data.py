"""Price series, order books and comments of what is followed, an hour at a time.

Rows go to the day of their own instant. One token or event that fails costs itself alone; what
a pass leaves out for its bounds is counted.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import polars as pl

from evaluator.domain import ids
from evaluator.domain.schema import Table
from evaluator.domain.tables.history import QUARANTINE
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.stages import followed, gathering, parts
from evaluator.stages.discovery_answers import refusals_of, rows_of
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.problems import Problem
from evaluator.stages.source import Gathered
from evaluator.store import partitions
from evaluator.store.commits import Commit, Place
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import Parsed, together
from evaluator.venue.venue import Venue

HOUR = timedelta(hours=1)
_SERIES_SLACK = timedelta(days=1)
"""A series may begin so much after a token's first fill without counting as cut off."""
_INSTANTS = {PRICES.name: "priced_at", BOOKS.name: "observed_at", COMMENTS.name: "posted_at"}
_SERIES_BEGIN = """
    SELECT token_id, min(priced_at) AS oldest_at FROM prices
    WHERE token_id IN (SELECT unnest(CAST(? AS BIGINT[]))) GROUP BY token_id"""
_LAST_COMMENTS = """
    SELECT event_slug, max(posted_at) AS last_at FROM comments
    WHERE event_slug IS NOT NULL GROUP BY event_slug"""

Span = tuple[datetime, datetime]


async def read_prices(lake: Lake, venue: Venue, hour: datetime, rules: IngestionRules) -> Gathered:
    """Append the prices of [hour, hour + 1 h), and what a token's series lacks before it.

    A series begins with the token's first fill, at most `price_history_days` back.
    """
    end = hour + HOUR
    with lake.snapshot() as now:
        listed = followed.tokens(now, end, timedelta(hours=rules.traded_hours))
        asked = listed.head(rules.tokens_per_pass)
        spans = _spans(now, asked, hour, rules)

    async def ask(token: str) -> Parsed:
        return _joined(PRICES, [
            await venue.prices(token, start=first, end=last)
            for first, last in spans[token]
        ])  # fmt: skip

    commits: list[Commit] = []
    problems: list[Problem] = []
    waiting: list[Parsed] = []
    left_count = listed.height
    for batch in gathering.batches(list(spans), rules.tokens_per_request):
        answers = await gathering.answers_of(batch, ask, rules.concurrency)
        problems += answers.problems
        left_count -= len(batch)
        waiting += [parsed for _, parsed in answers.given]
        if not answers.given:
            break
        if sum(parsed.rows.height for parsed in waiting) >= rules.price_rows_per_commit:
            commits.append(await asyncio.to_thread(_append, lake, PRICES, waiting))
            waiting = []
    commits.append(await asyncio.to_thread(_append, lake, PRICES, waiting))
    commit = gathering.one_commit(lake, commits)
    return gathering.read_of(commit, problems, left_count=left_count, what="tokens")


def _spans(
    now: Snapshot, asked: pl.DataFrame, hour: datetime, rules: IngestionRules
) -> dict[str, list[Span]]:
    """What to ask of each token: the hour, and in chunks what its series lacks."""
    begun = now.stored_sql(_SERIES_BEGIN, [asked["token_id"].to_list()])
    oldest = pl.col("oldest_at").dt.convert_time_zone("UTC")
    rows = asked.join(begun.with_columns(oldest), on="token_id", how="left")
    end, longest = hour + HOUR, timedelta(days=rules.price_history_days)
    chunk = timedelta(days=rules.price_chunk_days)
    spans = {}
    for row in rows.iter_rows(named=True):
        first = min(max(row["first_fill_at"] or hour, end - longest), hour)
        begins = row["oldest_at"] or end
        lacks = row["oldest_at"] is None or begins - first > _SERIES_SLACK
        missing = _chunks(first, min(begins, hour), chunk) if lacks else []
        spans[row["token_text"]] = [*missing, (hour, end)]
    return spans


def _chunks(first: datetime, last: datetime, longest: timedelta) -> Iterator[Span]:
    while first < last:
        until = min(first + longest, last)
        yield first, until
        first = until


async def read_books(lake: Lake, venue: Venue, hour: datetime, rules: IngestionRules) -> Gathered:
    """Append the order books as they are now, of tokens that are not resolved.

    The venue shows the present only: of an hour that ended more than an hour ago there is none
    to read, which is a problem of its own.
    """
    if venue.now() >= hour + 2 * HOUR:
        problem = Problem(hour.isoformat(), "the books of a past hour cannot be read any more")
        return Gathered(gathering.one_commit(lake, []), problems=(problem,))
    with lake.snapshot() as now:
        listed = followed.tokens(now, venue.now(), timedelta(hours=rules.traded_hours))
    live = listed.filter(~pl.col("is_resolved"))["token_text"].to_list()
    asked = live[: rules.tokens_per_pass]
    answers = await gathering.answers_by_chunk(
        asked, venue.books, rules.tokens_per_request, rules.concurrency
    )
    commit = await asyncio.to_thread(_append, lake, BOOKS, [each for _, each in answers.given])
    left_count = len(live) - len(asked)
    return gathering.read_of(commit, answers.problems, left_count=left_count, what="tokens")


async def read_comments(
    lake: Lake, venue: Venue, hour: datetime, rules: IngestionRules
) -> Gathered:
    """Append the comments on the events of what is followed, since the newest one there is.

    Of an event met first, those of the last `comment_history_days`. A market without an event
    has no place of its own where it is commented on.
    """
    with lake.snapshot() as now:
        listed = followed.tokens(now, hour + HOUR, timedelta(hours=rules.traded_hours))
        events = listed["event"].drop_nulls().unique(maintain_order=True).to_list()
        last = dict(now.stored_sql(_LAST_COMMENTS).iter_rows())
    asked = events[: rules.events_per_pass]
    first = hour - timedelta(days=rules.comment_history_days)

    async def ask(event: str) -> Parsed:
        newest = last.get(ids.surrogate(event))
        return await venue.comments(event, since=newest - rules.overlap if newest else first)

    answers = await gathering.answers_of(asked, ask, rules.concurrency)
    commit = await asyncio.to_thread(_append, lake, COMMENTS, [each for _, each in answers.given])
    left_count = len(events) - len(asked)
    return gathering.read_of(commit, answers.problems, left_count=left_count, what="events")


def _append(lake: Lake, table: Table, found: Sequence[Parsed]) -> Commit:
    """Rows by their day, and what was refused."""
    append: dict[Place, pl.DataFrame] = {
        (table, where): rows
        for where, rows in parts.by_day(rows_of(table, found), _INSTANTS[table.name])
    }
    refused = refusals_of(found)
    if refused.height:
        append[QUARANTINE, partitions.SINGLE] = refused
    return lake.commit(append=append, what=table.name)


def _joined(table: Table, answers: Sequence[Parsed]) -> Parsed:
    """Several answers about one subject as one."""
    counts = together(each.counts for each in answers)
    return Parsed(rows_of(table, answers), refusals_of(answers), counts)
