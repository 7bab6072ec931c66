"""Features of new wallets through Dagster: what sensors ask for, what a run leaves, who is lost."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from evaluator.domain.tables.evaluation import WALLET_FEATURES_ON_DEMAND
from evaluator.domain.tables.history import ON_DEMAND_OUTCOMES
from evaluator.domain.tables.registry import BY_NAME
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.stages.stamp import Stamp
from evaluator.store.lake import Lake
from evaluator_assets import event_log, executors
from evaluator_assets.assets.on_demand import ATTEMPT, JOB, NEW_WALLETS, wallet_features_on_demand
from evaluator_assets.partitions import RANGE_END, RANGE_START, SINGLE_KEY
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource
from sensors.new_wallets import Asked, Batch, next_batch
from sensors.new_wallets import new_wallets as sensor
from sensors.on_demand_prune import on_demand_prune
from tests.stages.hand_made_venue import NOW, HandMadeVenue, address, fill, market
from tests.stages.test_new_wallets import batch, decided, discovered, traded

MINUTE, HOUR, DAYS = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = OnDemandRules()
NEW_NAME = NEW_WALLETS.name or ""
VENUES: dict[str, HandMadeVenue] = {}
"""By home: a resource holds plain values only."""


class HandMade(ConfigurationResource):
    """A source that goes on, and whose venue is in memory."""

    @asynccontextmanager
    async def open_venue(self, *, share: float):
        assert 0 < share <= 1
        yield VENUES[self.overrides["home"]]

    def stamp(self) -> Stamp:
        at = VENUES[self.overrides["home"]].at
        return Stamp(at, "thresholds", "0", is_frozen=False)


class Ended(HandMade):
    """The same after its end."""

    def is_frozen(self) -> bool:
        return True


@dataclass
class Place:
    """A home with a hand-made venue, and an instance of its own."""

    home: Path
    instance: dg.DagsterInstance
    venue: HandMadeVenue
    overrides: dict = field(default_factory=dict)

    def lake(self) -> Lake:
        return Lake(self.home / "lake", threads=1)

    def resources(self, kind: type[ConfigurationResource] = HandMade) -> dict:
        return {
            "lake": LakeResource(root=str(self.home / "lake"), thread_count=1),
            "configuration": kind(overrides={"home": str(self.home), **self.overrides}),
        }

    def definitions(self, **options) -> dg.Definitions:
        job = dg.define_asset_job(
            JOB, [wallet_features_on_demand], executor_def=executors.set_oriented
        )
        return dg.Definitions(
            assets=[wallet_features_on_demand],
            jobs=[job],
            sensors=[sensor, on_demand_prune],
            resources=self.resources(**options),
        )

    def tick(self, which=sensor, cursor: str | None = None, **options):
        """(requests, skip reason, cursor); partitions are added and dropped as asked."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            resources=self.resources(**options),
            repository_def=self.definitions().get_repository_def(),
        )
        done = which.evaluate_tick(context)
        for request in done.dynamic_partitions_requests or []:
            if isinstance(request, type(NEW_WALLETS.build_add_request([]))):
                self.instance.add_dynamic_partitions(NEW_NAME, list(request.partition_keys))
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(NEW_NAME, key)
        return done.run_requests or [], done.skip_message, done.cursor

    def run(self, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        job = self.definitions().resolve_job_def(JOB)
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def noted(self, tags: dict[str, str], status: dg.DagsterRunStatus) -> None:
        """A run of the job that has come that far, without having been carried out."""
        job = self.definitions().resolve_job_def(JOB)
        self.instance.create_run_for_job(job, status=status, tags=tags)

    def partitions(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions(NEW_NAME))


@pytest.fixture
def place(tmp_path, own_instance) -> Place:
    """A batch has run; wallets 3, 4 and 5 were discovered a minute later.

    Wallet 3 has settled five trades, wallet 4 one; the venue knows nothing of wallet 5.
    """
    resolved = [
        market(
            number,
            closed=True,
            resolved_at=NOW - DAYS,
            end_at=NOW - DAYS,
            payouts=[1.0, 0.0],
        )
        for number in range(1, 6)
    ]
    trades = [fill(3, number, NOW - 2 * DAYS) for number in range(1, 6)]
    venue = HandMadeVenue(listed=resolved, trades=[*trades, fill(4, 1, NOW - 2 * DAYS)])
    venue.at = NOW + 2 * MINUTE
    made = Place(tmp_path / "home", own_instance, venue)
    VENUES[str(made.home)] = venue
    lake = made.lake()
    traded(lake, 1)
    batch(lake, NOW)
    discovered(lake, 3, 4, 5, at=NOW + MINUTE)
    return made


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START], request.tags[RANGE_END]


def shown(place: Place) -> dict[str, str]:
    """Outcome by address."""
    with place.lake().snapshot() as now:
        rows = now.sql("SELECT proxy_wallet, outcome FROM on_demand_outcomes ORDER BY attempt")
    return dict(rows.iter_rows())


EXPECTED = {
    address(3): "computed",
    address(4): "insufficient_trades",
    address(5): "not_found",
}


def test_new_wallets_are_requested_in_one_range(place):
    (request,), _, cursor = place.tick()
    assert span(request) == (address(3), address(5))
    assert request.tags[ATTEMPT] == "1"
    assert request.run_key.startswith("on_demand/")
    assert cursor is None
    assert place.partitions() == [address(3), address(4), address(5)]


def test_the_request_of_the_sensor_is_a_run_that_works(place):
    (request,), _, _ = place.tick()
    ran = place.run(request.tags)
    assert ran.success
    assert shown(place) == EXPECTED
    with place.lake().snapshot() as now:
        rows = now.sql("SELECT proxy_wallet, source FROM current_wallet_features")
        assert (address(3), "on_demand") in rows.rows()
        outcome = now.read(ON_DEMAND_OUTCOMES)
    assert set(outcome["run_id"]) == {ran.dagster_run.run_id}
    requests, reason, cursor = place.tick()
    assert not requests
    assert reason.endswith("has an outcome, or is the batch's")
    assert place.tick(cursor=cursor)[1] == f"no wallet was discovered after commit {cursor}"


def test_every_partition_of_the_range_says_what_came_of_its_wallet(place):
    (request,), _, _ = place.tick()
    ran = place.run(request.tags)
    made = {
        each.partition: {name: value.value for name, value in each.metadata.items()}
        for each in (
            event.step_materialization_data.materialization
            for event in ran.get_asset_materialization_events()
        )
    }
    assert {key: found["outcome"] for key, found in made.items()} == EXPECTED
    assert [made[address(n)]["dagster/row_count"] for n in (3, 4, 5)] == [1, 0, 0]
    assert made[address(4)]["settled_count"] == 1
    assert made[address(3)]["seconds"] == 60.0


def test_a_run_tells_its_outcomes_and_new_fills_as_events(place):
    (request,), _, _ = place.tick()
    place.run(request.tags)
    page = event_log.read(place.instance, [wallet_features_on_demand.key.to_user_string()], 0, 100)
    evaluated, ingested = (each.event for each in page.events)
    assert evaluated.outcomes == EXPECTED
    assert evaluated.computed == (address(3),)
    assert (evaluated.day, evaluated.attempt) == (NOW.date(), 1)
    assert ingested.wallets == (address(3), address(4))
    assert (ingested.count, ingested.watermark) == (6, NOW - 2 * DAYS)


def test_one_partition_alone_can_be_materialised_by_hand(place):
    place.instance.add_dynamic_partitions(NEW_NAME, [address(3), "someone"])
    job = place.definitions().resolve_job_def(JOB)
    assert job.execute_in_process(instance=place.instance, partition_key=address(3)).success
    assert job.execute_in_process(instance=place.instance, partition_key="someone").success
    assert shown(place) == {address(3): "computed", "someone": "not_found"}


def test_a_tick_takes_no_more_wallets_than_the_setting_says(place):
    place.overrides["on_demand"] = {"max_wallets_per_tick": 2}
    (first,), _, _ = place.tick()
    assert span(first) == (address(3), address(4))
    place.noted(first.tags, dg.DagsterRunStatus.STARTED)
    (second,), _, _ = place.tick()
    assert span(second) == (address(5), address(5))


def test_a_crashed_run_loses_no_wallet(place):
    """The run ends without outcomes: the batch is asked for again, under another key."""
    (first,), _, _ = place.tick()
    place.noted(first.tags, dg.DagsterRunStatus.STARTED)
    assert place.tick()[1] == "the features of 3 new wallets are being computed"
    for run in place.instance.get_runs():
        place.instance.delete_run(run.run_id)
    place.noted(first.tags, dg.DagsterRunStatus.FAILURE)
    (second,), _, _ = place.tick()
    assert span(second) == span(first)
    assert second.tags[ATTEMPT] == "2"
    assert second.run_key != first.run_key
    assert place.run(second.tags).success
    assert shown(place) == EXPECTED
    with place.lake().snapshot() as now:
        assert set(now.read(ON_DEMAND_OUTCOMES)["attempt"]) == {2}


def test_a_run_that_raises_leaves_its_wallets_waiting(place):
    """A file of the lake is damaged: not even outcomes can be committed."""
    (first,), _, _ = place.tick()
    lake = place.lake()
    decided(lake, 99)
    with lake.snapshot() as now:
        (entry,) = now.files(ON_DEMAND_OUTCOMES)
    whole = (lake.root / entry.path).read_bytes()
    with lake.snapshot() as now:
        paths = [lake.root / each.path for each in now.files(BY_NAME["wallets"])]
    kept = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.write_bytes(b"no database")
    assert not place.run(first.tags).success
    for path, content in kept.items():
        path.write_bytes(content)
    assert whole == (lake.root / entry.path).read_bytes()
    (second,), _, _ = place.tick()
    assert (span(second), second.tags[ATTEMPT]) == (span(first), "2")


def test_after_its_last_attempt_a_wallet_is_the_batchs(place):
    (request,), _, _ = place.tick()
    for _ in range(RULES.max_attempts):
        place.noted(request.tags, dg.DagsterRunStatus.FAILURE)
    requests, reason, cursor = place.tick()
    assert not requests
    assert reason == "3 wallets have had 3 runs without an outcome; the batch takes them"
    assert int(cursor) > 0


def test_a_source_that_has_ended_discovers_nobody(place):
    assert place.tick(kind=Ended)[1] == "the source has ended: nobody is discovered in it"
    assert not place.partitions()


def test_an_unreadable_cursor_looks_at_all_wallets_again(place):
    (first,), _, _ = place.tick()
    (second,), _, _ = place.tick(cursor="junk")
    assert first.run_key == second.run_key


W = tuple(f"w{number}" for number in range(8))


def ended(first: str, last: str) -> Asked:
    return Asked(first, last, has_ended=True)


def running(first: str, last: str) -> Asked:
    return Asked(first, last, has_ended=False)


@pytest.mark.parametrize(
    ("waiting", "known", "asked", "wallets", "attempt"),
    [
        pytest.param(W[:3], (), (), W[:3], 1, id="new ones"),
        pytest.param(W[:6], (), (), W[:4], 1, id="at most four"),
        pytest.param(W[:3], W[:3], (), W[:3], 1, id="added, but the run never came to be"),
        pytest.param(W[:4], W[:2], (ended("w0", "w1"),), W[:2], 2, id="crashed ones first"),
        pytest.param(W[:4], W[:2], (running("w0", "w1"),), W[2:4], 1, id="running ones left alone"),
        pytest.param(
            ("w0", "w1", "w3"), W[:4], (ended("w0", "w3"),), ("w0", "w1"), 2, id="without a gap"
        ),
        pytest.param(
            W[:4],
            W[:4],
            (ended("w0", "w1"), ended("w0", "w3"), running("w2", "w3")),
            W[:2],
            3,
            id="once more than the most asked for",
        ),
        pytest.param(W[:2], W[:2], 3 * (ended("w0", "w1"),), (), 1, id="three runs are enough"),
        pytest.param(
            W[:2], W[1:2], (ended("w0", "w1"),), ("w1",), 1, id="the range lost its first key"
        ),
        pytest.param(
            W[:8], W[:4], (running("w0", "w1"), running("w2", "w3")), (), 1, id="two runs at once"
        ),
    ],
)
def test_the_next_batch(waiting, known, asked, wallets, attempt):
    rules = OnDemandRules(max_wallets_per_tick=4)
    found = next_batch(waiting, known, asked, rules)
    assert (found.wallets, found.attempt) == (wallets, attempt)
    assert bool(found.fact) is (not wallets)


def test_a_run_key_names_the_wallets_and_the_attempt():
    batches = [Batch(W[:2]), Batch(W[:2], 2), Batch(W[:3])]
    assert len({each.run_key for each in batches}) == 3
    assert Batch(W[:2]).run_key == Batch(W[:2], fact="other").run_key


def test_partitions_are_dropped_after_the_final_day_but_not_those_of_runs_in_flight(place):
    (request,), _, _ = place.tick()
    assert place.run(request.tags).success
    assert place.tick(on_demand_prune)[1] == "no day is the last final day: nothing new to drop"
    batch(place.lake(), NOW + DAYS, NOW.date())
    place.noted({SINGLE_KEY: address(4)}, dg.DagsterRunStatus.STARTED)
    requests, reason, cursor = place.tick(on_demand_prune)
    assert not requests
    assert reason == f"dropped 2 of 3 partitions, covered by {NOW.date()}"
    assert place.partitions() == [address(4)]
    _, reason, cursor = place.tick(on_demand_prune, cursor)
    assert reason == f"none of 1 partitions of new wallets is covered by {NOW.date()}"
    assert cursor == str(NOW.date())
    _, reason, _ = place.tick(on_demand_prune, cursor)
    assert reason == f"{NOW.date()} is the last final day: nothing new to drop"


def test_rows_stay_when_their_partitions_are_dropped(place):
    (request,), _, _ = place.tick()
    place.run(request.tags)
    batch(place.lake(), NOW + DAYS, NOW.date())
    place.tick(on_demand_prune)
    with place.lake().snapshot() as now:
        assert now.read(WALLET_FEATURES_ON_DEMAND).height == 1
        rows = now.sql(
            "SELECT source FROM current_wallet_features WHERE proxy_wallet = ?", [address(3)]
        )
    assert rows["source"].to_list() == ["batch"]
