"""Which fills of a reading are new to the lake, and whose they are: what `TradesIngested` says.

Every writer of fills appends what `unseen` leaves and reports it. Two writers at once may both
report a fill that only one of them adds: an event may say a thing twice, never not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from evaluator.domain import ids
from evaluator.domain.tables.history import FILLS
from evaluator.stages import parts
from evaluator.store.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class NewFills:
    """Wallets with fills that were not there, sorted, how many fills, and the newest instant."""

    wallets: tuple[str, ...] = ()
    count: int = 0
    watermark: datetime | None = None


def unseen(now: Snapshot, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of `fills`, one per fill_id, whose fill_id the snapshot does not hold.

    Ids may be texts or surrogates; the order of rows is kept.
    """
    once = rows.unique("fill_id", keep="first", maintain_order=True)
    known = [
        _known(now, partition, part) for partition, part in parts.by_bucket(once) if part.height
    ]
    return once.join(pl.concat(known), on="fill_id", how="anti") if known else once


def described(now: Snapshot, rows: pl.DataFrame) -> NewFills:
    """What is to be said of new rows; surrogates of wallets are looked up in the snapshot."""
    if rows.is_empty():
        return NewFills()
    wallets = rows["proxy_wallet"].unique()
    if wallets.dtype != pl.String:
        wallets = now.texts().join(wallets.to_frame("key"), on="key", how="semi")["text"]
    newest: datetime = rows.select(pl.col("filled_at").max()).item()
    return NewFills(tuple(sorted(wallets.to_list())), rows.height, newest)


def together(found: Iterable[NewFills]) -> NewFills:
    """Several commits' new fills as one."""
    listed = tuple(found)
    watermarks = [each.watermark for each in listed if each.watermark is not None]
    return NewFills(
        tuple(sorted({wallet for each in listed for wallet in each.wallets})),
        sum(each.count for each in listed),
        max(watermarks, default=None),
    )


def _known(now: Snapshot, partition: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Ids of the bucket's fills within the span of time and, for zone maps, of wallets."""
    wallet, filled = rows["proxy_wallet"], rows["filled_at"]
    keys = ids.surrogates(wallet) if wallet.dtype == pl.String else wallet
    return now.read(
        FILLS,
        partitions=[partition],
        columns=["fill_id"],
        where="proxy_wallet BETWEEN ? AND ? AND filled_at BETWEEN ? AND ?",
        parameters=[keys.min(), keys.max(), filled.min(), filled.max()],
    )
