"""Writes a synthetic history straight into a lake, bucket by bucket; keeps it for the next time."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from bench.trades import bucket_fills
from bench.world import DOMAINS, Markets, Size, markets, wallets
from evaluator.domain.schema import MICRO
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import FILLS, INGEST_STATE
from evaluator.stages import history, ingest
from evaluator.store import partitions
from evaluator.store.lake import Lake

CATALOG = "catalog.sqlite"
EVERY_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands for clock readings, so that a history is the same whenever it is made."""


def history_lake(size: Size, home: Path, say: Callable[[str], None] = print) -> Path:
    """Folder of a lake with the history; the one that is there already if it has this size."""
    root = home / f"history-{size.wallets}x{size.fills}-{size.key}"
    if root.exists():
        say(f"history is there: {root}")
        return root
    aside = root.with_name(f"{root.name}.{os.getpid()}.part")
    started = time.perf_counter()
    try:
        _write(size, Lake(aside), say)
        aside.rename(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    say(f"history of {size.fills:,} fills in {time.perf_counter() - started:.1f} s: {root}")
    return root


def working_copy(root: Path, into: Path) -> Path:
    """The lake again, for stages to write into: data files, which never change, as hard links."""
    shutil.copytree(root, into, copy_function=_link, ignore=shutil.ignore_patterns(f"{CATALOG}*"))
    with (
        closing(sqlite3.connect(root / CATALOG)) as source,
        closing(sqlite3.connect(into / CATALOG)) as target,
    ):
        source.backup(target)
    return into


def _link(source: str, target: str) -> None:
    if source.endswith(".duckdb"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _write(size: Size, lake: Lake, say: Callable[[str], None]) -> None:
    cast, places = wallets(size), markets(size)
    lake.commit(
        replace={(MARKETS, partitions.day(size.last_day)): _market_rows(size, places)},
        texts=[pl.Series(cast.text), pl.Series(places.token_text)],
        what="markets",
    )
    ingest.publish_resolutions(lake)
    states = []
    for number in history.ALL_BUCKETS:
        fills = bucket_fills(size, cast, places, number)
        lake.commit(append={(FILLS, partitions.bucket(number)): fills}, what="fills")
        states.append(_ingest_state(fills))
        say(f"  bucket {number}: {fills.height:,} fills")
    lake.commit(upsert={(INGEST_STATE, partitions.SINGLE): pl.concat(states)}, what="state")


def _market_rows(size: Size, cast: Markets) -> pl.DataFrame:
    count = len(cast.condition)
    is_closed = cast.resolves_at < size.end_s
    first = np.where(cast.is_split, 0.5, cast.wins_first.astype(np.float64))
    is_known = is_closed & ~cast.is_unknown
    pairs = pl.Series(cast.token_text).reshape((count, 2)).arr.to_list()
    return pl.DataFrame(
        {
            "snapshot_date": pl.repeat(size.last_day, count, dtype=pl.Date, eager=True),
            "condition_id": cast.condition,
            "question": [f"Does event {event} end in {n}?" for n, event in enumerate(cast.event)],
            "slug": [f"event-{event}-market-{n}" for n, event in enumerate(cast.event)],
            "event_slug": [f"event-{event}" for event in cast.event],
            "domain": [DOMAINS[number] for number in cast.domain],
            "end_at": _instants(cast.ends_at),
            "outcomes": [["Yes", "No"]] * count,
            "token_ids": pairs,
            "closed": is_closed,
            "resolved_at": _instants(cast.resolves_at),
            "first": first,
            "is_known": is_known,
            "fee_rate": cast.fee_rate,
            "tick": cast.tick,
        }
    ).with_columns(
        pl.when("is_known").then("resolved_at").alias("resolved_at"),
        pl.when("is_known").then(pl.concat_list("first", 1 - pl.col("first"))).alias("payouts"),
        *(
            pl.lit(None, pl.Float64).alias(name)
            for name in ("liquidity_usdc", "volume_24h_usdc", "volume_usdc", "fee_exponent")
        ),
        pl.lit(value=False).alias("neg_risk"),
        pl.lit(EVERY_DAY).cast(pl.Datetime("us", "UTC")).alias("first_seen_at"),
    ).select(MARKETS.schema.names())  # fmt: skip


def _instants(seconds: np.ndarray) -> pl.Series:
    return pl.Series(seconds * MICRO).cast(pl.Datetime("us", "UTC"))


def _ingest_state(fills: pl.DataFrame) -> pl.DataFrame:
    at = pl.col("filled_at")
    return fills.group_by("proxy_wallet").agg(
        at.min().alias("oldest_at"),
        at.max().alias("newest_at"),
        pl.lit(None, pl.String).alias("cursor"),
        pl.lit(value=True).alias("history_complete"),
        pl.lit(EVERY_DAY).cast(pl.Datetime("us", "UTC")).alias("ingested_at"),
    ).sort("proxy_wallet").select(INGEST_STATE.schema.names())  # fmt: skip
