"""Daily equity of the best ranked wallets of a cell, as the features see it, for a plot."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from evaluator.domain import ids, prices
from evaluator.domain.features.history import Bucket, Cell, market_of, prepare
from evaluator.domain.tables.market_data import PRICES
from evaluator.stages import history
from evaluator.store.snapshot import Snapshot

TOP_WALLETS = 10
"""Wallets with a curve."""


def equity_curves(now: Snapshot, cell: Cell) -> pl.DataFrame:
    """wallet, day, pnl_usdc: realised and marked PnL since the start of the window.

    One row per wallet and midnight of the window; only fills in tokens they hold are read.
    """
    best = _best(now, cell)
    known = history.tokens(now)
    lots = _lots(now, best["proxy_wallet"].to_list(), known)
    tokens = pl.concat([lots.closed_lots["token_id"], lots.open_lots["token_id"]]).unique()
    last = prices.LastPrices(known, first=cell.start, as_of=cell.as_of)
    last.add(history.fills_of_tokens(now, tokens, prices.PRICE_COLUMNS))
    prepared = prepare(lots, market_of(known, last, now.read(PRICES)))
    days = [cell.start + timedelta(days=k) for k in range(cell.window_days + 1)]
    pnl = prepared.days.pnl - prepared.days.pnl[:, :1]
    curves = pl.DataFrame({"proxy_wallet": prepared.wallets["proxy_wallet"], "pnl_usdc": pnl})
    return (
        curves.with_columns(pl.lit(pl.Series([days])).first().alias("day"))
        .explode("day", "pnl_usdc")
        .join(best, on="proxy_wallet")
        .sort("rank", "day")
        .select("wallet", "day", "pnl_usdc")
    )


def _best(now: Snapshot, cell: Cell) -> pl.DataFrame:
    """proxy_wallet, rank and a label of the first of the ranking."""
    ranked = now.stored_sql(
        "SELECT proxy_wallet, rank FROM wallet_scores "
        "WHERE score_date = ? AND window_days = ? AND rank <= ? ORDER BY rank",
        [cell.day, cell.window_days, TOP_WALLETS],
    )
    texts = now.texts().rename({"key": "proxy_wallet"})
    label = pl.format(
        "{} {}…", pl.col("rank").cast(pl.String).str.zfill(2), pl.col("text").str.head(8)
    )
    return ranked.join(texts, on="proxy_wallet").select(
        "proxy_wallet", "rank", label.alias("wallet")
    )


def _lots(now: Snapshot, wallets: Sequence[int], known: pl.DataFrame) -> Bucket:
    """The whole history of a few wallets."""
    numbers = sorted({ids.bucket_of(wallet) for wallet in wallets}) or [0]
    bucket = history.wallets(now, numbers, known)
    mine = pl.DataFrame({"proxy_wallet": wallets}, schema={"proxy_wallet": pl.Int64})
    return history.of_wallets(bucket, mine)
