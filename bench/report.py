"""A whole benchmark: every stage on every size, the serial design beside it, JSON and a table."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bench import serial_baseline, stages
from bench.generate import history_lake, working_copy
from bench.serial_baseline import Baseline
from bench.stages import Timed
from bench.world import Size
from evaluator.store.lake import Lake

Say = Callable[[str], None]

TARGETS = {"sum_wall_s": 10.0, "peak_mib": 2048.0, "times_fair": 30.0, "times_connecting": 100.0}
"""Of 21,000 wallets and 20 M fills on two cores."""

_HEAD = (
    f"{'stage':<12}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}{'start s':>9}"
    f"{'rows in':>13}{'rows out':>13}"
)

_WARM_UP = Size(wallets=100, fills=5_000, days=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure: sizes, shards of the parallel personas, repetitions, sampled wallets."""

    sizes: list[Size]
    home: Path
    shards: tuple[int, ...] = (2,)
    repeats: int = 1
    sample: int = 300
    warms_up: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """One size: all runs, their medians, the serial design on the same data."""

    size: Size
    runs: list[list[Timed]]
    baseline: Baseline | None
    load_average: float

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        middle = stages.medians(self.runs)
        return {
            "size": {
                **asdict(self.size),
                "tokens": self.size.token_count,
                "last_day": self.size.last_day.isoformat(),
            },
            "load_average": self.load_average,
            "stages": {one.stage: asdict(one) for one in middle},
            "sum": asdict(stages.total(middle)),
            "runs": [[asdict(one) for one in run] for run in self.runs],
            "serial": asdict(self.baseline) if self.baseline else None,
            "times_faster": self.times_faster(),
        }

    def times_faster(self) -> dict[str, float]:
        """How many times longer each serial way takes than the sum of the stages."""
        if self.baseline is None:
            return {}
        wall = stages.total(stages.medians(self.runs)).wall_s
        return {way.way: round(way.all_wallets_s / wall, 1) for way in self.baseline.ways}


def run(plan: Plan, say: Say = print) -> dict[str, object]:
    """Measure everything; the result is what goes into the JSON file."""
    fixed = _warmed_up(plan, say) if plan.warms_up else []
    results = []
    for size in plan.sizes:
        results.append(_of_size(plan, size, say))
        say(table(results[-1]))
    return {
        "machine": machine(),
        "targets": TARGETS,
        "fixed": {one.stage: asdict(one) for one in fixed},
        "sizes": [result.as_json() for result in results],
        "per_fill": _per_fill(results),
    }


def machine() -> dict[str, object]:
    """Where and with what this ran."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("duckdb", "polars", "numba", "numpy")},
    }


def table(result: Result) -> str:
    """The figures of one size for people."""
    middle = stages.medians(result.runs)
    title = (
        f"{result.size.wallets:,} wallets, {result.size.fills:,} fills, load {result.load_average}"
    )
    lines = [
        title,
        _HEAD,
    ]
    lines += [
        f"{one.stage:<12}{one.cost.wall_s:>9.2f}{one.cost.cpu_s:>9.2f}"
        f"{max(one.cost.peak_mib, one.cost.child_peak_mib):>10,.0f}{one.start_s:>9.2f}"
        f"{one.rows_in:>13,}{one.rows_out:>13,}"
        for one in middle
    ]
    cost = stages.total(middle)
    lines.append(f"{'sum':<12}{cost.wall_s:>9.2f}{cost.cpu_s:>9.2f}{cost.peak_mib:>10,.0f}")
    if result.baseline is not None:
        lines += _serial_lines(result, result.baseline)
    return "\n".join(lines)


def _serial_lines(result: Result, baseline: Baseline) -> list[str]:
    times = result.times_faster()
    lines = [
        f"serial, {way.way}: {way.all_wallets_s:,.0f} s for all wallets "
        f"(from {way.sampled_wallets} in {way.sample_s:.1f} s), {times[way.way]:,.1f} times the sum"
        for way in baseline.ways
    ]
    agreement = baseline.agreement
    differing = agreement.differing or "no feature differs"
    return [*lines, f"{agreement.rows} rows compared with the pipeline's: {differing}"]


def _of_size(plan: Plan, size: Size, say: Say) -> Result:
    root = history_lake(size, plan.home, say)
    names = stages.all_stages(plan.shards)
    load = round(os.getloadavg()[0], 2)
    runs, baseline = [], None
    for number in range(plan.repeats):
        with _copy_of(root) as lake:
            runs.append(stages.time_stages(lake, size.last_day, names))
            if plan.sample and number == plan.repeats - 1:
                say(f"serial design on {plan.sample} wallets")
                baseline = serial_baseline.run(
                    Lake(lake), root.with_suffix(".serial.duckdb"), size.last_day,
                    plan.sample, plan.repeats,
                )  # fmt: skip
    return Result(size, runs, baseline, load)


def _warmed_up(plan: Plan, say: Say) -> list[Timed]:
    """A tiny history: compiles the kernels, and tells what a stage costs whatever the size."""
    say("warming up on a tiny history")
    root = history_lake(_WARM_UP, plan.home, lambda _: None)
    for _ in range(2):
        with _copy_of(root) as lake:
            timed = stages.time_stages(lake, _WARM_UP.last_day, stages.all_stages(plan.shards))
    return timed


@contextmanager
def _copy_of(root: Path) -> Iterator[Path]:
    into = root.with_name(f"{root.name}.{os.getpid()}.work")
    try:
        yield working_copy(root, into)
    finally:
        shutil.rmtree(into, ignore_errors=True)


def _per_fill(results: list[Result]) -> list[dict[str, float]]:
    """Cost of a fill at each size, as a ratio to the first: 1 is linear."""
    costs = [stages.total(stages.medians(result.runs)) for result in results]
    fills = [result.size.fills for result in results]
    return [
        {
            "fills": count,
            "wall": round(cost.wall_s / count / (costs[0].wall_s / fills[0]), 2),
            "cpu": round(cost.cpu_s / count / (costs[0].cpu_s / fills[0]), 2),
        }
        for cost, count in zip(costs, fills, strict=True)
    ]
