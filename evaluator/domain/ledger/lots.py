"""Lots of every wallet: what each acquisition cost, what closed it and what that made.

FIFO per (proxy_wallet, token_id) over the whole history in the wallet's total order, with the
resolution of a token closing what is left. Pure: frames in, frames out.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from evaluator.domain import ids
from evaluator.domain.ledger import kernel
from evaluator.domain.ledger.kernel import Ints
from evaluator.domain.order import float_keys, is_sorted
from evaluator.domain.schema import MICRO
from evaluator.domain.tables.history import ROLE
from evaluator.domain.tables.ledger import CLOSE_KIND, CLOSED_LOTS, OPEN_LOTS


@dataclass(frozen=True, slots=True)
class Ledger:
    """`closed_lots` and `open_lots` as declared, and the unexplained disposals.

    `unexplained` has one row per disposal with shares that no earlier lot explains:
    proxy_wallet, token_id, ref, at, quantity (micro-shares), proceeds (micro-USDC).
    """

    closed_lots: pl.DataFrame
    open_lots: pl.DataFrame
    unexplained: pl.DataFrame


def build_ledger(legs: pl.DataFrame, tokens: pl.DataFrame) -> Ledger:
    """The lots of all wallets in `legs` (see `legs.LEG_SCHEMA`).

    `tokens` is one row per token (`markets.tokens`); a token missing there has no event, no
    domain and no resolution. The order of the input rows changes nothing.
    """
    rows = legs if is_sorted(legs, (*_GROUPED, "at")) else legs.sort(*_GROUPED, "at")
    pair_start = _starts(rows, *_GROUPED)
    pairs = _describe(rows[pair_start[:-1]], tokens)
    resolved_at = _ints(pairs["resolved_at"].cast(pl.Int64).fill_null(kernel.NEVER))
    places = kernel.wallet_places(
        _starts(rows, "proxy_wallet"),
        pair_start,
        _ints(rows["at"]),
        _tie_keys(rows),
        _ints(rows["ref"]),
        resolved_at,
    )
    pairs = pairs.with_columns(pl.Series("resolution_place", places.resolution))
    rows = rows.with_columns(pl.Series("place", places.row))
    # Rows of one instant may be out of order still: few, and each close to its place.
    moved = kernel.order_by_place(pair_start, places.row)
    rows = rows if moved is None else rows[moved]
    events = kernel.Events(
        rows["is_open"].to_numpy(),
        *(_ints(rows[name]) for name in ("at", "quantity", "cash", "fee")),
    )
    payout = _ints((pairs["payout"].fill_null(0.0) * MICRO).round(0))
    matches = kernel.match(pair_start, events, resolved_at, payout)
    return Ledger(
        _closed_lots(rows, pairs, matches.closed),
        _open_lots(rows, pairs, pair_start, matches.left),
        _unexplained(rows, matches.unexplained),
    )


_GROUPED = ("proxy_wallet", "token_id")


def _ints(series: pl.Series) -> Ints:
    return series.cast(pl.Int64).to_numpy()


def _starts(rows: pl.DataFrame, *by: str) -> Ints:
    """Row numbers at which a group begins, and the number of rows."""
    is_new = np.zeros(rows.height, dtype=np.bool_)
    is_new[:1] = True
    for name in by:
        values = _ints(rows[name])
        is_new[1:] |= values[1:] != values[:-1]
    return np.append(np.flatnonzero(is_new), rows.height)


def _tie_keys(rows: pl.DataFrame) -> Ints:
    """Keys of the total order after the instant, one a line; what has no sequence comes last."""
    last = np.iinfo(np.int64).max
    keys = rows.select(
        pl.col("source_sequence", "order_token").fill_null(last),
        pl.col("phase", "ordinal").cast(pl.Int64),
        pl.col("transaction_key", "order_size", "ref"),
    ).with_columns(pl.Series("order_price", float_keys(rows["order_price"])))
    names = (
        "source_sequence",
        "phase",
        "transaction_key",
        "order_token",
        "order_price",
        "order_size",
        "ordinal",
        "ref",
    )
    return np.stack([keys[name].to_numpy() for name in names], dtype=np.int64, casting="no")


def _describe(rows: pl.DataFrame, tokens: pl.DataFrame) -> pl.DataFrame:
    """Per pair what is known of its token; a market without an event is its own event."""
    known = tokens.select(
        "token_id",
        "event_slug",
        "payout",
        "resolution_ref",
        _text_keys("domain"),
        pl.when(pl.col("payout").is_not_null()).then("resolved_at").alias("resolved_at"),
    )
    return (
        rows.select("condition_id", "token_id")
        .join(known, on="token_id", how="left", maintain_order="left")
        .with_columns(pl.col("event_slug").fill_null(pl.col("condition_id")))
    )


def _text_keys(name: str) -> pl.Expr:
    return pl.col(name).map_batches(ids.surrogates, return_dtype=pl.Int64)


def _closed_lots(rows: pl.DataFrame, pairs: pl.DataFrame, pieces: Ints) -> pl.DataFrame:
    """Pieces as rows of `closed_lots`; where the resolution stands in for a row, its facts do."""
    open_row, close_row = pieces[:, kernel.OPEN_ROW], pieces[:, kernel.CLOSE_ROW]
    is_back, is_resolved = open_row == kernel.RESOLUTION, close_row == kernel.RESOLUTION
    opening = rows.select("proxy_wallet", "token_id", "ref", "at", "place", "price", "role")[
        np.where(is_back, close_row, open_row)
    ]
    closing = rows.select("ref", "at", "place", "price", "kind")[
        np.where(is_resolved, open_row, close_row)
    ]
    frame = pl.concat(
        [
            opening,
            closing.select(pl.all().name.prefix("close_")),
            pairs[pieces[:, kernel.PAIR]].drop("token_id"),
            pl.DataFrame(pieces[:, kernel.SIZE :], schema=_PIECE, orient="row"),
        ],
        how="horizontal",
    ).with_columns(is_back=is_back, is_resolved=is_resolved)
    # The kernel writes pair by pair, close by close, oldest lot first: the order of the table.
    return frame.select(**_CLOSED).select(CLOSED_LOTS.schema.names())


_PIECE = ["size", "cost", "proceeds", "open_fee", "close_fee", "is_trip_end"]
# An acquisition after the resolution closes at the payout when it is made, in the same event.
_RESOLUTION_AT = pl.max_horizontal("resolved_at", "at")
_CLOSED = {
    "proxy_wallet": pl.col("proxy_wallet"),
    "condition_id": pl.col("condition_id"),
    "token_id": pl.col("token_id"),
    "event_slug": pl.col("event_slug"),
    "domain": pl.col("domain"),
    "open_fill_id": pl.when("is_back").then("resolution_ref").otherwise("ref"),
    "close_id": pl.when("is_resolved").then("resolution_ref").otherwise("close_ref"),
    "opened_at": pl.col("at"),
    "closed_at": pl.when("is_resolved").then(_RESOLUTION_AT).otherwise("close_at"),
    "close_kind": pl.when("is_resolved")
    .then(pl.lit("RESOLVE"))
    .otherwise(pl.col("close_kind").cast(pl.String))
    .cast(CLOSE_KIND.frame),
    "size_shares": pl.col("size"),
    "open_price": pl.when("is_back").then("payout").otherwise("price"),
    "close_price": pl.when("is_resolved").then("payout").otherwise("close_price"),
    "cost_usdc": pl.col("cost"),
    "proceeds_usdc": pl.col("proceeds"),
    "fees_usdc": pl.col("open_fee") + pl.col("close_fee"),
    "realised_pnl_usdc": pl.col("proceeds") - pl.col("cost"),
    "opened_as": pl.when("is_back")
    .then(pl.lit("unknown"))
    .otherwise(pl.col("role").cast(pl.String))
    .cast(ROLE.frame),
    "open_order": pl.col("place"),
    "close_order": pl.when("is_resolved")
    .then(pl.max_horizontal("resolution_place", "place"))
    .otherwise("close_place"),
    "is_trip_end": pl.col("is_trip_end") == 1,
}


def _open_lots(
    rows: pl.DataFrame, pairs: pl.DataFrame, pair_start: Ints, left: Ints
) -> pl.DataFrame:
    """Lots left, as rows of `open_lots`."""
    row = left[:, kernel.LEFT_ROW]
    pair = np.searchsorted(pair_start, row, side="right") - 1
    return pl.concat(
        [
            rows.select(
                "proxy_wallet",
                pl.col("ref").alias("open_fill_id"),
                pl.col("at").alias("opened_at"),
                pl.col("price").alias("open_price"),
                pl.col("role").alias("opened_as"),
                pl.col("place").alias("open_order"),
            )[row],
            pairs[pair].select("condition_id", "token_id", "event_slug", "domain"),
            pl.DataFrame(
                left[:, 1:], schema=["size_shares", "cost_usdc", "fees_usdc"], orient="row"
            ),
        ],
        how="horizontal",
    ).select(OPEN_LOTS.schema.names())


def _unexplained(rows: pl.DataFrame, unexplained: Ints) -> pl.DataFrame:
    """Disposals with shares no lot explains; their part of the proceeds comes last."""
    shares = pl.Series("unexplained", unexplained)
    return (
        rows.with_columns(shares)
        .filter(pl.col("unexplained") > 0)
        .select(
            "proxy_wallet",
            "token_id",
            "ref",
            "at",
            pl.col("unexplained").alias("quantity"),
            pl.struct("cash", "unexplained", "quantity")
            .map_batches(_unexplained_proceeds, return_dtype=pl.Int64)
            .alias("proceeds"),
        )
    )


def _unexplained_proceeds(parts: pl.Series) -> pl.Series:
    whole, rest, cash = (parts.struct.field(n) for n in ("quantity", "unexplained", "cash"))
    explained = kernel.cuts(_ints(cash), _ints(whole - rest), _ints(whole))
    return cash - pl.Series(explained)
