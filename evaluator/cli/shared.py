"""What commands share: the option --json, and the tables as they are now."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from evaluator.reports.places import NoDataError
from evaluator.settings import load_settings

if TYPE_CHECKING:
    from evaluator.store.snapshot import Snapshot

DEFAULT_WINDOW, DEFAULT_LIMIT = 30, 20

as_json = click.option("--json", "is_json", is_flag=True, help="One JSON document on stdout.")


@contextmanager
def newest_tables() -> Iterator["Snapshot"]:
    """The newest commit; raises NoDataError, and makes no folder, where there is none."""
    settings = load_settings()
    if not (settings.lake_root / "catalog.sqlite").is_file():
        raise NoDataError(settings.home)
    with settings.open_lake().snapshot() as now:
        if not now.commit_id:
            raise NoDataError(settings.home)
        yield now
