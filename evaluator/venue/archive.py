"""A folder of Parquet files as a source: real history, offline.

Which files are read, what they must hold and how they fit together is decided here; the meaning
of single rows belongs to `fill_rows`, `market_rows` and `position_rows`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from evaluator.domain.errors import PermanentError
from evaluator.domain.fills import in_total_order
from evaluator.domain.tables.history import FILLS, INGEST_STATE, POSITIONS, QUARANTINE
from evaluator.venue import fill_rows, market_rows, parquet, position_rows
from evaluator.venue.parquet import RawFile
from evaluator.venue.quarantine import (
    ROW,
    Counts,
    Parsed,
    Rule,
    conform,
    counted,
    no_rows,
    quarantine,
    sift,
    together,
)

DEFAULT_TRADES = "trades_fomc.parquet"
DEFAULT_MARKETS = "markets_fomc.parquet"
DEFAULT_POSITIONS = "positions_pnl_subgraph.parquet"


class ArchiveEmptyError(PermanentError):
    """No row of the trades is a fill."""

    code = "archive_empty"
    hint = "the quarantine table says which rule refused each row"

    def __init__(self, folder: Path, pattern: str, rows_read: int) -> None:
        self.folder, self.rows_read = folder, rows_read
        super().__init__(f"none of the {rows_read} rows of {pattern} in {folder} is a fill")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: the setting that names it, its columns and rules."""

    pattern: str
    setting: str
    wanted: Sequence[str]
    required: Sequence[tuple[str, ...]]
    rules: Sequence[Rule]


@dataclass(frozen=True)
class Archive:
    """The tables that a folder of Parquet files gives.

    `trades`, `markets` and `positions` are names or globs; a missing positions file is an empty
    table. `history_complete` overrides what the files suggest: complete with order keys, not
    without. Files are read once, when first needed. `seen_at` goes into volatile columns only.
    """

    folder: Path
    trades: str = DEFAULT_TRADES
    markets: str = DEFAULT_MARKETS
    positions: str = DEFAULT_POSITIONS
    history_complete: bool | None = None
    seen_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def read_fills(self) -> Parsed:
        """Rows of `fills` in their total order; one per fill, however often a file repeats it."""
        return replace(self._fills, rows=conform(self._fills.rows, FILLS))

    def read_markets(self) -> Parsed:
        """Rows of `markets`, those of the market file and those that only fills mention."""
        rows = market_rows.table(
            self._listed.rows,
            market_rows.seen_in(self._fills.rows),
            snapshot_date=self.last_day(),
            seen_at=self.seen_at,
        )
        return replace(self._listed, rows=rows)

    def read_resolutions(self) -> pl.DataFrame:
        """Rows of `resolutions`: tokens of closed markets whose payouts are known."""
        return market_rows.resolutions(self.read_markets().rows)

    def read_positions(self) -> Parsed:
        """Rows of `positions`, the venue's own numbers; none where the folder has no such file."""
        kind = Kind(
            self.positions,
            "archive.positions",
            position_rows.WANTED,
            position_rows.REQUIRED,
            position_rows.RULES,
        )
        paths = parquet.files(self.folder, kind.pattern)
        if not paths:
            return Parsed(no_rows(POSITIONS), no_rows(QUARANTINE), Counts())
        read = self._read(paths, kind, lambda file: position_rows.parse(file.rows, file.columns))
        rows = position_rows.table(read.rows, snapshot_date=self.last_day())
        return _deduplicated(read, rows)

    def read_ingest_state(self) -> pl.DataFrame:
        """Rows of `ingest_state`: per wallet what its fills cover."""
        complete = pl.col("has_order_keys").all()
        if self.history_complete is not None:
            complete = pl.lit(self.history_complete)
        state = self._fills.rows.group_by("proxy_wallet").agg(
            pl.col("filled_at").min().alias("oldest_at"),
            pl.col("filled_at").max().alias("newest_at"),
            pl.lit(None, pl.String).alias("cursor"),
            complete.alias("history_complete"),
            pl.lit(self.seen_at).alias("ingested_at"),
        )
        return conform(state.sort("proxy_wallet"), INGEST_STATE)

    def last_day(self) -> date:
        """The UTC day of the newest fill; raises ArchiveEmptyError without one."""
        newest = self._fills.rows["filled_at"].max()
        if not isinstance(newest, datetime):
            raise ArchiveEmptyError(self.folder, self.trades, self._fills.counts.rows_read)
        return newest.date()

    @cached_property
    def _listed(self) -> Parsed:
        """Markets of the market file, as parsed; one per condition_id."""
        kind = Kind(
            self.markets,
            "archive.markets",
            market_rows.WANTED,
            market_rows.REQUIRED,
            market_rows.RULES,
        )
        read = self._read(
            self._files(kind), kind, lambda file: market_rows.parse(file.rows, file.columns)
        )
        return _deduplicated(read, market_rows.one_each(read.rows))

    @cached_property
    def _fills(self) -> Parsed:
        """Fills with the fields that only this source has, in their total order."""
        kind = Kind(
            self.trades,
            "archive.trades",
            fill_rows.WANTED,
            fill_rows.REQUIRED,
            fill_rows.RULES,
        )
        known = market_rows.known_tokens(self._listed.rows)
        read = self._read(
            self._files(kind), kind, lambda file: fill_rows.parse(file.rows, file.columns, known)
        )
        return _deduplicated(read, distinct_fills(read.rows))

    def _files(self, kind: Kind) -> list[Path]:
        paths = parquet.files(self.folder, kind.pattern)
        if not paths:
            raise parquet.ArchiveFileMissingError(self.folder, kind.pattern, kind.setting)
        return paths

    def _read(
        self, paths: Sequence[Path], kind: Kind, parse: Callable[[RawFile], pl.DataFrame]
    ) -> Parsed:
        """All files of a kind: their good rows one after the other, and what was refused."""
        parts = []
        for path in paths:
            file = parquet.read(path, kind.wanted)
            parquet.require(file, kind.required, kind.setting)
            sifted = sift(parse(file), kind.rules)
            refused = quarantine(
                sifted.broken,
                file.payloads(sifted.broken[ROW]),
                source=path.relative_to(self.folder).as_posix(),
                seen_at=self.seen_at,
            )
            counts = Counts(rows_read=file.rows.height, quarantined=counted(sifted.broken))
            parts.append(Parsed(sifted.good, refused, counts))
        return Parsed(
            rows=pl.concat([part.rows for part in parts]),
            quarantine=pl.concat([part.quarantine for part in parts]),
            counts=together(part.counts for part in parts),
        )


def distinct_fills(rows: pl.DataFrame) -> pl.DataFrame:
    """Each fill once, in total order, from rows that passed the rules.

    A row that agrees with another in its identity, order key included, repeats the same fill.
    """
    fills = fill_rows.identified(rows, pl.zeros(rows.height, pl.Int32, eager=True))
    if fills["fill_id"].is_unique().all():
        return in_total_order(fills)
    fields = sorted(set(fills.columns) - {ROW})
    return in_total_order(fills.sort(fields)).unique("fill_id", keep="first", maintain_order=True)


def _deduplicated(read: Parsed, rows: pl.DataFrame) -> Parsed:
    """What was read, with repeats collapsed and counted.

    Without an order key two equal fills of one transaction cannot be told apart from a repeat,
    so collapsed rows of that kind may be fills that are missing.
    """
    duplicates = read.rows.height - rows.height
    unsure = 0
    if "order" in rows.columns:
        is_keyless = pl.col("order").is_null()
        unsure = read.rows.filter(is_keyless).height - rows.filter(is_keyless).height
    counts = replace(read.counts, duplicates=duplicates, possible_undercount=unsure)
    return replace(read, rows=rows, counts=counts)
