"""Figures about a table's content that people look at, and the few rows behind each plot."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import polars as pl

from evaluator.domain.features.history import Cell
from evaluator.domain.schema import Table
from evaluator.domain.tables.history import QUARANTINE
from evaluator.store.catalog import Mode
from evaluator.store.commits import Commit
from evaluator.store.snapshot import Snapshot

SCATTER_POINTS = 2_000
"""Points in the reconciliation plot: all misses first."""

Figures = Mapping[str, int | float | str | None]

_FIGURES = {
    "markets": """
        SELECT count(*) FILTER (closed) AS closed_count,
            count(*) FILTER (payouts IS NOT NULL) AS resolved_count,
            count(DISTINCT domain) AS domain_count
        FROM markets""",
    "fills": """
        SELECT count(DISTINCT proxy_wallet) AS wallet_count,
            count(DISTINCT token_id) AS token_count,
            round(sum(notional_usdc) / 1e6, 2)::DOUBLE AS notional_usdc,
            min(filled_at)::VARCHAR AS first_fill_at, max(filled_at)::VARCHAR AS last_fill_at
        FROM fills""",
    "positions": "SELECT count(DISTINCT proxy_wallet) AS wallet_count FROM positions",
    "resolutions": "SELECT max(resolved_at)::VARCHAR AS last_resolved_at FROM resolutions",
    "closed_lots": """
        SELECT count(DISTINCT proxy_wallet) AS wallet_count,
            round(sum(realised_pnl_usdc) / 1e6, 2)::DOUBLE AS realised_pnl_usdc,
            round(sum(cost_usdc) / 1e6, 2)::DOUBLE AS closed_cost_usdc
        FROM closed_lots""",
    "open_lots": """
        SELECT count(DISTINCT proxy_wallet) AS wallet_count,
            round(sum(cost_usdc) / 1e6, 2)::DOUBLE AS open_cost_usdc
        FROM open_lots""",
    "reconciliation": """
        SELECT avg(is_match::INT) AS match_ratio,
            avg(is_match::INT) FILTER (is_clean) AS clean_match_ratio,
            count(*) FILTER (NOT is_match) AS miss_count,
            round(max(abs(error_usdc)), 2) AS largest_error_usdc
        FROM reconciliation WHERE fill_count > 0""",
    "reconciliation_events": """
        SELECT avg(is_match::INT) AS match_ratio,
            avg(is_match::INT) FILTER (is_clean) AS clean_match_ratio,
            count(*) FILTER (NOT is_match) AS miss_count,
            round(max(abs(error_usdc)), 2) AS largest_error_usdc
        FROM reconciliation_events""",
}


def figures(now: Snapshot, table: Table) -> Figures:
    """What a person wants to see of the whole table; nothing where no figure is declared."""
    query = _FIGURES.get(table.name)
    return now.stored_sql(query).row(0, named=True) if query else {}


def row_count(now: Snapshot, table: Table, partitions: Collection[str] | None = None) -> int:
    """Rows of a table or of some partitions; from the catalog where nothing is superseded."""
    files = now.files(table, partitions)
    if any(entry.mode is Mode.UPSERT for entry in files):
        return now.read(table, partitions=partitions, columns=table.key[:1]).height
    return sum(entry.rows for entry in files)


def refused_count(commit: Commit) -> int:
    """Source rows that went to quarantine, those included that lie there already."""
    return sum(change.given for change in commit.changes if change.table == QUARANTINE.name)


def miss_reasons(now: Snapshot) -> dict[str, int]:
    """Rows of `reconciliation_events` per reason."""
    rows = now.sql("SELECT reason, count(*) FROM reconciliation_events GROUP BY 1 ORDER BY 2 DESC")
    return dict(rows.iter_rows())


def market_score_counts(now: Snapshot, day: date) -> dict[str, int]:
    """market_count and selected_count of a day."""
    query = """
        SELECT count(*) AS market_count, count(*) FILTER (is_selected) AS selected_count
        FROM market_scores WHERE score_date = ?"""
    return now.stored_sql(query, [day]).row(0, named=True)


def score_histogram(now: Snapshot, cell: Cell) -> pl.DataFrame:
    """Score (lower bound of a twentieth), wallet_count; of the rankable wallets."""
    return now.stored_sql(
        """
        SELECT least(floor(wscore * 20), 19) / 20 AS score, count(*) AS wallet_count
        FROM wallet_scores WHERE score_date = ? AND window_days = ? AND is_rankable
        GROUP BY 1 ORDER BY 1""",
        [cell.day, cell.window_days],
    )


def score_figures(now: Snapshot, cell: Cell) -> Figures:
    """Rankable wallets of a cell and their best and median score."""
    query = """
        SELECT count(*) FILTER (is_rankable) AS rankable_count,
            round(max(wscore) FILTER (is_rankable), 6) AS best_score,
            round(median(wscore) FILTER (is_rankable), 6) AS median_score
        FROM wallet_scores WHERE score_date = ? AND window_days = ?"""
    return now.stored_sql(query, [cell.day, cell.window_days]).row(0, named=True)


def persona_counts(now: Snapshot, day: date) -> pl.DataFrame:
    """persona, stage, wallet_count; the most frequent first."""
    return now.stored_sql(
        """
        SELECT persona, stage, count(*) AS wallet_count FROM wallet_personas
        WHERE persona_date = ? GROUP BY ALL ORDER BY wallet_count DESC, persona""",
        [day],
    )


def reconciliation_points(now: Snapshot) -> pl.DataFrame:
    """official_pnl_usdc, pnl_usdc, reason; all misses, then some matches."""
    return now.sql(
        """
        SELECT official_pnl_usdc, pnl_usdc, reason FROM reconciliation_events
        ORDER BY is_match, proxy_wallet, event_slug LIMIT ?""",
        [SCATTER_POINTS],
    )


def texts_of(now: Snapshot, keys: Collection[int]) -> dict[int, str]:
    """What surrogates stand for."""
    known: dict[int, Any] = dict(
        now.texts().filter(pl.col("key").is_in(list(keys))).select("key", "text").iter_rows()
    )
    return known
