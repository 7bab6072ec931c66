"""Risk, edge and style: capital and equity, payout against price paid, and how a wallet trades."""

import polars as pl

from evaluator.domain.exact import PICO, ratio, wide
from evaluator.domain.features.feature import Feature, Source, count, drift_cents
from evaluator.domain.schema import INT, MICRO

MIN_ORDERS = 30
"""Below this many orders burstiness is noise."""

_RISK_NULL = "under {} exposure days, no variation, or equity at or below 0 within the window"

RISK = (
    Feature(
        "peak_capital_usdc",
        Source.CURVE,
        pl.col("peak_capital_usdc").first(),
        "Highest Σ open cost after any event of the window, its start included.",
        unit="USDC",
    ),
    Feature(
        "max_drawdown",
        Source.CURVE,
        pl.col("max_drawdown").first(),
        "Largest (running peak − equity) ÷ running peak over daily equity, in [0, 1].",
        unit="ratio",
        null="nothing was held, bought or closed in the window",
    ),
    Feature(
        "return_stdev",
        Source.CURVE,
        pl.col("return_stdev").first(),
        "Standard deviation (ddof 1) of daily returns of equity.",
        unit="ratio",
        null=_RISK_NULL.format(5),
    ),
    Feature(
        "daily_sharpe",
        Source.CURVE,
        pl.col("daily_sharpe").first(),
        "Mean ÷ standard deviation of daily returns × √365.",
        unit="ratio",
        null=_RISK_NULL.format(20),
    ),
    Feature(
        "exposure_days",
        Source.CURVE,
        pl.col("exposure_days").first(),
        "UTC days of the window with open cost or a close.",
        unit="days",
        dtype=INT,
    ),
)

_size, _paid = pl.col("size_shares"), pl.col("notional_usdc")
_worth = (wide(pl.col("payout_micro")) * _size).sum()
_y, _p = wide(pl.col("payout_micro")) * (PICO // MICRO), wide(pl.col("price_pico"))
_NO_BUY = "no buy in a token resolved in the window"
_NO_SERIES = "no price series of the tokens (fills do not stand in)"

EDGE = (
    Feature("resolved_buy_count", Source.BUYS, pl.len(), "Buys the edge rests on.", dtype=INT),
    Feature("resolved_event_count", Source.DRAWS, pl.len(), "Events of these buys.", dtype=INT),
    Feature(
        "edge_per_share",
        Source.BUYS,
        ratio(ratio(_worth - wide(_paid.sum()) * MICRO, MICRO), _size.sum()),
        "Size-weighted payout − price paid, fees excluded.",
        unit="USDC per share",
        null=_NO_BUY,
    ),
    Feature(
        "edge_z",
        Source.DRAWS,
        ratio(ratio((_y - _p).sum(), PICO), ratio((_p * (PICO - _p)).sum(), PICO * PICO).sqrt()),
        "Σ(y − p) ÷ √Σp(1 − p), one draw per event: its token with most bought.",
        unit="standard deviations",
        null=_NO_BUY + ", or none at a price inside (0, 1)",
    ),
    Feature(
        "clv_cents",
        Source.BUYS,
        drift_cents("clv_pico"),
        "Closing-line value: last price an hour or more before the end − entry, size-weighted.",
        unit="cents",
        null="no buy with such a price",
    ),
    *(
        Feature(
            f"timing_{name}_cents",
            Source.BUYS,
            drift_cents(f"timing_{name}_pico"),
            f"Price of the series {name} after entry − entry, size-weighted.",
            unit="cents",
            null=_NO_SERIES,
        )
        for name in ("5m", "1h", "24h")
    ),
    Feature(
        "execution_share",
        Source.BUYS,
        pl.lit(None, pl.Float64).first(),
        "Execution ÷ total PnL, Σ(mid − entry)·size ÷ Σ(settle − entry)·size.",
        unit="ratio",
        null="no order-book mid at entry is known: books are not ingested yet",
    ),
)

_ticks = pl.col("price_micro")
_hold = pl.col("hold_us")
HOUR_US = 3_600_000_000

STYLE = (
    Feature(
        "role_known_count",
        Source.FILLS,
        count(pl.col("role") != "unknown"),
        "Fills of known role.",
        dtype=INT,
    ),
    Feature(
        "maker_share",
        Source.FILLS,
        ratio(count(pl.col("role") == "maker"), count(pl.col("role") != "unknown")),
        "Share of fills of known role that rested in the book.",
        unit="ratio",
        null="no fill of known role",
    ),
    Feature(
        "buy_sell_balance",
        Source.ROW,
        1
        - ratio(
            (pl.col("buy_count") - pl.col("sell_count")).abs(),
            pl.col("buy_count") + pl.col("sell_count"),
        ),
        "1 − |buys − sells| ÷ (buys + sells).",
        unit="ratio",
        null="no fill in the window",
    ),
    Feature(
        "both_sides_ratio",
        Source.MARKETS,
        ratio(count(pl.col("tokens_bought") > 1), count(pl.col("tokens_bought") > 0)),
        "Markets with two or more tokens bought ÷ markets with a buy.",
        unit="ratio",
        null="no buy in the window",
    ),
    Feature(
        "mid_fill_ratio",
        Source.FILLS,
        ratio(count((_ticks - MICRO // 2).abs() <= MICRO // 20), pl.len()),
        "Share of fills at prices within 5 cents of 0.50.",
        unit="ratio",
        null="no fill in the window",
    ),
    Feature(
        "extreme_price_ratio",
        Source.FILLS,
        ratio(count((_ticks <= MICRO // 10) | (_ticks >= MICRO - MICRO // 10)), pl.len()),
        "Share of fills at prices ≤ 0.10 or ≥ 0.90.",
        unit="ratio",
        null="no fill in the window",
    ),
    Feature(
        "mean_entry_price",
        Source.FILLS,
        ratio(
            _paid.filter(pl.col("side") == "BUY").sum(), _size.filter(pl.col("side") == "BUY").sum()
        ),
        "Σ notional ÷ Σ size of buys.",
        unit="USDC per share",
        null="no buy in the window",
    ),
    Feature(
        "burstiness_top_1h",
        Source.ROW,
        pl.when(pl.col("order_count") >= MIN_ORDERS).then(
            ratio(pl.col("most_orders_in_1h"), pl.col("order_count"))
        ),
        "Most orders that start within any hour ÷ orders.",
        unit="ratio",
        null=f"under {MIN_ORDERS} orders",
    ),
    Feature(
        "hold_hours_mean",
        Source.LOTS,
        ratio(ratio((wide(_hold) * _size).sum(), _size.sum()), HOUR_US),
        "Size-weighted mean of opening to close.",
        unit="hours",
        null="no lot closed in the window",
    ),
    Feature(
        "hold_hours_median",
        Source.LOTS,
        ratio(
            _hold.sort().filter(2 * _size.sort_by("hold_us").cum_sum() >= _size.sum()).first(),
            HOUR_US,
        ),
        "Smallest hold that half of the shares do not exceed.",
        unit="hours",
        null="no lot closed in the window",
    ),
)
