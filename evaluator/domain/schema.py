"""How a table is declared: logical column types, columns, tables, partitionings.

A logical type fixes three spellings at once: what frames carry inside the project, what a
data file stores, and what a reader of SQL sees. Declarations live in `domain/tables/`.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

import polars as pl

MICRO = 1_000_000
"""Micro-units in one USDC or one share."""

BUCKET_COUNT = 16
"""Wallet buckets of the bulk tables; a wallet's bucket is its surrogate modulo this."""


@dataclass(frozen=True, slots=True)
class DataType:
    """One logical type and its spelling in frames, in files and in views."""

    name: str
    frame: pl.DataType
    stored: str
    shown: str
    codes: tuple[str, ...] = ()


ID = DataType("text id", pl.Int64(), "BIGINT", "VARCHAR")
"""Text identifier: its 64-bit surrogate (`ids.surrogate`) in frames and files, text in views."""

REF = DataType("row id", pl.Int64(), "BIGINT", "VARCHAR")
"""64-bit id of a row (a fill, an activity); views show 16 hex digits, or the text behind it
where one is known (`resolve:<token_id>`)."""

MONEY = DataType("decimal(18,6)", pl.Int64(), "BIGINT", "DECIMAL(18,6)")
"""USDC or shares: integer micro-units in frames and files, six decimals in views."""

INSTANT = DataType("instant", pl.Datetime("us", "UTC"), "TIMESTAMPTZ", "TIMESTAMPTZ")
DATE = DataType("date", pl.Date(), "DATE", "DATE")
TEXT = DataType("text", pl.String(), "VARCHAR", "VARCHAR")
TEXTS = DataType("text list", pl.List(pl.String()), "VARCHAR[]", "VARCHAR[]")
FLOATS = DataType("float list", pl.List(pl.Float64()), "DOUBLE[]", "DOUBLE[]")
FLOAT = DataType("float64", pl.Float64(), "DOUBLE", "DOUBLE")
INT = DataType("int64", pl.Int64(), "BIGINT", "BIGINT")
SMALL = DataType("int32", pl.Int32(), "INTEGER", "INTEGER")
BOOL = DataType("boolean", pl.Boolean(), "BOOLEAN", "BOOLEAN")
LABELLED = DataType(
    "map of text to float64",
    pl.List(pl.Struct({"key": pl.String(), "value": pl.Float64()})),
    "STRUCT(key VARCHAR, value DOUBLE)[]",
    "MAP(VARCHAR, DOUBLE)",
)


def one_of(*codes: str) -> DataType:
    """A closed set of words: `pl.Enum` in frames, one byte in files, the word in views."""
    return DataType("one of " + ", ".join(codes), pl.Enum(codes), "UTINYINT", "VARCHAR", codes)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its meaning in a sentence, its unit, and when it is null.

    `null` says when the value is unknown or undefined; empty means never null.
    Volatile columns (clock readings, run ids) do not count in content hashes.
    """

    name: str
    dtype: DataType
    doc: str
    unit: str = ""
    null: str = ""
    is_volatile: bool = False


class Partitioning(StrEnum):
    """How the partitions of a table are keyed."""

    SINGLE = "single"
    BUCKET = "bucket"
    DAY = "day"
    DAY_WINDOW = "day and window"


@dataclass(frozen=True, slots=True)
class Table:
    """One declared table: grain, key, order of rows, partitioning, columns."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    partitioned_by: Partitioning = Partitioning.SINGLE
    sorted_by: tuple[str, ...] = ()
    is_append_only: bool = False
    upsert_scope: tuple[str, ...] = ()
    group: str = ""
    schema: pl.Schema = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            msg = f"table {self.name} declares a column twice"
            raise ValueError(msg)
        if missing := {*self.key, *self.sorted_by, *self.upsert_scope}.difference(names):
            msg = f"table {self.name} names undeclared columns: {sorted(missing)}"
            raise ValueError(msg)
        schema = pl.Schema({column.name: column.dtype.frame for column in self.columns})
        object.__setattr__(self, "schema", schema)

    @property
    def order(self) -> tuple[str, ...]:
        """Order of rows in a data file: `sorted_by` first, the rest of the key after it."""
        return (*self.sorted_by, *(name for name in self.key if name not in self.sorted_by))

    @property
    def is_rebuilt_in_bulk(self) -> bool:
        """Whether its largest partitions are computed anew again and again, in wallet buckets."""
        return self.partitioned_by is Partitioning.BUCKET and not self.is_append_only

    @property
    def version(self) -> str:
        """Fingerprint of names and stored types; a file with another one is refused."""
        text = ";".join(f"{column.name}:{column.dtype.name}" for column in self.columns)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def column(self, name: str) -> Column:
        """The column of that name; raises KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)
