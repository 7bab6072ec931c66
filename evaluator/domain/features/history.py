"""What the features of one wallet bucket are computed from, prepared once for all cells."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from evaluator.domain.features import kernels
from evaluator.domain.prices import LastPrices, Marks

ORDER_GAP = 10_000_000
"""A gap above 10 s (in microseconds) between fills of a token and side starts a new order."""

FILL_COLUMNS = (
    "proxy_wallet",
    "condition_id",
    "token_id",
    "filled_at",
    "side",
    "size_shares",
    "notional_usdc",
    "price",
    "role",
)
CLOSED_COLUMNS = (
    "proxy_wallet",
    "token_id",
    "event_slug",
    "opened_at",
    "closed_at",
    "close_kind",
    "size_shares",
    "cost_usdc",
    "realised_pnl_usdc",
    "open_order",
    "close_order",
    "is_trip_end",
)
RECENT_DAYS = 30
"""Days before as_of of `recent_pnl_usdc`, whatever the window."""
OPEN_COLUMNS = ("proxy_wallet", "token_id", "opened_at", "size_shares", "cost_usdc", "open_order")


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One day and window: [as_of − window_days, as_of), as_of being the end of the UTC day."""

    day: date
    window_days: int

    @property
    def as_of(self) -> datetime:
        """The end of the day: the first instant the cell does not see."""
        return datetime.combine(self.day, datetime.min.time(), UTC) + timedelta(days=1)

    @property
    def start(self) -> datetime:
        """The first instant of the window."""
        return self.as_of - timedelta(days=self.window_days)


@dataclass(frozen=True, slots=True)
class Market:
    """What the whole market knows, shared by all buckets.

    `tokens`: one row per token (`markets.tokens`) with `clv_price`, the last price an hour or
    more before the earlier of its end and resolution; `marks` cover the windows of all cells;
    `series` is the table `prices`.
    """

    tokens: pl.DataFrame
    marks: Marks
    series: pl.DataFrame


def market_of(tokens: pl.DataFrame, last: LastPrices, series: pl.DataFrame) -> Market:
    """The market from its tokens, the last fills of all buckets, and the price series."""
    lines = last.closing_lines(series)
    priced = tokens.join(lines, on="token_id", how="left", maintain_order="left")
    return Market(priced, last.marks(series), series)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tables of one wallet bucket, whole history.

    `fills`, `closed_lots`, `open_lots` in the columns above and in the order of their files;
    `disposed`: shares that activity disposed of (proxy_wallet, at, quantity);
    `ingested`: proxy_wallet, history_complete.
    """

    fills: pl.DataFrame
    closed_lots: pl.DataFrame
    open_lots: pl.DataFrame
    disposed: pl.DataFrame
    ingested: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Prepared:
    """A bucket with orders, round trips and the daily PnL of its wallets."""

    bucket: Bucket
    market: Market
    fills: pl.DataFrame
    tokens: pl.DataFrame
    pieces: pl.DataFrame
    trips: pl.DataFrame
    wallets: pl.DataFrame
    arrays: kernels.Pieces
    days: kernels.Days


def prepare(bucket: Bucket, market: Market) -> Prepared:
    """Order starts, round trips and daily PnL of a bucket. Linear but for one sort of lots."""
    tokens = market.tokens.select(
        "token_id",
        "token_rank",
        "event_slug",
        "domain",
        "tick",
        "resolved_at",
        "payout",
        "clv_price",
    )
    # A token of no known market has the last row of the marks, where no price stands.
    unknown = pl.lit(market.tokens.height, pl.Int64)
    pieces = (
        _pieces(bucket)
        .join(
            tokens.select("token_id", "token_rank"),
            on="token_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("token_rank").fill_null(unknown))
    )
    wallets = pieces.select("proxy_wallet").unique(maintain_order=True).with_row_index("row")
    arrays = _arrays(pieces)
    first = market.marks.first
    return Prepared(
        bucket=bucket,
        market=market,
        fills=_fills(bucket.fills),
        tokens=tokens,
        pieces=pieces,
        trips=_trips(bucket.closed_lots),
        wallets=wallets,
        arrays=arrays,
        days=kernels.daily_pnl(arrays, market.marks.prices, microseconds(first)),
    )


def microseconds(instant: datetime) -> int:
    """Microseconds since the epoch."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _fills(fills: pl.DataFrame) -> pl.DataFrame:
    """Fills with `previous_at`, the wallet's previous fill of the same token and side."""
    previous = kernels.previous_same_side(
        fills["proxy_wallet"].to_numpy(),
        fills["token_id"].to_numpy(),
        (fills["side"] == "BUY").to_numpy(),
        fills["filled_at"].cast(pl.Int64).to_numpy(),
    )
    return fills.with_columns(pl.Series("previous_at", previous))


def _pieces(bucket: Bucket) -> pl.DataFrame:
    """Closed pieces and open lots in one frame, by wallet and token; open ones have no close."""
    columns = [*OPEN_COLUMNS, "event_slug", "closed_at", "close_order", "realised_pnl_usdc"]
    closed = bucket.closed_lots.select(columns)
    still_open = bucket.open_lots.select(
        *OPEN_COLUMNS, *(pl.lit(None, closed.schema[n]).alias(n) for n in columns[6:])
    )
    return pl.concat([closed, still_open]).sort("proxy_wallet", "token_id", maintain_order=True)


def _trips(closed: pl.DataFrame) -> pl.DataFrame:
    """One row per completed round trip: proxy_wallet, closed_at, pnl_usdc."""
    number = kernels.round_trips(
        closed["proxy_wallet"].to_numpy(),
        closed["token_id"].to_numpy(),
        closed["close_order"].to_numpy(),
        closed["is_trip_end"].to_numpy(),
        (
            (closed["open_order"] == closed["close_order"]) & (closed["close_kind"] != "RESOLVE")
        ).to_numpy(),
    )
    return (
        closed.lazy()
        .select("proxy_wallet", "closed_at", "realised_pnl_usdc", pl.Series("trip", number))
        .filter(pl.col("trip") >= 0)
        .group_by("trip", maintain_order=True)
        .agg(
            pl.col("proxy_wallet").first(),
            pl.col("closed_at").max(),
            pl.col("realised_pnl_usdc").sum().alias("pnl_usdc"),
        )
        .drop("trip")
        .collect()
    )


def _arrays(pieces: pl.DataFrame) -> kernels.Pieces:
    wallet = pieces["proxy_wallet"].to_numpy()
    is_new = np.ones(wallet.size, dtype=np.bool_)
    is_new[1:] = wallet[1:] != wallet[:-1]
    start = np.append(np.flatnonzero(is_new), wallet.size)
    ints = pieces.select(
        pl.col("token_rank").cast(pl.Int64),
        pl.col("opened_at").cast(pl.Int64),
        pl.col("closed_at").cast(pl.Int64).fill_null(kernels.NEVER),
        "open_order",
        pl.col("close_order").fill_null(0),
        "size_shares",
        "cost_usdc",
        pl.col("realised_pnl_usdc").fill_null(0),
    )
    return kernels.Pieces(start, *(series.to_numpy() for series in ints))
