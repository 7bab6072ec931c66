"""`evaluator run`: one real run through Dagster, and what it does with each way it can end."""

import json
from datetime import date

import pytest

from evaluator import home as homes
from evaluator.domain.tables.registry import TABLES
from evaluator.store.lake import Lake
from evaluator.venue.history import write_history
from evaluator_assets import pipeline
from evaluator_assets.observed import AssetOutcome, Progress
from tests.cli.small_home import DAY

FED = (
    "markets",
    "fills",
    "resolutions",
    "positions",
    "closed_lots",
    "open_lots",
    "reconciliation",
    "wallet_features",
    "wallet_scores",
    "wallet_personas",
)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_history(folder, end=DAY, wallets=60, events=8, days=60)
    return folder


@pytest.fixture
def new_home(tmp_path, monkeypatch):
    home = tmp_path / "data"
    monkeypatch.setenv("EVALUATOR_HOME", str(home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def asked(monkeypatch):
    """Requests that reach the pipeline, which does nothing but report a failure of `fills`."""
    requests = []

    def run_pipeline(request, on_progress):
        requests.append(request)
        on_progress(Progress("fills", "started", 0, 2))
        on_progress(Progress("fills", "failed", 1, 2))
        return pipeline.PipelineResult(
            day=request.day,
            assets=(
                AssetOutcome("markets", "materialized", 3, 0.5, ""),
                AssetOutcome("fills", "failed", None, None, "the disk is full\nhint: free space"),
            ),
            run_ids={"ledger": ["a"]},
            run_seconds={"ledger": 1.0},
            failed_checks=("unique_key of markets",),
            notes=("personas were computed in one process: no fork",),
        )

    monkeypatch.setattr(pipeline, "run_pipeline", run_pipeline)
    return requests


@pytest.mark.timeout(300)
def test_a_run_computes_everything_and_says_so_in_one_object(new_home, archive, start, evaluator):
    run = start("run", "--archive", str(archive), "--json", "--serial")
    out, err = run.communicate(timeout=280)
    assert run.returncode == 0, err
    answer = json.loads(out)
    assert answer["is_complete"]
    assert (answer["source"], answer["day"]) == ("archive", DAY.isoformat())
    assert set(FED) <= {name for name, each in answer["assets"].items() if not each["error"]}
    assert set(answer["tables"]) == {table.name for table in TABLES}
    with Lake(new_home / "lake").snapshot() as now:
        for table in TABLES:
            assert answer["tables"][table.name] == {
                "rows": now.read(table).height,
                "content_hash": now.content_hash(table),
            }
    assert answer["funnel"]["wallets"] == answer["tables"]["wallet_personas"]["rows"]
    assert "wallet_scores" in err
    assert "Traceback" not in err
    assert homes.noted(new_home)["archive"]["folder"] == str(archive)
    jobs = evaluator("status", "--json").json["jobs"]
    assert {job["job"]: job["status"] for job in jobs} == dict.fromkeys(
        ("discovery", "ledger", "personas_serial", "scoring", "serving"), "SUCCESS"
    )
    assert {job["run_id"] for job in jobs} == {each for [each] in answer["run_ids"].values()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_runs_at_once_both_complete_with_the_same_tables(new_home, archive, start):
    runs = [start("run", "--archive", str(archive), "--json", "--serial") for _ in range(2)]
    ended = [run.communicate(timeout=580) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], [err for _, err in ended]
    answers = [json.loads(out) for out, _ in ended]
    assert answers[0]["tables"] == answers[1]["tables"]


def test_a_run_that_failed_is_exit_code_1_and_two_lines_per_asset(
    new_home, archive, asked, evaluator
):
    answer = evaluator("run", "--archive", str(archive))
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[-5:] == [
        "[1/2] fills                failed",
        "note: check unique_key of markets failed",
        "note: personas were computed in one process: no fork",
        "error: asset fills: the disk is full",
        "hint:  free space",
    ]


def test_the_summary_of_a_failed_run_is_still_one_object(new_home, archive, asked, evaluator):
    answer = evaluator("run", "--archive", str(archive), "--json")
    assert answer.code == 1
    assert not answer.json["is_complete"]
    assert answer.json["funnel"] is None
    assert answer.json["assets"]["fills"]["error"].startswith("the disk is full")


def test_the_pipeline_is_asked_for_what_the_options_say(new_home, archive, asked, evaluator):
    options = ("--as-of", "2026-06-20", "--windows", "30,7", "--serial")
    evaluator("run", "--archive", str(archive), *options)
    (request,) = asked
    assert (request.settings.source, request.settings.archive.folder) == ("archive", archive)
    assert (request.day, request.windows, request.is_serial) == (date(2026, 6, 20), (7, 30), True)


def test_the_day_is_the_last_of_the_source_unless_given(new_home, archive, asked, evaluator):
    evaluator("run", "--archive", str(archive))
    evaluator("run")
    assert [(each.settings.source, each.day) for each in asked] == [("archive", DAY)] * 2


def test_the_demo_is_written_and_run(new_home, asked, evaluator):
    evaluator("run", "--source", "demo")
    assert [(each.settings.source, each.day) for each in asked] == [("demo", homes.DEMO_END)]
    assert (new_home / "history" / "trades_fomc.parquet").exists()


def test_real_history_sets_the_demo_aside_and_says_where(new_home, archive, asked, evaluator):
    evaluator("run", "--source", "demo")
    Lake(new_home / "lake")
    answer = evaluator("run", "--archive", str(archive))
    assert f"The invented tables that were here are now in {new_home / 'lake.demo'}\n" in answer.err


def test_the_demo_does_not_mix_with_real_history(new_home, archive, asked, evaluator):
    evaluator("run", "--archive", str(archive))
    answer = evaluator("run", "--source", "demo")
    assert answer.code == 2
    assert answer.err.splitlines()[-2:] == [
        f"error: {new_home} holds tables of the source archive, not of demo",
        "hint:  give this source a folder of its own: EVALUATOR_HOME=DIR",
    ]
