"""Rules that refuse rows or parts of them, and what remains of a source once they are applied.

Nothing is dropped silently: a refused row goes to `quarantine` with the rule's name and its raw
payload, and every reader returns what it kept, what it refused and how many of each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from evaluator.domain.ids import surrogates
from evaluator.domain.schema import ID, Table
from evaluator.domain.tables.history import QUARANTINE

ROW = "source_row"
"""Number of a row in its source, which leads back to the raw payload."""

Payloads = pl.DataFrame
"""Raw rows as JSON: columns `source_row` and `payload`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when `broken` holds, the row is refused, or only the part it speaks of.

    A refused part has been read as null already; the rule only records it.
    """

    name: str
    broken: pl.Expr
    is_row_refused: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows a source had and what became of them."""

    rows_read: int = 0
    duplicates: int = 0
    possible_undercount: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)

    @property
    def quarantined_count(self) -> int:
        """Refused rows and parts, over all rules."""
        return sum(self.quarantined.values())


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a source gave: good rows in the declared columns, refused ones, and counts.

    Ids are texts in `rows`; the lake replaces them by surrogates and keeps the texts.
    """

    rows: pl.DataFrame
    quarantine: pl.DataFrame
    counts: Counts


@dataclass(frozen=True, slots=True)
class Sifted:
    """Rows that no rule refuses, and one (`source_row`, `rule`) per broken rule."""

    good: pl.DataFrame
    broken: pl.DataFrame


def sift(rows: pl.DataFrame, rules: Iterable[Rule]) -> Sifted:
    """Separate rows by rules; an expression that is null does not break its rule."""
    listed = tuple(rules)
    flags = rows.select(rule.broken.fill_null(value=False).alias(rule.name) for rule in listed)
    broken = [
        rows.select(ROW).filter(flags[rule.name]).with_columns(rule=pl.lit(rule.name))
        for rule in listed
        if flags[rule.name].any()
    ]
    refusing = [pl.col(rule.name) for rule in listed if rule.is_row_refused]
    is_refused = flags.select(pl.any_horizontal(refusing)).to_series()
    empty = pl.DataFrame(schema={ROW: rows.schema[ROW], "rule": pl.String})
    return Sifted(rows.filter(~is_refused), pl.concat([empty, *broken]))


def quarantine(
    broken: pl.DataFrame, payloads: Payloads, *, source: str, seen_at: datetime
) -> pl.DataFrame:
    """The `quarantine` rows of what rules refused; equal payloads are numbered."""
    keyed = broken.join(payloads, on=ROW).sort("rule", "payload")
    number = pl.int_range(pl.len()).over("rule", "payload")
    digest = pl.col("payload").map_batches(surrogates, return_dtype=pl.Int64)
    rows = keyed.with_columns(
        row_key=pl.format("{}-{}", digest, number),
        source=pl.lit(source),
        seen_at=pl.lit(seen_at),
    )
    return conform(rows, QUARANTINE)


def counted(broken: pl.DataFrame) -> dict[str, int]:
    """Number of rows by rule, in the order of names."""
    by_rule = broken.group_by("rule").len().sort("rule")
    return dict(by_rule.iter_rows())


def conform(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """The declared columns of a table in their frame types, ids as texts."""
    return rows.select(pl.col(name).cast(dtype) for name, dtype in _texted(table).items())


def no_rows(table: Table) -> pl.DataFrame:
    """An empty frame of a table, ids as texts."""
    return pl.DataFrame(schema=_texted(table))


def _texted(table: Table) -> pl.Schema:
    """Frame types of a table, ids as texts."""
    return pl.Schema(
        {
            column.name: pl.String() if column.dtype is ID else column.dtype.frame
            for column in table.columns
        }
    )


def together(parts: Iterable[Counts]) -> Counts:
    """Counts of several files as one."""
    listed = tuple(parts)
    names = sorted({name for part in listed for name in part.quarantined})
    return Counts(
        rows_read=sum(part.rows_read for part in listed),
        duplicates=sum(part.duplicates for part in listed),
        possible_undercount=sum(part.possible_undercount for part in listed),
        quarantined={name: sum(part.quarantined.get(name, 0) for part in listed) for name in names},
    )
