"""Histories of some wallets as the venue gives them, and what a commit of them changes.

Reading commits nothing: `Fetched.places` says what belongs into one commit, so that rows and
the state that speaks of them appear together.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from evaluator.domain import ids
from evaluator.domain.errors import EvaluatorError, PermanentError, TransientError
from evaluator.domain.schema import ID, REF, Table
from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE, QUARANTINE
from evaluator.stages import new_fills, parts
from evaluator.stages.ingestion_coverage import ACTIVITY as MOVEMENTS
from evaluator.stages.ingestion_coverage import LISTINGS, TRADES, Coverage, Gap
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.new_fills import NewFills
from evaluator.stages.problems import Problem
from evaluator.store import partitions
from evaluator.store.commits import Place
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import no_rows
from evaluator.venue.venue import Venue, Walk

_INSTANTS = {TRADES: "filled_at", MOVEMENTS: "happened_at"}
_TABLES = {TRADES: FILLS, MOVEMENTS: ACTIVITY}


class StuckWalkError(PermanentError):
    """A listing has more rows of one instant than one walk reads."""

    code = "stuck_walk"
    hint = "raise ingestion.pages_per_walk"

    def __init__(self, proxy_wallet: str, listing: str, at: datetime) -> None:
        super().__init__(f"the {listing} of {proxy_wallet} cannot be read past {at.isoformat()}")


@dataclass(frozen=True, slots=True)
class Places:
    """The arguments of one commit, and what is new in it. `state` is one row per wallet read."""

    append: dict[Place, pl.DataFrame]
    upsert: dict[Place, pl.DataFrame]
    new_fills: NewFills
    row_count: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What has been read of some wallets: rows, ids as texts, and how far each is covered.

    A wallet with a problem has neither rows nor coverage. `skipped` were not asked.
    """

    at: datetime
    fills: pl.DataFrame
    activity: pl.DataFrame
    quarantine: pl.DataFrame
    coverages: Mapping[str, Coverage]
    problems: tuple[Problem, ...] = ()
    skipped: tuple[str, ...] = ()
    page_count: int = 0

    @property
    def unfinished(self) -> dict[str, Coverage]:
        """Wallets of which older rows are left to read."""
        return {name: each for name, each in self.coverages.items() if not each.is_finished}

    @property
    def finished(self) -> tuple[str, ...]:
        """Wallets of which nothing is left to read."""
        return tuple(name for name, each in self.coverages.items() if each.is_finished)

    def places(self, now: Snapshot) -> Places:
        """What to commit: rows not there yet by bucket, states, refused rows.

        A wallet with new rows has been ingested `at` this reading, any other when it was before.
        """
        fills = new_fills.unseen(now, self.fills)
        activity = _unseen_activity(now, self.activity)
        changed = pl.concat([fills["proxy_wallet"], activity["proxy_wallet"]]).unique()
        append: dict[Place, pl.DataFrame] = {(QUARANTINE, partitions.SINGLE): self.quarantine}
        for table, rows in ((FILLS, fills), (ACTIVITY, activity)):
            append |= {(table, where): part for where, part in parts.by_bucket(rows) if part.height}
        return Places(
            append={place: rows for place, rows in append.items() if rows.height},
            upsert={(INGEST_STATE, partitions.SINGLE): self._states(set(changed))},
            new_fills=new_fills.described(now, fills),
            row_count=fills.height + activity.height,
        )

    def _states(self, changed: set[str]) -> pl.DataFrame:
        """Rows of `ingest_state`, ids as texts."""
        rows = [
            {
                "proxy_wallet": name,
                "oldest_at": each.oldest_at,
                "newest_at": each.newest_at,
                "cursor": each.cursor,
                "history_complete": each.is_complete,
                "ingested_at": self.at if name in changed else each.ingested_at or self.at,
            }
            for name, each in self.coverages.items()
        ]
        return pl.DataFrame(rows, no_rows(INGEST_STATE).schema)


def read_states(now: Snapshot, wallets: Iterable[str]) -> dict[str, Coverage]:
    """How far each of these wallets has been read; one never read is absent."""
    keys = {ids.surrogate(name): name for name in wallets}
    wanted = pl.DataFrame({"proxy_wallet": list(keys)}, {"proxy_wallet": pl.Int64})
    rows = now.read(INGEST_STATE).join(wanted, on="proxy_wallet", how="semi")
    return {keys[row["proxy_wallet"]]: Coverage.of_row(row) for row in rows.iter_rows(named=True)}


async def fetch_wallets(
    venue: Venue,
    wallets: Sequence[str],
    states: Mapping[str, Coverage],
    rules: IngestionRules,
    *,
    walks: int = 1,
) -> Fetched:
    """Read what the states say is missing, up to now, at most some walks of each listing.

    What these do not reach is left in the coverage. A wallet that fails is a problem of its own.
    """
    coverages = opened(venue.now(), wallets, states, rules)
    return await read_on(venue, coverages, rules, Streak(rules.failures_until_stop), walks=walks)


def opened(
    now: datetime, wallets: Iterable[str], states: Mapping[str, Coverage], rules: IngestionRules
) -> dict[str, Coverage]:
    """What is to be read of each wallet to know it up to now."""
    return {
        name: states[name].until(now, rules.overlap) if name in states else Coverage.unread(now)
        for name in dict.fromkeys(wallets)
    }


@dataclass(slots=True)
class Streak:
    """Failures in a row that trying again did not help; past `most` nobody is asked any more."""

    most: int
    length: int = 0

    @property
    def is_over(self) -> bool:
        """The venue does not answer."""
        return self.length >= self.most

    def note(self, error: EvaluatorError | None) -> None:
        """An answer ends the streak; what is wrong with one wallet alone does not count."""
        self.length = self.length + 1 if isinstance(error, TransientError) else 0


async def read_on(
    venue: Venue,
    coverages: Mapping[str, Coverage],
    rules: IngestionRules,
    streak: Streak,
    *,
    walks: int = 1,
    free: asyncio.Semaphore | None = None,
) -> Fetched:
    """Some walks of each wallet's open intervals, the newest first; see `fetch_wallets`.

    As many wallets at once as `free` lets, or `rules.concurrency`.
    """
    at = venue.now()
    at_once = free or asyncio.Semaphore(rules.concurrency)

    async def read(name: str) -> "_Read | Problem | None":
        async with at_once:
            if streak.is_over:
                return None
            try:
                found = await _read_wallet(venue, name, coverages[name], rules, walks)
            except EvaluatorError as error:
                streak.note(error)
                return Problem(name, f"{type(error).__name__}: {error}")
            streak.note(None)
            return found

    answers = dict(zip(coverages, await asyncio.gather(*map(read, coverages)), strict=True))
    return _fetched(at, answers)


@dataclass(frozen=True, slots=True)
class _Read:
    """Walks of one wallet."""

    coverage: Coverage
    walks: dict[str, list[Walk]] = field(default_factory=dict)


async def _read_wallet(
    venue: Venue, name: str, coverage: Coverage, rules: IngestionRules, walks: int
) -> _Read:
    read = _Read(coverage, {listing: [] for listing in LISTINGS})
    for _ in range(walks):
        for listing in LISTINGS:
            if gap := read.coverage.next_gap(listing):
                walk = await _walk(venue, name, listing, gap, rules)
                read = replace(read, coverage=_advanced(read.coverage, name, listing, walk))
                read.walks[listing].append(walk)
    return read


async def _walk(venue: Venue, name: str, listing: str, gap: Gap, rules: IngestionRules) -> Walk:
    ask = venue.wallet_trades if listing == TRADES else venue.wallet_activity
    return await ask(name, max_pages=rules.pages_per_walk, start=gap.start, end=gap.end)


def _advanced(coverage: Coverage, name: str, listing: str, walk: Walk) -> Coverage:
    """Raises StuckWalkError where the walk has read nothing of its interval."""
    gap = coverage.gaps[listing][0]
    down_to = None if walk.is_exhausted else walk.covered_from
    is_stuck = not walk.is_exhausted and (down_to is None or down_to >= gap.end)
    if is_stuck and not walk.is_capped:
        raise StuckWalkError(name, listing, gap.end)
    oldest: datetime | None = walk.found.rows[_INSTANTS[listing]].min()  # type: ignore[assignment]
    return coverage.closed(
        listing, down_to=down_to, is_capped=walk.is_capped and not walk.is_exhausted
    ).with_row_at(oldest)


def _fetched(at: datetime, answers: Mapping[str, _Read | Problem | None]) -> Fetched:
    reads = {name: each for name, each in answers.items() if isinstance(each, _Read)}
    walks = [walk for each in reads.values() for listed in each.walks.values() for walk in listed]
    refused = [no_rows(QUARANTINE), *(walk.found.quarantine for walk in walks)]
    return Fetched(
        at=at,
        fills=_rows(reads.values(), TRADES),
        activity=_rows(reads.values(), MOVEMENTS),
        quarantine=pl.concat(refused).unique(QUARANTINE.key, keep="first", maintain_order=True),
        coverages={name: each.coverage for name, each in reads.items()},
        problems=tuple(each for each in answers.values() if isinstance(each, Problem)),
        skipped=tuple(name for name, each in answers.items() if each is None),
        page_count=sum(walk.page_count for walk in walks),
    )


def _rows(reads: Iterable[_Read], listing: str) -> pl.DataFrame:
    """Rows of one listing, each key once."""
    table = _TABLES[listing]
    frames = [walk.found.rows for read in reads for walk in read.walks[listing]]
    rows = pl.concat([no_rows(table), *frames])
    return rows.unique(table.key, keep="first", maintain_order=True)


def _unseen_activity(now: Snapshot, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows whose activity_id the snapshot does not hold."""
    touched = [where for where, part in parts.by_bucket(rows) if part.height]
    known = now.read(ACTIVITY, partitions=touched, columns=["activity_id"])
    return rows.join(known, on="activity_id", how="anti", maintain_order="left")


def stored(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Rows with surrogates in place of texts, as a snapshot gives them."""
    texts = [column.name for column in table.columns if column.dtype in (ID, REF)]
    return rows.with_columns(
        ids.surrogates(rows[name]).alias(name) for name in texts if rows.schema[name] == pl.String
    )
