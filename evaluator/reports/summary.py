"""What a run left behind: counts and content of every table, and the funnel."""

from dataclasses import asdict
from datetime import date
from typing import Any

from evaluator.domain.tables.registry import TABLES
from evaluator.reports.personas import funnel
from evaluator.reports.status import row_counts
from evaluator.store.snapshot import Snapshot


def tables_summary(now: Snapshot) -> dict[str, dict[str, Any]]:
    """Rows and content hash of every table; equal hashes mean equal content."""
    counts = row_counts(now)
    return {
        table.name: {"rows": counts[table.name], "content_hash": now.content_hash(table)}
        for table in TABLES
    }


def funnel_summary(now: Snapshot, day: date) -> dict[str, Any]:
    """The funnel of the run's day."""
    return asdict(funnel(now, day))
