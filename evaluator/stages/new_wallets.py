"""Which new wallets wait for their features, and which no longer have to be told apart.

What waits follows from the tables alone: there is no queue that could lose anybody.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from evaluator.domain import ids
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import INGEST_STATE, ON_DEMAND_OUTCOMES
from evaluator.stages import overview
from evaluator.stages.on_demand_rules import OnDemandRules
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot

DISCOVERY_DAYS = 3
"""Days of discovery that are looked at: the batch has been over all older wallets."""

_OF_HISTORY = ["proxy_wallet", "history_complete"]


@dataclass(frozen=True, slots=True)
class Pending:
    """Addresses that wait for their features, the earliest discovery first, and why none does.

    `seen` is the commit of the newest discovery that was looked at.
    """

    wallets: tuple[str, ...]
    seen: int
    fact: str


def pending(now: Snapshot, after: int, rules: OnDemandRules) -> Pending:
    """Discovered wallets without an outcome that no batch has come to.

    `after` is the commit of a discovery of which no wallet waits. Wallets discovered before the
    first features were computed are those of the bootstrap: all of them go to the batch.
    """
    seen = now.version(WALLETS)
    if seen == after:
        return Pending((), seen, f"no wallet was discovered after commit {after}")
    since = _first_features_at(now)
    if since is None:
        return Pending((), seen, "no features have been computed yet; the batch takes all wallets")
    waiting = _uncovered(now, _undecided(now, since), rules)
    texts = overview.texts_of(now, waiting["proxy_wallet"].to_list()) if waiting.height else {}
    order = sorted((at, texts[wallet]) for wallet, at in waiting.iter_rows())
    fact = f"every wallet discovered up to commit {seen} has an outcome, or is the batch's"
    return Pending(tuple(wallet for _, wallet in order), seen, fact)


def newest(now: Snapshot, limit: int) -> tuple[str, ...]:
    """Addresses discovered last whose history nobody has read, the first `limit` by address."""
    rows = now.read(WALLETS, columns=["proxy_wallet", "discovered_at"])
    known = pl.concat(
        now.read(table, columns=["proxy_wallet"]) for table in (INGEST_STATE, ON_DEMAND_OUTCOMES)
    )
    unread = rows.join(known, on="proxy_wallet", how="anti")
    last = unread.filter(pl.col("discovered_at") == pl.col("discovered_at").max())
    texts = overview.texts_of(now, last["proxy_wallet"].to_list()) if last.height else {}
    return tuple(sorted(texts.values())[:limit])


def _first_features_at(now: Snapshot) -> datetime | None:
    """When the oldest features of the batch were computed; None before there are any."""
    files = now.files(WALLET_FEATURES)
    if not files:
        return None
    oldest = min(files, key=lambda entry: entry.content_commit)
    rows = now.read(WALLET_FEATURES, partitions=[oldest.partition], columns=["computed_at"])
    first: datetime | None = rows.select(pl.col("computed_at").min()).item()
    return first


def _undecided(now: Snapshot, since: datetime) -> pl.DataFrame:
    """proxy_wallet and discovered_at of wallets discovered since then, without an outcome."""
    discovered = now.read(
        WALLETS,
        partitions=now.partitions(WALLETS)[-DISCOVERY_DAYS:],
        columns=["proxy_wallet", "discovered_at"],
        where="discovered_at > ?",
        parameters=[since],
    )
    outcomes = now.read(ON_DEMAND_OUTCOMES, columns=["proxy_wallet"])
    first = discovered.sort("discovered_at").unique("proxy_wallet", keep="first")
    return first.join(outcomes, on="proxy_wallet", how="anti")


def _uncovered(now: Snapshot, wallets: pl.DataFrame, rules: OnDemandRules) -> pl.DataFrame:
    """Without those that have a row of the batch, made of their own history since discovery."""
    if wallets.is_empty():
        return wallets
    first = wallets.select(pl.col("discovered_at").min().dt.date()).item()
    days = sorted({_day(name) for name in now.partitions(WALLET_FEATURES)})
    rows = now.read(
        WALLET_FEATURES,
        partitions=[partitions.day_window(day, rules.window_days) for day in days if day >= first],
        columns=[*_OF_HISTORY, "computed_at"],
    )
    # A row made of trades met on the way, before the wallet's own history was read, is not one.
    rows = rows.join(now.read(INGEST_STATE, columns=_OF_HISTORY), on=_OF_HISTORY, how="semi")
    newest = rows.group_by("proxy_wallet").agg(pl.col("computed_at").max())
    seen = wallets.join(newest, on="proxy_wallet").filter(
        pl.col("computed_at") >= pl.col("discovered_at")
    )
    return wallets.join(seen, on="proxy_wallet", how="anti")


def _day(partition: str) -> date:
    return date.fromisoformat(partition.removeprefix("date=").partition("/")[0])


def droppable(now: Snapshot, keys: Collection[str], rules: OnDemandRules) -> tuple[str, ...]:
    """Those of the partitions that nothing will be asked of again, in order.

    A final snapshot of the day of discovery, or of a later day, holds all that the batch knows of
    them; a wallet that still waits is kept. One that nobody discovered goes as soon as any
    snapshot is final.
    """
    final = last_final_day(now, rules)
    if final is None or not keys:
        return ()
    rows = now.read(WALLETS, columns=["proxy_wallet", "discovered_at"])
    later = rows.filter(pl.col("discovered_at").dt.date() > final)["proxy_wallet"]
    kept = set(later) | {ids.surrogate(name) for name in pending(now, 0, rules).wallets}
    return tuple(name for name in keys if ids.surrogate(name) not in kept)


def last_final_day(now: Snapshot, rules: OnDemandRules) -> date | None:
    """The newest day whose features are final; None before there is one."""
    for day in sorted({_day(name) for name in now.partitions(WALLET_FEATURES)}, reverse=True):
        where = [partitions.day_window(day, rules.window_days)]
        flags = now.read(WALLET_FEATURES, partitions=where, columns=["is_final"])["is_final"]
        if flags.len() and flags.all():
            return day
    return None
