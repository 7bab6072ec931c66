"""Wallets found on the markets of selected events and on the leaderboard.

What these are is in `evaluator.stages.discovery`; what becomes of the wallets is not here.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from evaluator.domain import ids
from evaluator.domain.market_scores import DiscoveryRules
from evaluator.domain.schema import INSTANT
from evaluator.domain.tables.discovery import (
    DISCOVERED_FROM,
    HOLDERS,
    LEADERBOARD,
    MARKET_SCORES,
    MARKETS,
    WALLET_SOURCES,
    WALLETS,
)
from evaluator.domain.tables.history import FILLS
from evaluator.stages.discovery import fills_to_append, require, texted, tokens_of
from evaluator.stages.discovery_answers import each, rows_of
from evaluator.stages.source import Gathered
from evaluator.store import locks, partitions
from evaluator.store.errors import mapped
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot
from evaluator.venue.quarantine import Parsed
from evaluator.venue.venue import Venue

LOCK = "discovered.lock"
"""Lock file under `locks` held while known wallets are read and new ones added.

The lock of a day's partition cannot tell that another day's has the wallet: two passes around
midnight would add it twice.
"""

_NAMED = {"proxy_wallet": pl.String(), "source": DISCOVERED_FROM.frame, "condition_id": pl.String()}


@dataclass(frozen=True, slots=True)
class Discovered(Gathered):
    """What a pass has found: `new_wallets` are those added by it, `counts` those named, by source.

    `markets_searched` is the number of selected markets whose feeds were read.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    markets_searched: int = 0


async def discover_wallets(
    lake: Lake, venue: Venue, day: date, rules: DiscoveryRules, *, at_once: asyncio.Semaphore
) -> Discovered:
    """Append wallets never seen on any day, every (wallet, source), and the trades read.

    Sources: the day's holders of selected markets, wallets with enough trades in these markets'
    recent feeds, the day's leaderboard; the first in this order is the wallet's own, in its
    market of the best event, then of the best score. A feed that cannot be read costs only
    its market. Raises NotThereError without the day's scores.
    """
    at = venue.now()
    with lake.snapshot() as now:
        asked = _selected(now, day)["condition_id"].to_list()
    answers = await each(
        asked, lambda market: venue.market_trades(market, max_pages=rules.feed_pages), at_once
    )
    found = [walk.found for _, walk in answers.given]
    with _alone(lake), lake.snapshot() as now:
        sources = _sources(now, day, _traders(found, rules))
        added = _unknown(now, sources.unique("proxy_wallet", keep="first", maintain_order=True))
        fresh, fills = fills_to_append(now, found)
        commit = lake.commit(
            append={
                (WALLETS, partitions.day(day)): _wallets(added, at),
                (WALLET_SOURCES, partitions.SINGLE): _wallet_sources(sources, at),
                **fills,
            },
            what="wallets",
        )
    return Discovered(
        commit=commit,
        new_fills=fresh,
        new_wallets=tuple(added["proxy_wallet"].sort()),
        problems=answers.problems,
        counts={code: sources.filter(source=code).height for code in DISCOVERED_FROM.codes},
        markets_searched=len(found),
    )


@contextmanager
def _alone(lake: Lake) -> Iterator[None]:
    """While no other pass adds wallets."""
    path = lake.root / "locks" / LOCK
    with mapped(path), locks.held(path, deadline_s=lake.folder.lock_deadline_s):
        yield


def _selected(now: Snapshot, day: date) -> pl.DataFrame:
    """Markets of selected events, the best first: condition_id as text, and its place."""
    require(now, MARKET_SCORES, day)
    columns = ["condition_id", "event_rank", "mscore", "is_selected"]
    rows = now.read(MARKET_SCORES, partitions=[partitions.day(day)], columns=columns)
    markets = texted(now, rows.filter("is_selected"), "condition_id")
    best = markets.sort("event_rank", "mscore", "condition_id", descending=[False, True, False])
    return best.select("condition_id").with_row_index("place")


def _sources(now: Snapshot, day: date, traders: pl.DataFrame) -> pl.DataFrame:
    """One row per wallet and source, its market the best that named it; first sources first."""
    selected = _selected(now, day)
    named = pl.concat([_holders(now, day, selected), traders, _leaders(now, day)])
    placed = named.join(selected, on="condition_id", how="left")
    order = placed.sort("source", "place", "proxy_wallet", nulls_last=True)
    return order.unique(["proxy_wallet", "source"], keep="first", maintain_order=True)


def _holders(now: Snapshot, day: date, selected: pl.DataFrame) -> pl.DataFrame:
    where = [partitions.day(day)]
    rows = now.read(HOLDERS, partitions=where, columns=["token_id", "proxy_wallet"])
    markets = now.read(MARKETS, partitions=where, columns=["condition_id", "token_ids"])
    keys = selected.select("condition_id", ids.surrogates(selected["condition_id"]).alias("key"))
    searched = markets.rename({"condition_id": "key"}).join(keys, on="key", how="inner")
    held = rows.join(tokens_of(searched), on="token_id", how="inner")
    return _named(texted(now, held, "proxy_wallet"), "HOLDER")


def _traders(found: list[Parsed], rules: DiscoveryRules) -> pl.DataFrame:
    """Wallets with enough trades in one market's feed."""
    trades = rows_of(FILLS, found)
    counts = trades.group_by("condition_id", "proxy_wallet").len()
    return _named(counts.filter(pl.col("len") >= rules.min_recent_trades), "TRADER_RECENT")


def _leaders(now: Snapshot, day: date) -> pl.DataFrame:
    rows = now.read(LEADERBOARD, partitions=[partitions.day(day)], columns=["proxy_wallet"])
    unplaced = rows.with_columns(pl.lit(None, pl.String).alias("condition_id"))
    return _named(texted(now, unplaced, "proxy_wallet"), "LEADERBOARD")


def _named(rows: pl.DataFrame, source: str) -> pl.DataFrame:
    named = rows.with_columns(pl.lit(source).alias("source"))
    return named.select(pl.col(name).cast(dtype) for name, dtype in _NAMED.items()).unique()


def _unknown(now: Snapshot, wallets: pl.DataFrame) -> pl.DataFrame:
    """Wallets that no partition of `wallets` has."""
    known = now.read(WALLETS, columns=["proxy_wallet"]).rename({"proxy_wallet": "key"})
    keyed = wallets.with_columns(ids.surrogates(wallets["proxy_wallet"]).alias("key"))
    return keyed.join(known, on="key", how="anti", maintain_order="left")


def _wallets(added: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return added.select(
        "proxy_wallet",
        pl.col("source").alias("discovered_from"),
        pl.lit(at).cast(INSTANT.frame).alias("discovered_at"),
        pl.col("condition_id").alias("discovered_in_market"),
    )


def _wallet_sources(sources: pl.DataFrame, at: datetime) -> pl.DataFrame:
    return sources.select("proxy_wallet", "source", pl.lit(at).cast(INSTANT.frame).alias("seen_at"))
