"""Frames and plain values as tables, JSON or CSV on stdout."""

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

TABLE_ROWS = 1000
"""Rows that a table shows; JSON and CSV have them all."""
WIDE = 10_000
"""Width at which nothing is cut; a narrow terminal wraps the line."""

_RATIOS_BELOW = 10


def print_json(value: object) -> None:
    """One JSON document; undefined numbers are null."""
    text = _dumped(value, indent=2)
    sys.stdout.write(text + "\n")


def print_frame(rows: pl.DataFrame, form: str) -> None:
    """All rows in the form asked for: table, json or csv."""
    if form == "json":
        print_json(rows.to_dicts())
    elif form == "csv":
        sys.stdout.write(_flat(rows).write_csv())
    else:
        print_table(rows.columns, rows.head(TABLE_ROWS).iter_rows())
        if rows.height > TABLE_ROWS:
            say(f"… {rows.height - TABLE_ROWS:,} more rows; --format csv has them all")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table without frames, as wide as it needs; numbers to the right."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    cells = [list(row) for row in rows]
    spelled: list[list[Text]] = [[] for _ in cells]
    for place, name in enumerate(columns):
        values = [row[place] for row in cells]
        is_number = any(isinstance(value, int | float | Decimal) for value in values)
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True)
        spelling = _float_spelling(values)
        for line, value in zip(spelled, values, strict=True):
            line.append(Text(_cell(value, spelling)))
    for line in spelled:
        table.add_row(*line)
    console = Console(width=WIDE, highlight=False)
    with console.capture() as captured:
        console.print(table)
    for text in captured.get().splitlines():
        say(text.rstrip())


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def _float_spelling(values: Iterable[object]) -> str:
    """Four decimals for ratios and scores, two for a column of larger numbers."""
    largest = max((abs(value) for value in values if isinstance(value, float)), default=0.0)
    return ".4f" if largest < _RATIOS_BELOW else ",.2f"


def _cell(value: object, spelling: str) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float():
            return format(value, spelling)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case list() | dict():
            return _dumped(value)
    return str(value)


def _plain(value: object) -> object:
    """What JSON can hold: maps as objects, undefined numbers as null; the rest by `_word`."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return _as_map(value) if _is_map(value) else [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _word(value: object) -> object:
    """Instants as ISO texts, decimals as numbers, anything else as its text."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return float(value) if isinstance(value, Decimal) else str(value)


def _is_map(value: Sequence[object]) -> bool:
    """Whether a list is a MAP, as Polars receives it from DuckDB."""
    return bool(value) and all(
        isinstance(part, Mapping) and set(part) == {"key", "value"} for part in value
    )


def _as_map(value: Sequence[Any]) -> dict[str, object]:
    return {str(part["key"]): _plain(part["value"]) for part in value}


def _flat(rows: pl.DataFrame) -> pl.DataFrame:
    """Nested columns as JSON texts, which CSV can hold."""
    nested = [name for name, dtype in rows.schema.items() if dtype.is_nested()]
    texts = {
        name: pl.Series(name, [_json(each) for each in rows[name].to_list()], dtype=pl.String)
        for name in nested
    }
    return rows.with_columns(**texts)


def _json(value: object) -> str | None:
    return None if value is None else _dumped(value)


def _dumped(value: object, indent: int | None = None) -> str:
    return json.dumps(
        _plain(value), indent=indent, ensure_ascii=False, allow_nan=False, default=_word
    )
