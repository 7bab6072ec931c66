"""Reading what new wallets have done, and the markets they did it in, into the tables."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from time import perf_counter

import polars as pl

from evaluator.domain import ids
from evaluator.domain.markets import tokens as tokens_of
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import ACTIVITY, FILLS, QUARANTINE, RESOLUTIONS
from evaluator.stages import ingestion_fetch, ledger, overview, some_wallets
from evaluator.stages.discovery_answers import each, refusals_of, rows_of
from evaluator.stages.ingestion_coverage import Coverage
from evaluator.stages.ingestion_fetch import Fetched, Streak
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.ledger import NewRows
from evaluator.stages.new_fills import NewFills
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.problems import Problem
from evaluator.store import partitions
from evaluator.store.commits import Place, Upsert
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Venue

MARKETS_AT_ONCE = 100
"""Markets named in one question."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An open venue, and within which bounds it is read."""

    venue: Venue
    ingestion: IngestionRules
    rules: OnDemandRules


@dataclass(frozen=True, slots=True)
class Histories:
    """What has been read of some wallets, how long each took, and the markets not known before.

    `problems` are of markets; those of wallets are in `fetched`.
    """

    fetched: Fetched
    seconds: Mapping[str, float]
    markets: tuple[Parsed, ...]
    problems: tuple[Problem, ...]


async def read(lake: Lake, reading: Reading, wallets: Sequence[str], day: date) -> Histories:
    """What is missing of these histories, and unknown markets. Commits nothing.

    A wallet that fails is a problem of its own; raises where no market can be read.
    """
    with lake.snapshot() as now:
        states = ingestion_fetch.read_states(now, wallets)
    fetched, seconds = await _histories(reading, wallets, states)
    with lake.snapshot() as now:
        unknown = _unknown_markets(now, wallets, fetched)
    answers = await each(
        [unknown[at : at + MARKETS_AT_ONCE] for at in range(0, len(unknown), MARKETS_AT_ONCE)],
        lambda chunk: reading.venue.markets(day, chunk),
        asyncio.Semaphore(reading.rules.concurrency),
        lambda chunk: f"{len(chunk)} markets from {chunk[0]}",
    )
    found = tuple(parsed for _, parsed in answers.given)
    return Histories(fetched, seconds, found, answers.problems)


def publish(lake: Lake, histories: Histories, day: date) -> NewFills:
    """The markets with their payouts in one commit; rows, states and lots of wallets in the next."""
    markets = rows_of(MARKETS, histories.markets)
    if markets.height:
        refused = refusals_of(histories.markets)
        known = tokens_of(markets.lazy()).collect().drop_nulls(["payout", "resolved_at"])
        payouts = {(RESOLUTIONS, partitions.SINGLE): known.select(RESOLUTIONS.schema.names())}
        lake.commit(
            upsert={(MARKETS, partitions.day(day)): markets, **(payouts if known.height else {})},
            append={(QUARANTINE, partitions.SINGLE): refused},
            texts=[ids.resolution_ref("") + known["token_text"]],
            what="markets of new wallets",
        )
    return _publish_wallets(lake, histories.fetched)


def _publish_wallets(lake: Lake, fetched: Fetched) -> NewFills:
    """Rows, states and lots in one commit; lots again where others have added rows meanwhile."""
    if not fetched.coverages:
        return NewFills()
    wallets = keys(list(fetched.coverages))
    with lake.snapshot() as now:
        places = fetched.places(now)
        lots = ledger.lots_to_upsert(now, wallets, _new_rows(places.append))
        count = _row_count(now, wallets) + places.row_count
    upsert: dict[Place, pl.DataFrame | Upsert] = {**places.upsert, **lots}
    lake.commit(append=places.append, upsert=upsert, what="new wallets")
    while True:
        with lake.snapshot() as now:
            found = _row_count(now, wallets)
            if found == count:  # rows are only ever added
                return places.new_fills
            lots, count = ledger.lots_to_upsert(now, wallets), found
        lake.commit(upsert=lots, what="lots of new wallets")


def _new_rows(append: Mapping[Place, pl.DataFrame]) -> NewRows:
    """What is about to be appended, as stored."""
    of: dict[str, list[pl.DataFrame]] = {FILLS.name: [], ACTIVITY.name: []}
    for (table, _), rows in append.items():
        if table.name in of:
            of[table.name].append(ingestion_fetch.stored(rows, table))
    return NewRows(tuple(of[FILLS.name]), tuple(of[ACTIVITY.name]))


def _row_count(now: Snapshot, wallets: pl.Series) -> int:
    """Stored fills and movements of the wallets."""
    where, theirs = some_wallets.of_wallets(wallets)
    wanted = pl.col("proxy_wallet").is_in(wallets.implode())
    return sum(
        now.read(table, partitions=where, columns=["proxy_wallet"], **theirs).filter(wanted).height
        for table in (FILLS, ACTIVITY)
    )


async def _histories(
    reading: Reading, wallets: Sequence[str], states: Mapping[str, Coverage]
) -> tuple[Fetched, dict[str, float]]:
    """Each wallet on its own, so that its time is known; few at once."""
    venue, rules = reading.venue, reading.ingestion
    due = ingestion_fetch.opened(venue.now(), wallets, states, rules)
    streak, free = Streak(rules.failures_until_stop), asyncio.Semaphore(reading.rules.concurrency)

    async def fetch(name: str) -> tuple[Fetched, float]:
        async with free:
            began = perf_counter()
            found = await ingestion_fetch.read_on(venue, {name: due[name]}, rules, streak)
            return found, perf_counter() - began

    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(fetch(name)) for name in due}
    results = {name: task.result() for name, task in tasks.items()}
    seconds = {name: spent for name, (_, spent) in results.items()}
    return _together([found for found, _ in results.values()]), seconds


def _together(found: Sequence[Fetched]) -> Fetched:
    """What was read wallet by wallet as one reading."""
    first, *others = found
    if not others:
        return first
    return Fetched(
        at=min(each.at for each in found),
        fills=pl.concat([each.fills for each in found]),
        activity=pl.concat([each.activity for each in found]),
        quarantine=pl.concat([each.quarantine for each in found]).unique(QUARANTINE.key),
        coverages={name: own for each in found for name, own in each.coverages.items()},
        problems=tuple(problem for each in found for problem in each.problems),
        skipped=tuple(name for each in found for name in each.skipped),
        page_count=sum(each.page_count for each in found),
    )


def _unknown_markets(now: Snapshot, wallets: Sequence[str], fetched: Fetched) -> list[str]:
    """Markets that the wallets touched, as just read or as stored, and that no row describes."""
    read = pl.concat([fetched.fills["condition_id"], fetched.activity["condition_id"]])
    texts = read.drop_nulls().unique()
    named = dict(zip(ids.surrogates(texts), texts, strict=True))
    where, theirs = some_wallets.of_wallets(keys(wallets))
    stored = [
        now.read(table, partitions=where, columns=["condition_id"], **theirs)["condition_id"]
        for table in (FILLS, ACTIVITY)
    ]
    known = now.read(MARKETS, columns=["condition_id"])["condition_id"].unique()
    touched = pl.concat([*stored, pl.Series(named.keys(), dtype=pl.Int64)]).drop_nulls().unique()
    unknown = touched.filter(~touched.is_in(known.implode())).to_list()
    elsewhere = [key for key in unknown if key not in named]
    named |= overview.texts_of(now, elsewhere) if elsewhere else {}
    return sorted(named[key] for key in unknown)


def keys(wallets: Sequence[str]) -> pl.Series:
    """Surrogates of addresses, as `proxy_wallet`."""
    return ids.surrogates(pl.Series("proxy_wallet", wallets, dtype=pl.String))
