"""Locks between processes: partition locks, the gate between writers and the sweep, pins.

All are `flock` on small files. The kernel releases them when a process dies, so no lock and
no pin outlives its owner; the pid inside is for people.
"""

import fcntl
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from evaluator.store.errors import LockTimeoutError

DEADLINE_S = 60.0
_FIRST_PAUSE_S = 0.001
_LONGEST_PAUSE_S = 0.05
TURN_S, FREE_S = 2.0, 3.0
"""How long others wait for one who wants the gate alone, and how long they pass before he asks
again: without a turn he never comes in while many share it, without an end to it a long commit
would stop all short ones behind it."""


@contextmanager
def held(path: Path, *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Hold the lock alone; raises LockTimeoutError, naming the owner, after the deadline."""
    with _locked(path, fcntl.LOCK_EX, deadline_s) as descriptor:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield


@contextmanager
def shared(path: Path, *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Hold the lock together with others that share it."""
    with _locked(path, fcntl.LOCK_SH, deadline_s):
        yield


@contextmanager
def held_all(paths: Iterable[Path], *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Hold several locks, taken in sorted order so that no two processes wait for each other."""
    with ExitStack() as stack:
        for path in sorted(set(paths)):
            stack.enter_context(held(path, deadline_s=deadline_s))
        yield


@contextmanager
def gate_shared(path: Path, *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Pass the gate together with others, after whoever has asked to be alone."""
    with shared(_turnstile(path), deadline_s=deadline_s):
        pass
    with shared(path, deadline_s=deadline_s):
        yield


@contextmanager
def gate_alone(path: Path, *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """Pass the gate when nobody else is inside; raises LockTimeoutError after the deadline."""
    end = time.monotonic() + deadline_s
    with ExitStack() as inside:
        while True:
            left = end - time.monotonic()
            with held(_turnstile(path), deadline_s=deadline_s):
                try:
                    inside.enter_context(held(path, deadline_s=min(TURN_S, left)))
                    break
                except LockTimeoutError as error:
                    if left <= TURN_S:
                        raise LockTimeoutError(path, _owner(path), deadline_s) from error
            time.sleep(min(FREE_S, max(0.0, end - TURN_S - time.monotonic())))
        yield


def _turnstile(gate: Path) -> Path:
    return gate.with_suffix(".turn")


@contextmanager
def _locked(path: Path, mode: int, deadline_s: float) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _wait(descriptor, mode, path, deadline_s)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(descriptor: int, mode: int, path: Path, deadline_s: float) -> None:
    end, pause = time.monotonic() + deadline_s, _FIRST_PAUSE_S
    while not _try(descriptor, mode):
        if time.monotonic() >= end:
            raise LockTimeoutError(path, _owner(path), deadline_s)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _try(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(path: Path) -> str:
    return path.read_text(encoding="ascii") or "unknown"


class Pin:
    """A file that says which commit its process reads, locked for as long as it does."""

    def __init__(self, folder: Path, commit_id: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{commit_id}-{os.getpid()}-{uuid.uuid4().hex[:8]}.pin"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Remove the pin; twice is once."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def pinned_commits(folder: Path) -> set[int]:
    """Commits pinned by living processes; pins of dead ones are deleted. Under the gate only."""
    return {int(pin.name.partition("-")[0]) for pin in folder.glob("*.pin") if not _is_dead(pin)}


def _is_dead(pin: Path) -> bool:
    try:
        descriptor = os.open(pin, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        if not _try(descriptor, fcntl.LOCK_EX):
            return False
        pin.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
