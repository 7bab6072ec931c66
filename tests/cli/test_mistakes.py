"""A mistake is two lines on stderr and exit code 2, never a traceback."""

import pytest

STRANGER = "0x" + "11" * 20


def lines(answer):
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.count("\n") == 2
    return answer.err.splitlines()


@pytest.mark.parametrize(
    ("command", "problem", "hint"),
    [
        (
            ["sql", "SELEC 1"],
            'Parser Error: syntax error at or near "SELEC"',
            "`SELECT table_name FROM information_schema.tables` lists the views",
        ),
        (
            ["sql", "CREATE VIEW v AS SELECT 1"],
            "a CREATE statement does not only read",
            "`SELECT table_name FROM information_schema.tables` lists the views",
        ),
        (
            ["rank", "--window", "14"],
            "--window 14: not computed for 2026-06-30",
            "there are 7, 30, 90",
        ),
        (
            ["rank", "--day", "2020-01-01"],
            "--day '2020-01-01': wallet_scores has no such day",
            "there is 2026-06-30",
        ),
        (["wallet", "0x12"], "wallet '0x12': is no address", "an address is 0x and 40 hex digits"),
        (
            ["wallet", STRANGER],
            f"no fills of {STRANGER}",
            "check that this is the proxy wallet, not the signing key",
        ),
        (["nothing"], "No such command 'nothing'", "evaluator --help"),
        (
            ["rank", "--limi", "3"],
            "No such option '--limi'. Did you mean '--limit'?",
            "evaluator rank --help",
        ),
        (
            ["run", "--source", "live", "--as-of", "2026-01-01"],
            "--as-of '2026-01-01': is past: a live venue can be searched for wallets only as it is now",
            "leave --as-of out; past days are scored by a backfill, from fills already read",
        ),
        (
            ["run", "--source", "archive"],
            "--source 'archive': needs a folder",
            "name the folder: --archive DIR",
        ),
        (["run", "--archive", "nowhere"], "--archive 'nowhere': is not a folder", "check the path"),
        (
            ["run", "--source", "demo", "--archive", "."],
            "--source 'demo': reads no archive",
            "leave --source out, or say --source archive",
        ),
        (["run", "--windows", "7,14"], "--windows 14: is no window", "there are 7, 30, 90"),
        (
            ["run", "--windows", "7,x"],
            "Invalid value for '--windows': '7,x' is not a list of days like 7,30,90",
            "evaluator run --help",
        ),
        (
            ["run", "--as-of", "8.5.2025"],
            "Invalid value for '--as-of': '8.5.2025' is not a day like 2025-05-08",
            "evaluator run --help",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_two_lines(home, evaluator, command, problem, hint):
    assert lines(evaluator(*command)) == [f"error: {problem}", f"hint:  {hint}"]


def test_a_day_before_the_simulated_world_is_refused(home, evaluator, monkeypatch):
    monkeypatch.setenv("EVALUATOR_SIM__START", "2026-01-01")
    assert lines(evaluator("run", "--source", "sim", "--as-of", "2025-12-31")) == [
        "error: --as-of '2025-12-31': is before the world began",
        "hint:  its first day is 2026-01-01; sim.start changes that",
    ]


def test_a_day_to_come_is_refused(home, evaluator):
    first, second = lines(evaluator("run", "--as-of", "2999-01-01"))
    assert first == "error: --as-of '2999-01-01': has not come yet"
    assert second.startswith("hint:  the last day is 2")


def test_a_folder_without_the_files_is_named(tmp_path, home, evaluator):
    answer = evaluator("run", "--archive", str(tmp_path))
    assert answer.code == 2
    assert answer.out == ""
    problem, hint = answer.err.splitlines()[-2:]
    assert "trades_fomc.parquet" in problem or "markets_fomc.parquet" in problem
    assert str(tmp_path) in problem
    assert hint.startswith("hint:  ")


@pytest.mark.parametrize(
    "command",
    [["sql", "SELECT 1"], ["rank"], ["wallet", STRANGER], ["personas"], ["funnel"], ["status"],
     ["markets"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_before_any_data_exists_the_error_says_what_to_run(
    tmp_path, monkeypatch, evaluator, command
):
    home = tmp_path / "new"
    monkeypatch.setenv("EVALUATOR_HOME", str(home))
    assert lines(evaluator(*command)) == [
        f"error: there are no tables in {home} yet",
        "hint:  make run",
    ]
    assert not home.exists()


def test_a_bad_setting_is_two_lines_too(home, monkeypatch, evaluator):
    monkeypatch.setenv("EVALUATOR_SCORING__MIN_FILS", "3")
    assert lines(evaluator("rank")) == [
        (
            "error: setting scoring.min_fils: unknown key; did you mean scoring.min_fills? "
            "(EVALUATOR_SCORING__MIN_FILS)"
        ),
        "hint:  correct the key in evaluator.toml or the environment",
    ]


def test_no_command_is_answered_with_the_list_of_commands(evaluator):
    answer = evaluator()
    assert answer.code == 2
    assert "Commands:" in answer.err
