"""The ranking of a window, and how many wallets take no part in it and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from evaluator.domain.tables.evaluation import WALLET_PERSONAS, WALLET_SCORES
from evaluator.reports import places
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot

_SHOWN = (
    "rank",
    "proxy_wallet",
    "wscore",
    "edge",
    "consistency",
    "market_skill",
    "timing",
    "behavior",
    "support_events",
    "support_fills",
)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best wallets of a day and window."""

    day: date
    window_days: int
    is_final: bool
    wallet_count: int
    rankable_count: int
    unranked: Mapping[str, int]
    rows: pl.DataFrame


def ranking(now: Snapshot, window: int, limit: int, day: date | None = None) -> Ranking:
    """The first `limit` ranks of a day (the newest where None), each with its persona."""
    where = places.cell(now, WALLET_SCORES, window, day)
    on = date.fromisoformat(where.removeprefix("date=").partition("/")[0])
    scores = now.read(WALLET_SCORES, partitions=[where])
    personas = now.read(
        WALLET_PERSONAS, partitions=[partitions.day(on)], columns=["proxy_wallet", "persona"]
    )
    best = scores.filter(pl.col("rank") <= limit).sort("rank").select(_SHOWN)
    named = best.join(personas, on="proxy_wallet", how="left", maintain_order="left")
    reasons = scores["rank_reason"].drop_nulls().value_counts(sort=True)
    return Ranking(
        day=on,
        window_days=window,
        is_final=bool(scores["is_final"].all()),
        wallet_count=scores.height,
        rankable_count=int(scores["is_rankable"].sum()),
        unranked=dict(reasons.iter_rows()),
        rows=places.in_words(now, named, "proxy_wallet"),
    )
