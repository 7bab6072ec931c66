import os
import re
from pathlib import Path

import pytest

from evaluator.domain.errors import ConfigurationError
from evaluator.domain.personas.rules import PersonaRules
from evaluator.domain.scores import ScoreRules
from evaluator.settings import PREFIX, config_hash, keys, load_settings

BOT = "0x" + "ab" * 20


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """No file, no variable: only what the test sets."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> None:
    Path("evaluator.toml").write_text(text, encoding="utf-8")


def test_defaults_are_those_of_the_rules_and_home_is_absolute(empty_folder):
    settings = load_settings()
    assert settings.scoring == ScoreRules()
    assert settings.personas == PersonaRules()
    assert settings.home == empty_folder / "data"
    assert (settings.source, settings.windows) == ("sim", (7, 30, 90))


def test_the_environment_overrides_the_file_and_arguments_override_both(monkeypatch):
    write('home = "a"\nwindows = [7]\n[scoring]\nmin_fills = 5\nfull_roi = 0.5\n')
    monkeypatch.setenv("EVALUATOR_SCORING__MIN_FILLS", "6")
    monkeypatch.setenv("EVALUATOR_HOME", "b")
    settings = load_settings(home="c")
    assert settings.home.name == "c"
    assert settings.windows == (7,)
    assert (settings.scoring.min_fills, settings.scoring.full_roi) == (6, 0.5)


def test_lists_in_variables_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("EVALUATOR_WINDOWS", "7, 14")
    monkeypatch.setenv("EVALUATOR_PERSONAS__KNOWN_BOTS", BOT)
    settings = load_settings()
    assert settings.windows == (7, 14)
    assert settings.personas.known_bots == (BOT,)


def test_empty_variables_and_those_of_the_tests_are_ignored(monkeypatch):
    monkeypatch.setenv("EVALUATOR_HOME", "")
    monkeypatch.setenv("EVALUATOR_REQUIRE_ARCHIVE", "1")
    assert load_settings().home.name == "data"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FOO", "1", "foo: unknown key (EVALUATOR_FOO)"),
        (
            "SCORING__MINFILLS",
            "2",
            (
                "scoring.minfills: unknown key; did you mean scoring.min_fills? "
                "(EVALUATOR_SCORING__MINFILLS)"
            ),
        ),
        (
            "SCORING__MIN_FILLS",
            "few",
            (
                "scoring.min_fills: should be a valid integer, not 'few' "
                "(EVALUATOR_SCORING__MIN_FILLS)"
            ),
        ),
        (
            "SCORING",
            "5",
            "scoring: is a table of keys and has no value of its own (EVALUATOR_SCORING)",
        ),
        ("SCORING__FULL_ROI", "0", "scoring.full_roi: should be more than 0, not 0"),
        ("SCORING__FULL_STDEV", "inf", "scoring.full_stdev: should be a finite number, not inf"),
        ("SCORING__WEIGHT_EDGE", "-1", "scoring.weight_edge: should be 0 or more, not -1"),
        (
            "SCORING__MIN_COVERAGE",
            "95",
            "scoring.min_coverage: should be a ratio of at most 1, not 95",
        ),
        ("SCORING__VERSION", "v2", "scoring.version: there is no formula 'v2'; there is v1"),
        (
            "VENUE__DATA_URL",
            "ftp://host",
            (
                "venue.data_url: should be an address that begins with https:// or http://, "
                "not 'ftp://host' (EVALUATOR_VENUE__DATA_URL)"
            ),
        ),
        (
            "VENUE__RATE_FACTOR",
            "2",
            (
                "venue.rate_factor: should be less than or equal to 1, not '2' "
                "(EVALUATOR_VENUE__RATE_FACTOR)"
            ),
        ),
        (
            "SIM__NOW",
            "2026-01-01T00:00:00",
            ("sim.now: should have timezone info, not '2026-01-01T00:00:00' (EVALUATOR_SIM__NOW)"),
        ),
        (
            "SOURCE",
            "x",
            ("source: should be 'sim', 'live', 'archive' or 'demo', not 'x' (EVALUATOR_SOURCE)"),
        ),
        ("WINDOWS", "7,a", "windows: should be a valid integer, not 'a' (EVALUATOR_WINDOWS)"),
        ("WINDOWS", "30,7", "windows: should be different whole days, shortest first, not [30, 7]"),
        (
            "PERSONAS__KNOWN_BOTS",
            "0xAB",
            (
                "personas.known_bots: should be addresses of 0x and 40 lower-case hex digits, "
                "not '0xAB'"
            ),
        ),
        (
            "LAKE__MEMORY_LIMIT",
            "2",
            (
                "lake.memory_limit: should be a number and a unit, e.g. 2GiB, not '2' "
                "(EVALUATOR_LAKE__MEMORY_LIMIT)"
            ),
        ),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_key(monkeypatch, variable, value, message):
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(ConfigurationError, match=f"^{re.escape('setting ' + message)}$"):
        load_settings()


def test_all_weights_zero_are_an_error():
    names = [name for name in ScoreRules.__dataclass_fields__ if name.startswith("weight_")]
    with pytest.raises(ConfigurationError, match="all weights are 0"):
        load_settings(scoring=dict.fromkeys(names, 0))


@pytest.mark.parametrize(
    "name",
    ["execution_min_share", "maker_min_share", "maker_min_mid_ratio", "accumulator_min_roi"],
)
def test_a_bound_that_divides_a_margin_is_not_zero(name):
    problem = f"setting personas.{name}: must not be 0: margins are distances divided by it"
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        load_settings(personas={name: 0})


@pytest.mark.parametrize("name", ["min_settled", "min_all_time_roi", "followable_min_roi"])
def test_a_bound_that_divides_nothing_may_be_zero(name):
    assert getattr(load_settings(personas={name: 0}).personas, name) == 0


def test_a_file_with_an_unknown_key_or_bad_syntax_is_an_error():
    write("[lake]\nthread = 2\n")
    with pytest.raises(ConfigurationError, match=r"lake\.thread: unknown key; did you mean"):
        load_settings()
    write("windows = [7\n")
    with pytest.raises(ConfigurationError, match=r"setting evaluator\.toml: cannot be read: "):
        load_settings()


@pytest.mark.parametrize(
    ("given", "known"), [("auto", None), (True, True), (False, False), ("false", False)]
)
def test_history_complete_reaches_the_archive(tmp_path, given, known):
    settings = load_settings(
        source="archive", archive={"folder": str(tmp_path), "history_complete": given}
    )
    assert settings.open_archive().history_complete is known


def test_an_archive_needs_a_folder():
    with pytest.raises(ConfigurationError, match=r"archive\.folder: the source archive needs a"):
        load_settings(source="archive").open_archive()


def test_the_digest_follows_thresholds_and_not_parallelism():
    base = config_hash(load_settings())
    same = load_settings(
        home="elsewhere",
        windows=[7],
        lake={"threads": 1},
        personas={"parallel_enabled": False, "parallel_tasks": 2, "forced_tasks": 3},
    )
    assert config_hash(same) == base
    assert config_hash(load_settings(personas={"min_settled": 11})) != base
    assert config_hash(load_settings(scoring={"full_roi": 0.21})) != base
    assert config_hash(load_settings(personas={"known_bots": [BOT]})) != base


def test_every_threshold_and_weight_moves_the_digest():
    base = config_hash(load_settings())
    for key in keys():
        table, _, name = key.name.partition(".")
        is_number = isinstance(key.default, int | float) and not isinstance(key.default, bool)
        if table not in {"scoring", "personas"} or not is_number or name.endswith("_tasks"):
            continue
        assert isinstance(key.default, int | float)
        moved = (
            load_settings(**{table: {name: key.default * 0.5 or 1}})
            if (isinstance(key.default, float))
            else load_settings(**{table: {name: key.default + 1}})
        )
        assert config_hash(moved) != base, key.name


def test_integers_and_floats_of_equal_value_have_one_digest():
    assert config_hash(load_settings(personas={"sniper_max_age_days": 30.0})) == config_hash(
        load_settings()
    )


def test_every_key_is_documented_and_can_be_set_by_its_variable(monkeypatch):
    for key in keys():
        assert key.doc, key.name
        if key.default is not None:
            text = (
                key.default
                if not isinstance(key.default, tuple)
                else ",".join(str(part) for part in key.default)
            )
            monkeypatch.setenv(key.variable, str(text))
    assert config_hash(load_settings()) == config_hash(load_settings())
    assert load_settings().windows == (7, 30, 90)
