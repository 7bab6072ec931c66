"""Verdicts of a day as a stage: a failing wallet is alone, and nothing is published without all."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from evaluator.domain.features.history import Cell
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.scores import ScoreRules
from evaluator.stages import features, history, personas, scores
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history
from tests.stages import pipeline

DAY = date(2025, 6, 30)
RULES = PersonaRules()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("archive") / "history"
    write_history(folder, end=DAY, wallets=60, events=8, days=50)
    return pipeline.ingest_archive(tmp_path_factory.mktemp("lake"), Archive(folder))


def classified(lake: Lake) -> personas.ShardResult:
    with lake.snapshot() as now:
        cluster = personas.find_clusters(now, DAY, RULES)
        return personas.classify_buckets(
            now, DAY, history.ALL_BUCKETS, cluster, RULES, pipeline.STAMP
        )


def test_a_wallet_whose_features_fail_is_alone_in_failing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
):
    whole = classified(lake)
    (poison,) = whole.verdicts.personas["proxy_wallet"].sample(1, seed=3)
    compute = personas.feature_rows

    def feature_rows(prepared, cell, careers, wallets):
        if poison in wallets["proxy_wallet"]:
            raise ValueError("planted")
        return compute(prepared, cell, careers, wallets)

    monkeypatch.setattr(personas, "feature_rows", feature_rows)
    found = classified(lake)
    assert found.failures == (personas.Failure(poison, "ValueError: planted"),)
    others = whole.verdicts.personas.filter(pl.col("proxy_wallet") != poison)
    assert found.verdicts.personas.sort("proxy_wallet").equals(others.sort("proxy_wallet"))


def test_a_missing_bucket_or_wallet_publishes_nothing(lake: Lake):
    whole = classified(lake)
    verdicts = whole.verdicts
    fewer = replace(whole, verdicts=replace(verdicts, personas=verdicts.personas[1:]))
    with lake.snapshot() as now:
        before = now.commit_id
        for part in (fewer, replace(whole, buckets=whole.buckets[1:])):
            with pytest.raises(personas.IncompletePersonasError):
                personas.publish(lake, DAY, [part], pipeline.STAMP, now)
    assert lake.latest_commit_id() == before


def test_features_of_another_code_version_are_computed_anew(lake: Lake):
    older = replace(pipeline.STAMP, code_version="older")
    fresh = classified(lake).verdicts.personas
    features.compute(lake, [Cell(DAY, RULES.window_days)], older)
    assert classified(lake).verdicts.personas.equals(fresh)


@pytest.mark.parametrize("without", [0, 1, 60])
def test_verdicts_from_rows_taken_are_those_from_rows_computed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, without: int
):
    """For wallets without a row only the prices of what they held are looked up."""
    cell = Cell(DAY, RULES.window_days)
    features.compute(lake, [cell], replace(pipeline.STAMP, code_version="older"))
    computed = classified(lake).verdicts
    features.compute(lake, [cell], pipeline.STAMP)
    all_rows, all_prices, looked_up = personas._published, history.market, []

    def some_rows(now, buckets, cell, judge):
        return all_rows(now, buckets, cell, judge).sort("fill_count", "proxy_wallet")[without:]

    def prices(now, cells, of_tokens=history.EVERY_ROW):
        looked_up.append(len(of_tokens["parameters"]))
        return all_prices(now, cells, of_tokens)

    monkeypatch.setattr(personas, "_published", some_rows)
    monkeypatch.setattr(history, "market", prices)
    taken = classified(lake).verdicts
    for name in ("personas", "exclusions", "traits"):
        assert getattr(taken, name).equals(getattr(computed, name)), name
    with lake.snapshot() as now:
        tokens = history.tokens(now).height
    assert {0: looked_up == [0], 1: 0 < looked_up[0] < tokens, 60: looked_up == [tokens]}[without]


def test_scores_without_features_are_refused(tmp_path: Path):
    with pytest.raises(scores.MissingFeaturesError, match="no features of 2025-06-30 over 30 days"):
        scores.compute(Lake(tmp_path), [Cell(DAY, 30)], ScoreRules(), pipeline.STAMP)
