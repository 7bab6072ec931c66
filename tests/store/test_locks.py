"""The gate between those who write and the one who sweeps: nobody waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evaluator.store import locks
from evaluator.store.errors import LockTimeoutError


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate.lock"


def wait_until_somebody_asks_to_be_alone(gate: Path) -> None:
    asked = False
    while not asked:
        try:
            with locks.shared(gate.with_suffix(".turn"), deadline_s=0):
                pass
        except LockTimeoutError:
            asked = True


def alone(gate: Path, deadline_s: float, inside: threading.Event) -> None:
    with locks.gate_alone(gate, deadline_s=deadline_s):
        inside.set()


def test_many_pass_the_gate_together(gate: Path):
    with locks.gate_shared(gate, deadline_s=0), locks.gate_shared(gate, deadline_s=0):
        pass


def test_who_asks_to_be_alone_comes_before_those_who_come_later(gate: Path, monkeypatch):
    monkeypatch.setattr(locks, "TURN_S", 60.0)
    inside = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with locks.gate_shared(gate):
            asking = pool.submit(alone, gate, 60, inside)
            wait_until_somebody_asks_to_be_alone(gate)
            with pytest.raises(LockTimeoutError), locks.gate_shared(gate, deadline_s=0.05):
                pass
            assert not inside.is_set()
        asking.result()
    assert inside.is_set()


def test_short_ones_pass_between_his_turns_while_a_long_one_is_inside(gate: Path, monkeypatch):
    monkeypatch.setattr(locks, "TURN_S", 0.02)
    monkeypatch.setattr(locks, "FREE_S", 0.3)
    inside = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        with locks.gate_shared(gate):
            asking = pool.submit(alone, gate, 60, inside)
            wait_until_somebody_asks_to_be_alone(gate)
            with locks.gate_shared(gate, deadline_s=30):
                assert not inside.is_set()
        asking.result()


def test_who_is_never_alone_gives_up_at_his_deadline(gate: Path, monkeypatch):
    monkeypatch.setattr(locks, "TURN_S", 0.02)
    monkeypatch.setattr(locks, "FREE_S", 0.02)
    with (
        locks.gate_shared(gate),
        pytest.raises(LockTimeoutError, match=r"waited 0\.2 s"),
        locks.gate_alone(gate, deadline_s=0.2),
    ):
        pass
    with locks.gate_alone(gate, deadline_s=0):
        pass


def test_nobody_passes_while_one_is_alone(gate: Path):
    with (
        locks.gate_alone(gate),
        pytest.raises(LockTimeoutError),
        locks.gate_shared(gate, deadline_s=0.05),
    ):
        pass
