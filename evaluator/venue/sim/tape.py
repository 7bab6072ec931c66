"""Everything that wallets did, in the venue's one order, as arrays with an index by wallet and market.

A row's place in the tape is its number in that order: time, then sequence within the second. Rows
before an instant never change, so places are stable while history grows.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evaluator.venue.sim.directory import Directory

TRADE, SPLIT, MERGE, REDEEM, CONVERSION = range(5)
KINDS = (
    *("TRADE", "SPLIT", "MERGE", "REDEEM", "CONVERSION"),
    *("REWARD", "MAKER_REBATE", "TAKER_REBATE", "YIELD"),
)
"""Kinds of rows; the place of a name is its code."""

NONE = -1
"""In place of a code: the row concerns no market, or no one token."""

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Index:
    """Which places belong to a code, ascending: those of code c are places[first[c]:first[c + 1]]."""

    places: Ints
    first: Ints

    def of(self, code: int) -> Ints:
        """Places of one code, in tape order."""
        return self.places[self.first[code] : self.first[code + 1]]


@dataclass(frozen=True, slots=True)
class Tape:
    """One element per row in each array: instants in seconds, shares and USDC in micro-units."""

    at: Ints
    kind: NDArray[np.int8]
    wallet: Codes
    market: Codes
    token: Codes
    is_buy: Flags
    is_taker: Flags
    shares: Ints
    usdc: Ints
    fee: Ints
    hashes: pl.Series
    wallets: tuple[str, ...]
    wallet_codes: dict[str, int]
    by_wallet: Index
    by_market: Index

    def places_before(self, now: float) -> int:
        """How many rows lie strictly before an instant."""
        return int(np.searchsorted(self.at, np.ceil(now)))


def tape(fills: pl.DataFrame, activity: pl.DataFrame, markets: Directory) -> Tape:
    """The tape of a history's fills and activity."""
    rows = _ordered(pl.concat([_trades(fills), _movements(activity)], how="diagonal"))
    wallets = tuple(rows["proxy_wallet"].unique().sort().to_list())
    wallet = codes(rows["proxy_wallet"], wallets)
    market = codes(rows["condition_id"], tuple(markets.by_condition))
    return Tape(
        at=rows["at"].to_numpy(),
        kind=rows["kind"].to_numpy(),
        wallet=wallet,
        market=market,
        token=codes(rows["token_id"], markets.token_ids),
        is_buy=rows["is_buy"].to_numpy(),
        is_taker=rows["is_taker"].to_numpy(),
        shares=rows["shares"].to_numpy(),
        usdc=rows["usdc"].to_numpy(),
        fee=rows["fee"].to_numpy(),
        hashes=rows["transaction_hash"],
        wallets=wallets,
        wallet_codes={name: code for code, name in enumerate(wallets)},
        by_wallet=index(wallet, len(wallets)),
        by_market=index(market, len(markets.markets)),
    )


def index(values: Codes, count: int) -> Index:
    """The index of an array of codes 0 to count − 1; `NONE` belongs to nothing."""
    places = np.argsort(values, kind="stable").astype(np.int64)
    first = np.searchsorted(values[places], np.arange(count + 1))
    return Index(places, first.astype(np.int64))


def codes(texts: pl.Series, names: tuple[str, ...]) -> Codes:
    """The place of each text among the names, `NONE` where it has none."""
    known = pl.DataFrame(
        {"text": names, "code": np.arange(len(names), dtype=np.int32)},
        schema={"text": pl.String, "code": pl.Int32},
    )
    asked = pl.DataFrame({"text": texts.cast(pl.String)})
    found = asked.join(known, on="text", how="left", maintain_order="left")
    return found["code"].fill_null(NONE).to_numpy()


def seconds(name: str, dtype: pl.DataType) -> pl.Expr:
    """Epoch seconds of a column that holds them, or instants."""
    column = pl.col(name)
    return (column.dt.epoch("s") if dtype.is_temporal() else column).cast(pl.Int64)


def _trades(fills: pl.DataFrame) -> pl.DataFrame:
    return fills.select(
        pl.lit(TRADE, pl.Int8).alias("kind"),
        pl.col("proxy_wallet", "condition_id", "token_id", "transaction_hash"),
        (pl.col("side").cast(pl.String) == "BUY").alias("is_buy"),
        pl.col("is_taker").fill_null(value=False),
        pl.col("size_shares").cast(pl.Int64).alias("shares"),
        pl.col("notional_usdc").cast(pl.Int64).alias("usdc"),
        pl.col("fee_usdc").cast(pl.Int64).fill_null(0).alias("fee"),
        seconds("filled_at", fills.schema["filled_at"]).alias("at"),
        pl.col("sequence").cast(pl.Int64),
    )


def _movements(activity: pl.DataFrame) -> pl.DataFrame:
    kinds = {name: code for code, name in enumerate(KINDS)}
    kind = pl.col("kind").cast(pl.String).replace_strict(kinds, return_dtype=pl.Int8)
    return activity.select(
        kind.alias("kind"),
        pl.col("proxy_wallet", "condition_id", "token_id", "transaction_hash"),
        pl.lit(value=False).alias("is_buy"),
        pl.lit(value=False).alias("is_taker"),
        pl.col("size_shares").cast(pl.Int64).fill_null(0).alias("shares"),
        pl.col("amount_usdc").cast(pl.Int64).fill_null(0).alias("usdc"),
        pl.lit(0, pl.Int64).alias("fee"),
        seconds("happened_at", activity.schema["happened_at"]).alias("at"),
        pl.col("sequence").cast(pl.Int64),
    )


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    """Total order: what ties in time and sequence is ordered by its content."""
    keys = ("at", "sequence")
    ordered = rows.sort(*keys, maintain_order=True)
    is_tie = pl.all_horizontal(pl.col(key) == pl.col(key).shift() for key in keys)
    if not ordered.select(is_tie.any()).item():
        return ordered
    ties = ("kind", "transaction_hash", "proxy_wallet", "token_id", "is_buy", "shares", "usdc")
    return rows.sort(*keys, *ties, nulls_last=True, maintain_order=True)
