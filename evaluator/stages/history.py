"""Reading the history that the ledger and the features are computed from."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TypedDict

import polars as pl

from evaluator.domain import prices
from evaluator.domain.features.history import (
    CLOSED_COLUMNS,
    FILL_COLUMNS,
    OPEN_COLUMNS,
    Bucket,
    Cell,
    Market,
    market_of,
)
from evaluator.domain.ledger.legs import disposed_shares
from evaluator.domain.markets import tokens as tokens_of
from evaluator.domain.order import is_sorted
from evaluator.domain.schema import BUCKET_COUNT
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.evaluation import WALLET_FEATURES
from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE, RESOLUTIONS
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.domain.tables.market_data import PRICES
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot

ALL_BUCKETS = tuple(range(BUCKET_COUNT))
BATCH_FILLS = 1_000_000
"""Fills that are worth a pass of their own: a pass costs a tenth of a second before its first."""
FILL_ORDER = ("proxy_wallet", "token_id", "filled_at")


class Condition(TypedDict):
    """A filter of `Snapshot.read`."""

    where: str
    parameters: Sequence[object]


MOST_NAMED = 5_000
"""Keys that one condition names; of more, all rows are read."""

EVERY_ROW: Condition = {"where": "true", "parameters": []}


def among(column: str, keys: pl.Series) -> Condition:
    """Rows whose column is among the keys; all rows where the keys are too many to name."""
    wanted = keys.unique().sort().to_list()
    if len(wanted) > MOST_NAMED:
        return EVERY_ROW
    marks = ", ".join("?" * len(wanted)) or "NULL"
    return {"where": f'"{column}" IN ({marks})', "parameters": wanted}


def tokens(now: Snapshot) -> pl.DataFrame:
    """One row per outcome token of all known markets, payouts from `resolutions`."""
    return tokens_of(now.scan(MARKETS), now.scan(RESOLUTIONS)).collect()


def market(now: Snapshot, cells: Sequence[Cell], of_tokens: Condition = EVERY_ROW) -> Market:
    """Marks over the windows of all cells and closing lines: one pass over all fills.

    With a condition on tokens, those of other tokens may be missing.
    """
    known = tokens(now)
    as_of = max(cell.as_of for cell in cells)
    last = prices.LastPrices(known, first=min(cell.start for cell in cells), as_of=as_of)
    for number in ALL_BUCKETS:
        where = [partitions.bucket(number)]
        last.add(now.read(FILLS, partitions=where, columns=prices.PRICE_COLUMNS, **of_tokens))
    return market_of(known, last, now.read(PRICES, where="priced_at < ?", parameters=[as_of]))


def held(now: Snapshot, cell: Cell, buckets: Sequence[int], but: pl.DataFrame) -> pl.Series:
    """Tokens of which a wallet of the buckets held a lot since the cell's start.

    Only these have marks and closing lines that its features ask for. `but` names wallets
    (`proxy_wallet`) to leave out.
    """
    where = [partitions.bucket(number) for number in buckets]
    columns = ["proxy_wallet", "token_id"]
    lots = [
        now.read(OPEN_LOTS, partitions=where, columns=columns),
        now.read(
            CLOSED_LOTS,
            partitions=where,
            columns=columns,
            where="closed_at >= ?",
            parameters=[cell.start],
        ),
    ]
    others = (each.join(but, on="proxy_wallet", how="anti")["token_id"] for each in lots)
    return pl.concat(others).unique()


def batches(now: Snapshot, buckets: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The buckets in batches that are worth a pass: one where it is large, many small ones."""
    sizes = Counter[str]()
    for entry in now.files(FILLS):
        sizes[entry.partition] += entry.rows
    batch: list[int] = []
    for number in buckets:
        batch.append(number)
        if sum(sizes[partitions.bucket(each)] for each in batch) >= BATCH_FILLS:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def wallets(now: Snapshot, numbers: Sequence[int], known: pl.DataFrame) -> Bucket:
    """The whole history of the wallets of some buckets."""
    where = [partitions.bucket(number) for number in numbers]
    activity = now.read(ACTIVITY, partitions=where)
    fills = now.read(FILLS, partitions=where, columns=FILL_COLUMNS)
    return Bucket(
        fills=in_file_order(fills),
        closed_lots=now.read(CLOSED_LOTS, partitions=where, columns=CLOSED_COLUMNS),
        open_lots=now.read(OPEN_LOTS, partitions=where, columns=OPEN_COLUMNS),
        disposed=disposed_shares(activity, known),
        ingested=now.read(
            INGEST_STATE, columns=["proxy_wallet", "history_complete"], **of_buckets(numbers)
        ),
    )


def in_file_order(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills by wallet, token and instant: as they are in one file, and sorted where of several."""
    if is_sorted(fills, FILL_ORDER):
        return fills
    return fills.sort(FILL_ORDER, maintain_order=True)


def of_wallets(bucket: Bucket, wallets: pl.DataFrame) -> Bucket:
    """The bucket without all other wallets."""
    return Bucket(
        *(
            frame.join(wallets, on="proxy_wallet", how="semi", maintain_order="left")
            for frame in (
                bucket.fills,
                bucket.closed_lots,
                bucket.open_lots,
                bucket.disposed,
                bucket.ingested,
            )
        )
    )


def is_current(now: Snapshot, cell: Cell) -> bool:
    """Whether the features of a cell are newer than everything they are computed from."""
    where = [partitions.day_window(cell.day, cell.window_days)]
    inputs = (MARKETS, FILLS, ACTIVITY, RESOLUTIONS, PRICES, INGEST_STATE, CLOSED_LOTS, OPEN_LOTS)
    return now.version(WALLET_FEATURES, where) > max(now.version(table) for table in inputs)


def of_buckets(numbers: Sequence[int]) -> Condition:
    """Rows of a table without buckets whose wallet is of the buckets; SQL's % keeps the sign."""
    rests = [rest for number in numbers for rest in (number, number - BUCKET_COUNT)]
    marks = ", ".join("?" * len(rests))
    return {
        "where": f"proxy_wallet % ? IN ({marks})",  # only marks, one per number
        "parameters": [BUCKET_COUNT, *rests],
    }


def fills_of_tokens(
    now: Snapshot, token_ids: Iterable[int], columns: Sequence[str]
) -> pl.DataFrame:
    """Fills by anyone in a few tokens."""
    wanted = list(token_ids)
    if not wanted:
        return now.read(FILLS, columns=columns, where="false")
    marks = ", ".join("?" * len(wanted))
    return now.read(FILLS, columns=columns, where=f"token_id IN ({marks})", parameters=wanted)
