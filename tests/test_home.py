import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import polars as pl
import pytest

from evaluator import home as homes
from evaluator.domain.errors import ConfigurationError
from evaluator.settings import load_settings
from evaluator.store import partitions
from evaluator.store.errors import LockTimeoutError
from evaluator.store.lake import Lake
from evaluator.store.locks import held
from evaluator.venue.archive import Archive
from tests.store.processes import opened, started
from tests.store.sample_tables import NOTES

SPAWN = multiprocessing.get_context("spawn")
PROCESSES = 4
REAL = {"source": "archive", "archive": {"folder": "/history"}}
DEMO = {"source": "demo"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def with_tables(home):
    (home / "lake").mkdir(parents=True)
    (home / "lake" / "catalog.sqlite").touch()


def write(home, number):
    rows = pl.DataFrame({"number": [number], "writer": [number]})
    opened(home / "lake").commit(append={(NOTES, partitions.SINGLE): rows})


def numbers(lake):
    with opened(lake).snapshot() as now:
        return sorted(now.read(NOTES)["number"])


def claim_and_write(home, number, barrier):
    barrier.wait()
    aside = homes.claim(home, REAL)
    write(home, number)
    return aside


def test_a_home_remembers_its_source_until_another_is_asked_for(home):
    homes.claim(home, REAL)
    settings = load_settings()
    assert settings.source == "archive"
    assert str(settings.archive.folder) == "/history"
    assert load_settings(source="demo").archive.folder is None


def test_a_real_source_sets_the_tables_of_the_demo_aside(home):
    with_tables(home)
    homes.claim(home, DEMO)
    assert homes.claim(home, REAL) == home / "lake.demo"
    assert not (home / "lake").exists()
    assert (home / "lake.demo" / "catalog.sqlite").exists()


def test_claiming_again_changes_nothing(home):
    homes.claim(home, REAL)
    with_tables(home)
    assert homes.claim(home, REAL) is None
    assert (home / "lake" / "catalog.sqlite").exists()


def test_the_demo_never_takes_the_place_of_real_history(home):
    homes.claim(home, REAL)
    with_tables(home)
    message = f"{home} holds tables of the source archive, not of demo"
    with pytest.raises(homes.SourcesMixedError, match=f"^{re.escape(message)}$"):
        homes.claim(home, DEMO)
    assert json.loads((home / homes.NOTE).read_text())["source"] == "archive"


def test_a_simulated_world_sets_another_one_aside(home):
    homes.claim(home, {"source": "sim", "sim": {"seed": 1}})
    write(home, 1)
    assert homes.claim(home, {"source": "sim", "sim": {"seed": 1}}) is None
    assert homes.claim(home, {"source": "sim", "sim": {"seed": 2}}) == home / "lake.sim"
    write(home, 2)
    assert homes.claim(home, {"source": "live"}) == home / "lake.sim.2"
    write(home, 3)
    with pytest.raises(homes.SourcesMixedError, match="tables of the source live, not of sim"):
        homes.claim(home, {"source": "sim", "sim": {"seed": 2}})


def test_what_was_set_aside_before_stays(home):
    for number in (1, 2, 3):
        homes.claim(home, DEMO)
        write(home, number)
        homes.claim(home, REAL)
        (home / homes.NOTE).unlink()
    asides = [home / name for name in ("lake.demo", "lake.demo.2", "lake.demo.3")]
    assert [numbers(each) for each in asides] == [[1], [2], [3]]


def test_tables_without_a_note_are_of_an_unknown_source_and_stay(home):
    write(home, 1)
    message = f"{home} holds tables of an unknown source: no source.json names it"
    for note in (DEMO, REAL):
        with pytest.raises(homes.SourcesMixedError, match=f"^{re.escape(message)}$"):
            homes.claim(home, note)
    assert numbers(home / "lake") == [1]
    assert homes.noted(home) == {}


@pytest.mark.parametrize("make", [with_tables, lambda home: Lake(home / "lake")])
def test_a_lake_without_note_and_commits_is_empty(home, make):
    make(home)
    assert homes.claim(home, REAL) is None
    assert homes.noted(home) == REAL
    assert not list(home.glob("lake.*"))


def test_of_processes_that_claim_at_once_one_sets_the_demo_aside(home):
    homes.claim(home, DEMO)
    write(home, 0)
    with SPAWN.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=SPAWN) as pool:
        barrier = manager.Barrier(PROCESSES)
        running = [
            pool.submit(claim_and_write, home, number, barrier)
            for number in range(1, PROCESSES + 1)
        ]
        asides = [each.result() for each in running]
    assert [each for each in asides if each] == [home / "lake.demo"]
    assert numbers(home / "lake.demo") == [0]
    assert numbers(home / "lake") == list(range(1, PROCESSES + 1))
    assert homes.noted(home) == REAL


def test_only_a_claim_that_changes_the_note_waits_for_others(home, monkeypatch):
    homes.claim(home, DEMO)
    write(home, 1)
    monkeypatch.setattr(homes, "held", partial(held, deadline_s=0.05))
    with started("hold", home / homes.LOCK) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert homes.claim(home, DEMO) is None
        with pytest.raises(LockTimeoutError, match=f"held by process {holder.pid}$"):
            homes.claim(home, REAL)
        holder.kill()
    assert homes.noted(home) == DEMO
    assert homes.claim(home, REAL) == home / "lake.demo"


def test_a_damaged_note_is_an_error_that_names_it(home):
    home.mkdir()
    (home / homes.NOTE).write_text("{")
    with pytest.raises(ConfigurationError, match=r"setting home: .*source\.json cannot be read"):
        load_settings()


def test_a_home_that_cannot_be_made_is_an_error(home):
    home.parent.joinpath("file").touch()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        homes.claim(home.parent / "file" / "home", DEMO)


def test_the_history_of_the_demo_is_written_once_and_ends_on_its_day(home):
    homes.ensure_history(home / "history")
    written = {path: path.stat().st_mtime_ns for path in (home / "history").iterdir()}
    homes.ensure_history(home / "history")
    assert {path: path.stat().st_mtime_ns for path in (home / "history").iterdir()} == written
    assert Archive(home / "history").last_day() == homes.DEMO_END
    assert [path.name for path in home.iterdir()] == ["history"]
