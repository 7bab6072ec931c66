"""The lots of wallet buckets, and their reconciliation with the venue's own numbers."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import polars as pl

from evaluator.domain import ids, prices
from evaluator.domain.ledger import legs, reconcile
from evaluator.domain.ledger.lots import Ledger, build_ledger
from evaluator.domain.schema import Table
from evaluator.domain.tables.history import ACTIVITY, FILLS, POSITIONS
from evaluator.domain.tables.ledger import (
    CLOSED_LOTS,
    OPEN_LOTS,
    RECONCILIATION,
    RECONCILIATION_EVENTS,
)
from evaluator.stages import history, parts, some_wallets
from evaluator.stages.gathering import one_commit
from evaluator.stages.stale_lots import stale_wallets
from evaluator.store import partitions
from evaluator.store.commits import Commit, Place, Upsert
from evaluator.store.errors import StaleReplaceError, SweptCommitError
from evaluator.store.lake import Lake
from evaluator.store.snapshot import Snapshot

HOLD = "lots"
"""Name under which the lake holds the commit that the lots of all wallets are built from."""

_EVERYONE = "SELECT proxy_wallet FROM fills UNION SELECT proxy_wallet FROM activity"
_ROUNDS = 3
_WHOLE_FROM = 1 / 3
"""Share of stale wallets from which all buckets are rebuilt: a pass over files costs the same."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of `fills` and `activity` as stored, that no snapshot has yet."""

    fills: tuple[pl.DataFrame, ...] = ()
    activity: tuple[pl.DataFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class Lots:
    """`closed_lots` and `open_lots` of some wallets."""

    closed: pl.DataFrame
    open: pl.DataFrame


def refresh_lots(lake: Lake) -> Commit:
    """Rebuild the lots of every wallet whose inputs have changed since this was done last.

    Again where others have changed inputs or lots meanwhile. What the last round leaves is found
    by the next call: only a commit that all lots are built from is held.
    """
    commits: list[Commit] = []
    held = lake.held_commit(HOLD)
    for number in range(1, _ROUNDS + 1):
        with lake.snapshot(pin=True) as now:
            try:
                done = _rebuild_stale(lake, now, held, may_replace=number == 1)
            except StaleReplaceError:
                continue
            if done is None or _was_alone(lake, now, done):
                held = now.commit_id
                lake.hold(HOLD, held)
        if done is None:
            break
        commits.append(done)
    return one_commit(lake, commits)


def _rebuild_stale(
    lake: Lake, now: Snapshot, held: int | None, *, may_replace: bool
) -> Commit | None:
    """Commit the lots of what has changed since a commit; None where nothing has.

    Where whole buckets are due and others change lots meanwhile, replacing them is refused
    (StaleReplaceError); upserting wallet by wallet is not.
    """
    everyone = now.stored_sql(_EVERYONE)["proxy_wallet"]
    stale = everyone
    with ExitStack() as opened:
        if since := _since(lake, now, held):
            stale = stale_wallets(now, opened.enter_context(since))["proxy_wallet"]
    if since and stale.is_empty():
        return None
    if may_replace and stale.len() >= _WHOLE_FROM * everyone.len():
        return lake.commit(replace=_lots(now, history.ALL_BUCKETS), base=now, what="lots")
    return lake.commit(upsert=lots_to_upsert(now, stale), what="lots of some wallets")


def _since(lake: Lake, now: Snapshot, held: int | None) -> Snapshot | None:
    """What the lots were built from; None where that is not known any more."""
    if held is None or held > now.commit_id or not now.partitions(CLOSED_LOTS):
        return None
    try:
        return lake.snapshot(at=held)
    except SweptCommitError:
        return None


def _was_alone(lake: Lake, now: Snapshot, done: Commit) -> bool:
    """Whether nobody else has committed lots since: theirs may be built from older rows."""
    with lake.snapshot() as after:
        versions = {
            file.content_commit for table in (CLOSED_LOTS, OPEN_LOTS) for file in after.files(table)
        }
    return all(each <= now.commit_id or each == done.commit_id for each in versions)


def build_lots(lake: Lake, buckets: Sequence[int] = history.ALL_BUCKETS) -> Commit:
    """Rebuild `closed_lots` and `open_lots` of whole buckets, in one commit."""
    with lake.snapshot() as now:
        return lake.commit(replace=_lots(now, buckets), base=now, what="lots")


def _lots(
    now: Snapshot, buckets: Sequence[int]
) -> Iterator[tuple[tuple[Table, str], pl.DataFrame]]:
    """The frames of `closed_lots` and `open_lots`, bucket by bucket, to bound memory."""
    known = history.tokens(now)
    for number in buckets:
        ledger, where = bucket_ledger(now, number, known), partitions.bucket(number)
        yield (CLOSED_LOTS, where), ledger.closed_lots
        yield (OPEN_LOTS, where), ledger.open_lots


def build_lots_of(lake: Lake, wallets: pl.Series) -> Commit:
    """Rebuild the lots of exactly these wallets (surrogates or addresses), in one commit."""
    with lake.snapshot() as now:
        return lake.commit(upsert=lots_to_upsert(now, wallets), what="lots of some wallets")


def lots_to_upsert(
    now: Snapshot, wallets: pl.Series, new: NewRows | None = None
) -> dict[Place, Upsert]:
    """What a commit upserts for these wallets by bucket; one without lots loses those it had."""
    keys = _keys(wallets)
    lots = lots_of_wallets(now, keys, new)
    scopes = {
        where: part for where, part in parts.by_bucket(keys.unique().to_frame()) if part.height
    }
    pieces = {
        table: dict(parts.by_bucket(rows))
        for table, rows in ((CLOSED_LOTS, lots.closed), (OPEN_LOTS, lots.open))
    }
    return {
        (table, where): Upsert(rows[where], part)
        for table, rows in pieces.items()
        for where, part in scopes.items()
    }


def lots_of_wallets(now: Snapshot, wallets: pl.Series, new: NewRows | None = None) -> Lots:
    """The lots of exactly these wallets, row for row those of `build_lots`.

    `new` are rows about to be committed in the same commit, ids as surrogates.
    """
    keys = _keys(wallets)
    where, condition = some_wallets.of_wallets(keys)
    added = new or NewRows()
    fills, activity = (
        pl.concat(
            [
                now.read(table, partitions=where, columns=columns, **condition),
                *(rows.select(columns) for rows in new_rows),
            ]
        )
        .filter(pl.col("proxy_wallet").is_in(keys.implode()))
        .unique(table.key, keep="first", maintain_order=True)
        for table, columns, new_rows in (
            (FILLS, legs.LEG_FILL_COLUMNS, added.fills),
            (ACTIVITY, ACTIVITY.schema.names(), added.activity),
        )
    )
    ledger = _ledger(now, fills, activity, history.tokens(now), added.fills)
    return Lots(ledger.closed_lots, ledger.open_lots)


def bucket_ledger(now: Snapshot, number: int, known: pl.DataFrame) -> Ledger:
    """The ledger of one bucket over its whole history."""
    where = [partitions.bucket(number)]
    fills = now.read(FILLS, partitions=where, columns=legs.LEG_FILL_COLUMNS)
    return _ledger(now, fills, now.read(ACTIVITY, partitions=where), known)


def _ledger(
    now: Snapshot,
    fills: pl.DataFrame,
    activity: pl.DataFrame,
    known: pl.DataFrame,
    new_fills: Sequence[pl.DataFrame] = (),
) -> Ledger:
    """The ledger of fills and movements; prices of divided movements are of fills by anyone."""
    given = [legs.fill_legs(fills, known)]
    if activity.height:
        asked = legs.price_questions(activity, known)
        others = history.fills_of_tokens(now, asked["token_id"].unique(), prices.PRICE_COLUMNS)
        seen = [others, *(rows.select(prices.PRICE_COLUMNS) for rows in new_fills)]
        answers = prices.fills_before(asked, pl.concat(seen))
        given.append(legs.activity_legs(activity, known, answers))
    return build_ledger(pl.concat(given), known)


def _keys(wallets: pl.Series) -> pl.Series:
    keys = ids.surrogates(wallets) if wallets.dtype == pl.String else wallets
    return keys.alias("proxy_wallet")


def reconcile_positions(lake: Lake) -> Commit:
    """Compare lots with the venue's newest positions, per token and per event."""
    with lake.snapshot() as now:
        known = history.tokens(now)
        by_token = pl.concat(
            reconcile.by_token(
                now.read(POSITIONS, partitions=[partitions.bucket(number)]),
                now.read(
                    FILLS, partitions=[partitions.bucket(number)], columns=reconcile.FILL_COLUMNS
                ),
                bucket_ledger(now, number, known),
                known,
            )
            for number in history.ALL_BUCKETS
        )
        by_event = reconcile.by_event(by_token)
        return lake.commit(
            replace={
                (RECONCILIATION, partitions.SINGLE): by_token.select(RECONCILIATION.schema.names()),
                (RECONCILIATION_EVENTS, partitions.SINGLE): by_event,
            },
            base=now,
            what="reconciliation",
        )
