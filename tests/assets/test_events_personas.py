"""Personas of exactly the wallets that changed: from the event over a real tick to the verdicts."""

from dataclasses import replace
from datetime import UTC, datetime, time

import dagster as dg
import pytest

from evaluator.settings import load_settings
from evaluator.stages.stamp import Stamp
from evaluator_assets import event_log, persona_runs, pipeline
from evaluator_assets.definitions import defs
from evaluator_assets.events import OnDemandEvaluated, TradesIngested, WalletsClassified
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors import personas_of_ingested as ingested_file
from sensors.bootstrap import bootstrap
from sensors.personas_of_ingested import personas_of_ingested
from sensors.personas_on_demand import personas_on_demand
from tests.assets import persona_jobs
from tests.assets.logged import address, log
from tests.assets.runs import Home, Ran

PERSONAS = "wallet_personas"


class GoingOn(ConfigurationResource):
    """A source that has not ended, on the last day of the history."""

    today: str

    def is_frozen(self) -> bool:
        return False

    def stamp(self) -> Stamp:
        noon = datetime.combine(datetime.fromisoformat(self.today), time(23, 59), UTC)
        return replace(super().stamp(), now=noon, is_frozen=False)


@pytest.fixture
def home(scored_home, own_instance) -> Home:
    """Features of the last day are there, in an instance without runs."""
    return Home(scored_home.folder, scored_home.history, own_instance)


def sense(home: Home, sensor: dg.SensorDefinition, day, cursor=None, *, goes_on=True):
    overrides = home.overrides()
    configuration = (
        GoingOn(overrides=overrides, today=str(day))
        if goes_on
        else ConfigurationResource(overrides=overrides)
    )
    context = dg.build_sensor_context(
        instance=home.instance,
        cursor=cursor,
        resources={
            "lake": LakeResource(root=str(home.folder / "lake")),
            "configuration": configuration,
        },
        repository_def=(defs if sensor is bootstrap else persona_jobs.defs).get_repository_def(),
    )
    return sensor.evaluate_tick(context)


def run(home: Home, wanted: dg.RunRequest) -> Ran:
    """The run that answers the request, as the daemon would make it."""
    overrides = home.overrides()
    config = pipeline.run_config(load_settings(**overrides), overrides) | dict(wanted.run_config)
    job = dg.build_reconstructable_job(
        persona_jobs.__name__, persona_jobs.job_named.__name__, (wanted.job_name,)
    )
    tags = {**wanted.tags, "dagster/partition": wanted.partition_key}
    done = dg.execute_job(job, home.instance, run_config=config, tags=tags)
    return Ran(done.success, done.run_id, home.instance)


def wallets(home: Home, table: str = "fills") -> list[str]:
    with home.lake().snapshot() as now:
        rows = now.sql(f"SELECT DISTINCT proxy_wallet FROM {table} ORDER BY 1")
        return rows["proxy_wallet"].to_list()


def classified(home: Home) -> list[WalletsClassified]:
    page = event_log.read(home.instance, [PERSONAS], 0, 100)
    return [each.event for each in page.events]


def test_new_wallets_are_judged_at_once_and_no_others(home, day):
    chosen, without_row = wallets(home, "wallet_features")[:2]
    outcomes = {
        chosen: "computed",
        without_row: "insufficient_trades",
        address(1): "computed",  # of a wallet that nobody knows: it has no row
    }
    log(home.instance, OnDemandEvaluated(day=day, attempt=1, outcomes=outcomes))
    done = sense(home, personas_on_demand, day)
    (wanted,) = done.run_requests
    assert wanted.job_name == persona_runs.of_wallets.name
    assert wanted.partition_key == day.isoformat()
    assert (wanted.tags["lane"], wanted.tags["dagster/priority"]) == ("fast", "10")

    ran = run(home, wanted)

    assert ran.success, ran.failures()
    assert wallets(home, PERSONAS) == [chosen]
    assert classified(home) == [WalletsClassified(day=day, count=1, is_whole=False)]
    told = ran.metadata(PERSONAS)
    assert (told["asked_wallet_count"], told["judged_wallet_count"]) == (2, 1)
    assert told["shard_reason"] == "a run of 2 wallets"
    assert not list((home.folder / "shards").iterdir())
    assert not sense(home, personas_on_demand, day, done.cursor).run_requests


def test_wallets_with_new_fills_are_judged_once_the_day_has_verdicts(home, day):
    """The first run of a day is of all wallets, and so is one of other thresholds."""
    chosen = wallets(home)[:3]
    log(home.instance, TradesIngested(wallets=tuple(chosen[:2]), count=2))
    log(home.instance, TradesIngested(wallets=tuple(chosen[1:]), count=2))
    collected = "sensors.personas_of_ingested.COLLECT_S"
    waiting = sense(home, personas_of_ingested, day)
    assert not waiting.run_requests  # its clock stands in summer: the events are of the future
    assert waiting.skip_message.startswith("2 events are collected for ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collected, 0.0)
        (first,) = sense(home, personas_of_ingested, day).run_requests
        assert (first.job_name, dict(first.run_config)) == ("personas", {})
        assert run(home, first).success
        whole = home.persona_hashes()

        (then,) = sense(home, personas_of_ingested, day, "{}").run_requests
        assert then.job_name == persona_runs.of_wallets.name
        asked = then.run_config["ops"]["classify_wallets"]["ops"]["find_clusters"]["config"]
        assert asked == {"wallets": chosen, "takes_rows_only": False}
        assert then.tags["lane"] == "normal"
    ran = run(home, then)
    assert ran.success, ran.failures()
    assert ran.metadata(PERSONAS)["judged_wallet_count"] == 3
    assert home.persona_hashes() == whole
    assert [each.is_whole for each in classified(home)] == [True, False]


def test_a_source_that_has_ended_has_no_newly_ingested_fills(home, day):
    log(home.instance, TradesIngested(wallets=(address(1),), count=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingested_file, "COLLECT_S", 0.0)
        done = sense(home, personas_of_ingested, day, goes_on=False)
    assert done.skip_message == "no run is needed for 1 events after 0"


def test_the_first_start_asks_for_discovery_once(empty_home, own_instance, day):
    home = Home(empty_home.folder, empty_home.history, own_instance)
    done = sense(home, bootstrap, day)
    (wanted,) = done.run_requests
    assert wanted.partition_key == day.isoformat()
    limits = {each.name: each.limit for each in own_instance.event_log_storage.get_pool_limits()}
    assert limits["on_demand"] == 2
    assert limits["personas"] == limits["ingest"] == 1
    again = sense(home, bootstrap, day, done.cursor)
    assert not again.run_requests
    assert again.skip_message == f"discovery of {day} was requested at the first start"


def test_limits_that_a_person_has_set_stay(empty_home, own_instance, day):
    home = Home(empty_home.folder, empty_home.history, own_instance)
    own_instance.event_log_storage.set_concurrency_slots("personas", 3)
    sense(home, bootstrap, day)
    limits = {each.name: each.limit for each in own_instance.event_log_storage.get_pool_limits()}
    assert limits["personas"] == 3


def test_a_home_with_markets_needs_no_first_discovery(home, day):
    done = sense(home, bootstrap, day)
    assert not done.run_requests
    assert done.skip_message.startswith("there are markets")
