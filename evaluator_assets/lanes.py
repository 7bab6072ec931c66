"""Lanes: which capacity a run may take, what goes first, and how long each queue is.

`dagster.yaml` holds the limits of the lanes; `run_queue` sees that every run has one.
"""

from dataclasses import dataclass
from datetime import datetime

import dagster as dg

TAG = "lane"
PRIORITY = "dagster/priority"
FAST, NORMAL, BACKGROUND = "fast", "normal", "background"
PRIORITIES = {FAST: 10, NORMAL: 0, BACKGROUND: -10}
"""Of the runs waiting, those of a higher number are started first."""

BOUNDS = {FAST: 20, NORMAL: 20, BACKGROUND: 100}
"""Runs that may wait in a lane. What asks for runs asks for one per key, so there are few; a
backfill in the background makes one per day."""

WARNED_AT = 0.9
"""Share of a bound from which a lane is said to be filling up."""

POOLS = {
    "ingest": 1,
    "ledger": 1,
    "scoring": 1,
    "personas": 1,
    "on_demand": 2,
    "maintenance": 1,
}
"""Runs at once that write the same tables; set at the first start, changed in the UI after."""

MOST_COUNTED = 1_000

_UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """One lane: runs that wait, runs under way, and how long the first has been waiting."""

    lane: str
    queued_count: int
    running_count: int
    oldest_queued_s: float | None
    """Null where none waits."""
    bound: int

    @property
    def is_filling(self) -> bool:
        """Whether 90 % of what may wait are waiting."""
        return self.queued_count >= WARNED_AT * self.bound


def tags(lane: str) -> dict[str, str]:
    """What a run of the lane carries."""
    return {TAG: lane, PRIORITY: str(PRIORITIES[lane])}


def lane_depths(instance: dg.DagsterInstance, now: datetime) -> list[LaneDepth]:
    """Every lane, the fastest first; at most `MOST_COUNTED` runs of a lane are counted."""
    return [_depth(instance, lane, now) for lane in PRIORITIES]


def warnings(depths: list[LaneDepth]) -> list[str]:
    """A sentence per lane that is filling up."""
    return [
        f"lane {each.lane}: {each.queued_count} runs wait, of {each.bound} at most"
        for each in depths
        if each.is_filling
    ]


def set_pools(instance: dg.DagsterInstance) -> list[str]:
    """Give every pool its limit that has none of its own yet; returns their names."""
    storage = instance.event_log_storage
    known = {each.name for each in storage.get_pool_limits() if not each.from_default}
    missing = [name for name in POOLS if name not in known]
    for name in missing:
        storage.set_concurrency_slots(name, POOLS[name])
    return missing


def _depth(instance: dg.DagsterInstance, lane: str, now: datetime) -> LaneDepth:
    queued = instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED], tags={TAG: lane}),
        limit=MOST_COUNTED,
        ascending=True,
    )
    running = instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY, tags={TAG: lane}))
    waited = (now - queued[0].create_timestamp).total_seconds() if queued else None
    return LaneDepth(lane, len(queued), running, waited, BOUNDS[lane])
