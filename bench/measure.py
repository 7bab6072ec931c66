"""Wall clock, CPU, peak memory and bytes of a piece of work in this process."""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")

_PROC = Path("/proc/self")
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took; `cpu_s` with its child processes.

    `peak_mib` is the largest resident memory while it ran, of this process; `child_peak_mib` of
    the largest child. `written_mib` counts what was sent to the disk, `read_mib` what came from
    it (0 where the file was in the page cache).
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    child_peak_mib: float
    read_mib: float
    written_mib: float


@dataclass(frozen=True, slots=True)
class Measured(Generic[T]):
    """A result and its cost."""

    result: T
    cost: Cost


def measured(work: Callable[[], T]) -> Measured[T]:
    """Run the work and say what it cost."""
    _forget_peak()
    before, started = _now(), time.perf_counter()
    result = work()
    wall, after = time.perf_counter() - started, _now()
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Measured(
        result,
        Cost(
            wall_s=round(wall, 3),
            cpu_s=round(after["cpu"] - before["cpu"], 3),
            peak_mib=round(_peak_mib(), 1),
            child_peak_mib=round(children, 1),
            read_mib=round((after["read_bytes"] - before["read_bytes"]) / _MIB, 1),
            written_mib=round((after["write_bytes"] - before["write_bytes"]) / _MIB, 1),
        ),
    )


def _now() -> dict[str, float]:
    times = os.times()
    counted = {"cpu": times.user + times.system + times.children_user + times.children_system}
    return counted | {"read_bytes": 0.0, "write_bytes": 0.0} | _table(_PROC / "io")


def _forget_peak() -> None:
    """Start the peak anew; without /proc it is the peak of the whole process."""
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        return


def _peak_mib() -> float:
    peak = _table(_PROC / "status").get("VmHWM")
    return peak / 1024 if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _table(path: Path) -> dict[str, float]:
    """The numbers of a `name: value` file; none where there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {
        pair[0].rstrip(":"): float(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()
    }
