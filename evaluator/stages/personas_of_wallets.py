"""Verdicts of a day on some wallets: these alone are judged, every other row stays.

Clusters come from all wallets; a wallet that is not among these, but whose cluster has grown
or gone, is judged anew by the next run over all.
"""

from dataclasses import dataclass
from datetime import date

import polars as pl

from evaluator.domain import ids
from evaluator.domain.errors import TransientError
from evaluator.domain.features.career import career
from evaluator.domain.features.history import Bucket, Cell
from evaluator.domain.personas.verdicts import Verdicts
from evaluator.domain.tables.discovery import WALLETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES, WALLET_FEATURES_ON_DEMAND
from evaluator.domain.tables.history import FILLS
from evaluator.stages import due, history, some_wallets
from evaluator.stages.personas import Judge, ShardResult, dated, isolated, with_careers
from evaluator.stages.stamp import Stamp
from evaluator.store import partitions
from evaluator.store.commits import Commit, Upsert
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot


class OutdatedVerdictsError(TransientError):
    """All wallets of the day were judged while some of them were."""

    code = "outdated_verdicts"
    hint = "nothing is lost: the verdicts on all wallets stand; run it again for newer ones"

    def __init__(self, day: date) -> None:
        super().__init__(f"verdicts on all wallets of {day} are newer than these on some")


@dataclass(frozen=True, slots=True)
class Selection:
    """The wallets of a run that judges only some, by address, and whether it may compute rows."""

    wallets: tuple[str, ...]
    takes_rows_only: bool = False

    def keys(self) -> pl.DataFrame:
        """Surrogates in `proxy_wallet`, each once, in order."""
        addresses = pl.Series("proxy_wallet", self.wallets, dtype=pl.String)
        return ids.surrogates(addresses).unique().sort().to_frame()


def classify_wallets(now: Snapshot, day: date, some: Selection, judge: Judge) -> ShardResult:
    """Verdicts of some wallets, as if of all; unknown wallets get none.

    Where rows are only taken, a wallet without a row that is still right gets none either.
    """
    cell = Cell(day, judge.rules.window_days)
    wallets = _existing(now, some.keys(), cell)
    bucket = some_wallets.history_of(now, wallets["proxy_wallet"], history.tokens(now))
    careers = career(bucket, cell).collect()
    if some.takes_rows_only:
        published = _taken(now, cell, wallets, judge, _own_fills(bucket, cell))
        wallets = wallets.join(published, on="proxy_wallet", how="semi")
    else:
        published = _batch(now, cell, wallets, judge).filter(history.is_current(now, cell))

    def verdicts(asked: pl.DataFrame) -> Verdicts:
        known = published.join(asked, on="proxy_wallet", how="semi")
        missing = asked.join(known, on="proxy_wallet", how="anti")
        computed = some_wallets.rows(now, missing, cell) if missing.height else known.clear()
        return judge.verdicts(with_careers(known, computed, careers))

    judged, failures = isolated(wallets, verdicts)
    return ShardResult(history.ALL_BUCKETS, judged, tuple(failures))


def publish(lake: Lake, day: date, result: ShardResult, stamp: Stamp, base: Snapshot) -> Commit:
    """Publish the verdicts on some wallets together; every other wallet's rows stay.

    What a wallet has no longer, such as a trait, goes; a wallet that failed loses its verdict.
    Raises OutdatedVerdictsError where all wallets were judged since `base`.
    """
    with lake.snapshot() as now:
        if due.of_all_wallets(now, day) > base.commit_id:
            raise OutdatedVerdictsError(day)
    failed = pl.Series(
        "proxy_wallet", [each.proxy_wallet for each in result.failures], dtype=pl.Int64
    )
    judged = pl.concat([result.verdicts.personas["proxy_wallet"], failed]).to_frame("proxy_wallet")
    if judged.is_empty():
        return lake.commit(what="personas of no wallet")
    return lake.commit(
        upsert={
            place: Upsert(frame, judged)
            for place, frame in dated(result.verdicts, day, stamp).items()
        },
        what="personas of some wallets",
    )


_OWN = ("proxy_wallet", "inputs_watermark", "fill_count")
"""What tells whether a row has seen all fills of its wallet."""


def _own_fills(bucket: Bucket, cell: Cell) -> pl.DataFrame:
    """`_OWN` as the wallets' fills say now."""
    at = pl.col("filled_at")
    in_window = (at >= cell.start) & (at < cell.as_of)
    return (
        bucket.fills.filter(at < cell.as_of)
        .group_by("proxy_wallet")
        .agg(
            at.max().alias("inputs_watermark"),
            in_window.sum().cast(pl.Int64).alias("fill_count"),
        )
        .select(_OWN)
    )


def _batch(now: Snapshot, cell: Cell, wallets: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """Rows of the batch, of this code and configuration."""
    wanted = history.among("proxy_wallet", wallets["proxy_wallet"])
    where = [partitions.day_window(cell.day, cell.window_days)]
    return now.read(WALLET_FEATURES, partitions=where, **wanted).filter(judge.is_ours())


def _taken(
    now: Snapshot, cell: Cell, wallets: pl.DataFrame, judge: Judge, own_fills: pl.DataFrame
) -> pl.DataFrame:
    """Rows that have seen all fills of their wallet: the batch's, else those made on demand.

    What others have traded since in the same tokens does not count: the next run over all
    wallets sees it.
    """
    wanted = history.among("proxy_wallet", wallets["proxy_wallet"])
    where = [partitions.day(cell.day)]
    early = now.read(WALLET_FEATURES_ON_DEMAND, partitions=where, **wanted).filter(
        judge.is_ours(), pl.col("window_days") == cell.window_days
    )
    batch, early = (
        rows.join(own_fills, on=_OWN, how="semi", nulls_equal=True)
        for rows in (_batch(now, cell, wallets, judge), early)
    )
    first = early.join(batch, on="proxy_wallet", how="anti")
    return pl.concat([batch, first.select(batch.columns)])


def _existing(now: Snapshot, wallets: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    """Those of the wallets that were discovered, or have a fill, before as_of."""
    keys = wallets["proxy_wallet"]
    where, theirs = some_wallets.of_wallets(keys)
    found = (
        now.read(table, partitions=names, columns=["proxy_wallet", at], **theirs).filter(
            pl.col(at) < cell.as_of
        )
        for table, names, at in ((FILLS, where, "filled_at"), (WALLETS, None, "discovered_at"))
    )
    known = pl.concat(rows.select("proxy_wallet") for rows in found).unique()
    return wallets.join(known, on="proxy_wallet", how="semi", maintain_order="left")
