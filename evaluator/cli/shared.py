"""What commands share: the option --json, the tables as they are now, the Dagster instance."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from evaluator.domain.tables.history import EVENTS
from evaluator.reports.places import NoDataError
from evaluator.settings import INSTANCE_LOCK, Settings, dagster_home, load_settings
from evaluator.store.locks import held

if TYPE_CHECKING:
    import polars as pl
    from dagster import DagsterInstance

    from evaluator.store.snapshot import Snapshot

DEFAULT_WINDOW, DEFAULT_LIMIT = 30, 20

as_json = click.option("--json", "is_json", is_flag=True, help="One JSON document on stdout.")


@contextmanager
def newest_tables() -> Iterator["Snapshot"]:
    """The newest commit; raises NoDataError, and makes no folder, where there is none.

    The log of the instance is read only for a query that names `events`.
    """
    settings = load_settings()
    if not (settings.lake_root / "catalog.sqlite").is_file():
        raise NoDataError(settings.home)
    outside = {EVENTS.name: partial(_events, settings)}
    with settings.open_lake().snapshot(outside=outside) as now:
        if not now.commit_id:
            raise NoDataError(settings.home)
        yield now


@contextmanager
def instance_of(settings: Settings) -> Iterator["DagsterInstance | None"]:
    """The Dagster instance of the home; None where there is none."""
    folder = dagster_home() or settings.home / "dagster_home"
    if not (folder / "dagster.yaml").is_file():
        yield None
        return
    from dagster import DagsterInstance

    with held(folder / INSTANCE_LOCK):  # its databases may be in the making
        instance = DagsterInstance.from_config(str(folder.absolute()))
    with instance:
        yield instance


def _events(settings: Settings) -> Iterator["pl.DataFrame"]:
    with instance_of(settings) as instance:
        if instance:
            from evaluator_assets import event_rows

            yield from event_rows.pages(instance)
