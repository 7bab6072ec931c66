"""What is kept for how long, and the commits that delete the rest.

The numbers of history – fills, activity, lots, features, scores, verdicts – stay for ever unless
told otherwise. A daily table loses whole days, a table of one partition loses old rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar

import polars as pl

from evaluator.domain.schema import Table
from evaluator.domain.tables.discovery import HOLDERS, LEADERBOARD, MARKET_SCORES, MARKETS
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_FEATURES_ON_DEMAND,
    WALLET_PERSONAS,
    WALLET_SCORES,
    WALLET_TRAITS,
)
from evaluator.domain.tables.history import (
    DEAD_LETTERS,
    ON_DEMAND_OUTCOMES,
    QUARANTINE,
    VENUE_REQUESTS,
)
from evaluator.domain.tables.market_data import BOOKS, COMMENTS, PRICES
from evaluator.store import partitions
from evaluator.store.errors import StaleReplaceError
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot

TRIES = 5
"""How often a table that others change meanwhile is read again before that is an error."""


def _kept(default: int, doc: str) -> int:
    """Days to keep of something; 0 is for ever."""
    value: int = field(default=default, metadata={"doc": f"{doc} 0: for ever."})
    return value


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Days that the nightly maintenance leaves of each kind of data; 0 is for ever."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    quarantine_days: int = _kept(90, "Days to keep a row that was refused.")
    dead_letters_days: int = _kept(90, "Days to keep an event that could not be handled.")
    venue_requests_days: int = _kept(90, "Days to keep the counts of requests to the venue.")
    on_demand_outcomes_days: int = _kept(
        0, "Days to keep outcomes of new wallets; one without an outcome is computed again."
    )
    books_days: int = _kept(90, "Days to keep order books.")
    prices_days: int = _kept(0, "Days to keep prices.")
    comments_days: int = _kept(0, "Days to keep comments.")
    markets_days: int = _kept(0, "Days to keep daily markets, and their scores.")
    holders_days: int = _kept(0, "Days to keep daily holders.")
    leaderboard_days: int = _kept(0, "Days to keep daily leaderboards.")
    features_days: int = _kept(0, "Days to keep features of wallets.")
    scores_days: int = _kept(0, "Days to keep scores of wallets.")
    personas_days: int = _kept(0, "Days to keep verdicts, exclusions and traits.")
    runs_days: int = _kept(30, "Days to keep runs that are no longer the newest of anything.")
    newest_runs_days: int = _kept(
        400, "Days to keep the run that computed a partition last; then it shows as missing."
    )
    runs_per_night: int = field(
        default=5_000, metadata={"doc": "Runs deleted in one night at most."}
    )

    def __post_init__(self) -> None:
        """Raise ValueError for a negative number: it would delete the days to come."""
        for each in fields(self):
            if getattr(self, each.name) < 0:
                problem = f"{each.name} should be 0 or more"
                raise ValueError(problem)


_BY_DAY: Mapping[str, tuple[Table, ...]] = {
    "books_days": (BOOKS,),
    "prices_days": (PRICES,),
    "comments_days": (COMMENTS,),
    "markets_days": (MARKETS, MARKET_SCORES),
    "holders_days": (HOLDERS,),
    "leaderboard_days": (LEADERBOARD,),
    "features_days": (WALLET_FEATURES, WALLET_FEATURES_ON_DEMAND),
    "scores_days": (WALLET_SCORES,),
    "personas_days": (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS),
}
_BY_INSTANT: Mapping[str, tuple[Table, str]] = {
    "quarantine_days": (QUARANTINE, "seen_at"),
    "dead_letters_days": (DEAD_LETTERS, "failed_at"),
    "venue_requests_days": (VENUE_REQUESTS, "ended_at"),
    "on_demand_outcomes_days": (ON_DEMAND_OUTCOMES, "ended_at"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was deleted: partitions and rows, by table; tables that lost nothing are left out."""

    partitions: Mapping[str, int]
    rows: Mapping[str, int]

    def metadata(self) -> dict[str, int | dict[str, int]]:
        """Plain values for the metadata of a step."""
        return {
            "dropped_partition_count": sum(self.partitions.values()),
            "deleted_row_count": sum(self.rows.values()),
            "dropped_partitions": dict(self.partitions),
            "deleted_rows": dict(self.rows),
        }


def apply(lake: Lake, rules: RetentionRules, today: date) -> Report:
    """Delete what is older than its rule says; twice on a day is once.

    Of `n` days kept, the oldest is `today` less n. Raises StaleReplaceError where others keep
    changing a table.
    """
    dropped = _drop_days(lake, rules, today)
    rows = {
        table.name: _drop_rows(lake, table, column, oldest)
        for rule, (table, column) in _BY_INSTANT.items()
        if (oldest := _oldest(rules, rule, today))
    }
    return Report(dropped, {name: count for name, count in rows.items() if count})


def expired_days(
    now: Snapshot, rules: RetentionRules, today: date
) -> tuple[tuple[Table, str], ...]:
    """Partitions of daily tables that are older than their rule says."""
    return tuple(
        (table, partition)
        for rule, tables in _BY_DAY.items()
        if (oldest := _oldest(rules, rule, today))
        for table in tables
        for partition in now.partitions(table)
        if partitions.day_of(partition) < oldest
    )


def _drop_days(lake: Lake, rules: RetentionRules, today: date) -> dict[str, int]:
    """One commit for all tables, so that those that belong together go together.

    What changed meanwhile goes too: it belongs to a day that is too old.
    """
    with lake.snapshot() as now:
        gone = expired_days(now, rules, today)
    if gone:
        lake.drop(gone, what="retention")
    counts: dict[str, int] = {}
    for table, _ in gone:
        counts[table.name] = counts.get(table.name, 0) + 1
    return counts


def _drop_rows(lake: Lake, table: Table, column: str, oldest: date) -> int:
    for _ in range(TRIES - 1):
        try:
            return _try_to_drop_rows(lake, table, column, oldest)
        except StaleReplaceError:
            continue
    return _try_to_drop_rows(lake, table, column, oldest)


def _try_to_drop_rows(lake: Lake, table: Table, column: str, oldest: date) -> int:
    """Replace the table by what remains of it, unless it has changed since it was read."""
    start = datetime.combine(oldest, time(), UTC)
    with lake.snapshot() as now:
        old = now.read(table, columns=[column], where=f"{column} < ?", parameters=[start]).height
        if old:
            rows = now.read(table).filter(pl.col(column) >= start)
            lake.commit(replace={(table, partitions.SINGLE): rows}, base=now, what="retention")
        return old


def _oldest(rules: RetentionRules, rule: str, today: date) -> date | None:
    """The first day that is kept; None where all are."""
    days: int = getattr(rules, rule)
    return today - timedelta(days=days) if days else None
