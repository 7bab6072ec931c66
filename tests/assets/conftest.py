"""A small history of our own, evaluated through Dagster on instances of the test's own."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from evaluator.venue.history import write_history
from tests.assets.runs import Home

LAST_DAY = date(2026, 6, 30)


@pytest.fixture(scope="session")
def history(tmp_path_factory) -> Path:
    """A folder of history: some dozen wallets over two months."""
    folder = tmp_path_factory.mktemp("history")
    write_history(folder, end=LAST_DAY, wallets=60, events=8, days=60)
    return folder


@pytest.fixture(scope="session")
def day() -> date:
    return LAST_DAY


@pytest.fixture(scope="session")
def instance(tmp_path_factory) -> Iterator[dg.DagsterInstance]:
    """An instance that processes of steps can open too."""
    folder = tmp_path_factory.mktemp("instance")
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as made:
        yield made


@pytest.fixture
def own_instance(tmp_path_factory) -> Iterator[dg.DagsterInstance]:
    """An instance without runs."""
    folder = tmp_path_factory.mktemp("own")
    overrides = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(folder), overrides=overrides) as made:
        yield made


@pytest.fixture
def empty_home(tmp_path, history, instance) -> Home:
    """Nothing has been computed."""
    return Home(tmp_path / "empty", history, instance)


@pytest.fixture(scope="session")
def _ledger(tmp_path_factory, history, instance, day) -> Home:
    home = Home(tmp_path_factory.mktemp("ledger") / "home", history, instance)
    assert home.run("discovery", home.on(day)).success
    assert home.run("ledger", home.all_buckets()).success
    return home


@pytest.fixture(scope="session")
def _scored(tmp_path_factory, _ledger, day) -> Home:
    home = _copied(_ledger, tmp_path_factory.mktemp("scored") / "home")
    assert home.run("scoring", home.all_windows(day)).success
    return home


@pytest.fixture
def ledger_home(_ledger, tmp_path) -> Home:
    """Markets, fills and lots are there; features are not."""
    return _copied(_ledger, tmp_path / "ledger")


@pytest.fixture
def scored_home(_scored, tmp_path) -> Home:
    """Features and scores of the last day are there too; personas are not."""
    return _copied(_scored, tmp_path / "scored")


def _copied(home: Home, folder: Path) -> Home:
    shutil.copytree(home.folder, folder, ignore=shutil.ignore_patterns("pins", "locks", "tmp"))
    return Home(folder, home.history, home.instance)
