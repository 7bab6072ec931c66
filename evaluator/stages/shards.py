"""How many shards a persona run takes, and how their results get from process to process.

Shards meet in a folder named by URI, so that a shared path can take its place.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import polars as pl

from evaluator.domain.errors import PermanentError
from evaluator.domain.personas.rules import PersonaRules
from evaluator.stages.personas_of_wallets import Selection

FILLS_PER_SHARD = 20_000_000
"""Fewer are classified faster in one process: each shard makes its own pass over the marks of all
tokens, and two shards of 10 M fills took 12 s where one process took 10 (docs/performance.md)."""

BYTES_PER_FILL = 400
"""Peak memory of a shard beyond the frames it reads, per fill of it."""

BYTES_PER_SHARD = 300 * 2**20
"""Memory of a shard's process before it has read anything."""

_CLUSTERS = "clusters.parquet"
_SELECTION = "selection.json"


class UnknownHandOverError(PermanentError):
    """The place where shards meet is not one that this process can reach."""

    code = "unknown_hand_over"
    hint = "let EVALUATOR_HOME be a path that every process of the run can read"

    def __init__(self, uri: str) -> None:
        self.uri = uri
        super().__init__(f"no way to read {uri}")


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to classify with."""

    cores: int
    free_bytes: int
    load: float


@dataclass(frozen=True, slots=True)
class ShardCount:
    """How many shards, and why not more."""

    count: int
    reason: str


def this_machine() -> Machine:
    """Cores this process may use, memory that is free, processes that are running."""
    pages = os.sysconf("SC_AVPHYS_PAGES")
    free = _available_bytes() or pages * os.sysconf("SC_PAGE_SIZE")
    return Machine(len(os.sched_getaffinity(0)), free, os.getloadavg()[0])


def shard_count(fill_count: int, rules: PersonaRules, machine: Machine) -> ShardCount:
    """The smallest of all limits, of equal ones the first; exactly `forced_tasks` where that is set."""
    if rules.forced_tasks:
        return ShardCount(rules.forced_tasks, f"forced to {rules.forced_tasks}")
    idle = max(1, machine.cores - round(machine.load))
    limits = {
        f"{fill_count} fills": max(1, fill_count // FILLS_PER_SHARD),
        f"personas.parallel_tasks is {rules.parallel_tasks}": rules.parallel_tasks,
        f"{machine.cores} cores": machine.cores,
        f"{idle} of {machine.cores} cores idle": idle,
        f"{machine.free_bytes >> 20} MiB free": _fitting(fill_count, machine.free_bytes),
    }
    reason = min(limits, key=lambda each: limits[each])
    return ShardCount(max(1, limits[reason]), reason)


def folder_of(uri: str) -> Path:
    """The folder behind a URI; only those of this file system so far."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise UnknownHandOverError(uri)
    return Path(unquote(parts.path))


def save_clusters(clusters: pl.DataFrame, folder: Path) -> None:
    """Write the sybil components for every shard to read."""
    folder.mkdir(parents=True, exist_ok=True)
    clusters.write_parquet(folder / _CLUSTERS)


def load_clusters(folder: Path) -> pl.DataFrame:
    """What `save_clusters` wrote."""
    return pl.read_parquet(folder / _CLUSTERS)


def save_selection(some: Selection, folder: Path) -> None:
    """Write which wallets the run is about, where it is not about all."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _SELECTION).write_text(json.dumps(asdict(some)), encoding="utf-8")


def load_selection(folder: Path) -> Selection | None:
    """What `save_selection` wrote; None for a run about all wallets."""
    path = folder / _SELECTION
    if not path.exists():
        return None
    written = json.loads(path.read_text(encoding="utf-8"))
    return Selection(tuple(written["wallets"]), written["takes_rows_only"])


def _fitting(fill_count: int, free_bytes: int) -> int:
    """Shards that fit in the memory together: all fills once, and a process each."""
    return max(1, (free_bytes - fill_count * BYTES_PER_FILL) // BYTES_PER_SHARD)


def _available_bytes() -> int:
    """What Linux says a new process can have without swapping; 0 elsewhere."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return int(lines.get("MemAvailable", "0 kB").split()[0]) * 1024
