"""Rows of JSON as frames: columns that parsers can read, whatever mixture their values are."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from evaluator.venue.columns import snake_case
from evaluator.venue.quarantine import ROW, Payloads

Row = Mapping[str, Any]

_LARGEST = 2**63 - 1
_KINDS: dict[frozenset[type], pl.DataType] = {
    frozenset({str}): pl.String(),
    frozenset({bool}): pl.Boolean(),
    frozenset({int}): pl.Int64(),
    frozenset({float}): pl.Float64(),
    frozenset({int, float}): pl.Float64(),
}


def frame(rows: Sequence[Row], wanted: Iterable[str]) -> pl.DataFrame:
    """The wanted columns that any row has, in either spelling, and `source_row`.

    Values of one kind keep it; mixtures become texts, as do integers beyond 64 bits, objects and
    lists (their JSON).
    """
    names = dict.fromkeys(name for word in wanted for name in (word, snake_case(word)))
    columns = [
        _column(name, [row.get(name) for row in rows])
        for name in names
        if any(name in row for row in rows)
    ]
    numbers = pl.Series(ROW, range(len(rows)), dtype=pl.UInt32)
    return pl.DataFrame([numbers, *columns])


def payloads(rows: Sequence[Any], chosen: pl.Series) -> Payloads:
    """The raw rows of these numbers as JSON, with sorted keys."""
    numbers = chosen.unique().sort()
    return pl.DataFrame(
        {ROW: numbers, "payload": [clean(_json(rows[number])) for number in numbers]},
        schema={ROW: pl.UInt32, "payload": pl.String},
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = frozenset(type(value) for value in values if value is not None)
    dtype = _KINDS.get(kinds, pl.String() if kinds else None)
    if dtype is None:
        return pl.Series(name, values, dtype=pl.String)
    if dtype == pl.Int64 and any(abs(value or 0) > _LARGEST for value in values):
        dtype = pl.String()
    if dtype == pl.String:
        return pl.Series(name, [_text(value) for value in values], dtype=pl.String)
    if dtype == pl.Float64:
        return pl.Series(name, [_float(value) for value in values], dtype=pl.Float64)
    return pl.Series(name, values, dtype=dtype)


def _float(value: float | None) -> float | None:
    """A float; an integer too large for one is unknown."""
    try:
        return None if value is None else float(value)
    except OverflowError:
        return None


def _text(value: Any) -> str | None:
    """Texts as they are, anything else as its JSON."""
    if value is None:
        return None
    return clean(value if isinstance(value, str) else _json(value))


def clean(text: str) -> str:
    """The text without what UTF-8 cannot hold: JSON can spell half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
