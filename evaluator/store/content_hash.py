"""The content hash: a digest of rows in key order in declared types.

Independent of files, of the split into base and deltas, of chunks and of the machine; volatile
columns do not count. Nulls are explicit, -0.0 is 0.0. SHA-256, which processors compute.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluator.domain.schema import Table

_HEX_DIGITS = 32


def counted_columns(table: Table) -> tuple[str, ...]:
    """Columns that count: all but the volatile ones."""
    return tuple(column.name for column in table.columns if not column.is_volatile)


def hash_rows(table: Table, rows: pl.DataFrame) -> str:
    """Digest of the rows of one partition; empty for no rows."""
    if not rows.height:
        return ""
    ordered = rows.select(counted_columns(table)).sort(table.key)
    digest = hashlib.sha256()
    for series in ordered.iter_columns():
        kind = table.column(series.name).dtype.name
        digest.update(f"{series.name}:{kind}:{len(series)};".encode())
        _add(digest, series)
    return digest.hexdigest()[:_HEX_DIGITS]


def combine(partitions: Mapping[str, str]) -> str:
    """Digest of a table from those of its partitions; partitions without rows do not count."""
    digest = hashlib.sha256()
    for partition, rows in sorted(partitions.items()):
        if rows:
            digest.update(f"{partition}={rows};".encode())
    return digest.hexdigest()[:_HEX_DIGITS]


def _add(digest: "hashlib._Hash", series: pl.Series) -> None:
    """Add validity and values; a list as its lengths and its elements."""
    digest.update(np.packbits(series.is_not_null().to_numpy()).tobytes())
    dtype = series.dtype
    if isinstance(dtype, pl.String):
        _add_text(digest, series)
    elif isinstance(dtype, pl.List):
        lengths = series.list.len().fill_null(0)
        digest.update(_buffer(lengths.cast(pl.Int64).to_numpy()))
        _add(digest, series.filter(lengths > 0).explode())
    elif isinstance(dtype, pl.Struct):
        for name in dtype.to_schema():
            _add(digest, series.struct.field(name))
    elif dtype.is_float():
        digest.update(_buffer(series.fill_null(0.0).to_numpy() + 0.0))  # -0.0 + 0.0 is 0.0
    else:
        whole = series.to_physical().cast(_whole(dtype)).fill_null(0)
        digest.update(_buffer(whole.to_numpy()))


def _add_text(digest: "hashlib._Hash", series: pl.Series) -> None:
    lengths = series.str.len_bytes().fill_null(0).cast(pl.Int64)
    digest.update(_buffer(lengths.to_numpy()))
    values = series.fill_null("").rechunk().to_arrow().buffers()[2]
    digest.update(memoryview(values or b"")[: int(lengths.sum())])


def _whole(dtype: pl.DataType) -> pl.DataType:
    """The integer type by whose bytes a value counts: one byte for words and truth."""
    if isinstance(dtype, pl.Enum | pl.Boolean):
        return pl.UInt8()
    return pl.Int32() if isinstance(dtype, pl.Int32 | pl.Date) else pl.Int64()


def _buffer(values: NDArray[np.generic]) -> memoryview:
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little_endian).data
