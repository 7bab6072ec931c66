"""Lanes: every run has one, and no flood of others keeps a fast run waiting."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from evaluator_assets import lanes
from evaluator_assets.run_queue import LaneCoordinator, lane_tags
from tests.assets import lanes_location
from tests.assets.test_ui import HEEDING, ROOT, START_S, Server, _free_port, _stop

FLOOD = {"slow": 250, "untagged": 200, "__ASSET_JOB": 50}
AT_ONCE = 50
"""Runs that one request launches."""

LAUNCH = """
mutation Launch($list: [ExecutionParams!]!) {
  launchMultipleRuns(executionParamsList: $list) {
    __typename
    ... on LaunchMultipleRunsResult {
      launchMultipleRunsResult { __typename ... on LaunchRunSuccess { run { runId } } }
    }
  }
}"""
OF_OTHER_LANES = 3
"""Slots that the two other lanes have together in dagster.yaml."""


@pytest.mark.parametrize(
    ("given", "lane", "priority"),
    [
        ({}, "background", "-10"),
        ({"dagster/from_ui": "true"}, "normal", "0"),
        ({"dagster/backfill": "abc", "lane": "fast"}, "background", "-10"),
        ({"lane": "fast"}, "fast", "10"),
        ({"lane": "normal", "dagster/from_ui": "true"}, "normal", "0"),
        ({"lane": "normal", "dagster/priority": "5"}, "normal", "5"),
        ({"lane": "fats"}, "background", "-10"),
    ],
)
def test_every_run_gets_a_lane(given, lane, priority):
    assert lane_tags(given) == {"lane": lane, "dagster/priority": priority}


def test_the_instance_has_the_lanes_queue(tmp_path):
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.run_coordinator, LaneCoordinator)
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        limits = {each.get("value"): each["limit"] for each in queue.tag_concurrency_limits}
        reserved = queue.max_concurrent_runs - limits["normal"] - limits["background"]
        assert limits["normal"] + limits["background"] == OF_OTHER_LANES
        assert reserved >= limits["fast"] > 0


def test_depth_and_age_of_each_lane(own_instance):
    for lane, status in (
        ("fast", dg.DagsterRunStatus.STARTED),
        ("background", dg.DagsterRunStatus.STARTED),
        ("background", dg.DagsterRunStatus.STARTING),
        ("background", dg.DagsterRunStatus.SUCCESS),
    ):
        own_instance.create_run_for_job(
            lanes_location.untagged, status=status, tags=lanes.tags(lane)
        )
    fast, normal, background = lanes.lane_depths(own_instance, datetime.now(UTC))
    assert (fast.running_count, normal.running_count, background.running_count) == (1, 0, 2)
    assert [each.queued_count for each in (fast, normal, background)] == [0, 0, 0]
    assert fast.oldest_queued_s is None


def test_a_lane_is_filling_from_nine_tenths_of_its_bound():
    depths = [lanes.LaneDepth("fast", count, 4, 12.5, 20) for count in (17, 18, 20)]
    assert [each.is_filling for each in depths] == [False, True, True]
    assert lanes.warnings(depths[1:2]) == ["lane fast: 18 runs wait, of 20 at most"]


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """`dagster dev` with the project's instance and a code location of small jobs."""
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", tmp_path)
    port = _free_port()
    dagster = str(Path(sys.executable).with_name("dagster"))
    dev = [dagster, "dev", "-m", lanes_location.__name__, "--port", str(port)]
    with (
        (tmp_path / "dev.log").open("wb") as written,
        subprocess.Popen(
            [sys.executable, "-c", HEEDING, *dev],
            cwd=ROOT,
            env=os.environ | {"DAGSTER_HOME": str(tmp_path)},
            stdout=written,
            stderr=written,
            start_new_session=True,
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client,
    ):
        try:
            asked, end = Server(client), time.monotonic() + START_S
            while not asked.is_up():
                assert process.poll() is None, (tmp_path / "dev.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.5)
            yield asked
        finally:
            _stop(process)


def launch(server: Server, job: str, count: int) -> list[str]:
    """As many runs of a job at once, as whoever talks GraphQL launches them."""
    selector = {
        "repositoryLocationName": lanes_location.__name__,
        "repositoryName": "__repository__",
        "jobName": job,
    }
    tags = []
    if job == "__ASSET_JOB":
        selector["assetSelection"] = [{"path": ["heavy"]}]
        tags = [{"key": "dagster/from_ui", "value": "true"}]
    params = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
    launched: list[dict[str, Any]] = []
    while len(launched) < count:
        some = min(AT_ONCE, count - len(launched))
        answer = server.ask(LAUNCH, list=[params] * some)["launchMultipleRuns"]
        launched += answer["launchMultipleRunsResult"]
    assert {each["__typename"] for each in launched} == {"LaunchRunSuccess"}, launched
    return [each["run"]["runId"] for each in launched]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_runs_of_other_lanes_do_not_delay_a_fast_one(server, tmp_path):
    """Counted in runs that were started in between, not in seconds."""
    others = [each for job, count in FLOOD.items() for each in launch(server, job, count)]
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        urgent = launch(server, "urgent", 2)
        end = time.monotonic() + 300
        while not all(instance.get_run_stats(each).launch_time for each in urgent):
            assert time.monotonic() < end, "a fast run was not started"
            time.sleep(0.2)
        depths = {each.lane: each for each in lanes.lane_depths(instance, _later())}
        lane = Counter(instance.get_run_by_id(each).tags["lane"] for each in others)
        stats = {each: instance.get_run_stats(each) for each in (*others, *urgent)}

    assert lane == {"background": 450, "normal": 50}
    assert depths["fast"].queued_count == 0
    assert depths["background"].queued_count > 300  # the flood was still there
    assert depths["background"].is_filling
    assert depths["background"].oldest_queued_s > 0
    started = [each.launch_time for name, each in stats.items() if name not in urgent]
    for each in urgent:
        asked, begun = stats[each].enqueued_time, stats[each].launch_time
        between = [at for at in started if at and asked < at < begun]
        assert len(between) <= 2 * OF_OTHER_LANES  # one look at the queue was under way


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)
