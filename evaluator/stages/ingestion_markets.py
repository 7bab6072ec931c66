"""Markets that fills and movements mention and nobody has listed, or whose end has passed.

Discovery lists open markets; these are the ones that the ledger waits for.
"""

import asyncio
from datetime import date, datetime

from evaluator.domain import ids
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import QUARANTINE
from evaluator.stages import gathering
from evaluator.stages.discovery import MARKETS_AT_ONCE, as_first_seen, texted
from evaluator.stages.discovery_answers import refusals_of, rows_of
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.source import Gathered
from evaluator.store import partitions
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.venue import Venue

_MISSING = """
    WITH newest AS (
        SELECT condition_id, end_at, payouts IS NOT NULL AND resolved_at IS NOT NULL AS is_resolved
        FROM markets
        QUALIFY row_number() OVER (PARTITION BY condition_id ORDER BY snapshot_date DESC) = 1
    ), touched AS (
        SELECT condition_id, max(moment) AS last_at FROM (
            SELECT condition_id, filled_at AS moment FROM fills
            UNION ALL SELECT condition_id, happened_at FROM activity
        ) AS moves WHERE condition_id IS NOT NULL GROUP BY condition_id
    )
    SELECT condition_id FROM touched LEFT JOIN newest USING (condition_id)
    WHERE is_resolved IS NULL OR (NOT is_resolved AND end_at <= ?)
    ORDER BY is_resolved IS NULL DESC, last_at DESC, condition_id"""
_FIRST_SEEN = """
    SELECT condition_id, min(first_seen_at) AS seen FROM markets
    WHERE condition_id IN (SELECT unnest(CAST(? AS BIGINT[]))) GROUP BY condition_id"""


async def read_missing_markets(
    lake: Lake, venue: Venue, day: date, rules: IngestionRules
) -> Gathered:
    """Upsert the missing markets into the day's `markets`: unknown ones, then the newest traded.

    One that the venue does not know stays missing and is asked for again.
    """
    with lake.snapshot() as now:
        missing = _missing(now, venue.now())
    asked = missing[: rules.markets_per_pass]
    answers = await gathering.answers_by_chunk(
        asked, lambda chunk: venue.markets(day, chunk), MARKETS_AT_ONCE, rules.concurrency
    )
    found = [parsed for _, parsed in answers.given]
    with lake.snapshot() as now:
        rows = rows_of(MARKETS, found)
        keys = ids.surrogates(rows["condition_id"]).to_list()
        rows = as_first_seen(rows, now.stored_sql(_FIRST_SEEN, [keys]))
    refused = refusals_of(found)
    commit = await asyncio.to_thread(
        lake.commit,
        upsert={(MARKETS, partitions.day(day)): rows} if rows.height else {},
        append={(QUARANTINE, partitions.SINGLE): refused} if refused.height else {},
        what="missing markets",
    )
    left_count = len(missing) - len(asked)
    return gathering.read_of(commit, answers.problems, left_count=left_count, what="markets")


def _missing(now: Snapshot, at: datetime) -> list[str]:
    """Texts of the missing markets."""
    keys = now.stored_sql(_MISSING, [at])
    return texted(now, keys, "condition_id")["condition_id"].drop_nulls().to_list()
