"""Wallet histories and official positions from a venue, commit by commit.

Whatever stops it, the tables hold whole commits, and `ingest_state` says what is missing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from evaluator.domain import ids
from evaluator.domain.tables.history import INGEST_STATE, POSITIONS, QUARANTINE
from evaluator.stages import gathering, ingestion_fetch, new_fills, parts
from evaluator.stages.discovery_answers import Answers, refusals_of, rows_of
from evaluator.stages.ingestion_coverage import Coverage
from evaluator.stages.ingestion_fetch import Fetched, Places, Streak
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.new_fills import NewFills
from evaluator.stages.problems import Problem
from evaluator.stages.source import Gathered
from evaluator.store import partitions
from evaluator.store.commits import Commit, Upsert
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Venue


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass has come."""

    wallets_done: int
    wallets_left: int
    rows: int


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a pass over wallets has committed, and what it could not read.

    `wallets_done` are read up to now with nothing left; `wallets_left` are all others, those
    of problems included. `commit` is all commits as one.
    """

    commit: Commit
    commit_ids: tuple[int, ...]
    new_fills: NewFills
    problems: tuple[Problem, ...]
    wallets_done: tuple[str, ...]
    wallets_left: tuple[str, ...]
    rows: int


_COMMITS_LEFT_APART = 16
"""Of more, the states are folded: every later reading resolves all that supersede each other."""

OnProgress = Callable[[Progress], None]


async def ingest_wallets(
    lake: Lake,
    venue: Venue,
    wallets: Sequence[str],
    rules: IngestionRules,
    on_progress: OnProgress | None = None,
) -> Ingested:
    """Read all that is missing of these wallets' fills and activity, a batch to a commit.

    A wallet that fails does not stop the others; a venue that no longer answers leaves the rest.
    """
    with lake.snapshot() as now:
        states = ingestion_fetch.read_states(now, wallets)
    due = ingestion_fetch.opened(venue.now(), wallets, states, rules)
    batches = deque(_batches(due, states, rules))
    work = _Pass(lake, venue, rules, on_progress, batches, tuple(due))
    workers = (work.empty_queue() for _ in range(rules.batches_at_once))
    await asyncio.gather(*workers)
    if len(work.commits) > _COMMITS_LEFT_APART:
        await asyncio.to_thread(lake.fold, INGEST_STATE)
    return work.outcome()


def _batches(
    due: Mapping[str, Coverage], states: Mapping[str, Coverage], rules: IngestionRules
) -> Iterator[dict[str, Coverage]]:
    """Wallets in the order of buckets, for a commit locks and checks each bucket it touches.

    Those never finished come in smaller batches: a kill loses what a batch has read.
    """
    known = {name for name in due if name in states and states[name].is_finished}
    sizes = ((False, rules.wallets_per_commit), (True, rules.known_wallets_per_commit))
    for is_known, size in sizes:
        names = sorted((name for name in due if (name in known) is is_known), key=_by_bucket)
        for batch in gathering.batches(names, size):
            yield {name: due[name] for name in batch}


@dataclass(slots=True)
class _Pass:
    """One call of `ingest_wallets`: the batches that wait, and what has come of the others."""

    lake: Lake
    venue: Venue
    rules: IngestionRules
    on_progress: OnProgress | None
    batches: deque[dict[str, Coverage]]
    wallets: tuple[str, ...]
    streak: Streak = field(init=False)
    free: asyncio.Semaphore = field(init=False)
    commits: list[Commit] = field(default_factory=list)
    found: list[NewFills] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    rows: int = 0

    def __post_init__(self) -> None:
        self.streak = Streak(self.rules.failures_until_stop)
        self.free = asyncio.Semaphore(self.rules.concurrency)

    async def empty_queue(self) -> None:
        """Read and commit batches until none waits or the venue no longer answers."""
        while self.batches and not self.streak.is_over:
            batch = self.batches.popleft()
            while batch and not self.streak.is_over:
                fetched = await ingestion_fetch.read_on(
                    self.venue, batch, self.rules, self.streak, free=self.free
                )
                if fetched.coverages:
                    places, commit = await asyncio.to_thread(_commit, self.lake, fetched)
                    self._note(places, commit)
                self.problems += fetched.problems
                self.done.update(fetched.finished)
                self._tell()
                batch = fetched.unfinished

    def outcome(self) -> Ingested:
        """What has come of it, in an order that does not depend on which batch was faster."""
        return Ingested(
            commit=gathering.one_commit(self.lake, self.commits),
            commit_ids=tuple(sorted(each.commit_id for each in self.commits)),
            new_fills=new_fills.together(self.found),
            problems=tuple(sorted(self.problems, key=lambda each: each.subject)),
            wallets_done=tuple(name for name in self.wallets if name in self.done),
            wallets_left=tuple(name for name in self.wallets if name not in self.done),
            rows=self.rows,
        )

    def _note(self, places: Places, commit: Commit) -> None:
        self.commits.append(commit)
        self.found.append(places.new_fills)
        self.rows += places.row_count

    def _tell(self) -> None:
        if self.on_progress:
            left = len(self.wallets) - len(self.done)
            self.on_progress(Progress(len(self.done), left, self.rows))


def _commit(lake: Lake, fetched: Fetched) -> tuple[Places, Commit]:
    """Rows and the state that speaks of them, in one commit."""
    with lake.snapshot() as now:
        places = fetched.places(now)
    return places, lake.commit(append=places.append, upsert=places.upsert, what="histories")


async def ingest_positions(
    lake: Lake, venue: Venue, day: date, wallets: Sequence[str], rules: IngestionRules
) -> Gathered:
    """Upsert the official positions of those wallets whose rows have changed since they were read.

    A wallet that changed on the day of its positions, or later, counts as changed: positions keep
    no instant of their reading.
    """
    with lake.snapshot() as now:
        due = wallets_without_positions(now, wallets)
    asked = sorted(due[: rules.positions_per_pass], key=_by_bucket)
    commits: list[Commit] = []
    problems: list[Problem] = []
    left_count = len(due)
    for batch in gathering.batches(asked, rules.known_wallets_per_commit):
        answers = await gathering.answers_of(
            batch, lambda name: venue.wallet_positions(day, name), rules.concurrency
        )
        problems += answers.problems
        left_count -= len(batch)
        if not answers.given:
            break
        commits.append(await asyncio.to_thread(_commit_positions, lake, answers))
    commit = gathering.one_commit(lake, commits)
    return gathering.read_of(commit, problems, left_count=left_count, what="wallets")


def _by_bucket(name: str) -> tuple[int, str]:
    return ids.bucket_of(ids.surrogate(name)), name


def wallets_without_positions(now: Snapshot, wallets: Iterable[str]) -> list[str]:
    """Wallets whose rows are newer than their positions, those never asked for first.

    Wallets whose history has not been read are none of them.
    """
    named = {ids.surrogate(name): name for name in wallets}
    read = now.read(POSITIONS, columns=["proxy_wallet", "snapshot_date"])
    days = read.group_by("proxy_wallet").agg(pl.col("snapshot_date").max())
    changed_on = pl.col("ingested_at").dt.date()
    due = (
        now.read(INGEST_STATE, columns=["proxy_wallet", "ingested_at"])
        .filter(pl.col("proxy_wallet").is_in(list(named)))
        .join(days, on="proxy_wallet", how="left")
        .filter((changed_on >= pl.col("snapshot_date")).fill_null(value=True))
        .sort("snapshot_date", "proxy_wallet", nulls_last=False)
    )
    return [named[key] for key in due["proxy_wallet"]]


def _commit_positions(lake: Lake, answers: Answers[str, Parsed]) -> Commit:
    """A wallet without positions loses those it had."""
    found = [parsed for _, parsed in answers.given]
    pieces = dict(parts.by_bucket(rows_of(POSITIONS, found)))
    asked = [name for name, _ in answers.given]
    scopes = parts.by_bucket(pl.DataFrame({"proxy_wallet": asked}, {"proxy_wallet": pl.String}))
    refused = refusals_of(found)
    return lake.commit(
        upsert={
            (POSITIONS, where): Upsert(pieces[where], named)
            for where, named in scopes
            if named.height
        },
        append={(QUARANTINE, partitions.SINGLE): refused} if refused.height else {},
        what="positions",
    )
