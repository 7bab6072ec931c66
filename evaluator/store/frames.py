"""Frames on their way into the lake: how they are checked against the declaration.

Text ids become surrogates; the rest must fit exactly or by a cast that loses nothing.
"""

from dataclasses import dataclass

import polars as pl
from polars.datatypes import DataTypeClass

from evaluator.domain import ids
from evaluator.domain.schema import FLOAT, FLOATS, ID, LABELLED, REF, Column, Table
from evaluator.store.errors import FrameRefusedError, IdentifierCollisionError

IDENTIFIER_SCHEMA = pl.Schema({"key": pl.Int64(), "text": pl.String()})


@dataclass(frozen=True, slots=True)
class Conformed:
    """A frame in the declared schema, and the texts behind surrogates made from it."""

    frame: pl.DataFrame
    identifiers: pl.DataFrame


def conform(table: Table, given: pl.DataFrame | pl.LazyFrame) -> Conformed:
    """The frame in declared columns and types; raises FrameRefusedError naming the first fault."""
    frame = given.lazy().collect()
    _check_names(table.name, expected=list(table.schema), found=frame.columns)
    columns, texts = [], []
    for column in table.columns:
        series = frame.get_column(column.name)
        if column.dtype in (ID, REF) and _is_text(series.dtype):
            known = identifiers(series)
            texts.append(known)
            series = series.cast(pl.String).replace_strict(
                known["text"], known["key"], default=None, return_dtype=pl.Int64
            )
        columns.append(_checked(table, column, series))
    conformed = pl.DataFrame(columns)
    check_key(table, conformed)
    return Conformed(conformed, joined_identifiers(texts))


def conform_scopes(table: Table, scope: tuple[str, ...], given: pl.DataFrame) -> pl.DataFrame:
    """Distinct scope keys of an upsert in declared types."""
    _check_names(table.name, expected=list(scope), found=given.columns)
    columns = []
    for name in scope:
        column, series = table.column(name), given.get_column(name)
        if column.dtype in (ID, REF) and _is_text(series.dtype):
            series = ids.surrogates(series.cast(pl.String))
        columns.append(_checked(table, column, series))
    return pl.DataFrame(columns).unique(maintain_order=True)


def identifiers(texts: pl.Series) -> pl.DataFrame:
    """One row (key, text) per distinct text; raises IdentifierCollisionError."""
    distinct = texts.cast(pl.String).drop_nulls().unique()
    keys = ids.surrogates(distinct)
    return joined_identifiers([pl.DataFrame([keys.alias("key"), distinct.alias("text")])])


def joined_identifiers(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """The parts as one frame of distinct keys; raises IdentifierCollisionError."""
    pairs = pl.concat([pl.DataFrame(schema=IDENTIFIER_SCHEMA), *parts]).unique(maintain_order=True)
    repeated = pairs.filter(pl.col("key").is_duplicated()).sort("key", "text")
    if repeated.height:
        first, second = repeated.rows()[:2]
        raise IdentifierCollisionError(first[0], first[1], second[1])
    return pairs


def check_key(table: Table, frame: pl.DataFrame) -> None:
    """Raise FrameRefusedError where two rows have the same key.

    Hashes are compared first: exact comparison of several columns takes ten times as long.
    """
    keys = frame.select(table.key)
    if not keys.height or keys.hash_rows().n_unique() == keys.height:
        return
    repeated = keys.filter(keys.is_duplicated())
    if repeated.height:
        key = ", ".join(table.key)
        problem = f"{repeated.height} rows share a key ({key}), e.g. {repeated.row(0)}"
        raise FrameRefusedError(table.name, problem)


def _check_names(table: str, *, expected: list[str], found: list[str]) -> None:
    differences = {
        "missing": [name for name in expected if name not in found],
        "undeclared": [name for name in found if name not in expected],
    }
    if any(differences.values()):
        problems = [f"{what} columns {names}" for what, names in differences.items() if names]
        raise FrameRefusedError(table, ", ".join(problems))


def _checked(table: Table, column: Column, given: pl.Series) -> pl.Series:
    series = _cast(table, column, given).alias(column.name)
    if not column.null and series.null_count():
        row = series.is_null().arg_max()
        problem = (
            f"column {column.name} is never null, but {series.null_count()} of {len(series)} "
            f"rows are, e.g. row {row}"
        )
        raise FrameRefusedError(table.name, problem)
    if column.dtype in (FLOAT, FLOATS, LABELLED):
        _check_finite(table, column, series)
    return series


def _check_finite(table: Table, column: Column, series: pl.Series) -> None:
    values = series if column.dtype == FLOAT else series.explode()
    if column.dtype == LABELLED:
        values = values.struct.field("value")
    bad = values.filter(~values.is_finite())
    if len(bad):
        problem = (
            f"column {column.name} has {len(bad)} values that are no number, e.g. {bad[0]}; "
            "undefined is null"
        )
        raise FrameRefusedError(table.name, problem)


def _cast(table: Table, column: Column, series: pl.Series) -> pl.Series:
    target = column.dtype.frame
    if series.dtype == target:
        return series
    if not _may_cast(series.dtype, target):
        problem = f"column {column.name} is {series.dtype}, declared {target}"
        raise FrameRefusedError(table.name, problem)
    if series.dtype == pl.Null or not len(series):
        return pl.Series(series.name, [None] * len(series), dtype=target)
    if isinstance(series.dtype, pl.Enum | pl.Categorical):
        series = series.cast(pl.String)
    cast = series.cast(target, strict=False)
    lost = series.filter(cast.cast(series.dtype, strict=False).ne_missing(series))
    if len(lost):
        problem = (
            f"column {column.name} has {len(lost)} values that do not fit {target}, "
            f"e.g. {lost[0]!r}"
        )
        raise FrameRefusedError(table.name, problem)
    return cast


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Enum | pl.Categorical)


def _may_cast(found: pl.DataType, target: pl.DataType) -> bool:
    """Whether a cast can keep every value; the values are compared after it."""
    if found == pl.Null or (_is_text(found) and _is_text(target)):
        return True
    if isinstance(found, pl.List) and isinstance(target, pl.List):
        return _may_cast(_inner(found), _inner(target))
    if isinstance(found, pl.Struct) and isinstance(target, pl.Struct):
        return _may_cast_fields(found, target)
    if isinstance(found, pl.Datetime) and isinstance(target, pl.Datetime):
        return found.time_zone is not None
    if found == target:
        return True
    return found.is_numeric() and not found.is_decimal() and _holds_numbers(found, target)


def _may_cast_fields(found: pl.Struct, target: pl.Struct) -> bool:
    pairs = zip(found.fields, target.fields, strict=False)
    return [field.name for field in found.fields] == [
        field.name for field in target.fields
    ] and all(_may_cast(_type(mine.dtype), _type(theirs.dtype)) for mine, theirs in pairs)


def _holds_numbers(found: pl.DataType, target: pl.DataType) -> bool:
    return target.is_float() or (target.is_integer() and found.is_integer())


def _inner(dtype: pl.List) -> pl.DataType:
    return _type(dtype.inner)


def _type(dtype: pl.DataType | DataTypeClass) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype
