"""What other processes do in the tests of the store: write, read, hold, die."""

import os
import resource
import subprocess
import sys
from datetime import date
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evaluator.domain.errors import EvaluatorError
from evaluator.domain.tables.registry import TABLES as DECLARED
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.store.locks import held
from tests.store.sample_tables import DAILY, HOLDINGS, NOTES, TABLES

ROOT = Path(__file__).parents[2]
DAYS = (date(2025, 5, 7), date(2025, 5, 8))


def opened(root: Path) -> Lake:
    return Lake(root, threads=1, tables=TABLES, views=(), lock_deadline_s=60)


def started(verb: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs one of the verbs below and prints lines."""
    command = [sys.executable, "-m", "tests.store.processes", verb, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def append_overlapping(root: Path, writer: int, barrier: Barrier) -> int:
    """Append ten batches that overlap with those of all other writers; rows added."""
    lake = opened(root)
    barrier.wait()
    added = 0
    for batch in range(10):
        numbers = range(batch * 20, batch * 20 + 60)
        rows = pl.DataFrame({"number": numbers, "writer": [writer] * 60})
        added += lake.commit(append={(NOTES, partitions.SINGLE): rows}).rows()
    return added


def generation(number: int) -> dict[str, Any]:
    """A commit over three tables and two partitions in which every row holds one number."""
    days = {
        (DAILY, partitions.day(day)): pl.DataFrame(
            {"on_date": [day] * 3, "number": [1, 2, 3], "generation": [number] * 3}
        )
        for day in DAYS
    }
    holdings = pl.DataFrame({"owner": [1, 1], "item": [1, 2], "amount": [number, number]})
    notes = pl.DataFrame({"number": [number], "writer": [number]})
    return {
        "replace": days,
        "upsert": {(HOLDINGS, partitions.SINGLE): holdings},
        "append": {(NOTES, partitions.SINGLE): notes},
    }


def generations_seen(lake: Lake) -> set[int]:
    """The numbers that one snapshot holds; one of them if it is no mix."""
    with lake.snapshot() as now:
        daily = now.read(DAILY)
        holdings = now.read(HOLDINGS)
        notes = now.read(NOTES)
    assert daily.height in (0, 6)
    newest = notes["number"].max()
    assert notes["number"].to_list() == list(range(1, notes.height + 1))
    assert holdings.height in (0, 2)
    return {*daily["generation"], *holdings["amount"], *([] if newest is None else [newest])}


def watch(root: Path, last: int, barrier: Barrier) -> list[list[int]]:
    """Read until the last generation is there; snapshots that were a mix, and the first one."""
    lake = opened(root)
    barrier.wait()
    mixed: list[list[int]] = []
    seen: set[int] = set()
    while last not in seen:
        seen = generations_seen(lake)
        if len(seen) > 1:
            mixed.append(sorted(seen))
    return mixed


def _write_generations(root: str, first: str) -> None:
    lake = opened(Path(root))
    number = int(first)
    while True:
        lake.commit(**generation(number))
        say(number)
        number += 1


def _fold_generations(root: str) -> None:
    """Write generations, each folded into a month file and swept, from where the lake stands."""
    lake = opened(Path(root))
    number = max(generations_seen(lake), default=0)
    while True:
        number += 1
        lake.commit(**generation(number))
        say(number)
        lake.fold_months(DAILY, date(2025, 6, 3))
        say(number)
        lake.sweep(keep_commits=1, keep_s=0)


def _hold(path: str) -> None:
    with held(Path(path)):
        say("held")
        sys.stdin.read()


def _pin(root: str) -> None:
    with opened(Path(root)).snapshot(pin=True) as now:
        say(now.commit_id)
        sys.stdin.read()


def _write_with_little_room(root: str, room: str) -> None:
    lake = opened(Path(root))
    lake.commit(append={(NOTES, partitions.SINGLE): NOTES.schema.to_frame()})
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), int(room)))
    numbers = np.random.default_rng(1).integers(0, 2**62, 500_000)
    rows = pl.DataFrame({"number": numbers, "writer": numbers})
    _report(lake, rows.unique("number"))


def _write_as_nobody(root: str) -> None:
    lake = opened(Path(root))
    lake.latest_commit_id()
    os.setuid(65534)
    _report(lake, pl.DataFrame({"number": [1], "writer": [1]}))


def _report(lake: Lake, rows: pl.DataFrame) -> None:
    try:
        lake.commit(append={(NOTES, partitions.SINGLE): rows})
    except EvaluatorError as error:
        say(type(error).__name__)
    else:
        say("written")


def _ask_with_few_descriptors(root: str, soft: str, hard: str) -> None:
    """Rows of a small table, then of one of many files by SQL and by frame, or what went wrong."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(soft), int(hard) or most))
    with opened(Path(root)).snapshot() as now:
        for query in ("FROM notes", "FROM daily WHERE number = 1", "FROM query_table('daily')"):
            try:
                say(now.sql(query).height)
            except EvaluatorError as error:
                say(f"{type(error).__name__}: {error}; {error.hint}")
        say(now.read(DAILY)["number"].to_list() == list(range(400)))


def _ask_for_everything(root: str, limit: str, *names: str) -> None:
    """Rows of daily tables by SQL over each and over all of them, by frame, and files open then."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(limit), int(limit)))
    tables = [table for table in (*TABLES, *DECLARED) if table.name in names]
    lake = Lake(Path(root), threads=1, tables=tables, views=())
    with lake.snapshot() as now:
        try:
            say([now.sql(f"SELECT count(*) FROM {name}").item() for name in names])
            every = " UNION ALL ".join(f"SELECT '{name}' FROM {name}" for name in names)
            say(now.sql(f"SELECT count(*) FROM ({every})").item())
        except EvaluatorError as error:
            say(f"{type(error).__name__}: {error}")
        open_files = {path.resolve() for path in Path("/proc/self/fd").iterdir()}
        say(sum(path.suffix == ".duckdb" for path in open_files))
        say([now.read(table, columns=table.key[:1]).height for table in tables])


VERBS = {
    "ask_for_everything": _ask_for_everything,
    "ask_with_few_descriptors": _ask_with_few_descriptors,
    "fold_generations": _fold_generations,
    "write_generations": _write_generations,
    "hold": _hold,
    "pin": _pin,
    "write_with_little_room": _write_with_little_room,
    "write_as_nobody": _write_as_nobody,
}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
