"""Times each stage of the evaluation on a lake, each in a fresh process.

`python -m bench.stages STAGE LAKE DAY` is that process; its figures are the last line it prints.
"""

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from bench.measure import Cost, measured
from evaluator.domain.features.history import Cell
from evaluator.domain.ledger import legs
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.schema import Table
from evaluator.domain.scores import ScoreRules
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import FILLS
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.stages import features, history, ledger, personas, scores
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.lake import Lake

WINDOWS = (7, 30, 90)
"""Days of the windows evaluated."""

STAMP = Stamp(datetime(2026, 1, 1, tzinfo=UTC), "bench", "bench", is_frozen=True)

_ROOT = Path(__file__).parents[1]

IN_SUM = ("ledger", "features", "scores", "personas")
"""Stages that make the total; `read` is a part of `ledger` and stands beside it."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One stage: rows of the tables it reads, rows it commits, and what it cost.

    `start_s` is what its process took until the stage could begin.
    """

    stage: str
    rows_in: int
    rows_out: int
    start_s: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage by name: what it reads, and the work itself, which gives the rows it wrote."""

    name: str
    reads: tuple[Table, ...]
    work: Callable[[Lake, date], int]


def cells(day: date) -> list[Cell]:
    """The three windows of a day."""
    return [Cell(day, window) for window in WINDOWS]


def _read(lake: Lake, _day: date) -> int:
    """What the ledger reads of `fills`, bucket by bucket, and nothing else."""
    with lake.snapshot() as now:
        for number in history.ALL_BUCKETS:
            now.read(FILLS, partitions=[partitions.bucket(number)], columns=legs.LEG_FILL_COLUMNS)
    return 0


def _ledger(lake: Lake, _day: date) -> int:
    return ledger.build_lots(lake).rows()


def _features(lake: Lake, day: date) -> int:
    return features.compute(lake, cells(day), STAMP).rows()


def _scores(lake: Lake, day: date) -> int:
    return scores.compute(lake, cells(day), ScoreRules(), STAMP).rows()


def _personas(lake: Lake, day: date) -> int:
    return personas.classify_all(lake, day, PersonaRules(), STAMP).rows()


def _personas_in_shards(count: int, lake: Lake, day: date) -> int:
    """As the graph asset does it, without Dagster: clusters, a plan, a process a shard, a commit."""
    rules = PersonaRules()
    with (
        lake.snapshot(pin=True) as now,
        tempfile.TemporaryDirectory() as hand_over,
        ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool,
    ):
        cluster = personas.find_clusters(now, day, rules)
        plan = personas.plan_shards(now, count)
        folders = [Path(hand_over) / str(number) for number in range(len(plan))]
        shards = [
            pool.submit(_classify, lake.root, day, buckets, cluster, folder)
            for buckets, folder in zip(plan, folders, strict=True)
        ]
        for shard in shards:
            shard.result()
        results = [
            personas.load(folder, buckets) for buckets, folder in zip(plan, folders, strict=True)
        ]
        return personas.publish(lake, day, results, STAMP, now).rows()


def _classify(
    root: Path, day: date, buckets: tuple[int, ...], cluster: pl.DataFrame, folder: Path
) -> None:
    """One shard, in its own process."""
    with Lake(root).snapshot(pin=True) as now:
        result = personas.classify_buckets(now, day, buckets, cluster, PersonaRules(), STAMP)
        personas.save(result, folder)


_LOTS = (FILLS, CLOSED_LOTS, OPEN_LOTS)


def stage_of(name: str) -> Stage:
    """The stage of that name; `personas-4` is personas in four shards."""
    stages = (
        Stage("read", (FILLS,), _read),
        Stage("ledger", (FILLS,), _ledger),
        Stage("features", _LOTS, _features),
        Stage("scores", (WALLET_FEATURES,), _scores),
        Stage("personas", (*_LOTS, WALLET_FEATURES), _personas),
    )
    for stage in stages:
        if stage.name == name:
            return stage
    shards = int(name.removeprefix("personas-"))
    return Stage(name, stages[-1].reads, partial(_personas_in_shards, shards))


def all_stages(shards: tuple[int, ...]) -> list[str]:
    """Names of the stages in their order."""
    return ["read", *IN_SUM, *(f"personas-{count}" for count in shards)]


def time_stages(root: Path, day: date, names: list[str]) -> list[Timed]:
    """Run the stages one after the other on a lake, each in its own process."""
    return [time_stage(root, day, name) for name in names]


def time_stage(root: Path, day: date, name: str) -> Timed:
    """Run one stage in a process of its own."""
    command = [sys.executable, "-m", "bench.stages", name, str(root), day.isoformat()]
    started = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=_ROOT)  # noqa: S603
    said = json.loads(done.stdout.splitlines()[-1])
    start_s = round(said.pop("began_at") - started, 2)
    return Timed(**{**said, "cost": Cost(**said["cost"])}, start_s=start_s)


def medians(runs: list[list[Timed]]) -> list[Timed]:
    """Of each stage the run whose wall clock is in the middle."""
    return [
        sorted(of_stage, key=lambda timed: timed.cost.wall_s)[len(runs) // 2]
        for of_stage in zip(*runs, strict=True)
    ]


def total(timed: list[Timed]) -> Cost:
    """The sum over the stages that make it; peaks are the highest of any."""
    counted = [one.cost for one in timed if one.stage in IN_SUM]
    return Cost(
        wall_s=round(sum(cost.wall_s for cost in counted), 3),
        cpu_s=round(sum(cost.cpu_s for cost in counted), 3),
        peak_mib=max(cost.peak_mib for cost in counted),
        child_peak_mib=max(cost.child_peak_mib for cost in counted),
        read_mib=round(sum(cost.read_mib for cost in counted), 1),
        written_mib=round(sum(cost.written_mib for cost in counted), 1),
    )


def main(arguments: list[str] | None = None) -> None:
    """Run one stage here and print its figures; with --profile, where its time went."""
    parser = argparse.ArgumentParser(prog="python -m bench.stages")
    parser.add_argument("stage", help="read, ledger, features, scores, personas, personas-4")
    parser.add_argument("lake", type=Path)
    parser.add_argument("day", type=date.fromisoformat)
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="N slowest functions")
    given = parser.parse_args(arguments)
    stage, lake = stage_of(given.stage), Lake(given.lake)
    with lake.snapshot() as now:
        rows_in = sum(entry.rows for table in stage.reads for entry in now.files(table))
    began_at = time.time()
    profile = cProfile.Profile() if given.profile else None
    work = partial(stage.work, lake, given.day)
    done = measured(partial(profile.runcall, work) if profile else work)
    if profile:
        stats = pstats.Stats(profile)
        stats.sort_stats("cumulative").print_stats("evaluator/", given.profile)
        stats.sort_stats("tottime").print_stats(given.profile)
    print(
        json.dumps(
            {
                "stage": stage.name, "rows_in": rows_in, "rows_out": done.result,
                "began_at": began_at, "cost": asdict(done.cost),
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
