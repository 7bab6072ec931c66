"""Flow and breadth: how much, how often and how widely a wallet trades in the window."""

import polars as pl

from evaluator.domain.exact import gini, herfindahl, ratio, variation
from evaluator.domain.features.feature import Feature, Source, count, usdc
from evaluator.domain.schema import INSTANT, INT, MICRO, TEXT

_notional = pl.col("notional_usdc")
_NO_FILL = "no fill in the window"
_ONE_FILL = "fewer than two fills in the window"
_NO_VOLUME = "no volume in the window"
DAY_US = 86_400_000_000


def _days_since(instant: str) -> pl.Expr:
    elapsed = pl.col("as_of") - pl.col(instant)
    return ratio(elapsed.dt.total_microseconds(), DAY_US)


FLOW = (
    Feature("fill_count", Source.FILLS, pl.len(), "Fills.", dtype=INT),
    Feature(
        "order_count",
        Source.FILLS,
        count(pl.col("is_order_start")),
        "Orders: fills of one token and side, chained while gaps are 10 s at most.",
        dtype=INT,
    ),
    Feature("buy_count", Source.FILLS, count(pl.col("side") == "BUY"), "Buys.", dtype=INT),
    Feature("sell_count", Source.FILLS, count(pl.col("side") == "SELL"), "Sells.", dtype=INT),
    Feature(
        "active_days",
        Source.FILLS,
        pl.col("filled_at").dt.date().n_unique(),
        "UTC days with a fill.",
        unit="days",
        dtype=INT,
    ),
    Feature(
        "fills_per_day",
        Source.ROW,
        ratio(pl.col("fill_count"), pl.col("window_days")),
        "fill_count ÷ window_days.",
        unit="1/day",
    ),
    Feature(
        "fills_per_week",
        Source.ROW,
        ratio(7 * pl.col("fill_count"), pl.col("window_days")),
        "7 × fills_per_day.",
        unit="1/week",
    ),
    Feature("volume_usdc", Source.FILLS, usdc("notional_usdc"), "Σ notional.", unit="USDC"),
    Feature(
        "avg_fill_usdc",
        Source.ROW,
        ratio(pl.col("volume_usdc"), pl.col("fill_count")),
        "Mean notional of a fill.",
        unit="USDC",
        null=_NO_FILL,
    ),
    Feature(
        "median_fill_usdc",
        Source.FILLS,
        ratio(_notional.median(), MICRO),
        "Median notional of a fill.",
        unit="USDC",
        null=_NO_FILL,
    ),
    Feature(
        "p90_fill_usdc",
        Source.FILLS,
        ratio(_notional.quantile(0.9, interpolation="linear"), MICRO),
        "90 % quantile of the notional of a fill, interpolated linearly.",
        unit="USDC",
        null=_NO_FILL,
    ),
    Feature(
        "size_cv",
        Source.FILLS,
        variation(_notional),
        "Standard deviation (ddof 1) ÷ mean of fill notionals.",
        unit="ratio",
        null=_ONE_FILL,
    ),
    Feature(
        "size_gini",
        Source.FILLS,
        gini(_notional),
        "Gini coefficient of fill notionals.",
        unit="ratio",
        null=_NO_VOLUME,
    ),
    Feature(
        "first_fill_at",
        Source.FILLS,
        pl.col("filled_at").min(),
        "First fill in the window.",
        null=_NO_FILL,
        dtype=INSTANT,
    ),
    Feature(
        "last_fill_at",
        Source.FILLS,
        pl.col("filled_at").max(),
        "Last fill in the window.",
        null=_NO_FILL,
        dtype=INSTANT,
    ),
    Feature(
        "wallet_age_days",
        Source.ROW,
        _days_since("career_first_fill_at"),
        "From the first fill ever to as_of, fractional.",
        unit="days",
        null="no fill before as_of",
    ),
    Feature(
        "days_since_last_fill",
        Source.ROW,
        _days_since("career_last_fill_at"),
        "From the last fill ever to as_of, fractional.",
        unit="days",
        null="no fill before as_of",
    ),
)

_volume = pl.col("notional_usdc")

BREADTH = (
    Feature("market_count", Source.MARKETS, pl.len(), "Markets with a fill.", dtype=INT),
    Feature(
        "event_count",
        Source.MARKETS,
        pl.col("event_slug").n_unique(),
        "Events with a fill.",
        dtype=INT,
    ),
    Feature(
        "open_position_count",
        Source.POSITIONS,
        count(pl.col("cost_usdc") > MICRO),
        "Unresolved tokens whose open cost exceeds 1 USDC at as_of.",
        dtype=INT,
    ),
    Feature(
        "concentration_top3",
        Source.MARKETS,
        ratio(_volume.top_k(3).sum(), _volume.sum()),
        "Share of volume in the three markets with most; 1 with three or fewer.",
        unit="ratio",
        null=_NO_VOLUME,
    ),
    Feature(
        "market_hhi",
        Source.MARKETS,
        herfindahl(_volume),
        "Herfindahl-Hirschman index: Σ squared market shares of volume.",
        unit="ratio",
        null=_NO_VOLUME,
    ),
    Feature(
        "top_domain",
        Source.DOMAINS,
        pl.col("domain").filter(pl.col("domain").is_not_null()).first(),
        "Domain with most volume, ties alphabetical; an unknown domain never wins.",
        null="no fill in a market of known domain",
        dtype=TEXT,
    ),
    Feature(
        "top_domain_ratio",
        Source.DOMAINS,
        ratio(_volume.filter(pl.col("domain").is_not_null()).first(), _volume.sum()),
        "Its share of volume, markets of unknown domain in the denominator.",
        unit="ratio",
        null="no fill in a market of known domain",
    ),
)
