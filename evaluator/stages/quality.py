"""What the asset checks look at: keys, nulls, finite values, completeness, age of the fills."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from evaluator.domain.features.history import Cell
from evaluator.domain.schema import FLOAT, FLOATS, MICRO, Table
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_PERSONAS
from evaluator.domain.tables.history import FILLS
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.stages import history
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot

EXAMPLES = 5
"""Wallets named where some are missing."""

MOST_ERRORS = 0.2
"""Share of failed requests up to which the venue counts as well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw: whether all is well, and the figures behind that."""

    is_ok: bool
    figures: Mapping[str, int | float | str]


def unique_key(now: Snapshot, table: Table, where: Collection[str] | None = None) -> Finding:
    """No two rows of a partition share the key; keys of two partitions differ by declaration."""
    repeated = sum(
        rows.height - rows.n_unique()
        for rows in (
            now.read(table, partitions=[name], columns=table.key)
            for name in _written(now, table, where)
        )
    )
    return Finding(repeated == 0, {"duplicate_count": repeated})


def declared_nulls(now: Snapshot, table: Table, where: Collection[str] | None = None) -> Finding:
    """Columns declared never null have no null."""
    names = [column.name for column in table.columns if not column.null]
    counts = now.scan(table, partitions=where, columns=names).null_count().collect()
    found = {name: counts[name].item() for name in names if counts[name].item()}
    return Finding(not found, {"null_count": sum(found.values()), **found})


def finite_values(now: Snapshot, table: Table, where: Collection[str] | None = None) -> Finding:
    """No number is infinite or not a number: undefined is null."""
    single = [column.name for column in table.columns if column.dtype == FLOAT]
    lists = [column.name for column in table.columns if column.dtype == FLOATS]
    counts = (
        now.scan(table, partitions=where, columns=[*single, *lists])
        .select(
            *((~pl.col(name).is_finite()).sum().alias(name) for name in single),
            *(
                pl.col(name).list.eval(~pl.element().is_finite()).list.sum().sum().alias(name)
                for name in lists
            ),
        )
        .collect()
    )
    found = {name: counts[name].item() for name in counts.columns if counts[name].item()}
    return Finding(not found, {"not_finite_count": sum(found.values()), **found})


def venue_errors(now: Snapshot, since: datetime) -> Finding:
    """At most `MOST_ERRORS` of the requests sent since then failed; well where none was sent."""
    counts = now.stored_sql(
        """
        SELECT coalesce(sum(request_count), 0)::BIGINT AS request_count,
            coalesce(sum(request_count) FILTER (status <> '200'), 0)::BIGINT AS failed_count
        FROM venue_requests WHERE ended_at >= ?""",
        [since],
    ).row(0, named=True)
    share = counts["failed_count"] / counts["request_count"] if counts["request_count"] else 0.0
    return Finding(share <= MOST_ERRORS, {**counts, "failed_ratio": round(share, 4)})


def has_numbers(table: Table) -> bool:
    """Whether `finite_values` has a column to look at."""
    return any(column.dtype in (FLOAT, FLOATS) for column in table.columns)


def window_completeness(now: Snapshot, cell: Cell) -> Finding:
    """Every wallet with a fill, a close or an open position above 1 USDC has a row."""
    where = [partitions.day_window(cell.day, cell.window_days)]
    have = now.read(WALLET_FEATURES, partitions=where, columns=["proxy_wallet"])
    missing = pl.concat(
        _must_have_a_row(now, partitions.bucket(number), cell).join(
            have, on="proxy_wallet", how="anti"
        )
        for number in history.ALL_BUCKETS
    )
    figures = {"wallet_count": have.height, "missing_count": missing.height}
    return Finding(missing.is_empty(), {**figures, **_examples(now, missing)})


def persona_completeness(now: Snapshot, day: date) -> Finding:
    """Every wallet discovered, or with a fill, before the day's end has exactly one verdict."""
    as_of = Cell(day, 1).as_of
    have = now.read(WALLET_PERSONAS, partitions=[partitions.day(day)], columns=["proxy_wallet"])
    known = pl.concat(
        now.read(table, columns=["proxy_wallet"], where=f"{at} < ?", parameters=[as_of])
        for table, at in ((FILLS, "filled_at"), (WALLETS, "discovered_at"))
    )
    missing = known.unique().join(have, on="proxy_wallet", how="anti")
    figures = {
        "wallet_count": have.height,
        "missing_count": missing.height,
        "duplicate_count": have.height - have.n_unique(),
    }
    is_ok = missing.is_empty() and not figures["duplicate_count"]
    return Finding(is_ok, {**figures, **_examples(now, missing)})


def newest_fill(now: Snapshot) -> datetime | None:
    """Instant of the newest fill; None without one."""
    row: tuple[datetime | None] = now.stored_sql("SELECT max(filled_at) FROM fills").row(0)
    return row[0]


def repeated_fills(now: Snapshot) -> Finding:
    """Fills that agree in all but their number: real where one order met several, or repeats."""
    query = """
        SELECT count(*) FILTER (ordinal > 0) AS equal_count, count(*) AS fill_count FROM fills"""
    figures = now.stored_sql(query).row(0, named=True)
    share = figures["equal_count"] / max(figures["fill_count"], 1)
    return Finding(share <= REPEATED_SHARE, figures | {"equal_ratio": round(share, 6)})


REPEATED_SHARE = 0.01
"""Above it, equal fills are more likely repeats of a faulty reading."""


def coverage(now: Snapshot) -> Finding:
    """How much of what wallets sold their own lots explain, over all wallets with sales."""
    query = """
        WITH closed AS (
            SELECT proxy_wallet, sum(size_shares) AS shares FROM closed_lots
            WHERE close_kind = 0 GROUP BY 1
        ), sold AS (
            SELECT proxy_wallet, sum(size_shares) AS shares FROM fills WHERE side = 1 GROUP BY 1
        ), ratio AS (
            SELECT least(coalesce(closed.shares, 0) / sold.shares, 1) AS explained
            FROM sold LEFT JOIN closed USING (proxy_wallet) WHERE sold.shares > 0
        )
        SELECT count(*) AS wallet_count,
            count(*) FILTER (explained < 0.95) AS below_095_count,
            coalesce(quantile_cont(explained, 0.01), 1) AS quantile_01,
            coalesce(quantile_cont(explained, 0.05), 1) AS quantile_05,
            coalesce(median(explained), 1) AS median
        FROM ratio"""
    figures = now.stored_sql(query).row(0, named=True)
    return Finding(figures["quantile_05"] >= COVERED, figures)


COVERED = 0.95
"""Coverage that all but a twentieth of the wallets should reach."""


def _must_have_a_row(now: Snapshot, bucket: str, cell: Cell) -> pl.DataFrame:
    """Wallets active in the cell, as fills and lots say."""
    inside = {"partitions": [bucket], "columns": ["proxy_wallet"]}
    span = [cell.start, cell.as_of]
    cost = {"partitions": [bucket], "columns": ["proxy_wallet", "token_id", "cost_usdc"]}
    held = pl.concat(
        [
            now.read(OPEN_LOTS, **cost, where="opened_at < ?", parameters=[cell.as_of]),
            now.read(
                CLOSED_LOTS, **cost, where="opened_at < ? AND closed_at >= ?",
                parameters=[cell.as_of, cell.as_of],
            ),
        ]
    )  # fmt: skip
    positions = held.group_by("proxy_wallet", "token_id").agg(pl.col("cost_usdc").sum())
    return pl.concat(
        [
            now.read(FILLS, **inside, where=_SPAN.format("filled_at"), parameters=span),
            now.read(CLOSED_LOTS, **inside, where=_SPAN.format("closed_at"), parameters=span),
            positions.filter(pl.col("cost_usdc") > MICRO).select("proxy_wallet"),
        ]
    ).unique()


_SPAN = "{0} >= ? AND {0} < ?"


def _written(now: Snapshot, table: Table, where: Collection[str] | None) -> list[str]:
    return [name for name in now.partitions(table) if where is None or name in where]


def _examples(now: Snapshot, wallets: pl.DataFrame) -> dict[str, str]:
    if wallets.is_empty():
        return {}
    keys = wallets["proxy_wallet"].sort().head(EXAMPLES)
    texts = now.texts().filter(pl.col("key").is_in(keys.to_list()))
    return {"examples": ", ".join(texts["text"].sort())}
