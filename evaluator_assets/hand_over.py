"""What persona steps tell each other: where shards meet, which commit they read, who did what."""

import os
import resource
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import dagster as dg

from evaluator.settings import Settings
from evaluator.stages import shards

HOLD = "personas"
"""Name under which the lake keeps the commit that the newest persona run reads."""

FOLDER = "shards"


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard on its way through the steps; `classified` fills in the last four."""

    place: str
    commit_id: int
    number: int = 0
    buckets: tuple[int, ...] = ()
    reason: str = ""
    pid: int = 0
    seconds: float = 0.0
    peak_mib: int = 0
    retries: int = 0

    @property
    def key(self) -> str:
        """Mapping key of its step."""
        return f"shard_{self.number:02d}"

    @property
    def uri(self) -> str:
        """Where its result lies."""
        return f"{self.place}/{self.key}"

    def planned(self, number: int, buckets: tuple[int, ...], reason: str) -> "Shard":
        """The part of the population that one process takes."""
        return replace(self, number=number, buckets=buckets, reason=reason)

    def classified(self, seconds: float, retries: int) -> "Shard":
        """The shard, and what it took."""
        return replace(
            self, pid=os.getpid(), seconds=round(seconds, 3), peak_mib=peak_mib(), retries=retries
        )

    def work(self) -> dict[str, Any]:
        """Plain values for the next step."""
        return asdict(self)

    @classmethod
    def of(cls, work: dict[str, Any]) -> Self:
        """What the step before gave."""
        return cls(**work | {"buckets": tuple(work["buckets"])})


def place(settings: Settings, run_id: str) -> str:
    """The URI under which the shards of a run meet."""
    return (settings.home / FOLDER / run_id).as_uri()


def clear(place: str) -> None:
    """Delete what the shards of a run have left."""
    shutil.rmtree(shards.folder_of(place), ignore_errors=True)


def peak_mib() -> int:
    """Peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def sweep(instance: dg.DagsterInstance, settings: Settings) -> int:
    """Delete the folders of runs that have ended; returns how many there were."""
    ended = [
        folder
        for folder in (settings.home / FOLDER).glob("*")
        if not (run := instance.get_run_by_id(folder.name)) or run.is_finished
    ]
    for folder in ended:
        shutil.rmtree(folder, ignore_errors=True)
    return len(ended)
