"""The whole pipeline, as `evaluator run` starts it."""

from pathlib import Path

import pytest

from evaluator.domain.errors import ConfigurationError, InvalidArgumentError
from evaluator.settings import Settings, load_settings
from evaluator.venue.parquet import ArchiveFileMissingError
from evaluator_assets import pipeline
from evaluator_assets.observed import AssetOutcome, Observed, Progress
from evaluator_assets.pipeline import PipelineRequest, run_pipeline
from tests.assets import dying_shards
from tests.assets.runs import Home


@pytest.fixture
def place(tmp_path, monkeypatch, history, own_instance):
    """A process with a home of its own and no DAGSTER_HOME; the folder of its instance."""
    monkeypatch.setenv("EVALUATOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path / "home", history, own_instance)


def of_archive(folder: Path) -> Settings:
    return load_settings(source="archive", archive={"folder": str(folder)})


def request(home: Home, **options) -> PipelineRequest:
    return PipelineRequest(of_archive(home.history), **options)


def outcome(result, name: str) -> AssetOutcome:
    (found,) = [asset for asset in result.assets if asset.name == name]
    return found


def test_every_asset_of_the_last_day_is_materialised_and_told(place, day):
    told: list[Progress] = []
    result = run_pipeline(request(place), told.append)
    assert result.day == day
    assert result.is_complete, result
    assert [asset.name for asset in result.assets] == [
        event.stage for event in sorted(_last(told, "finished"), key=lambda e: _place(result, e))
    ]
    assert {event.status for event in told} == {"started", "finished"}
    assert told[-1].done == told[-1].total == len(result.assets) == 15
    assert all(asset.rows is not None and asset.seconds is not None for asset in result.assets)
    assert {job: len(ids) for job, ids in result.run_ids.items()} == {
        "discovery": 1,
        "ledger": 1,
        "scoring": 1,
        "personas": 1,
        "serving": 1,
    }
    assert (place.folder / "dagster_home" / "dagster.yaml").exists()
    before = place.hashes()
    serial = run_pipeline(request(place, is_serial=True), told.append)
    assert serial.is_complete
    assert "personas_serial" in serial.run_ids
    assert place.hashes() == before


def _last(told, status):
    return [event for event in told if event.status == status]


def _place(result, event):
    return [asset.name for asset in result.assets].index(event.stage)


def test_some_windows_take_a_run_each(place):
    result = run_pipeline(request(place, windows=(7, 90)), lambda _: None)
    assert result.is_complete
    assert len(result.run_ids["scoring"]) == 2
    with place.lake().snapshot() as now:
        windows = now.sql("SELECT DISTINCT window_days FROM wallet_scores ORDER BY 1")
    assert windows["window_days"].to_list() == [7, 90]


def test_a_folder_without_the_files_is_an_error_before_any_run(place, tmp_path):
    with pytest.raises(ArchiveFileMissingError, match=r"no file \w+_fomc.parquet") as caught:
        run_pipeline(PipelineRequest(of_archive(tmp_path)), lambda _: None)
    assert caught.value.hint


def test_a_day_or_window_that_no_partition_has_is_refused(place, day):
    early = request(place, day=day.replace(year=1999))
    with pytest.raises(InvalidArgumentError, match="is no partition"):
        run_pipeline(early, lambda _: None)
    with pytest.raises(ConfigurationError, match="14 days are no partition"):
        run_pipeline(request(place, windows=(14,)), lambda _: None)


def test_an_asset_that_fails_says_why_and_what_it_kept_from_running(place, monkeypatch):
    def broken(*_):
        raise InvalidArgumentError("lots", "x", "cannot be built", "ask")

    monkeypatch.setattr("evaluator.stages.ledger.refresh_lots", broken)
    told: list[Progress] = []
    result = run_pipeline(request(place), told.append)
    assert not result.is_complete
    assert outcome(result, "fills").is_materialized
    assert outcome(result, "closed_lots").status == "failed"
    assert outcome(result, "closed_lots").error == "lots 'x': cannot be built\nhint: ask"
    assert outcome(result, "reconciliation").error.startswith("not computed: lots 'x'")
    assert {event.stage for event in _last(told, "failed")} == {"closed_lots", "open_lots"}


def test_shards_that_die_are_replaced_by_one_process(place, monkeypatch):
    monkeypatch.setenv("EVALUATOR_PERSONAS__FORCED_TASKS", "2")
    monkeypatch.setattr(pipeline, "__name__", dying_shards.__name__)
    result = run_pipeline(request(place), lambda _: None)
    assert result.is_complete, result
    assert list(result.run_ids)[-3:] == ["personas", "personas_serial", "serving"]
    (note,) = result.notes
    assert note.startswith("personas were computed in one process: the process of ")


def test_what_was_not_run_names_the_check_that_blocked_it():
    observed = Observed(["wallet_scores"])
    observed.failed_checks.append("wallet_features.window_completeness")
    (asset,) = observed.outcomes()
    assert asset.error == "not computed: blocked by wallet_features.window_completeness"
