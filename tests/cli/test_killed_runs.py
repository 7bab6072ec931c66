"""`evaluator run` killed with -9 at random moments: old or new tables, never a mix, then whole."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from evaluator.domain.tables.registry import TABLES
from evaluator.store.lake import Lake
from evaluator.venue.history import write_history

ROOT = Path(__file__).resolve().parents[2]
KILLS = 50
ROUNDS_A_HOME = 5
"""Kills one home has to bear before a fresh one takes its place."""

TOGETHER = (
    ("fills", "ingest_state"),
    ("closed_lots", "open_lots"),
    ("reconciliation", "reconciliation_events"),
    ("wallet_personas", "wallet_exclusions", "wallet_traits"),
)
"""Tables of one commit each: all old or all new."""


def command(home: Path, archive: Path) -> subprocess.Popen[str]:
    """Start a run in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "evaluator", "run", "--archive", str(archive), "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "EVALUATOR_HOME": str(home)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def hashes(home: Path) -> dict[str, str]:
    """Content hash of every table; nothing where no lake has been made yet."""
    if not (home / "lake" / "catalog.sqlite").exists():
        return {}
    with Lake(home / "lake").snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def kill_after(run: subprocess.Popen[str], seconds: float) -> bool:
    """Kill the whole group at that moment; whether it was still running."""
    try:
        run.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        return True
    return False


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_run_killed_at_any_moment_leaves_the_last_complete_commit(tmp_path: Path):
    archive, rng = tmp_path / "archive", random.Random(40)
    write_history(archive, end=date(2026, 6, 30), wallets=60, events=10, days=60)
    whole = command(tmp_path / "whole", archive)
    _, problems = whole.communicate()
    assert whole.returncode == 0, problems
    complete, empty = hashes(tmp_path / "whole"), hashes_of_nothing(tmp_path / "nothing")
    moment, killed, round_ = 12.0, 0, 0
    while killed < KILLS:
        home = tmp_path / f"home{round_ // ROUNDS_A_HOME}"
        round_ += 1
        if kill_after(command(home, archive), rng.uniform(0, moment)):
            killed += 1
        else:
            moment *= 0.9  # the run had ended: kill earlier from now on
        check_whole_commits(hashes(home), complete, empty)
        if round_ % ROUNDS_A_HOME == 0:
            again = command(home, archive)
            _, problems = again.communicate()
            assert again.returncode == 0, problems
            assert hashes(home) == complete


def hashes_of_nothing(home: Path) -> dict[str, str]:
    Lake(home / "lake")
    with Lake(home / "lake").snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def check_whole_commits(
    found: dict[str, str], complete: dict[str, str], empty: dict[str, str]
) -> None:
    """Every table is as before its commit or after it, and so are those of one commit alike."""
    for name, digest in found.items():
        assert digest in {complete[name], empty[name]}, name
    for names in TOGETHER:
        if found:
            done = {
                found[name] == complete[name] for name in names if complete[name] != empty[name]
            }
            assert len(done) == 1, names
