"""Sets distributions of the simulated world beside those of real fills, as a Markdown table.

`python docs/compare_worlds.py TRADES.parquet` takes a file in the archive's format (see the
configuration page) and prints quantiles only. Nothing of the file is kept.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl

from evaluator.venue.sim.world import World, WorldRules

DAYS = 120
BUSY_FILLS = 10
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
HEADER = ("distribution", "world", *(f"{round(100 * part)} %" for part in QUANTILES))


def simulated() -> pl.DataFrame:
    """Fills of the default world: wallet, token, transaction, is_buy, is_taker, price, usdc, at."""
    rules = WorldRules()
    return (
        World(rules)
        .history(rules.start + timedelta(days=DAYS))
        .fills.select(
            pl.col("proxy_wallet").alias("wallet"),
            pl.col("token_id").alias("token"),
            pl.col("transaction_hash").alias("transaction"),
            (pl.col("side") == "BUY").alias("is_buy"),
            "is_taker",
            "price",
            (pl.col("notional_usdc") / 1e6).alias("usdc"),
            pl.col("filled_at").dt.epoch("s").alias("at"),
        )
    )


def real(path: Path) -> pl.DataFrame:
    """The same columns of an archive's fills."""
    return pl.read_parquet(path).select(
        pl.col("proxyWallet").alias("wallet"),
        pl.col("asset").alias("token"),
        pl.col("txKey").alias("transaction"),
        (pl.col("side") == "BUY").alias("is_buy"),
        pl.col("isTaker").alias("is_taker"),
        "price",
        pl.col("usdcSize").alias("usdc"),
        pl.col("timestamp").alias("at"),
    )


def distributions(fills: pl.DataFrame) -> Iterator[tuple[str, pl.Series]]:
    """Each distribution by its name."""
    per_wallet = fills.group_by("wallet").agg(
        pl.len().alias("fills"),
        pl.col("token").n_unique().alias("tokens"),
        (~pl.col("is_taker")).mean().alias("maker"),
    )
    yield "fills of a wallet", per_wallet["fills"]
    yield "tokens of a wallet", per_wallet["tokens"]
    busy = per_wallet.filter(pl.col("fills") >= BUSY_FILLS)
    yield f"maker share of a wallet with {BUSY_FILLS} fills", busy["maker"]
    yield "USDC of a fill", fills["usdc"]
    yield "price of a fill", fills["price"]
    yield "fills of a transaction", fills.group_by("transaction").len()["len"]
    yield "hours from a wallet's first buy of a token to its first sale", _holds(fills)


def _holds(fills: pl.DataFrame) -> pl.Series:
    """Hours, of tokens that were both bought and later sold."""
    first = fills.group_by("wallet", "token").agg(
        pl.col("at").filter("is_buy").min().alias("bought"),
        pl.col("at").filter(~pl.col("is_buy")).min().alias("sold"),
    )
    hours = (first["sold"] - first["bought"]) / 3600
    return hours.filter(hours >= 0).drop_nulls()


def _row(name: str, world: str, values: pl.Series) -> str:
    cells = [f"{values.quantile(part, interpolation='linear'):.4g}" for part in QUANTILES]
    return "| " + " | ".join([name, world, *cells]) + " |"


def main() -> None:
    """Print the table, one row per distribution and world."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its one argument
        sys.exit("usage: python docs/compare_worlds.py TRADES.parquet")
    worlds = {"real": real(Path(sys.argv[1])), "simulated": simulated()}
    print("| " + " | ".join(HEADER) + " |")
    print("|" + " --- |" * len(HEADER))
    pairs = zip(*(distributions(fills) for fills in worlds.values()), strict=True)
    for pair in pairs:
        for world, (name, values) in zip(worlds, pair, strict=True):
            print(_row(name, world, values))
    for world, fills in worlds.items():
        share = 1 - float(fills.select(pl.col("is_taker").mean()).item())
        print(f"\n{world}: {fills.height:,} fills, maker share {share:.2f}")


if __name__ == "__main__":
    main()
