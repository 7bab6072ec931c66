"""Values as they come from the venue, read tolerantly: numbers or texts, dates of many spellings.

A value that cannot be read becomes null; whether that refuses the row is the business of rules
(`evaluator.venue.quarantine`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from evaluator.domain.schema import INSTANT, MICRO

_EARLIEST_S = 946_684_800  # 2000-01-01
_LATEST_S = 4_102_444_800  # 2100-01-01
_MILLISECONDS_FROM = 100_000_000_000  # as seconds, this would be the year 5138
_LARGEST_MICROS = 9e17
_UNICODE = (
    r"\\u([0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}"
    r"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)
_STRING = rf'"([^"\\\x00-\x1f]|\\["\\/bfnrt]|{_UNICODE})*"'
_NUMBER = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"
_ELEMENT = rf"({_STRING}|{_NUMBER}|null)"
_JSON_LIST = rf"^\s*\[\s*({_ELEMENT}(\s*,\s*{_ELEMENT})*)?\s*\]\s*$"
_ISO = "%Y-%m-%dT%H:%M:%S%.f%z"
_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")


def snake_case(name: str) -> str:
    """The snake_case spelling of a camelCase name, as version 2 of the API writes it.

    >>> snake_case("proxyWallet")
    'proxy_wallet'
    """
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one raw frame; each reader takes alternative names, the first known counts.

    A name also stands for its snake_case spelling. Absent columns read as null.
    """

    schema: Mapping[str, pl.DataType]

    def find(self, name: str) -> str | None:
        """The spelling under which the frame has that column, None without it."""
        return next((name for name in (name, snake_case(name)) if name in self.schema), None)

    def has(self, *names: str) -> bool:
        """Whether the frame has any of the columns."""
        return any(self.find(name) for name in names)

    def is_given(self, *names: str) -> pl.Expr:
        """Whether the source says anything, readable or not."""
        values = [self._is_said(name) for name in self._found(names)]
        return pl.any_horizontal(values) if values else pl.lit(value=False)

    def text(self, *names: str) -> pl.Expr:
        """Stripped text; empty is null."""
        return _first([_as_text(name, self.schema[name]) for name in self._found(names)], pl.String)

    def number(self, *names: str) -> pl.Expr:
        """A finite number."""
        found = [_as_number(name, self.schema[name]) for name in self._found(names)]
        return _first(found, pl.Float64)

    def micros(self, *names: str) -> pl.Expr:
        """A number in micro-units, rounded half to even; null beyond 18 digits."""
        return micros(self.number(*names))

    def instant(self, *names: str) -> pl.Expr:
        """An instant of the years 2000 to 2099: epoch seconds or milliseconds, or ISO-8601."""
        found = [_as_instant(name, self.schema[name]) for name in self._found(names)]
        return _first(found, INSTANT.frame)

    def flag(self, *names: str) -> pl.Expr:
        """True or false."""
        found = [_as_flag(name, self.schema[name]) for name in self._found(names)]
        return _first(found, pl.Boolean)

    def texts(self, *names: str) -> pl.Expr:
        """A list of texts, native or JSON inside a text."""
        found = [_as_texts(name, self.schema[name]) for name in self._found(names)]
        return _first(found, pl.List(pl.String))

    def member(self, name: str, key: str) -> pl.Expr:
        """A number inside an object, native or JSON inside a text."""
        found = self.find(name)
        dtype = self.schema[found] if found else None
        if found and isinstance(dtype, pl.Struct) and key in dict(dtype.to_schema()):
            return pl.col(found).struct.field(key).cast(pl.Float64, strict=False)
        if found and dtype == pl.String:
            return pl.col(found).str.json_path_match(f"$.{key}").cast(pl.Float64, strict=False)
        return pl.lit(None, pl.Float64)

    def _found(self, names: tuple[str, ...]) -> list[str]:
        return [found for found in map(self.find, names) if found]

    def _is_said(self, name: str) -> pl.Expr:
        dtype = self.schema[name]
        if dtype == pl.String:
            return pl.col(name).str.strip_chars().str.len_bytes().fill_null(0) > 0
        return pl.col(name).is_not_null()


def micros(number: pl.Expr) -> pl.Expr:
    """Micro-units of a number, rounded half to even; null beyond 18 digits."""
    return whole(number * MICRO)


def whole(micro_units: pl.Expr) -> pl.Expr:
    """An Int64 from a float, rounded half to even; null beyond 18 digits."""
    rounded = micro_units.round(0, mode="half_to_even")
    return pl.when(rounded.abs() <= _LARGEST_MICROS).then(rounded).cast(pl.Int64)


def _first(found: list[pl.Expr], dtype: pl.DataType | type[pl.DataType]) -> pl.Expr:
    return pl.coalesce(found) if found else pl.lit(None, dtype)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype.is_nested() or dtype == pl.Binary:
        return pl.lit(None, pl.String)
    stripped = pl.col(name).cast(pl.String).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _as_number(name: str, dtype: pl.DataType) -> pl.Expr:
    if not (dtype.is_numeric() or dtype == pl.String):
        return pl.lit(None, pl.Float64)
    value = pl.col(name).str.strip_chars() if dtype == pl.String else pl.col(name)
    number = value.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _as_instant(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.Datetime):
        zoned = pl.col(name).dt.convert_time_zone("UTC")
        naive = pl.col(name).dt.replace_time_zone("UTC")
        return (zoned if dtype.time_zone else naive).dt.cast_time_unit("us")
    if dtype == pl.Date:
        return pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    number = _as_number(name, dtype)
    seconds = pl.when(number.abs() >= _MILLISECONDS_FROM).then(number / 1000).otherwise(number)
    in_range = seconds.is_between(_EARLIEST_S, _LATEST_S, closed="left")
    epoch = pl.when(in_range).then(seconds * MICRO).cast(pl.Int64).cast(INSTANT.frame)
    return pl.coalesce(epoch, _from_iso(name)) if dtype == pl.String else epoch


def _from_iso(name: str) -> pl.Expr:
    """Instants of ISO-8601 texts: with T or a blank, with or without time and zone."""
    text = pl.col(name).str.strip_chars().str.replace(" ", "T", literal=True)
    timed = pl.when(text.str.len_bytes() == len("2026-01-31")).then(text + "T00:00:00")
    zoned = pl.coalesce(timed, text).str.replace("Z$", "+00:00")
    bare = ~zoned.str.contains(r"T.*[+-]\d{2}(:?\d{2})?$")
    with_zone = pl.when(bare).then(zoned + "+00:00").otherwise(zoned)
    normal = with_zone.str.replace(r"([+-]\d{2})$", "${1}:00")
    return normal.str.to_datetime(_ISO, time_unit="us", strict=False)


def _as_flag(name: str, dtype: pl.DataType) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col(name)
    if dtype.is_numeric():
        return pl.col(name) != 0
    word = _as_text(name, dtype).str.to_lowercase()
    return (
        pl.when(word.is_in(_TRUE))
        .then(pl.lit(value=True))
        .when(word.is_in(_FALSE))
        .then(pl.lit(value=False))
    )


def _as_texts(name: str, dtype: pl.DataType) -> pl.Expr:
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return pl.col(name).cast(pl.List(pl.String))
    if dtype != pl.String:
        return pl.lit(None, pl.List(pl.String))
    is_list = pl.col(name).str.contains(_JSON_LIST)
    return pl.when(is_list).then(pl.col(name)).str.json_decode(pl.List(pl.String))
