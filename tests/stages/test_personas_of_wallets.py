"""Verdicts on some wallets: as of a run over all, for exactly these, and nothing lost on the way."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.domain.features.history import Cell
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.tables.evaluation import (
    WALLET_EXCLUSIONS,
    WALLET_FEATURES,
    WALLET_FEATURES_ON_DEMAND,
    WALLET_PERSONAS,
    WALLET_TRAITS,
)
from evaluator.domain.tables.history import FILLS
from evaluator.stages import due, features, personas, personas_of_wallets, some_wallets
from evaluator.stages.personas import Judge
from evaluator.stages.personas_of_wallets import OutdatedVerdictsError, Selection
from evaluator.store import partitions
from evaluator.store.errors import StaleReplaceError
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive
from evaluator.venue.history import write_history
from tests.stages import pipeline
from tests.stages.pipeline import STAMP

DAY = date(2025, 6, 30)
RULES = PersonaRules()
CELL = Cell(DAY, RULES.window_days)
GENEROUS = replace(
    RULES, whale_min_fill_usdc=0.0, bonder_min_extreme_ratio=0.0, stage1_max_inactive_days=0.5
)
"""Rules under which nearly every wallet has traits and an exclusion that it has not otherwise."""
TABLES = (WALLET_PERSONAS, WALLET_EXCLUSIONS, WALLET_TRAITS)
ADDRESSES = range(40)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a lake with lots and without features."""
    folder = tmp_path_factory.mktemp("archive") / "history"
    write_history(folder, end=DAY, wallets=60, events=8, days=50)
    return pipeline.ingest_archive(tmp_path_factory.mktemp("lake"), Archive(folder)).root


@pytest.fixture
def lake(ingested: Path, tmp_path: Path) -> Lake:
    return copied(ingested, tmp_path / "lake")


def copied(root: Path, into: Path) -> Lake:
    shutil.copytree(root, into, ignore=shutil.ignore_patterns("pins", "locks", "tmp"))
    return Lake(into, threads=1)


def addresses(lake: Lake) -> list[str]:
    with lake.snapshot() as now:
        rows = now.sql("SELECT DISTINCT proxy_wallet FROM fills ORDER BY 1")
        return rows["proxy_wallet"].to_list()


def judge_some(
    lake: Lake, wallets, *, takes_rows_only: bool = False, rules: PersonaRules = RULES
) -> personas.ShardResult:
    with lake.snapshot() as now:
        judge = Judge(personas.find_clusters(now, DAY, rules), rules, STAMP)
        some = Selection(tuple(wallets), takes_rows_only)
        result = personas_of_wallets.classify_wallets(now, DAY, some, judge)
        personas_of_wallets.publish(lake, DAY, result, STAMP, now)
        return result


def hashes(lake: Lake) -> dict[str, str]:
    with lake.snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def rows(lake: Lake) -> dict[str, pl.DataFrame]:
    with lake.snapshot() as now:
        return {
            table.name: now.read(table).sort(table.key).drop("computed_at", strict=False)
            for table in TABLES
        }


def without(frames: dict[str, pl.DataFrame], keys: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return {
        name: each.join(keys, on="proxy_wallet", how="anti", maintain_order="left")
        for name, each in frames.items()
    }


def same(left: dict[str, pl.DataFrame], right: dict[str, pl.DataFrame]) -> bool:
    return all(left[name].equals(right[name]) for name in left)


@pytest.mark.parametrize("has_features", [False, True])
def test_every_wallet_one_run_each_is_a_run_over_all(lake, has_features):
    """Whether their rows are taken or computed."""
    if has_features:
        features.compute(lake, [CELL], STAMP)
    everyone = addresses(lake)
    for part in (everyone[::3], everyone[1::3], everyone[2::3]):
        judge_some(lake, part)
    in_parts = hashes(lake)
    personas.classify_all(lake, DAY, RULES, STAMP)
    assert hashes(lake) == in_parts


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs=st.lists(st.sets(st.sampled_from(ADDRESSES), max_size=12), min_size=1, max_size=3))
def test_runs_of_some_wallets_and_then_one_of_all_are_the_run_of_all(
    ingested, tmp_path_factory, runs
):
    """Nor do runs of some change anything after it: nothing has happened since."""
    lake = copied(ingested, tmp_path_factory.mktemp("law") / "lake")
    everyone = addresses(lake)
    personas.classify_all(lake, DAY, RULES, STAMP)
    whole = hashes(lake)
    personas.classify_all(lake, DAY, GENEROUS, STAMP)
    for run in runs:
        judge_some(lake, [everyone[number] for number in sorted(run)])
    personas.classify_all(lake, DAY, RULES, STAMP)
    assert hashes(lake) == whole
    for run in runs:
        judge_some(lake, [everyone[number] for number in sorted(run)])
    assert hashes(lake) == whole


def test_exactly_the_wallets_asked_for_change(lake):
    """Traits and exclusions that they have no longer go; every other row stays."""
    personas.classify_all(lake, DAY, RULES, STAMP)
    wanted = rows(lake)
    personas.classify_all(lake, DAY, GENEROUS, STAMP)
    before = rows(lake)
    chosen = addresses(lake)[5:25]
    keys = Selection(tuple(chosen)).keys()

    judge_some(lake, chosen)

    after = rows(lake)
    assert same(without(after, keys), without(before, keys))
    for name, frame in after.items():
        now = frame.join(keys, on="proxy_wallet", how="semi", maintain_order="left")
        right = wanted[name].join(keys, on="proxy_wallet", how="semi", maintain_order="left")
        assert now.equals(right), name
    lost = before["wallet_traits"].join(keys, on="proxy_wallet", how="semi").height
    kept = after["wallet_traits"].join(keys, on="proxy_wallet", how="semi").height
    assert lost > kept


def test_a_wallet_that_nobody_has_seen_gets_no_verdict(lake):
    personas.classify_all(lake, DAY, RULES, STAMP)
    before = hashes(lake)
    result = judge_some(lake, [f"0x{'9' * 40}"])
    assert result.verdicts.personas.is_empty()
    assert hashes(lake) == before


def on_demand(lake: Lake, wallets: list[str]) -> None:
    """Rows of these wallets as the run for new wallets commits them."""
    with lake.snapshot() as now:
        found = some_wallets.rows(now, Selection(tuple(wallets)).keys(), CELL)
    stamped = features.stamped(found, CELL, STAMP).with_columns(source=pl.lit("on_demand"))
    lake.commit(upsert={(WALLET_FEATURES_ON_DEMAND, partitions.day(DAY)): stamped})


def test_a_run_that_only_takes_rows_judges_who_has_one(lake):
    """And judges them as a run over all does."""
    early, batched, rowless = addresses(lake)[:3]
    on_demand(lake, [early])
    with lake.snapshot() as now:
        found = some_wallets.rows(now, Selection((batched,)).keys(), CELL)
    where = (WALLET_FEATURES, partitions.day_window(DAY, CELL.window_days))
    lake.commit(upsert={where: features.stamped(found, CELL, STAMP)})

    result = judge_some(lake, [early, batched, rowless], takes_rows_only=True)

    judged = result.verdicts.personas["proxy_wallet"].sort().to_list()
    assert judged == Selection((early, batched)).keys()["proxy_wallet"].to_list()
    taken = rows(lake)
    personas.classify_all(lake, DAY, RULES, STAMP)
    others = Selection(tuple(addresses(lake)[2:])).keys()
    assert same(taken, without(rows(lake), others))


def test_a_row_that_has_not_seen_all_fills_of_its_wallet_is_not_taken(lake):
    (wallet,) = addresses(lake)[:1]
    on_demand(lake, [wallet])
    with lake.snapshot() as now:
        mine = now.read(FILLS).join(Selection((wallet,)).keys(), on="proxy_wallet", how="semi")
    latest = mine.sort("filled_at").tail(1)
    new = latest.with_columns(pl.col("fill_id") + 1, pl.col("filled_at") - pl.duration(minutes=1))
    where = partitions.bucket(Selection((wallet,)).keys()["proxy_wallet"].item() % 16)
    lake.commit(append={(FILLS, where): new})

    assert judge_some(lake, [wallet], takes_rows_only=True).verdicts.personas.is_empty()
    on_demand(lake, [wallet])
    assert judge_some(lake, [wallet], takes_rows_only=True).verdicts.personas.height == 1


def test_rows_of_other_thresholds_are_not_taken(lake, monkeypatch):
    (wallet,) = addresses(lake)[:1]
    on_demand(lake, [wallet])
    monkeypatch.setattr(f"{__name__}.STAMP", replace(STAMP, config_hash="others"))
    assert judge_some(lake, [wallet], takes_rows_only=True).verdicts.personas.is_empty()


def test_a_run_over_all_that_began_before_a_run_of_some_is_refused(lake):
    """The verdicts published meanwhile are not lost; made anew, the run has them."""
    chosen = addresses(lake)[:3]
    with lake.snapshot() as base:
        cluster = personas.find_clusters(base, DAY, RULES)
        whole = personas.classify_buckets(base, DAY, range(16), cluster, RULES, STAMP)
        judge_some(lake, chosen)
        published = rows(lake)
        with pytest.raises(StaleReplaceError):
            personas.publish(lake, DAY, [whole], STAMP, base)
    assert same(rows(lake), published)
    personas.classify_all(lake, DAY, RULES, STAMP)
    others = Selection(tuple(addresses(lake)[3:])).keys()
    assert same(without(rows(lake), others), published)


def test_verdicts_on_some_that_began_before_those_on_all_are_refused(lake):
    with lake.snapshot() as base:
        judge = Judge(personas.find_clusters(base, DAY, RULES), RULES, STAMP)
        some = Selection(tuple(addresses(lake)[:3]))
        result = personas_of_wallets.classify_wallets(base, DAY, some, judge)
        personas.classify_all(lake, DAY, RULES, STAMP)
        whole = hashes(lake)
        with pytest.raises(OutdatedVerdictsError, match="2025-06-30 are newer than these on some"):
            personas_of_wallets.publish(lake, DAY, result, STAMP, base)
    assert hashes(lake) == whole


def test_verdicts_on_some_do_not_pass_for_those_on_all(lake):
    """The hourly run still sees that the features are newer."""
    features.compute(lake, [CELL], STAMP)
    judge_some(lake, addresses(lake)[:3])
    with lake.snapshot() as now:
        assert due.personas(now, DAY, CELL.window_days).is_due
    personas.classify_all(lake, DAY, RULES, STAMP)
    with lake.snapshot() as now:
        assert not due.personas(now, DAY, CELL.window_days).is_due


def test_a_wallet_that_cannot_be_judged_loses_its_verdict_and_is_named(lake, monkeypatch):
    personas.classify_all(lake, DAY, RULES, STAMP)
    chosen = addresses(lake)[:4]
    poison = Selection((chosen[1],)).keys()["proxy_wallet"].item()
    judge = personas.classify

    def classify(rows, rules):
        if poison in rows["proxy_wallet"].to_list():
            raise ValueError("planted")
        return judge(rows, rules)

    monkeypatch.setattr(personas, "classify", classify)
    before = rows(lake)["wallet_personas"]
    result = judge_some(lake, chosen)
    assert result.failures == (personas.Failure(poison, "ValueError: planted"),)
    after = rows(lake)["wallet_personas"]
    assert after.equals(before.filter(pl.col("proxy_wallet") != poison))
