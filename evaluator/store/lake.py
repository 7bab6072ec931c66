"""The lake's verbs: snapshot, commit, fold, sweep."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl

from evaluator.domain.schema import Table
from evaluator.domain.tables.registry import TABLES
from evaluator.store import commits, maintenance, months
from evaluator.store.commits import Commit, Frame, Place, Upsert
from evaluator.store.errors import mapped
from evaluator.store.folder import Folder
from evaluator.store.locks import DEADLINE_S, Pin
from evaluator.store.outside import NOTHING, Sources
from evaluator.store.snapshot import Snapshot
from evaluator.store.views import VIEWS, View

_NOTHING: Mapping[Place, Frame] = {}


class Lake:
    """Tables as immutable DuckDB files, made visible by atomic commits.

    Opening holds no lock. Safe to share between threads; a forked process starts its own
    connections.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int = 0,
        memory_limit: str | None = None,
        tables: Sequence[Table] = TABLES,
        views: Sequence[View] = VIEWS,
        lock_deadline_s: float = DEADLINE_S,
    ) -> None:
        """`threads` 0 is one per core; `memory_limit` in DuckDB's words, e.g. '2GiB'."""
        self.folder = Folder(
            root,
            threads=threads,
            memory_limit=memory_limit,
            tables=tables,
            views=views,
            lock_deadline_s=lock_deadline_s,
        )

    @property
    def root(self) -> Path:
        """Folder of the lake."""
        return self.folder.root

    def latest_commit_id(self) -> int:
        """Id of the newest commit; 0 in a new lake."""
        return self.folder.catalog.latest_commit_id()

    def snapshot(
        self, *, pin: bool = False, at: int | None = None, outside: Sources = NOTHING
    ) -> Snapshot:
        """The newest commit, or the one `at` an id that `hold` or a pin has kept.

        Pin it where reading may last longer than `sweep` keeps files. Tables `outside` the lake
        are read when a query names them.
        """
        if not pin:
            return Snapshot(self.folder, *self.folder.catalog.snapshot(at), outside=outside)
        with mapped(self.folder.pins), self.folder.writing():
            commit_id, entries = self.folder.catalog.snapshot(at)
            held = Pin(self.folder.pins, commit_id)
        return Snapshot(self.folder, commit_id, entries, release=held.release, outside=outside)

    def hold(self, name: str, commit_id: int) -> None:
        """Keep a commit readable under a name, instead of the one held under it before."""
        self.folder.catalog.hold(name, commit_id)

    def held_commit(self, name: str) -> int | None:
        """The commit held under a name; None where there is none."""
        return self.folder.catalog.held_commit(name)

    def commit(
        self,
        *,
        replace: Mapping[Place, Frame] | Iterable[tuple[Place, Frame]] = _NOTHING,
        append: Mapping[Place, Frame] = _NOTHING,
        upsert: Mapping[Place, Frame | Upsert] = _NOTHING,
        texts: Iterable[pl.Series] = (),
        base: Snapshot | None = None,
        what: str = "",
    ) -> Commit:
        """Change any number of partitions, given as (table, partition), at once.

        `replace` swaps a partition; pairs of place and frame are written as they come, so that
        a generator keeps few of them in memory. `append` adds rows whose key is not there.
        `upsert` supersedes older rows of the same scope. With `base`, raises StaleReplaceError
        where a partition replaced has changed since that snapshot. String ids become
        surrogates; `texts` registers the texts behind surrogates that the frames carry already.
        """
        return commits.commit(
            self.folder,
            commits.incoming(replace, append, upsert),
            texts,
            base_commit=base.commit_id if base else None,
            what=what,
        )

    def drop(
        self, places: Iterable[Place], *, base: Snapshot | None = None, what: str = ""
    ) -> Commit:
        """Take partitions away at once, as if they had never been written.

        With `base`, raises StaleReplaceError where one has changed since that snapshot.
        """
        return commits.commit(
            self.folder,
            commits.dropped(places),
            (),
            base_commit=base.commit_id if base else None,
            what=what,
        )

    def fold(
        self, table: Table, partitions: Collection[str] | None = None, *, more_than: int = 1
    ) -> int:
        """Merge the files of partitions that have more than some into one each; returns how many.

        Content stays the same. `fold_months` does it for days that are over.
        """
        return maintenance.fold(self.folder, table, partitions, more_than)

    def crowded(self, table: Table, more_than: int) -> list[str]:
        """Partitions that a reader opens more files for than that."""
        return maintenance.crowded(self.folder, table, more_than)

    def fold_months(
        self, table: Table, today: date, *, sealed_days: int = months.SEALED_DAYS
    ) -> months.MonthsFolded:
        """Merge the sealed days of a daily table into month files; content stays the same.

        A day is sealed when it lies at least `sealed_days` (never under 2) before `today`. It
        may still be replaced, appended to or dropped: the next call merges what changed.
        """
        return months.fold_months(self.folder, table, today, sealed_days)

    def sweep(self, *, keep_commits: int = 20, keep_s: float = 3600.0) -> maintenance.Swept:
        """Delete files that no open, held or recent snapshot names, and what dead writers left."""
        return maintenance.sweep(self.folder, keep_commits=keep_commits, keep_s=keep_s)
