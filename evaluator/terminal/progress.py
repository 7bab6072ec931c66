"""Progress of a run on stderr: a bar on a terminal, one line per finished stage elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Event(Protocol):
    """What the pipeline tells of a stage: `status` is started, finished or failed."""

    @property
    def stage(self) -> str:
        """Asset that is being computed."""

    @property
    def status(self) -> str:
        """started, finished or failed."""

    @property
    def done(self) -> int:
        """Stages that have ended."""

    @property
    def total(self) -> int:
        """Stages of the run."""

    @property
    def rows(self) -> int | None:
        """Rows written, where the stage has finished."""

    @property
    def seconds(self) -> float | None:
        """How long it took."""


@contextmanager
def shown() -> Iterator[Callable[[Event], None]]:
    """A function that shows each event as it comes."""
    if not sys.stderr.isatty():
        yield _line
        return
    console = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def show(event: Event) -> None:
            bar.update(task, description=event.stage, completed=event.done, total=event.total)
            if event.status != "started":
                console.print(_described(event))

        yield show


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say what is being done before the first stage, and how long it took."""
    start = time.monotonic()
    sys.stderr.write(f"{what} …")
    sys.stderr.flush()
    try:
        yield
    finally:
        sys.stderr.write(f" {time.monotonic() - start:.1f} s\n")


def _line(event: Event) -> None:
    if event.status != "started":
        sys.stderr.write(_described(event) + "\n")
        sys.stderr.flush()


def _described(event: Event) -> str:
    place = f"[{event.done}/{event.total}]"
    if event.status == "failed":
        return f"{place} {event.stage:<20} failed"
    rows = "" if event.rows is None else f"{event.rows:>12,} rows"
    seconds = "" if event.seconds is None else f"{event.seconds:>8.1f} s"
    return f"{place} {event.stage:<20} {rows}{seconds}"
