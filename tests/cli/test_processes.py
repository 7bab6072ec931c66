"""Commands as processes: what they load, several at once, a reader that leaves."""

import json
import subprocess
import sys

from tests.cli.conftest import ROOT


def test_a_question_does_not_wait_for_dagster(home, start):
    script = (
        "import sys; from evaluator.cli import main as cli\n"
        "try: cli.main(['sql', 'SELECT 1 AS one', '--json'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('dagster')))"
    )
    out, err = start(script, python=("-c",)).communicate(timeout=60)
    assert err == ""
    assert out.splitlines()[-1] == "[]"


def test_several_commands_at_once_see_the_same_tables(home, start):
    processes = [start("rank", "--json"), start("rank", "--json"), start("funnel", "--json"),
                 start("sql", "SELECT count(*) AS n FROM fills", "--json")]  # fmt: skip
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert [err for _, err in answers] == ["", "", "", ""]
    assert answers[0][0] == answers[1][0]
    assert json.loads(answers[3][0])[0]["n"] > 1000


def test_a_reader_that_has_enough_is_no_error(home):
    command = f"{sys.executable} -m evaluator sql 'FROM range(900)' | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "range\n"


def test_the_output_of_a_question_is_the_same_in_every_process(home, start):
    first, second = (start("personas").communicate(timeout=60)[0] for _ in range(2))
    assert first == second
