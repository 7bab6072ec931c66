"""Played events of a world, kept in memory and, where a folder is given, on disk.

An event's rows never change, so a file is written once, whole, and read by any process. Files of
other rules or styles lie in other folders.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from evaluator.venue.sim.play import NOTHING, Played
from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.styles import STYLES

_KINDS = ("fills", "activity")


class Plays:
    """Rows of the first events of a world, extended as far as anyone asks."""

    def __init__(self, rules: WorldRules, cache: Path | None) -> None:
        styles = hashlib.blake2b(repr(STYLES).encode(), digest_size=4).hexdigest()
        self._folder = None if cache is None else cache / f"{rules.digest}-{styles}"
        self._parts = [NOTHING]
        self._count = 0

    def first(self, count: int, play: Callable[[int], Played]) -> Played:
        """Rows of the first `count` events, and perhaps of later ones; `play` makes one."""
        while self._count < count and self._read():
            pass
        if self._count < count:
            part = _joined([play(number) for number in range(self._count, count)])
            self._write(part, count)
            self._parts.append(part)
            self._count = count
        if len(self._parts) > 1:
            self._parts = [_joined(self._parts)]
        return self._parts[0]

    def _read(self) -> bool:
        """Add the longest run of events on disk that goes on where memory ends."""
        if self._folder is None:
            return False
        ends = [
            _end(path) for path in self._folder.glob(f"{self._count:06d}-*.{_KINDS[-1]}.parquet")
        ]
        if not ends:
            return False
        end = max(ends)
        frames = {
            kind: pl.read_parquet(_path(self._folder, self._count, end, kind)) for kind in _KINDS
        }
        self._parts.append(Played(**frames))
        self._count = end
        return True

    def _write(self, part: Played, end: int) -> None:
        """Each file appears whole; the last kind comes last, so that its sight promises the others."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind in _KINDS:
            path = _path(self._folder, self._count, end, kind)
            partial = path.with_suffix(f".{os.getpid()}.partial")
            getattr(part, kind).write_parquet(partial, compression="lz4", statistics=False)
            partial.replace(path)


def _path(folder: Path, first: int, end: int, kind: str) -> Path:
    return folder / f"{first:06d}-{end:06d}.{kind}.parquet"


def _end(path: Path) -> int:
    """The number after the last event of a file."""
    return int(path.name.split(".")[0].split("-")[1])


def _joined(parts: Sequence[Played]) -> Played:
    return Played(**{kind: pl.concat([getattr(part, kind) for part in parts]) for kind in _KINDS})
