"""Events once more: past ones for all their subscribers, dead letters for the one that failed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from evaluator.domain.errors import InvalidArgumentError
from evaluator.stages import dead_letters
from evaluator.stages.dead_letters import DEAD, Letter
from evaluator.store.lake import Lake
from evaluator_assets import event_log, events
from evaluator_assets.event_log import Logged

ASSETS = events.assets_of(events.KINDS.values())
MOST_REPLAYED = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events: of one type or of all, logged in [since, until)."""

    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def listed(instance: dg.DagsterInstance, wanted: Wanted, limit: int) -> list[Logged]:
    """The newest events, the oldest of them first; malformed ones where no type is asked for."""
    assets = events.KINDS[wanted.kind].emitted_by if wanted.kind else ASSETS
    found = event_log.between(instance, assets, wanted.since, wanted.until, limit)
    return [each for each in found if wanted.kind in {None, each.kind}]


def replay(instance: dg.DagsterInstance, wanted: Wanted, *, is_dry_run: bool) -> list[Logged]:
    """Log events again that are no repetitions themselves; returns them, the oldest first.

    Subscribers do their work once more, to the same effect.
    """
    chosen = [each for each in listed(instance, wanted, MOST_REPLAYED) if not each.replay_of]
    if not is_dry_run:
        for event in chosen:
            event_log.log_again(instance, event)
    return chosen


def retry(
    instance: dg.DagsterInstance, lake: Lake, event_ids: Collection[str] = ()
) -> list[Letter]:
    """Log dead letters again, those of these events or all, for the subscriber that failed.

    A letter is `replayed` once that subscriber has handled it. Raises InvalidArgumentError for an
    event that is no dead letter.
    """
    with lake.snapshot() as now:
        dead = dead_letters.letters(now, DEAD)
    known = {each.event_id for each in dead}
    if unknown := [each for each in event_ids if each not in known]:
        hint = "`evaluator sql 'FROM dead_letters'` lists them"
        raise InvalidArgumentError("EVENT_ID", unknown[0], "is no dead letter", hint)
    chosen = [each for each in dead if not event_ids or each.event_id in event_ids]
    found = event_log.some(instance, ASSETS, [each.event_id for each in chosen])
    for letter in chosen:
        event = found.get(letter.event_id) or _rebuilt(letter)
        event_log.log_again(instance, event, letter.subscriber)
    return chosen


def _rebuilt(letter: Letter) -> Logged:
    """An event that the log has no longer, from its letter."""
    storage_id, _, number = letter.event_id.partition(".")
    kind = events.KINDS.get(letter.event_type or "")
    return Logged(
        storage_id=int(storage_id),
        number=int(number),
        at=letter.failed_at,
        run_id="",
        asset=kind.emitted_by[0] if kind else ASSETS[0],
        event=events.parsed(letter.payload or "null"),
    )
