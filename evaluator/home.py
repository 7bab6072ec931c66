"""What lies under a home besides the lake: the note of its source, and the demo's history.

Tables of different sources do not belong in one lake. Invented history, the demo's or that of a
simulated world, is set aside for another source or world; nothing takes the place of real
history, and nothing is deleted.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from itertools import chain, count
from pathlib import Path
from typing import Any

from evaluator.domain.errors import ConfigurationError, PermanentError
from evaluator.store.lake import Lake
from evaluator.store.locks import held
from evaluator.venue.history import write_history

DEMO = "demo"
SIM = "sim"
INVENTED = frozenset({DEMO, SIM})
"""Sources whose tables are set aside for another one."""

UNKNOWN = "unknown"
"""Source of tables that no note speaks of."""

NOTE = "source.json"
LOCK = "source.lock"
"""Lock file held while the note is read in order to change it."""

LAKE = "lake"
DEMO_END = date(2026, 6, 30)
"""Last day of the demo's history; fixed, so that everyone sees the same numbers."""


class SourcesMixedError(PermanentError):
    """The home holds tables of another source."""

    code = "sources_mixed"
    hint = "give this source a folder of its own: EVALUATOR_HOME=DIR"

    def __init__(self, home: Path, found: str, asked: str) -> None:
        self.home, self.found, self.asked = home, found, asked
        problem = f"the source {found}, not of {asked}"
        if found == UNKNOWN:
            problem = f"an unknown source: no {NOTE} names it"
        super().__init__(f"{home} holds tables of {problem}")


def noted(home: Path) -> dict[str, Any]:
    """The settings of the source that the tables of a home come from; empty where none do."""
    try:
        note = json.loads((home / NOTE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError("home", f"{home / NOTE} cannot be read: {error}") from error
    return note if isinstance(note, dict) else {}


def claim(home: Path, note: Mapping[str, Any]) -> Path | None:
    """Note the source before its first table is written.

    Invented tables are set aside for another source or world: returns where they are now.
    Raises SourcesMixedError where the home holds tables of another source, or of one not
    known. Processes that claim at once do so one after the other.
    """
    if noted(home) == dict(note):
        return None
    with _writable(home), held(home / LOCK):
        aside = _make_room(home, note)
        _write_note(home, note)
    return aside


def _make_room(home: Path, note: Mapping[str, Any]) -> Path | None:
    """Set invented tables aside for others. Call under the lock, as what follows."""
    found, asked = _source_of_tables(home), str(note["source"])
    is_same_world = noted(home).get(SIM) == note.get(SIM)
    if found is None or (found == asked and is_same_world):
        return None
    if found not in INVENTED:
        raise SourcesMixedError(home, found, asked)
    aside = _unused(home / f"{LAKE}.{found}")
    (home / LAKE).rename(aside)
    return aside


def _source_of_tables(home: Path) -> str | None:
    """None where there are no tables.

    A noted source has them as soon as there is a lake: its run may be about to commit.
    """
    lake = home / LAKE
    if not lake.exists():
        return None
    if source := noted(home).get("source"):
        return str(source)
    return UNKNOWN if _has_commits(lake) else None


def _has_commits(lake: Path) -> bool:
    catalog = lake / "catalog.sqlite"
    if not catalog.is_file() or not catalog.stat().st_size:  # opening would make one
        return False
    return Lake(lake).latest_commit_id() > 0


def _unused(path: Path) -> Path:
    """The path itself, else with the first number from 2 that makes it new."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(2))
    return next(each for each in chain([path], numbered) if not os.path.lexists(each))


def _write_note(home: Path, note: Mapping[str, Any]) -> None:
    temporary = home / f".{NOTE}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(note, indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(home / NOTE)
    folder = os.open(home, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def ensure_history(folder: Path) -> None:
    """Write the demo's history, unless it is there already."""
    if folder.is_dir():
        return
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    with _writable(folder.parent):
        write_history(temporary, end=DEMO_END)
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster, and wrote the same
            shutil.rmtree(temporary)
            if not folder.is_dir():
                raise


@contextmanager
def _writable(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError("home", f"{home} cannot be written: {error}") from error
