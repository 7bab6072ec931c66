import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluator.cli import main as cli
from tests.cli import small_home

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory):
    """Read-only for all tests of a process."""
    return small_home.fill(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(filled_home, monkeypatch):
    """The filled home, as the commands find it."""
    monkeypatch.setenv("EVALUATOR_HOME", str(filled_home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(filled_home)
    return filled_home


class Answer:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def evaluator(capsys):
    """Run a command in this process."""

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return Answer(left.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def start():
    """Start a command in a process of its own."""
    running = []

    def run(*arguments, python=("-m", "evaluator"), **variables):
        process = subprocess.Popen(
            [sys.executable, *python, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
