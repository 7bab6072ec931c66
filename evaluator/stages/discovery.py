"""What a venue has to offer on a day: its markets, their holders and scores, its leaderboard.

Each function asks an open venue and commits what it answers. Finding wallets in all this is
in `evaluator.stages.discovery_wallets`.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import product

import polars as pl

from evaluator.domain import ids, market_scores
from evaluator.domain.errors import PermanentError
from evaluator.domain.market_scores import FEED_PAGE_ROWS, DiscoveryRules
from evaluator.domain.schema import Table
from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD, MARKET_SCORES, MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, QUARANTINE
from evaluator.stages import new_fills, parts
from evaluator.stages.discovery_answers import Answers, each, refusals_of, rows_of
from evaluator.stages.problems import Problem
from evaluator.stages.source import Gathered
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Place, Upsert
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import MarketFilter, Venue, Walk

MARKETS_AT_ONCE = 100
"""Markets named in one question."""

TRADED_WITHIN = timedelta(hours=24)


class NotThereError(PermanentError):
    """A step of discovery was asked for a day on which the step before it has not run."""

    code = "not_there"
    hint = "materialise that table of the day first, or run the job `discovery`"

    def __init__(self, table: Table, day: date) -> None:
        self.table, self.day = table.name, day
        super().__init__(f"there is no {table.name} of {day}")


async def read_markets(
    lake: Lake, venue: Venue, day: date, rules: DiscoveryRules, *, at_once: asyncio.Semaphore
) -> Gathered:
    """Upsert the day's `markets`: open ones that may be candidates, and known unresolved ones.

    Known is what was ever listed, filled, split, merged or redeemed. A market whose payouts are
    known is asked about no more. Raises the venue's error where the listing fails.
    """
    at = venue.now()
    first, last = (timedelta(days=n) for n in (rules.min_days_to_end, rules.max_days_to_end))
    wanted = MarketFilter(rules.min_liquidity_usdc, ends_after=at + first, ends_before=at + last)
    listed = await venue.open_markets(day, wanted)
    with lake.snapshot() as now:
        known = _known(now)
        asked = _unresolved(now, known).difference(listed.rows["condition_id"])
    answers = await each(
        _chunks(sorted(asked)),
        lambda chunk: venue.markets(day, chunk),
        at_once,
        lambda chunk: f"{len(chunk)} markets from {chunk[0]}",
    )
    found = [listed, *(parsed for _, parsed in answers.given)]
    commit = lake.commit(
        upsert={(MARKETS, partitions.day(day)): as_first_seen(rows_of(MARKETS, found), known)},
        append={(QUARANTINE, partitions.SINGLE): refusals_of(found)},
        what="markets",
    )
    return Gathered(commit, problems=answers.problems)


async def read_holders(
    lake: Lake, venue: Venue, day: date, rules: DiscoveryRules, *, at_once: asyncio.Semaphore
) -> Gathered:
    """Upsert the day's `holders` of the candidates; a market not answered keeps its older rows."""
    with lake.snapshot() as now:
        listed = candidates(now, day, venue.now(), rules)
    answers = await each(listed["condition_id"], lambda market: venue.holders(day, market), at_once)
    read = [condition_id for condition_id, _ in answers.given]
    found = [parsed for _, parsed in answers.given]
    tokens = tokens_of(listed.filter(pl.col("condition_id").is_in(read)))
    rows = Upsert(rows_of(HOLDERS, found), scopes=tokens.select("token_id").unique())
    commit = lake.commit(
        upsert={(HOLDERS, partitions.day(day)): rows},
        append={(QUARANTINE, partitions.SINGLE): refusals_of(found)},
        what="holders",
    )
    return Gathered(commit, problems=answers.problems)


async def read_leaderboard(
    lake: Lake, venue: Venue, day: date, rules: DiscoveryRules, *, at_once: asyncio.Semaphore
) -> Gathered:
    """Replace the day's `leaderboard`; a board not answered keeps its older rows of the day."""
    boards = list(product(rules.leaderboard_categories, rules.leaderboard_periods))
    answers = await each(boards, lambda board: venue.leaderboard(day, *board), at_once, "/".join)
    found = [parsed for _, parsed in answers.given]
    unread = [problem.subject for problem in answers.problems]
    with lake.snapshot() as now:
        older = now.read(LEADERBOARD, partitions=[partitions.day(day)])
        kept = older.filter(pl.concat_str("category", "period", separator="/").is_in(unread))
        best_first = rows_of(LEADERBOARD, found).sort("rank", maintain_order=True)
        commit = lake.commit(
            replace={
                (LEADERBOARD, partitions.day(day)): pl.concat(
                    [best_first, texted(now, kept, "proxy_wallet")]
                )
            },
            append={(QUARANTINE, partitions.SINGLE): refusals_of(found)},
            base=now,
            what="leaderboard",
        )
    return Gathered(commit, problems=answers.problems)


async def score_markets(
    lake: Lake,
    venue: Venue,
    day: date,
    rules: DiscoveryRules,
    stamp: Stamp,
    *,
    at_once: asyncio.Semaphore,
) -> Gathered:
    """Replace the day's `market_scores`, and append the trades read for them to `fills`.

    A feed that could not be read, or that broke off before 24 hours and `full_trades`, leaves
    the number of trades unknown, and is a problem. Holders are those of the day.
    """
    at = venue.now()
    since = at - TRADED_WITHIN
    pages = math.ceil(rules.full_trades / FEED_PAGE_ROWS) + 1  # one more: rows may repeat
    with lake.snapshot() as now:
        asked = candidates(now, day, at, rules)["condition_id"].to_list()
    answers = await each(
        asked, lambda market: venue.market_trades(market, max_pages=pages, since=since), at_once
    )
    counts, cut_off = _counted(answers, (since, at), rules)
    with lake.snapshot() as now:
        listed = candidates(now, day, at, rules)
        scored = market_scores.scores(listed, counts, _top_holders(now, day, listed), rules)
        fresh, fills = fills_to_append(now, [walk.found for _, walk in answers.given])
        stamped = scored.with_columns(**stamp.columns(day)).select(MARKET_SCORES.schema.names())
        commit = lake.commit(
            replace={(MARKET_SCORES, partitions.day(day)): stamped},
            append=fills,
            base=now,
            what="market scores",
        )
    return Gathered(commit, fresh, problems=(*answers.problems, *cut_off))


def candidates(now: Snapshot, day: date, at: datetime, rules: DiscoveryRules) -> pl.DataFrame:
    """The day's candidates with ids as texts, sorted by market; raises NotThereError."""
    require(now, MARKETS, day)
    rows = now.read(MARKETS, partitions=[partitions.day(day)])
    found = market_scores.candidates(rows, at, rules)
    return texted(now, found, "condition_id", "event_slug").sort("condition_id")


def require(now: Snapshot, table: Table, day: date) -> None:
    """Raise NotThereError where the day's partition was never written."""
    if partitions.day(day) not in now.partitions(table):
        raise NotThereError(table, day)


def tokens_of(markets: pl.DataFrame) -> pl.DataFrame:
    """One row per market and token: condition_id as it is, token_id as surrogate."""
    exploded = markets.select("condition_id", pl.col("token_ids").alias("token_id"))
    rows = exploded.explode("token_id", empty_as_null=False).drop_nulls("token_id")
    return rows.with_columns(ids.surrogates(rows["token_id"]))


def texted(now: Snapshot, rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Rows with the surrogates of some columns replaced by their texts."""
    wanted = pl.concat([rows[column].alias("key") for column in columns]).unique()
    known = now.texts().join(wanted.to_frame(), on="key", how="semi")
    return rows.with_columns(
        pl.col(columns).replace_strict(
            known["key"], known["text"], default=None, return_dtype=pl.String
        )
    )


def fills_to_append(
    now: Snapshot, found: Sequence[Parsed]
) -> tuple[new_fills.NewFills, dict[Place, pl.DataFrame]]:
    """What is new in feeds, and the frames to append: fills by bucket, and refused rows."""
    fresh = new_fills.unseen(now, rows_of(FILLS, found))
    frames: dict[Place, pl.DataFrame] = {
        (FILLS, bucket): rows for bucket, rows in parts.by_bucket(fresh) if rows.height
    }
    frames[QUARANTINE, partitions.SINGLE] = refusals_of(found)
    return new_fills.described(now, fresh), frames


def _known(now: Snapshot) -> pl.DataFrame:
    """One row per market that was ever read: whether it is resolved, and when it was first seen."""
    columns = ["snapshot_date", "condition_id", "resolved_at", "first_seen_at"]
    rows = now.read(MARKETS, columns=columns)
    return rows.group_by("condition_id").agg(
        pl.col("resolved_at").sort_by("snapshot_date").last().is_not_null().alias("is_resolved"),
        pl.col("first_seen_at").min().alias("seen"),
    )


def _unresolved(now: Snapshot, known: pl.DataFrame) -> set[str]:
    """Texts of the markets known or touched whose payouts are not; bucket by bucket."""
    met = [known.select("condition_id")]
    for table in (FILLS, ACTIVITY):
        for bucket in now.partitions(table):
            rows = now.read(table, partitions=[bucket], columns=["condition_id"])
            met.append(rows.drop_nulls().unique())
    resolved = known.filter("is_resolved")
    keys = pl.concat(met).unique().join(resolved, on="condition_id", how="anti")
    return set(texted(now, keys, "condition_id")["condition_id"])


def _chunks(condition_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    for first in range(0, len(condition_ids), MARKETS_AT_ONCE):
        yield condition_ids[first : first + MARKETS_AT_ONCE]


def as_first_seen(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Rows of markets with the earliest instant at which each was read: `seen` in `known`."""
    keyed = rows.with_columns(ids.surrogates(rows["condition_id"]).alias("key"))
    seen = known.select("seen", pl.col("condition_id").alias("key"))
    joined = keyed.join(seen, on="key", how="left", maintain_order="left")
    first = pl.coalesce(pl.col("seen").cast(rows.schema["first_seen_at"]), "first_seen_at")
    return joined.with_columns(first.alias("first_seen_at")).select(rows.columns)


def _top_holders(now: Snapshot, day: date, listed: pl.DataFrame) -> pl.DataFrame:
    holders = now.read(
        HOLDERS, partitions=[partitions.day(day)], columns=["token_id", "amount_shares"]
    )
    return market_scores.top_holders(holders, tokens_of(listed))


def _counted(
    answers: Answers[str, Walk], within: tuple[datetime, datetime], rules: DiscoveryRules
) -> tuple[pl.DataFrame, list[Problem]]:
    """Trades of each market in the span, and the markets whose feed broke off too early."""
    since, until = within
    counts: dict[str, int] = {}
    problems = []
    for condition_id, walk in answers.given:
        recent = walk.found.rows.filter(pl.col("filled_at").is_between(since, until))
        count = recent["fill_id"].n_unique()
        reaches = walk.is_exhausted or (walk.covered_from and walk.covered_from <= since)
        if reaches or count >= rules.full_trades:
            counts[condition_id] = count
        else:
            problems.append(Problem(condition_id, f"the feed broke off after {count} trades"))
    columns = {"condition_id": list(counts), "trades_24h_count": list(counts.values())}
    return pl.DataFrame(
        columns, {"condition_id": pl.String, "trades_24h_count": pl.Int64}
    ), problems
