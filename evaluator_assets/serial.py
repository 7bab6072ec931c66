"""When personas are classified in one process, and why.

A run is serial by its tag, by `personas.parallel_enabled`, or because this machine cannot start
processes.
"""

import multiprocessing

import dagster as dg

from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.tables.history import FILLS
from evaluator.stages import overview, shards
from evaluator.stages.shards import ShardCount
from evaluator.store.snapshot import Snapshot

TAG = "evaluator/serial"
START_METHOD = "forkserver"


def shard_count(tag: str | None, now: Snapshot, rules: PersonaRules) -> ShardCount:
    """One shard where the run is serial, by its tag or else; else what helps on this machine."""
    if reason := why_serial(tag, rules):
        return ShardCount(1, reason)
    return shards.shard_count(overview.row_count(now, FILLS), rules, shards.this_machine())


def why_serial(tag: str | None, rules: PersonaRules) -> str:
    """The reason for one process; empty where shards get their own."""
    if tag:
        return f"serial run: {tag}"
    if not rules.parallel_enabled:
        return "serial run: personas.parallel_enabled is false"
    if problem := parallel_problem():
        return f"serial run: processes cannot be started, {problem}"
    return ""


def parallel_problem() -> str:
    """What keeps this machine from starting processes for steps; empty where nothing does."""
    try:
        multiprocessing.get_context(START_METHOD).Event()
    except (ImportError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def why_died(instance: dg.DagsterInstance, run_id: str) -> str:
    """What shows that a failed run could not keep its processes; empty where a step said why.

    A step that raises fails the same way in one process; one that dies may not.
    """
    failures = _failures(instance, run_id)
    for event in failures:
        error = event.step_failure_data.error
        if error and _CRASH in error.to_string():
            return f"the process of {event.step_key} died every time"
    return "" if failures else "its processes could not be started"


def failed_with(instance: dg.DagsterInstance, run_id: str, code: str) -> bool:
    """Whether a step of the run failed with one of our errors of that code."""
    told = [event.step_failure_data.user_failure_data for event in _failures(instance, run_id)]
    codes = [each.metadata.get("code") for each in told if each]
    return any(each and each.value == code for each in codes)


def _failures(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [entry.dagster_event for entry in entries if entry.dagster_event]


_CRASH = "ChildProcessCrashException"
