"""The instance's events as rows of the table `events`."""

from collections.abc import Iterator
from itertools import islice

import dagster as dg
import polars as pl

from evaluator.domain.tables.history import EVENTS
from evaluator_assets import event_log
from evaluator_assets.event_log import Logged
from evaluator_assets.replays import ASSETS

_PAGE_ROWS = 500


def pages(instance: dg.DagsterInstance) -> Iterator[pl.DataFrame]:
    """All events in the order of the log, a bounded number at a time."""
    rows = map(_row, event_log.every(instance, ASSETS))
    while page := list(islice(rows, _PAGE_ROWS)):
        yield pl.DataFrame(page, EVENTS.schema)


def _row(logged: Logged) -> dict[str, object]:
    return {
        "event_id": logged.event_id,
        "event_type": logged.kind,
        "asset": logged.asset,
        "run_id": logged.run_id,
        "logged_at": logged.at,
        "payload": logged.payload,
        "replay_of": logged.replay_of or None,
    }
