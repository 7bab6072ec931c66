"""Personas in shards and in one process: the same verdicts, complete, whatever happens."""

import os
import signal
import threading
import time

import dagster as dg
import pytest

from evaluator.domain.tables.registry import BY_NAME
from evaluator_assets import serial
from tests.assets import dying_shards, failing_wallet, waiting_shard

PERSONAS = "wallet_personas"


def classified(ran):
    """Steps of shards that ended well."""
    steps = [event.step_key or "" for event in ran.events(dg.DagsterEventType.STEP_SUCCESS)]
    return [step for step in steps if ".classify_shard" in step]


def counts(home):
    with home.lake().snapshot() as now:
        wallets = now.sql("SELECT count(DISTINCT proxy_wallet) FROM fills").item()
        return wallets, now.sql("SELECT count(*) FROM wallet_personas").item()


def test_compute_features_parallel_success(ledger_home, day):
    """Without published features, each shard computes those of its wallets, in its process."""
    ran = ledger_home.run("personas", ledger_home.on(day), personas={"forced_tasks": 2})
    assert ran.success, ran.failures()
    shards = ran.metadata(PERSONAS)["shards"]
    assert len({shard["pid"] for shard in shards} - {os.getpid()}) == 2
    wallets, verdicts = counts(ledger_home)
    assert wallets == verdicts > 0
    assert ran.checks() == dict.fromkeys(ran.checks(), True)


def test_compute_features_parallel_partial_failure(ledger_home, day):
    """A wallet that cannot be judged is named with its error; all others get their verdict."""
    with ledger_home.lake().snapshot() as now:
        wallet = now.sql("SELECT min(proxy_wallet) FROM fills").item()
    settings = {"forced_tasks": 2, "known_bots": [wallet]}
    ran = ledger_home.run(
        "personas", ledger_home.on(day), module=failing_wallet.__name__, personas=settings
    )
    assert ran.success, ran.failures()
    assert ran.metadata(PERSONAS)["failed_wallets"] == {wallet: "ValueError: planted"}
    wallets, verdicts = counts(ledger_home)
    assert verdicts == wallets - 1
    assert not ran.checks()["wallet_personas.persona_completeness"]


@pytest.mark.parametrize("tasks", [3])
def test_compute_features_parallel_respects_task_count(scored_home, day, tasks):
    ran = scored_home.run("personas", scored_home.on(day), personas={"forced_tasks": tasks})
    assert ran.success, ran.failures()
    assert len(classified(ran)) == tasks
    assert ran.metadata(PERSONAS)["shard_reason"] == f"forced to {tasks}"


def test_persona_classification_parallel_enabled(scored_home, day):
    """A small population is one shard, and says why; forced, every shard has its process."""
    small = scored_home.run("personas", scored_home.on(day))
    assert small.success, small.failures()
    assert small.metadata(PERSONAS)["shard_reason"].endswith(" fills")
    assert len(classified(small)) == 1


def test_persona_classification_parallel_disabled(scored_home, day):
    settings = {"parallel_enabled": False, "forced_tasks": 3}
    ran = scored_home.run("personas", scored_home.on(day), personas=settings)
    assert ran.success, ran.failures()
    (shard,) = ran.metadata(PERSONAS)["shards"]
    assert shard["pid"] == os.getpid()
    assert shard["reason"] == "serial run: personas.parallel_enabled is false"


def test_persona_classification_results_identical(scored_home, day):
    """Content is equal for 1, 2, 3 and 8 shards, in processes and serially."""
    on = scored_home.on(day)
    assert scored_home.run("personas_serial", on).success
    expected = scored_home.persona_hashes()
    for tasks in (1, 2, 3, 8):
        ran = scored_home.run("personas", on, personas={"forced_tasks": tasks})
        assert ran.success, ran.failures()
        assert len(ran.metadata(PERSONAS)["shards"]) == tasks
        assert scored_home.persona_hashes() == expected, tasks


def test_a_job_started_serially_says_so(scored_home, day):
    ran = scored_home.run("personas_serial", scored_home.on(day), personas={"forced_tasks": 3})
    assert ran.success, ran.failures()
    assert ran.metadata(PERSONAS)["shard_reason"] == "serial run: asked for"


def test_a_machine_without_processes_classifies_in_one(scored_home, day, monkeypatch):
    monkeypatch.setattr(serial, "START_METHOD", "teleport")
    ran = scored_home.run("personas", scored_home.on(day), personas={"forced_tasks": 3})
    assert ran.success, ran.failures()
    (shard,) = ran.metadata(PERSONAS)["shards"]
    assert shard["reason"].startswith("serial run: processes cannot be started, ValueError")


def test_a_killed_shard_is_restarted_and_everything_is_published(scored_home, day):
    on = scored_home.on(day)
    assert scored_home.run("personas_serial", on).success
    expected = scored_home.persona_hashes()

    killer = threading.Thread(target=_kill_the_waiting, args=[scored_home.folder])
    killer.start()
    ran = scored_home.run(
        "personas", on, module=waiting_shard.__name__, personas={"forced_tasks": 2}
    )
    killer.join()
    assert ran.success, ran.failures()
    assert sorted(shard["retries"] for shard in ran.metadata(PERSONAS)["shards"]) == [0, 1]
    assert scored_home.persona_hashes() == expected


def _kill_the_waiting(home):
    mark = home / waiting_shard.MARK
    end = time.monotonic() + 240
    while not mark.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(int(mark.read_text(encoding="ascii")), signal.SIGKILL)


def test_shards_that_die_every_time_leave_nothing_and_say_so(scored_home, day):
    ran = scored_home.run(
        "personas",
        scored_home.on(day),
        module=dying_shards.__name__,
        personas={"forced_tasks": 2},
    )
    assert not ran.success
    assert "died every time" in serial.why_died(ran.instance, ran.run_id)
    with scored_home.lake().snapshot() as now:
        assert not now.partitions(BY_NAME[PERSONAS])


def test_the_folder_of_a_run_is_gone_after_it(scored_home, day):
    assert scored_home.run("personas", scored_home.on(day)).success
    assert list((scored_home.folder / "shards").iterdir()) == []
