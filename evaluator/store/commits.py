"""How frames become files and files become a commit.

Replaced and upserted frames are written before any lock is taken. Under the locks of all
partitions concerned, appended frames lose the rows whose key is there already; then one
catalog transaction names all files.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from evaluator.domain.errors import TransientError
from evaluator.domain.schema import Table
from evaluator.store import data_files, frames, locks, partitions
from evaluator.store.catalog import Change, FileEntry, Mode
from evaluator.store.errors import FrameRefusedError, IdentifierCollisionError, mapped
from evaluator.store.folder import Folder
from evaluator.store.internal_tables import IDENTIFIERS
from evaluator.store.reading import Reading, scope_of

Frame = pl.DataFrame | pl.LazyFrame
Place = tuple[Table, str]


@dataclass(frozen=True, slots=True)
class Upsert:
    """Rows to upsert, and scope keys whose older rows go even if no new row has them."""

    frame: Frame
    scopes: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class PartitionChange:
    """What a commit did to one partition: rows written of rows given."""

    table: str
    partition: str
    mode: Mode
    rows: int
    given: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and what it changed; without changes, the newest commit there was."""

    commit_id: int
    changes: tuple[PartitionChange, ...]

    def rows(self, table: Table | None = None) -> int:
        """Rows written, of one table or of all."""
        return sum(
            change.rows for change in self.changes if table is None or change.table == table.name
        )

    def metadata(self, table: Table | None = None) -> dict[str, int | dict[str, int]]:
        """Plain values for the metadata of a materialisation, of one table or of all."""
        changes = [change for change in self.changes if table is None or change.table == table.name]
        return {
            "dagster/row_count": self.rows(table),
            "commit_id": self.commit_id,
            "rows": {f"{change.table}/{change.partition}": change.rows for change in changes},
        }


@dataclass(slots=True)
class Incoming:
    """A frame on its way into one partition."""

    table: Table
    partition: str
    mode: Mode
    given: Frame
    named_scopes: pl.DataFrame | None = None
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    height: int = 0
    identifiers: pl.DataFrame = field(default_factory=pl.DataFrame)
    written: data_files.Written | None = None


def incoming(
    replace: Mapping[Place, Frame] | Iterable[tuple[Place, Frame]],
    append: Mapping[Place, Frame],
    upsert: Mapping[Place, Frame | Upsert],
) -> Iterator[Incoming]:
    """The frames of a commit one by one, names checked; one partition may be named once."""
    return _checked(_parts(replace, append, upsert))


def dropped(places: Iterable[Place]) -> Iterator[Incoming]:
    """Partitions to take away, names checked; one partition may be named once."""
    parts = (Incoming(*place, Mode.DROP, place[0].schema.to_frame()) for place in places)
    return _checked(parts)


def _checked(parts: Iterable[Incoming]) -> Iterator[Incoming]:
    seen: set[tuple[str, str]] = set()
    for part in parts:
        partitions.check_name(part.table, part.partition)
        _check_mode(part)
        if (part.table.name, part.partition) in seen:
            raise FrameRefusedError(part.table.name, f"partition {part.partition} is given twice")
        seen.add((part.table.name, part.partition))
        yield part


def _parts(
    replace: Mapping[Place, Frame] | Iterable[tuple[Place, Frame]],
    append: Mapping[Place, Frame],
    upsert: Mapping[Place, Frame | Upsert],
) -> Iterator[Incoming]:
    for (table, partition), frame in replace.items() if isinstance(replace, Mapping) else replace:
        yield Incoming(table, partition, Mode.BASE, frame)
    for place, frame in append.items():
        yield Incoming(*place, Mode.APPEND, frame)
    for place, given in upsert.items():
        rows = given if isinstance(given, Upsert) else Upsert(given)
        yield Incoming(*place, Mode.UPSERT, rows.frame, rows.scopes)


def _check_mode(part: Incoming) -> None:
    """Raise where the table's declaration does not allow the change."""
    if part.mode is Mode.APPEND and not part.table.is_append_only:
        raise FrameRefusedError(part.table.name, "rows are appended to append-only tables only")
    if part.mode is Mode.UPSERT and not set(scope_of(part.table)) <= set(part.table.key):
        problem = "an upsert needs a scope within the key, or it could double a key"
        raise FrameRefusedError(part.table.name, problem)


def commit(
    folder: Folder,
    given: Iterable[Incoming],
    texts: Iterable[pl.Series],
    *,
    base_commit: int | None,
    what: str,
) -> Commit:
    """Write the files of all parts as they come and name them at once."""
    with mapped(folder.root), folder.writing(), ExitStack() as unnamed:
        parts: list[Incoming] = []
        unnamed.callback(_discard, parts)
        _prepare_all(folder, given, parts)
        parts += _new_identifiers(folder, parts, texts)
        paths = [folder.partition_lock(part.table, part.partition) for part in parts]
        with locks.held_all(paths, deadline_s=folder.lock_deadline_s):
            _append(folder, [part for part in parts if part.mode is Mode.APPEND])
            changes = [
                _change(folder, part, base_commit)
                for part in parts
                if part.written or part.mode is Mode.DROP
            ]
            if not changes:
                return Commit(folder.catalog.latest_commit_id(), _summary(parts))
            return Commit(_named(folder, changes, what, unnamed.pop_all()), _summary(parts))


def _named(folder: Folder, changes: Sequence[Change], what: str, unnamed: ExitStack) -> int:
    """Name the files. Where it is in doubt whether that happened, they are left to the sweep."""
    try:
        return folder.catalog.commit(changes, what)
    except TransientError:
        unnamed.close()
        raise


def _discard(parts: Iterable[Incoming]) -> None:
    data_files.discard(part.written.path for part in parts if part.written)


def _prepare_all(folder: Folder, given: Iterable[Incoming], parts: list[Incoming]) -> None:
    """Prepare parts in threads while the next are computed; few frames wait at a time."""
    writers = os.cpu_count() or 1
    running: deque[Future[None]] = deque()
    with ThreadPoolExecutor(writers) as pool:
        for part in given:
            parts.append(part)
            running.append(pool.submit(_prepare, folder, part))
            if len(running) > writers:
                running.popleft().result()
        for last in running:
            last.result()


def _prepare(folder: Folder, part: Incoming) -> None:
    """Check the frame; write it where what is there already does not matter."""
    conformed = frames.conform(part.table, part.given)
    partitions.check_rows(part.table, part.partition, conformed.frame)
    part.rows, part.identifiers = conformed.frame, conformed.identifiers
    part.height = part.rows.height
    part.given = pl.DataFrame()
    if part.mode in (Mode.BASE, Mode.UPSERT):
        _write(folder, part)
        part.rows = pl.DataFrame()


def _write(folder: Folder, part: Incoming) -> None:
    part.written = data_files.write(
        folder.writer(part.table),
        folder.partition_folder(part.table, part.partition),
        part.table,
        part.rows,
        _scopes(part) if part.mode is Mode.UPSERT else None,
    )


def _scopes(part: Incoming) -> pl.DataFrame:
    scope = scope_of(part.table)
    scopes = part.rows.select(scope).unique(maintain_order=True)
    if part.named_scopes is None:
        return scopes
    named = frames.conform_scopes(part.table, scope, part.named_scopes)
    return pl.concat([scopes, named]).unique(maintain_order=True)


def _new_identifiers(
    folder: Folder, parts: Iterable[Incoming], texts: Iterable[pl.Series]
) -> list[Incoming]:
    """The texts met that the lake does not know yet, as one more append."""
    met = [*(part.identifiers for part in parts), *map(frames.identifiers, texts)]
    pairs = frames.joined_identifiers(met)
    if pairs.height:
        _, files = folder.catalog.snapshot(tables={IDENTIFIERS.name})
        pairs = _unknown(pairs, _existing(folder, IDENTIFIERS, partitions.SINGLE, files))
    if not pairs.height:
        return []
    return [Incoming(IDENTIFIERS, partitions.SINGLE, Mode.APPEND, pairs, rows=pairs)]


def _append(folder: Folder, parts: Sequence[Incoming]) -> None:
    """Write the rows whose key is new. Call under the locks of the partitions."""
    _, files = folder.catalog.snapshot(tables={part.table.name for part in parts})
    for part in parts:
        existing = _existing(folder, part.table, part.partition, files)
        if part.table is IDENTIFIERS:
            part.rows = _unknown(part.rows, existing)
        else:
            known = existing.join(part.rows, on=part.table.key, how="semi")
            part.rows = part.rows.join(known, on=part.table.key, how="anti", maintain_order="left")
        if part.rows.height:
            _write(folder, part)


def _existing(
    folder: Folder, table: Table, partition: str, files: Sequence[FileEntry]
) -> pl.DataFrame:
    """What identifies the rows that are there: their keys."""
    mine = [each for each in files if (each.table, each.partition) == (table.name, partition)]
    columns = tuple(table.schema) if table is IDENTIFIERS else table.key
    return folder.reader.frame(mine, Reading(table, columns))


def _unknown(pairs: pl.DataFrame, existing: pl.DataFrame) -> pl.DataFrame:
    """The pairs whose surrogate is new; raises where one stands for another text."""
    known = existing.join(pairs, on="key", how="inner", suffix="_new")
    differing = known.filter(pl.col("text") != pl.col("text_new"))
    if differing.height:
        raise IdentifierCollisionError(*differing.row(0))
    return pairs.join(known, on="key", how="anti")


def _change(folder: Folder, part: Incoming, base_commit: int | None) -> Change:
    written = part.written
    if written is None and part.mode is not Mode.DROP:
        raise AssertionError
    return Change(
        table=part.table,
        partition=part.partition,
        path=written.path.relative_to(folder.root).as_posix() if written else "",
        mode=part.mode,
        rows=written.rows if written else 0,
        bytes=written.bytes if written else 0,
        base_commit=base_commit if part.mode in (Mode.BASE, Mode.DROP) else None,
    )


def _summary(parts: Iterable[Incoming]) -> tuple[PartitionChange, ...]:
    return tuple(
        PartitionChange(
            part.table.name,
            part.partition,
            part.mode,
            part.written.rows if part.written else 0,
            part.height,
        )
        for part in parts
        if part.table is not IDENTIFIERS
    )
