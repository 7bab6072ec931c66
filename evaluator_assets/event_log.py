"""The instance's log of events: reading it in order, and logging an event once more."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from typing import Any

import dagster as dg

from evaluator_assets.events import KEY, REPLAY, AnyEvent, Malformed, parsed


@dataclass(frozen=True, slots=True)
class Logged:
    """An event, where and when it was logged; `event_id` is STORAGE_ID.NUMBER.

    `replay_of` is the event that this one repeats, `only_for` the one subscriber that asked.
    """

    storage_id: int
    number: int
    at: datetime
    run_id: str
    asset: str
    event: AnyEvent | Malformed
    replay_of: str = ""
    only_for: str = ""

    @property
    def event_id(self) -> str:
        """Identity of the event in the instance's log."""
        return f"{self.storage_id}.{self.number}"

    @property
    def kind(self) -> str | None:
        """Name of its type; None where it cannot be parsed."""
        return None if isinstance(self.event, Malformed) else self.event.type

    @property
    def payload(self) -> str:
        """The event as JSON."""
        match self.event:
            case Malformed(raw=raw):
                return raw
            case event:
                return event.model_dump_json()


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the log, and the last storage id looked at, events or not."""

    events: tuple[Logged, ...]
    last_id: int
    is_last: bool


def read(instance: dg.DagsterInstance, assets: Sequence[str], after: int, limit: int) -> Page:
    """Events that these assets have logged after a storage id, of at most `limit` log entries.

    What is not an event in its place is Malformed; entries without events only move the page on.
    """
    found = [_records(instance, _after(name, after), limit) for name in assets]
    records = list(merge(*found, key=_storage_id))
    taken = records[:limit]
    return Page(
        events=tuple(event for record in taken for event in _events(record)),
        last_id=taken[-1].storage_id if taken else after,
        is_last=len(records) <= limit and all(len(each) < limit for each in found),
    )


def every(instance: dg.DagsterInstance, assets: Sequence[str]) -> Iterator[Logged]:
    """All events that these assets have logged, in the order of the log; few are held at a time."""
    fetches = (instance.fetch_materializations, instance.fetch_observations)
    entries = [
        _entries(fetch, dg.AssetRecordsFilter(dg.AssetKey(name)), ascending=True)
        for name in assets
        for fetch in fetches
    ]
    for record in merge(*entries, key=_storage_id):
        yield from _events(record)


def some(
    instance: dg.DagsterInstance, assets: Sequence[str], event_ids: Iterable[str]
) -> dict[str, Logged]:
    """Events by id; those that the log has no longer are left out."""
    wanted = set(event_ids)
    ids = sorted({int(each.partition(".")[0]) for each in wanted})
    if not ids:
        return {}
    records = (
        record
        for name in assets
        for record in _records(
            instance, dg.AssetRecordsFilter(dg.AssetKey(name), storage_ids=ids), len(ids)
        )
    )
    found = (event for record in records for event in _events(record))
    return {event.event_id: event for event in found if event.event_id in wanted}


def between(
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    limit: int,
) -> list[Logged]:
    """The newest events logged in [since, until), the oldest of them first."""
    found = list[Logged]()
    for name in assets:
        wanted = dg.AssetRecordsFilter(
            dg.AssetKey(name),
            after_timestamp=since.timestamp() - _TICK_S if since else None,  # it is exclusive
            before_timestamp=until.timestamp() if until else None,
        )
        for fetch in (instance.fetch_materializations, instance.fetch_observations):
            found += _newest(fetch, wanted, limit)
    return sorted(found, key=lambda each: (each.storage_id, each.number))[-limit:]


def log_again(instance: dg.DagsterInstance, event: Logged, only_for: str = "") -> None:
    """Log an event once more as an observation of its asset, for one subscriber or for all."""
    metadata = {
        KEY: dg.MetadataValue.json([_json(event.payload)]),
        REPLAY: dg.MetadataValue.json(
            {"of": event.replay_of or event.event_id, "only_for": only_for}
        ),
    }
    instance.report_runless_asset_event(
        dg.AssetObservation(dg.AssetKey(event.asset), metadata=metadata)
    )


def _newest(
    fetch: Callable[..., dg.EventRecordsResult], wanted: dg.AssetRecordsFilter, limit: int
) -> Iterator[Logged]:
    """Events of the newest log entries, until there are enough; entries without are passed over."""
    count = 0
    for record in _entries(fetch, wanted, ascending=False):
        for event in _events(record):
            count += 1
            yield event
        if count >= limit:
            return


def _entries(
    fetch: Callable[..., dg.EventRecordsResult], wanted: dg.AssetRecordsFilter, *, ascending: bool
) -> Iterator[dg.EventLogRecord]:
    """Log entries by storage id, read page by page."""
    cursor, has_more = None, True
    while has_more:
        page = fetch(wanted, limit=_PAGE, cursor=cursor, ascending=ascending)
        yield from page.records
        cursor, has_more = page.cursor, page.has_more


_PAGE = 200
_TICK_S = 1e-6


def _after(asset: str, storage_id: int) -> dg.AssetRecordsFilter:
    return dg.AssetRecordsFilter(dg.AssetKey(asset), after_storage_id=storage_id)


def _records(
    instance: dg.DagsterInstance, wanted: dg.AssetRecordsFilter, limit: int
) -> list[dg.EventLogRecord]:
    """Materialisations, and observations, which log an event again; the oldest first."""
    made = instance.fetch_materializations(wanted, limit=limit, ascending=True).records
    seen = instance.fetch_observations(wanted, limit=limit, ascending=True).records
    return list(merge(made, seen, key=_storage_id))[:limit]


def _storage_id(record: dg.EventLogRecord) -> int:
    return record.storage_id


def _events(record: dg.EventLogRecord) -> Iterator[Logged]:
    told = record.asset_materialization or record.event_log_entry.asset_observation
    if told is None or KEY not in told.metadata:
        return
    again = _plain(told.metadata.get(REPLAY))
    replay = again if isinstance(again, dict) else {}
    for number, each in enumerate(_listed(told.metadata[KEY])):
        yield Logged(
            storage_id=record.storage_id,
            number=number,
            at=datetime.fromtimestamp(record.timestamp, UTC),
            run_id=record.run_id,
            asset=told.asset_key.to_user_string(),
            event=parsed(json.dumps(each, default=str)),
            replay_of=str(replay.get("of", "")),
            only_for=str(replay.get("only_for", "")),
        )


def _listed(value: dg.MetadataValue[Any]) -> list[object]:
    """What stands in the place of events; anything but a list is one malformed event."""
    found = _plain(value)
    return found if isinstance(found, list) else [found]


def _plain(value: dg.MetadataValue[Any] | None) -> object:
    return None if value is None else value.value


def _json(text: str) -> object:
    """What a payload holds; a payload is always JSON, for `_events` has written it."""
    return json.loads(text)
