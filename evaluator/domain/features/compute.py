"""Rows of `wallet_features`: source frames aggregated by wallet, then derived columns."""

import polars as pl

from evaluator.domain.features.catalogue import BY_SOURCE
from evaluator.domain.features.feature import Feature, Source
from evaluator.domain.features.frames import source_frames
from evaluator.domain.features.history import Cell, Prepared
from evaluator.domain.schema import MICRO

_AGGREGATED = tuple(source for source in BY_SOURCE if BY_SOURCE[source] and source != Source.ROW)


def feature_rows(
    prepared: Prepared,
    cell: Cell,
    careers: pl.DataFrame,
    wallets: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row per wallet of the bucket with all features of a cell.

    `careers` is `career.career` of the bucket and day.

    Rows are those of wallets with a fill or a close in the window, or an open position of cost
    above 1 USDC; or of exactly the `wallets` asked for (column proxy_wallet), whatever they did.
    """
    sources = source_frames(prepared, cell)
    asked = _active(sources) if wallets is None else wallets.lazy().select("proxy_wallet").unique()
    rows = asked.join(sources[Source.ORDERS], on="proxy_wallet", how="left")
    rows = rows.join(careers.lazy(), on="proxy_wallet", how="left")
    for source in _AGGREGATED:
        features = BY_SOURCE[source]
        aggregate = sources[source].group_by("proxy_wallet").agg(f.aggregate for f in features)
        rows = rows.join(
            aggregate.with_columns(has_rows=True), on="proxy_wallet", how="left"
        ).with_columns(_zero_over_nothing(features))
        rows = rows.drop("has_rows")
    rows = rows.with_columns(
        pl.lit(cell.day).alias("feature_date"),
        pl.lit(cell.window_days, pl.Int32).alias("window_days"),
        pl.lit(cell.as_of).alias("as_of"),
    )
    return _derived(rows).sort("proxy_wallet").collect()


def _zero_over_nothing(features: tuple[Feature, ...]) -> pl.Expr:
    """Sums and counts of wallets without rows in the source become 0."""
    names = [feature.name for feature in features if feature.is_zero_over_nothing]
    return pl.when("has_rows").then(pl.col(names)).otherwise(0).name.keep()


def _active(sources: dict[Source, pl.LazyFrame]) -> pl.LazyFrame:
    """Wallets that have a row of their own in the cell."""
    held = sources[Source.POSITIONS].filter(pl.col("cost_usdc") > MICRO)
    parts = (sources[Source.FILLS], sources[Source.LOTS], held)
    return pl.concat(part.select("proxy_wallet") for part in parts).unique()


def _derived(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Derived features one after the other: each may use those before it."""
    for feature in BY_SOURCE[Source.ROW]:
        rows = rows.with_columns(feature.aggregate)
    return rows
