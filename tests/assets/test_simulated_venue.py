"""The pipeline on a small simulated venue, as `evaluator run` starts it, and what follows it."""

from datetime import UTC, date, datetime

import dagster as dg
import pytest

from evaluator import home as homes
from evaluator.domain.errors import ConfigurationError
from evaluator.domain.tables.evaluation import PERSONA_VALIDATION
from evaluator.domain.tables.registry import BY_NAME
from evaluator.settings import Settings, load_settings
from evaluator_assets import pipeline
from evaluator_assets.assets.validation import persona_validation
from evaluator_assets.pipeline import PipelineRequest, run_pipeline
from resources.configuration import ConfigurationResource
from resources.lake import LakeResource

START, DAY = date(2026, 4, 1), date(2026, 5, 5)
WORLD = {"seed": 3, "start": START, "wallets": 40, "events_per_day": 1.0}


def settings_at(day: date) -> Settings:
    end = datetime(day.year, day.month, day.day + 1, tzinfo=UTC)
    return load_settings(source="sim", sim={**WORLD, "now": end})


def rows(settings: Settings) -> dict[str, int]:
    with settings.open_lake().snapshot() as now:
        return {name: now.read(table).height for name, table in BY_NAME.items()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A home whose tables a run on a simulated venue has filled, and what the run said."""
    place = tmp_path_factory.mktemp("sim")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("DAGSTER_HOME", raising=False)
        patch.setenv("EVALUATOR_HOME", str(place / "home"))
        settings = settings_at(DAY)
        settings.claim_home()
        yield settings, run_pipeline(PipelineRequest(settings), lambda _: None)


@pytest.mark.timeout(600)
def test_every_asset_that_a_venue_feeds_is_materialised(ran):
    settings, result = ran
    assert (result.day, result.failed_checks) == (DAY, ()), result
    assert result.is_complete, [each for each in result.assets if not each.is_materialized]
    filled = {name for name, count in rows(settings).items() if count}
    missing = set(BY_NAME) - filled
    assert missing <= {"quarantine", "dead_letters", "persona_validation", "books", "comments"}


def test_the_world_a_home_was_made_from_is_noted_and_stays(ran):
    settings, _ = ran
    assert homes.noted(settings.home)["sim"] == {
        **WORLD,
        "start": "2026-04-01",
        "new_wallets_per_day": 2.0,
    }
    assert load_settings().sim.start == START


def test_a_run_shows_wallets_computed_on_demand_from_the_fills_of_the_batch(ran):
    settings, _ = ran
    with settings.open_lake().snapshot() as now:
        early = now.sql("FROM on_demand_outcomes")
        both = now.sql(
            "SELECT (early.fill_count, early.volume_usdc, early.first_fill_at) "
            "= (batch.fill_count, batch.volume_usdc, batch.first_fill_at) AS is_same "
            "FROM wallet_features_on_demand AS early JOIN wallet_features AS batch "
            "USING (proxy_wallet, feature_date, window_days)"
        )
    assert early.height == pipeline.NEW_WALLETS_SHOWN
    assert both.height == early.filter(early["outcome"] == "computed").height
    assert both["is_same"].all()


def test_reading_the_venue_again_adds_no_fill_and_no_wallet(ran):
    settings, _ = ran
    before = rows(settings)
    again = run_pipeline(PipelineRequest(settings), lambda _: None)
    assert again.is_complete
    after = rows(settings)
    same = ("fills", "activity", "wallets", "wallet_sources", "closed_lots", "open_lots")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_verdicts_are_held_against_what_the_world_has_planted(ran):
    settings, _ = ran
    overrides = {"source": "sim", "home": str(settings.home), "sim": {"now": str(settings.sim.now)}}
    result = dg.materialize(
        [persona_validation],
        resources={
            "configuration": ConfigurationResource(overrides=overrides),
            "lake": LakeResource.of(settings),
        },
    )
    (made,) = result.asset_materializations_for_node("persona_validation")
    assert "| label | precision | recall |" in str(made.metadata["agreement"].value)
    with settings.open_lake().snapshot() as now:
        counted = now.read(PERSONA_VALIDATION)["wallet_count"].sum()
        discovered = now.sql("SELECT count(DISTINCT proxy_wallet) FROM wallets").item()
    assert counted == discovered


def test_only_a_simulated_world_has_a_truth():
    with pytest.raises(ConfigurationError, match="demo has no planted truth; sim has"):
        load_settings(source="demo").planted_truth()
