"""Features of a few wallets, without reading the history of all others.

The rows are those of `features.compute`, bit for bit: the same functions see the same fills,
lots and marks. Only tokens of the events that the wallets touched are looked at, whose numbers
in the order of all tokens become numbers in the order of these.
"""

from collections.abc import Sequence

import polars as pl

from evaluator.domain import ids, prices
from evaluator.domain.features.career import career
from evaluator.domain.features.compute import feature_rows
from evaluator.domain.features.history import (
    CLOSED_COLUMNS,
    FILL_COLUMNS,
    OPEN_COLUMNS,
    Bucket,
    Cell,
    Market,
    market_of,
    prepare,
)
from evaluator.domain.ledger.legs import disposed_shares
from evaluator.domain.schema import Partitioning, Table
from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE
from evaluator.domain.tables.ledger import CLOSED_LOTS, OPEN_LOTS
from evaluator.domain.tables.market_data import PRICES
from evaluator.stages import history
from evaluator.stages.history import EVERY_ROW, Condition, among
from evaluator.store import partitions
from evaluator.store.snapshot import Snapshot


def rows(now: Snapshot, wallets: pl.DataFrame, cell: Cell) -> pl.DataFrame:
    """One row per wallet asked for (surrogates in `proxy_wallet`), whatever it did."""
    known = history.tokens(now)
    bucket = history_of(now, wallets["proxy_wallet"], known)
    market = _market(now, bucket, known, cell)
    careers = career(bucket, cell).collect()
    return feature_rows(prepare(bucket, market), cell, careers, wallets)


def of_wallets(wallets: pl.Series) -> tuple[Sequence[str], Condition]:
    """The buckets of wallets and the condition that finds these in them."""
    numbers = wallets.to_frame("proxy_wallet").select(ids.bucket_expr()).to_series()
    names = [partitions.bucket(number) for number in numbers.unique().sort()]
    return names, among("proxy_wallet", wallets)


def history_of(now: Snapshot, wallets: pl.Series, known: pl.DataFrame) -> Bucket:
    """Their whole history, in the order of files."""
    where, theirs = of_wallets(wallets)
    wanted = pl.col("proxy_wallet").is_in(wallets.implode())

    def read(table: Table, columns: Sequence[str] | None = None) -> pl.DataFrame:
        named = where if table.partitioned_by is Partitioning.BUCKET else None
        return now.read(table, partitions=named, columns=columns, **theirs).filter(wanted)

    return Bucket(
        fills=history.in_file_order(read(FILLS, FILL_COLUMNS)),
        closed_lots=read(CLOSED_LOTS, CLOSED_COLUMNS),
        open_lots=read(OPEN_LOTS, OPEN_COLUMNS),
        disposed=disposed_shares(read(ACTIVITY), known),
        ingested=read(INGEST_STATE, ["proxy_wallet", "history_complete"]),
    )


def _market(now: Snapshot, bucket: Bucket, known: pl.DataFrame, cell: Cell) -> Market:
    """Marks and closing lines of the events that the bucket touches."""
    touched = pl.concat(
        frame["token_id"] for frame in (bucket.fills, bucket.closed_lots, bucket.open_lots)
    )
    events = known.filter(pl.col("token_id").is_in(touched.implode()))["event_slug"]
    tokens = known.filter(pl.col("event_slug").is_in(events.implode())).with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("token_rank")
    )
    last = prices.LastPrices(tokens, first=cell.start, as_of=cell.as_of)
    of_tokens = among("token_id", tokens["token_id"])
    all_fills = sum(entry.rows for entry in now.files(FILLS))
    # Below a batch, naming tokens costs more than reading the fills of all.
    condition = of_tokens if all_fills > history.BATCH_FILLS else EVERY_ROW
    for numbers in history.batches(now, history.ALL_BUCKETS):
        where = [partitions.bucket(number) for number in numbers]
        last.add(now.read(FILLS, partitions=where, columns=prices.PRICE_COLUMNS, **condition))
    series = now.read(PRICES, **of_tokens)
    of_these = pl.col("token_id").is_in(tokens["token_id"].implode())
    return market_of(tokens, last, series.filter(of_these & (pl.col("priced_at") < cell.as_of)))
