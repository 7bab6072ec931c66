"""Lots of every wallet: what each acquisition cost, what closed it and what that made.

FIFO per (proxy_wallet, token_id) over the whole history in the wallet's total order, with the
resolution of a token closing what is left. Pure: frames in, frames out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from evaluator.domain import ids
from evaluator.domain.ledger import kernel
from evaluator.domain.ledger.kernel import Ints
from evaluator.domain.order import Keys, fixed, float_keys, is_sorted
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
    placed = rows.with_columns(pl.Series("place", places.row))
    events = _Events(placed, kernel.order_by_place(pair_start, places.row))
    payout = _ints((pairs["payout"].fill_null(0.0) * MICRO).round(0))
    matches = kernel.match(pair_start, events.for_kernel(), resolved_at, payout)
    return Ledger(
        _closed_lots(events, pairs, matches.closed),
        _open_lots(events, pairs, pair_start, matches.left),
        _unexplained(events, matches.unexplained),
    )


@dataclass(frozen=True, slots=True)
class _Events:
    """Rows, and their order by pair and place; None where they are in it.

    Only rows of one instant can be out of order, so they are not moved for it.
    """

    rows: pl.DataFrame
    order: Ints | None

    def at(self, numbers: Ints, *columns: str | pl.Expr) -> pl.DataFrame:
        """Columns of the events of these numbers, in the order of places."""
        rows = numbers if self.order is None else self.order[numbers]
        found: pl.DataFrame = self.rows.select(columns)[rows]
        return found

    def for_kernel(self) -> kernel.Events:
        """What matching needs, in the order of places."""
        arrays = [_ints(self.rows[name]) for name in ("at", "quantity", "cash", "fee")]
        is_open = self.rows["is_open"].to_numpy()
        if self.order is not None:
            is_open, arrays = is_open[self.order], [each[self.order] for each in arrays]
        return kernel.Events(is_open, *arrays)


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


def _tie_keys(rows: pl.DataFrame) -> Keys:
    """Keys of the total order after the instant; what has no sequence comes last."""
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
    return tuple(fixed(keys[name]) for name in names)


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


def _closed_lots(events: _Events, pairs: pl.DataFrame, pieces: Ints) -> pl.DataFrame:
    """Pieces as rows of `closed_lots`; where the resolution stands in for a row, its facts do."""
    open_row, close_row = pieces[kernel.OPEN_ROW], pieces[kernel.CLOSE_ROW]
    is_back, is_resolved = open_row == kernel.RESOLUTION, close_row == kernel.RESOLUTION
    opening = events.at(
        np.where(is_back, close_row, open_row),
        *("proxy_wallet", "token_id", "ref", "at", "place", "price", "role"),
    )
    closing = events.at(
        np.where(is_resolved, open_row, close_row), "ref", "at", "place", "price", "kind"
    )
    of_pair: pl.DataFrame = pairs.drop("token_id")[pieces[kernel.PAIR]]
    frame = pl.concat(
        [
            opening,
            closing.select(pl.all().name.prefix("close_")),
            of_pair,
            _frame(_PIECE, pieces[kernel.SIZE :]),
        ],
        how="horizontal",
    ).with_columns(is_back=is_back, is_resolved=is_resolved)
    # The kernel writes pair by pair, close by close, oldest lot first: the order of the table.
    return frame.select(**_CLOSED).select(CLOSED_LOTS.schema.names())


def _frame(names: Sequence[str], lines: Ints) -> pl.DataFrame:
    """Lines of an array as columns."""
    return pl.DataFrame([pl.Series(*each) for each in zip(names, lines, strict=True)])


_PIECE = ("size", "cost", "proceeds", "open_fee", "close_fee", "is_trip_end")
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


def _open_lots(events: _Events, pairs: pl.DataFrame, pair_start: Ints, left: Ints) -> pl.DataFrame:
    """Lots left, as rows of `open_lots`."""
    row = left[kernel.LEFT_ROW]
    pair = np.searchsorted(pair_start, row, side="right") - 1
    of_pair: pl.DataFrame = pairs.select("condition_id", "token_id", "event_slug", "domain")[pair]
    return pl.concat(
        [
            events.at(
                row,
                "proxy_wallet",
                pl.col("ref").alias("open_fill_id"),
                pl.col("at").alias("opened_at"),
                pl.col("price").alias("open_price"),
                pl.col("role").alias("opened_as"),
                pl.col("place").alias("open_order"),
            ),
            of_pair,
            _frame(("size_shares", "cost_usdc", "fees_usdc"), left[kernel.LEFT_SIZE :]),
        ],
        how="horizontal",
    ).select(OPEN_LOTS.schema.names())


def _unexplained(events: _Events, unexplained: Ints) -> pl.DataFrame:
    """Disposals with shares no lot explains; their part of the proceeds comes last."""
    row = np.flatnonzero(unexplained)
    shares = pl.Series("unexplained", unexplained[row])
    return (
        events.at(row, "proxy_wallet", "token_id", "ref", "at", "cash", "quantity")
        .with_columns(shares)
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
