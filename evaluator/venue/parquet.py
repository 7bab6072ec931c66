"""Parquet files of an archive folder: found by name or glob, read by column, refused with advice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.datatypes import DataTypeClass

from evaluator.domain.errors import PermanentError
from evaluator.venue.columns import Columns, snake_case
from evaluator.venue.quarantine import ROW, Payloads


class ArchiveFileMissingError(PermanentError):
    """The archive folder, or a file that it must hold, is not there."""

    code = "archive_file_missing"

    def __init__(self, folder: Path, pattern: str, setting: str) -> None:
        self.folder, self.pattern = folder, pattern
        self.hint = f"give the folder by --archive and the name, or a glob, by {setting}"
        what = f"no file {pattern} in" if folder.is_dir() else "there is no folder"
        super().__init__(f"{what} {folder}")


class ArchiveColumnsMissingError(PermanentError):
    """A file lacks columns without which its rows mean nothing."""

    code = "archive_columns_missing"

    def __init__(self, path: Path, missing: Sequence[str], setting: str) -> None:
        self.path, self.missing = path, tuple(missing)
        self.hint = f"columns are named as in the Data and Gamma APIs; another file: {setting}"
        super().__init__(f"{path.name} in {path.parent} lacks {', '.join(missing)}")


class ArchiveUnreadableError(PermanentError):
    """A file is not Parquet, or is damaged."""

    code = "archive_unreadable"
    hint = "copy the file again; archives are Parquet files"

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path.name} in {path.parent} cannot be read: {problem}")


@dataclass(frozen=True, slots=True)
class RawFile:
    """The wanted columns of one file, each row with its number."""

    path: Path
    rows: pl.DataFrame
    columns: Columns

    def payloads(self, row_numbers: pl.Series) -> Payloads:
        """Whole rows of the file as JSON, for the numbers given."""
        if row_numbers.is_empty():
            return pl.DataFrame(schema={ROW: pl.UInt32, "payload": pl.String})
        everything = pl.scan_parquet(self.path, row_index_name=ROW)
        chosen = everything.filter(pl.col(ROW).is_in(row_numbers.unique().implode()))
        columns = everything.drop(ROW).collect_schema()
        values = [_for_json(name, dtype) for name, dtype in columns.items()]
        payload = pl.struct(values).struct.json_encode().alias("payload")
        return chosen.select(ROW, payload).collect()


def files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder that match a name or glob, in the order of their names."""
    is_usable = folder.is_dir() and pattern and not Path(pattern).is_absolute()
    return sorted(path for path in folder.glob(pattern) if path.is_file()) if is_usable else []


def read(path: Path, wanted: Sequence[str]) -> RawFile:
    """Read those of the wanted columns, in either spelling, that the file has."""
    spelled = {spelling for name in wanted for spelling in (name, snake_case(name))}
    try:
        scan = pl.scan_parquet(path, row_index_name=ROW)
        names = [name for name in scan.collect_schema().names() if name in spelled]
        rows = scan.select(ROW, *names).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArchiveUnreadableError(path, str(error).splitlines()[0]) from error
    return RawFile(path, rows, Columns(rows.schema))


def _for_json(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as JSON can hold it: other types as text, bytes as hex, objects of them as a note."""
    if dtype == pl.Binary:
        return pl.col(name).bin.encode("hex")
    if dtype == pl.Duration:
        return pl.col(name).cast(pl.Int64)
    if _is_plain(dtype):
        return pl.col(name)
    return pl.lit(f"({dtype})").alias(name) if dtype.is_nested() else pl.col(name).cast(pl.String)


def _is_plain(dtype: pl.DataType | DataTypeClass) -> bool:
    """Whether JSON spells every value of the type."""
    if isinstance(dtype, pl.List):
        return _is_plain(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return all(_is_plain(field.dtype) for field in dtype.fields)
    return dtype.is_integer() or dtype.is_float() or dtype in (pl.Boolean, pl.String, pl.Null)


def require(file: RawFile, required: Sequence[tuple[str, ...]], setting: str) -> None:
    """Raise unless the file has one column of each group of alternatives."""
    missing = [" or ".join(names) for names in required if not file.columns.has(*names)]
    if missing:
        raise ArchiveColumnsMissingError(file.path, missing, setting)
