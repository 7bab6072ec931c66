"""The source frames of one cell: what each `Source` aggregates, by wallet."""

import numpy as np
import polars as pl

from evaluator.domain import exact
from evaluator.domain.features import curve, kernels
from evaluator.domain.features.feature import Source
from evaluator.domain.features.history import (
    ORDER_GAP,
    Cell,
    Prepared,
    microseconds,
)
from evaluator.domain.schema import MICRO

_BY_WALLET_AND_EVENT = ("proxy_wallet", "event_slug")
DEFAULT_TICK = 0.001
"""Tick of a market that does not say."""
TIMING = {"5m": 5, "1h": 60, "24h": 1440}
"""Minutes after entry at which the drift of the price series is read."""


def source_frames(prepared: Prepared, cell: Cell) -> dict[Source, pl.LazyFrame]:
    """One frame per source but `Source.ROW`, holding only what was known before as_of."""
    fills = _window_fills(prepared, cell)
    markets = _markets(fills)
    lots = _lots(prepared, cell)
    buys = _buys(prepared, cell)
    return {
        Source.FILLS: fills,
        Source.MARKETS: markets,
        Source.DOMAINS: _domains(markets),
        Source.ORDERS: _orders(fills),
        Source.LOTS: lots,
        Source.TRIPS: prepared.trips.lazy().filter(_within(cell, "closed_at")),
        Source.EVENTS: lots.group_by(_BY_WALLET_AND_EVENT).agg(
            pl.col("realised_pnl_usdc").sum().alias("pnl_usdc")
        ),
        Source.POSITIONS: positions(prepared, cell),
        Source.CURVE: _curve(prepared, cell),
        Source.BUYS: buys,
        Source.DRAWS: _draws(buys),
    }


def _within(cell: Cell, name: str) -> pl.Expr:
    return (pl.col(name) >= cell.start) & (pl.col(name) < cell.as_of)


def _window_fills(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    """Fills of the window; an order that began before the window begins anew in it."""
    previous, start = pl.col("previous_at"), microseconds(cell.start)
    at = pl.col("filled_at").cast(pl.Int64)
    fills = _described(prepared, prepared.fills.lazy().filter(_within(cell, "filled_at")))
    tick = pl.col("tick").fill_null(DEFAULT_TICK)
    ticks = exact.ratio(pl.col("price"), tick).round(0, mode="half_to_even")
    price_micro = ticks * (tick * MICRO).round(0)
    return fills.with_columns(
        ((previous < start) | (at - previous > ORDER_GAP)).alias("is_order_start"),
        price_micro.cast(pl.Int64).alias("price_micro"),
    )


def _described(prepared: Prepared, fills: pl.LazyFrame) -> pl.LazyFrame:
    """Fills with what is known of their token; a market without an event is its own event."""
    return fills.join(prepared.tokens.lazy(), on="token_id", how="left").with_columns(
        pl.col("event_slug").fill_null(pl.col("condition_id"))
    )


def _markets(fills: pl.LazyFrame) -> pl.LazyFrame:
    is_buy = pl.col("side") == "BUY"
    return fills.group_by("proxy_wallet", "condition_id").agg(
        pl.col("event_slug").first(),
        pl.col("domain").first().alias("domain"),
        pl.col("notional_usdc").sum(),
        pl.col("token_id").filter(is_buy).n_unique().alias("tokens_bought"),
    )


def _domains(markets: pl.LazyFrame) -> pl.LazyFrame:
    """Volume by domain, most first, ties alphabetical."""
    volume = markets.group_by("proxy_wallet", "domain").agg(pl.col("notional_usdc").sum())
    return volume.sort("notional_usdc", "domain", descending=[True, False])


def _orders(fills: pl.LazyFrame) -> pl.LazyFrame:
    starts = (
        fills.filter("is_order_start")
        .select("proxy_wallet", pl.col("filled_at").cast(pl.Int64).alias("at"))
        .sort("proxy_wallet", "at")
        .collect()
    )
    wallets = starts["proxy_wallet"].rle().struct.unnest()
    start = np.append(0, np.cumsum(wallets["len"].to_numpy())).astype(np.int64)
    most = kernels.most_within_an_hour(start, starts["at"].to_numpy())
    return pl.LazyFrame({"proxy_wallet": wallets["value"], "most_orders_in_1h": most})


def _lots(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    hold = (pl.col("closed_at") - pl.col("opened_at")).dt.total_microseconds()
    closed = prepared.pieces.lazy().filter(_within(cell, "closed_at"))
    return closed.with_columns(hold.alias("hold_us"))


def positions(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    """Tokens held at as_of per wallet: size_shares, cost_usdc, mark_pico (null without a mark)."""
    k = (cell.as_of - prepared.market.marks.first).days
    marks = pl.LazyFrame(
        {
            "token_rank": np.arange(prepared.market.marks.prices.shape[0]),
            "mark": prepared.market.marks.prices[:, k],
        }
    ).select(
        pl.col("token_rank").cast(pl.Int64),
        exact.pico(pl.col("mark").fill_nan(None)).alias("mark_pico"),
    )
    is_open = pl.col("closed_at").is_null() | (pl.col("closed_at") >= cell.as_of)
    return (
        prepared.pieces.lazy()
        .filter((pl.col("opened_at") < cell.as_of) & is_open)
        .group_by("proxy_wallet", "token_id", "token_rank")
        .agg(pl.col("size_shares", "cost_usdc").sum())
        .join(marks, on="token_rank", how="left")
    )


def _curve(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    """Capital and risk of the window, one row per wallet that ever had a lot."""
    last = (cell.as_of - prepared.market.marks.first).days
    columns = slice(last - cell.window_days, last + 1)
    peak = kernels.peak_capital(prepared.arrays, microseconds(cell.start), microseconds(cell.as_of))
    exposed = prepared.days.is_exposed[:, columns.start : last].sum(axis=1)
    equity = curve.equity(prepared.days.pnl[:, columns], peak / MICRO)
    is_solvent = (equity > 0).all(axis=1)
    readable = pl.col("is_solvent") & (pl.col("exposure_days") >= curve.STDEV_DAYS)
    frame = pl.LazyFrame(
        {
            "proxy_wallet": prepared.wallets["proxy_wallet"],
            "peak_capital_usdc": peak / MICRO,
            "exposure_days": exposed,
            "is_solvent": is_solvent,
            "max_drawdown": np.where(is_solvent, curve.max_drawdown(equity), 1.0),
            "return_stdev": curve.return_stdev(equity),
            "daily_sharpe": curve.daily_sharpe(equity),
        }
    )
    long_enough = pl.col("is_solvent") & (pl.col("exposure_days") >= curve.SHARPE_DAYS)
    return frame.join(_held(prepared, cell), on="proxy_wallet", how="left").with_columns(
        pl.when("was_held").then("max_drawdown"),
        pl.when(readable).then("return_stdev"),
        pl.when(long_enough).then(pl.col("daily_sharpe").fill_nan(None)).alias("daily_sharpe"),
    )


def _held(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    """Wallets that held, bought or closed anything in the window, a lot without cost included."""
    until = pl.col("closed_at")
    within = (pl.col("opened_at") < cell.as_of) & (until.is_null() | (until >= cell.start))
    wallets = prepared.pieces.lazy().filter(within).select("proxy_wallet").unique()
    return wallets.with_columns(was_held=pl.lit(value=True))


def _buys(prepared: Prepared, cell: Cell) -> pl.LazyFrame:
    """Buys made before the resolution, in tokens resolved in the window."""
    is_before = pl.col("filled_at") < pl.col("resolved_at")
    resolved = prepared.tokens.lazy().filter(
        _within(cell, "resolved_at") & pl.col("payout").is_not_null()
    )
    buys = (
        prepared.fills.lazy()
        .filter(pl.col("side") == "BUY")
        .join(resolved, on="token_id")
        .filter(is_before)
        .with_columns(
            (pl.col("payout") * MICRO).round(0).cast(pl.Int64).alias("payout_micro"),
            exact.pico(pl.col("clv_price")).alias("clv_pico"),
        )
    )
    if prepared.market.series.is_empty():
        return buys.with_columns(pl.lit(None, pl.Int64).alias(f"timing_{n}_pico") for n in TIMING)
    for name, minutes in TIMING.items():
        buys = _with_drift(buys, prepared.market.series, cell, name, minutes)
    return buys


def _with_drift(
    buys: pl.LazyFrame, series: pl.DataFrame, cell: Cell, name: str, minutes: int
) -> pl.LazyFrame:
    """Adds timing_<name>_pico: the series' last price in (entry, entry + minutes]."""
    later = (pl.col("filled_at") + pl.duration(minutes=minutes)).alias("read_at")
    prices = (
        series.lazy()
        .sort("priced_at")
        .select(
            "token_id",
            pl.col("priced_at").alias("read_at"),
            "priced_at",
            pl.col("price").alias("later_price"),
        )
    )
    is_known = (pl.col("priced_at") > pl.col("filled_at")) & (pl.col("read_at") < cell.as_of)
    return (
        buys.with_columns(later)
        .sort("read_at")
        .join_asof(prices, on="read_at", by="token_id", check_sortedness=False)
        .with_columns(
            pl.when(is_known).then(exact.pico(pl.col("later_price"))).alias(f"timing_{name}_pico")
        )
        .drop("read_at", "priced_at", "later_price")
    )


def _draws(buys: pl.LazyFrame) -> pl.LazyFrame:
    """Per wallet and event its token with the largest bought notional, at its mean price."""
    by_token = buys.group_by("proxy_wallet", "event_slug", "token_rank").agg(
        pl.col("payout_micro").first(), pl.col("notional_usdc", "size_shares").sum()
    )
    largest = by_token.sort("notional_usdc", "token_rank", descending=[True, False]).unique(
        _BY_WALLET_AND_EVENT, keep="first", maintain_order=True
    )
    price = exact.ratio(pl.col("notional_usdc"), pl.col("size_shares"))
    return largest.with_columns(exact.pico(price).alias("price_pico"))
