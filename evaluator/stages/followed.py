"""Which tokens market data is read for, the newest activity first.

Those of selected events, those that known wallets traded lately, and those they still hold.
"""

from datetime import datetime, timedelta

import polars as pl

from evaluator.domain.tables.discovery import MARKET_SCORES
from evaluator.stages import history
from evaluator.stages.discovery import texted
from evaluator.store.snapshot import Snapshot

_TRADED = """
    WITH tracked AS (SELECT proxy_wallet FROM wallets)
    SELECT token_id FROM fills
    WHERE filled_at >= ? AND filled_at < ? AND proxy_wallet IN (SELECT proxy_wallet FROM tracked)
    UNION
    SELECT token_id FROM open_lots WHERE proxy_wallet IN (SELECT proxy_wallet FROM tracked)"""
_ACTIVITY = """
    SELECT token_id, any_value(condition_id) AS condition_id,
        min(filled_at) AS first_fill_at, max(filled_at) AS last_fill_at
    FROM fills WHERE filled_at < ? AND token_id IN (SELECT unnest(CAST(? AS BIGINT[])))
    GROUP BY token_id"""


def tokens(now: Snapshot, end: datetime, traded_within: timedelta) -> pl.DataFrame:
    """One row per followed token, the newest fill first, tokens without any last.

    Columns token_text, event (text, null where the market has none), first_fill_at and
    last_fill_at (by anyone, before `end`), is_resolved (before `end`).
    """
    known = history.tokens(now).select(
        "token_id", "token_text", "condition_id", "event_slug", "payout", "resolved_at"
    )
    traded = now.stored_sql(_TRADED, [end - traded_within, end])
    keys = pl.concat([traded, _selected(now, known)]).unique("token_id")
    filled = now.stored_sql(_ACTIVITY, [end, keys["token_id"].to_list()])
    rows = (
        keys.join(filled.drop("condition_id"), on="token_id", how="left")
        .join(known, on="token_id", how="left")
        .with_columns(
            is_resolved=(pl.col("payout").is_not_null() & (pl.col("resolved_at") < end)).fill_null(
                value=False
            ),
            event=pl.when(pl.col("event_slug") != pl.col("condition_id")).then("event_slug"),
            # A token of a market that nobody has listed yet is known from its fills alone.
            token_text=pl.coalesce("token_text", texted(now, keys, "token_id")["token_id"]),
        )
        .with_columns(pl.col("first_fill_at", "last_fill_at").dt.convert_time_zone("UTC"))
    )
    ordered = texted(now, rows, "event").sort(
        "last_fill_at", "token_text", descending=[True, False], nulls_last=True
    )
    return ordered.select(
        "token_id", "token_text", "event", "first_fill_at", "last_fill_at", "is_resolved"
    )


def _selected(now: Snapshot, known: pl.DataFrame) -> pl.DataFrame:
    """Tokens of the markets of selected events, as of the newest scores."""
    newest = now.partitions(MARKET_SCORES)[-1:]
    chosen = now.read(
        MARKET_SCORES, partitions=newest, columns=["condition_id"], where="is_selected"
    )
    return known.join(chosen, on="condition_id", how="semi").select("token_id")
