"""Asks for the features of wallets as soon as they have been discovered."""

import hashlib
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from evaluator.stages.new_wallets import pending
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator_assets import partitions
from evaluator_assets.assets.on_demand import ATTEMPT, JOB, NEW_WALLETS
from evaluator_assets.requests import UNFINISHED
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

RUNS_LOOKED_AT = 300
"""Newest runs among which those of waiting wallets are looked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run of the job: the first and last key of its range, and whether it has ended."""

    first: str
    last: str
    has_ended: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Wallets of the next run, and its number among the runs of these; why there are none.

    `is_settled` says that nothing will be asked for again before the next discovery.
    """

    wallets: tuple[str, ...] = ()
    attempt: int = 1
    fact: str = ""
    is_settled: bool = False

    @property
    def run_key(self) -> str:
        """What the run is recognised by: a key once used is never used again."""
        text = ",".join((*self.wallets, str(self.attempt)))
        return f"on_demand/{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def new_wallets(
    context: dg.SensorEvaluationContext, lake: LakeResource, configuration: ConfigurationResource
) -> dg.SensorResult | dg.SkipReason:
    """One run over a range of partitions per batch of wallets without an outcome.

    The cursor is the commit of the newest discovery of which no wallet waits any more; one
    that cannot be read looks at all wallets again. A batch whose run ended without outcomes is
    asked for again under another run key, until a wallet has had `on_demand.max_attempts` runs.
    """
    if configuration.is_frozen():
        return dg.SkipReason("the source has ended: nobody is discovered in it")
    rules = configuration.settings().on_demand
    with lake.open().snapshot() as now:
        waiting = pending(now, parse_cursor(context.cursor), rules)
    if not waiting.wallets:
        return dg.SensorResult(skip_reason=waiting.fact, cursor=str(waiting.seen))
    known = context.instance.get_dynamic_partitions(NEW_WALLETS.name or "")
    batch = next_batch(waiting.wallets, known, runs_of(context.instance), rules)
    if not batch.wallets:
        cursor = str(waiting.seen) if batch.is_settled else context.cursor
        return dg.SensorResult(skip_reason=batch.fact, cursor=cursor)
    return dg.SensorResult(
        dynamic_partitions_requests=[NEW_WALLETS.build_add_request(list(batch.wallets))],
        run_requests=[request(batch)],
        cursor=context.cursor,
    )


def next_batch(
    waiting: Sequence[str], known: Sequence[str], asked: Sequence[Asked], rules: OnDemandRules
) -> Batch:
    """The wallets of the next run; `known` are the partitions in their order.

    Wallets whose run has ended without an outcome come first: those that lie together.
    """
    place = {wallet: number for number, wallet in enumerate(known)}
    attempts = covered(known, asked)
    running = covered(known, (run for run in asked if not run.has_ended))
    free = [each for each in waiting if each not in running and attempts[each] < rules.max_attempts]
    if not free:
        return _nothing(waiting, running, rules)
    open_count = sum(not run.has_ended for run in asked)
    if open_count >= rules.max_runs:
        return Batch(fact=f"{len(free)} wallets wait for the end of {open_count} runs")
    limit = rules.max_wallets_per_tick
    left = _together(sorted(place[each] for each in free if each in place), limit)
    wallets = tuple(known[number] for number in left) or tuple(free[:limit])
    return Batch(wallets, 1 + max(attempts[each] for each in wallets))


def covered(known: Sequence[str], asked: Iterable[Asked]) -> Counter[str]:
    """How many of the runs have each of the partitions in their range."""
    place = {wallet: number for number, wallet in enumerate(known)}
    return Counter(
        key
        for run in asked
        if run.first in place and run.last in place
        for key in known[place[run.first] : place[run.last] + 1]
    )


def request(batch: Batch) -> dg.RunRequest:
    """One run over the range of the batch: its keys are neighbours, for they were added at once."""
    tags = partitions.range_tags(batch.wallets[0], batch.wallets[-1])
    return dg.RunRequest(run_key=batch.run_key, tags={**tags, ATTEMPT: str(batch.attempt)})


def runs_of(instance: dg.DagsterInstance) -> list[Asked]:
    """The newest runs of the job, whoever started them."""
    runs = instance.get_runs(dg.RunsFilter(job_name=JOB), limit=RUNS_LOOKED_AT)
    return [
        Asked(first, run.tags.get(partitions.RANGE_END, first), run.status not in UNFINISHED)
        for run in runs
        if (first := run.tags.get(partitions.RANGE_START) or run.tags.get(partitions.SINGLE_KEY))
    ]


def parse_cursor(text: str | None) -> int:
    """The commit in a cursor.

    >>> parse_cursor("41"), parse_cursor(None), parse_cursor("junk")
    (41, 0, 0)
    """
    return int(text) if text and text.isdecimal() else 0


def _together(places: Sequence[int], limit: int) -> Sequence[int]:
    """The first of the places with those that follow it without a gap."""
    count = 1
    while count < min(len(places), limit) and places[count] == places[count - 1] + 1:
        count += 1
    return places[:count]


def _nothing(waiting: Sequence[str], running: Container[str], rules: OnDemandRules) -> Batch:
    count = sum(each in running for each in waiting)
    if count:
        return Batch(fact=f"the features of {count} new wallets are being computed")
    fact = f"{len(waiting)} wallets have had {rules.max_attempts} runs without an outcome"
    return Batch(fact=f"{fact}; the batch takes them", is_settled=True)
