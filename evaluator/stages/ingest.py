"""From a source to the tables of history: markets, resolutions, fills, official positions."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from evaluator.domain import ids, markets
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import (
    FILLS,
    INGEST_STATE,
    POSITIONS,
    QUARANTINE,
    RESOLUTIONS,
)
from evaluator.stages import history, parts
from evaluator.store import partitions
from evaluator.store.commits import Commit
from evaluator.store.lake import Lake
from evaluator.venue.archive import Archive


def ingest_markets(lake: Lake, archive: Archive, day: date) -> Commit:
    """Replace the day's partition of `markets`."""
    parsed = archive.read_markets()
    rows = parsed.rows.with_columns(pl.lit(day).alias("snapshot_date"))
    return lake.commit(
        replace={(MARKETS, partitions.day(day)): rows},
        append={(QUARANTINE, partitions.SINGLE): parsed.quarantine},
        what="markets",
    )


def ingest_fills(
    lake: Lake, archive: Archive, buckets: Sequence[int] = history.ALL_BUCKETS
) -> Commit:
    """Append fills that are not there, with the state of ingestion and what was refused."""
    parsed = archive.read_fills()
    state = [rows for _, rows in parts.by_bucket(archive.read_ingest_state(), buckets)]
    return lake.commit(
        append={
            **{(FILLS, where): rows for where, rows in parts.by_bucket(parsed.rows, buckets)},
            (QUARANTINE, partitions.SINGLE): parsed.quarantine,
        },
        upsert={(INGEST_STATE, partitions.SINGLE): pl.concat(state)},
        what="fills",
    )


def ingest_positions(
    lake: Lake, archive: Archive, buckets: Sequence[int] = history.ALL_BUCKETS
) -> Commit:
    """Upsert the venue's own numbers, as of the archive's last day."""
    parsed = archive.read_positions()
    return lake.commit(
        upsert={(POSITIONS, where): part for where, part in parts.by_bucket(parsed.rows, buckets)},
        append={(QUARANTINE, partitions.SINGLE): parsed.quarantine},
        what="positions",
    )


def publish_resolutions(lake: Lake) -> Commit:
    """Upsert the payouts of closed markets, as the newest `markets` rows say.

    The instant of a resolution stays as first read, unless its payout changes.
    """
    with lake.snapshot() as now:
        known = markets.tokens(now.scan(MARKETS)).collect()
        published = now.read(RESOLUTIONS, columns=["token_id", "payout"])
        resolved = known.filter(
            pl.col("payout").is_not_null() & pl.col("resolved_at").is_not_null()
        ).join(published, on=["token_id", "payout"], how="anti")
        rows = resolved.select(RESOLUTIONS.schema.names())
        return lake.commit(
            upsert={(RESOLUTIONS, partitions.SINGLE): rows} if rows.height else {},
            texts=[resolved["token_text"], ids.resolution_ref("") + resolved["token_text"]],
            what="resolutions",
        )
