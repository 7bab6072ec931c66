"""Dead letters: events that a subscriber could not handle, and what has become of them."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import polars as pl

from evaluator.domain.tables.history import DEAD_LETTERS
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot

DEAD, REPLAYED = "dead", "replayed"


@dataclass(frozen=True, slots=True)
class Letter:
    """One event, the subscriber that gave it up, and why."""

    event_id: str
    subscriber: str
    event_type: str | None
    payload: str
    error: str
    attempts: int
    failed_at: datetime
    status: str = DEAD


def bury(lake: Lake, letters: Iterable[Letter]) -> Commit:
    """Keep events that were given up, instead of what was known of the same ones before."""
    return _commit(lake, letters)


def mark_replayed(lake: Lake, subscriber: str, event_ids: Collection[str]) -> Commit:
    """Note of those of the events that are dead that the subscriber has handled them since."""
    with lake.snapshot() as now:
        dead = [each for each in letters(now, DEAD) if each.subscriber == subscriber]
    return _commit(lake, (_replayed(each) for each in dead if each.event_id in event_ids))


def letters(now: Snapshot, status: str | None = None) -> list[Letter]:
    """All letters, or those of a status, the earliest failure first."""
    rows = now.read(DEAD_LETTERS).sort("failed_at", "event_id", "subscriber")
    found = [Letter(**row) for row in rows.select(Letter.__slots__).iter_rows(named=True)]
    return [each for each in found if status in {None, each.status}]


def _replayed(letter: Letter) -> Letter:
    return replace(letter, status=REPLAYED)


def _commit(lake: Lake, changed: Iterable[Letter]) -> Commit:
    rows = [asdict(each) for each in changed]
    if not rows:
        return lake.commit(what="no dead letter")
    frame = pl.DataFrame(rows, schema=DEAD_LETTERS.schema)
    return lake.commit(
        upsert={(DEAD_LETTERS, partitions.SINGLE): frame},
        what="dead letters",
    )
