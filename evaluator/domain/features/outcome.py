"""Outcome and marks: what was made in the window, and what is held at as_of.

Round trips, lots and events closed in the window; open positions at their marks.
"""

import polars as pl

from evaluator.domain.exact import PICO, ratio, wide
from evaluator.domain.features.feature import Feature, Source, count, usdc
from evaluator.domain.schema import INT, MICRO

_pnl = pl.col("pnl_usdc")
_NO_TRIP = "no round trip settled in the window"
_NO_WIN = "no round trip won or lost in the window"
_NO_EVENT = "no lot closed in the window"

Z_95 = 1.959963984540054
"""Two-sided 95 % point of the normal distribution."""


def wilson_lower(wins: pl.Expr, trials: pl.Expr) -> pl.Expr:
    """Lower Wilson score bound (two-sided 95 %) of a proportion; null without trials.

    (p + z²/2n − z·√(p(1−p)/n + z²/4n²)) ÷ (1 + z²/n). Source: Wilson (1927), JASA 22.

    >>> pl.select(wilson_lower(pl.lit(5), pl.lit(10)).round(4)).item()
    0.2366
    """
    z2 = Z_95 * Z_95
    p = ratio(wins, trials)
    spread = (ratio(p * (1 - p), trials) + ratio(_like(p, z2), 4 * trials * trials)).sqrt()
    centre = p + ratio(_like(p, z2), 2 * trials)
    return ratio(centre - Z_95 * spread, 1 + ratio(_like(p, z2), trials))


def _like(column: pl.Expr, value: float) -> pl.Expr:
    """The constant as a column: a quotient of columns is correctly rounded."""
    return column * 0.0 + value


OUTCOME = (
    Feature("settled_count", Source.TRIPS, pl.len(), "Round trips settled.", dtype=INT),
    Feature("win_count", Source.TRIPS, count(_pnl > 0), "Of these with PnL > 0.", dtype=INT),
    Feature("loss_count", Source.TRIPS, count(_pnl < 0), "Of these with PnL < 0.", dtype=INT),
    Feature("push_count", Source.TRIPS, count(_pnl == 0), "Of these with PnL = 0.", dtype=INT),
    Feature(
        "win_rate",
        Source.ROW,
        ratio(pl.col("win_count"), pl.col("win_count") + pl.col("loss_count")),
        "Wins ÷ (wins + losses).",
        unit="ratio",
        null=_NO_WIN,
    ),
    Feature(
        "win_rate_lower",
        Source.ROW,
        wilson_lower(pl.col("win_count"), pl.col("win_count") + pl.col("loss_count")),
        "Lower Wilson bound of win_rate, two-sided 95 %.",
        unit="ratio",
        null=_NO_WIN,
    ),
    Feature(
        "gross_gain",
        Source.TRIPS,
        ratio(_pnl.filter(_pnl > 0).sum(), MICRO),
        "Σ PnL of wins.",
        unit="USDC",
    ),
    Feature(
        "gross_loss",
        Source.TRIPS,
        ratio(-_pnl.filter(_pnl < 0).sum(), MICRO),
        "Σ loss of losses, positive.",
        unit="USDC",
    ),
    Feature(
        "profit_factor",
        Source.ROW,
        ratio(pl.col("gross_gain"), pl.col("gross_loss")),
        "gross_gain ÷ gross_loss.",
        unit="ratio",
        null="no loss in the window",
    ),
    Feature(
        "expectancy_usdc",
        Source.TRIPS,
        ratio(ratio(_pnl.sum(), MICRO), _pnl.len()),
        "Mean PnL of a round trip.",
        unit="USDC",
        null=_NO_TRIP,
    ),
    Feature(
        "avg_win_usdc",
        Source.ROW,
        ratio(pl.col("gross_gain"), pl.col("win_count")),
        "Mean PnL of a win.",
        unit="USDC",
        null="no win in the window",
    ),
    Feature(
        "max_single_loss_usdc",
        Source.TRIPS,
        ratio(pl.max_horizontal(-_pnl.min(), 0), MICRO),
        "Largest loss of a round trip, positive; 0 where none lost.",
        unit="USDC",
        null=_NO_TRIP,
    ),
    Feature(
        "realised_pnl_usdc",
        Source.LOTS,
        usdc("realised_pnl_usdc"),
        "PnL of lots closed.",
        unit="USDC",
    ),
    Feature("closed_cost_usdc", Source.LOTS, usdc("cost_usdc"), "Their cost.", unit="USDC"),
    Feature(
        "roi",
        Source.ROW,
        ratio(pl.col("realised_pnl_usdc"), pl.col("closed_cost_usdc")),
        "realised_pnl_usdc ÷ closed_cost_usdc.",
        unit="ratio",
        null="no closed cost in the window",
    ),
    Feature(
        "roi_on_peak_capital",
        Source.ROW,
        ratio(pl.col("realised_pnl_usdc"), pl.col("peak_capital_usdc")),
        "realised_pnl_usdc ÷ peak_capital_usdc.",
        unit="ratio",
        null="no capital at work in the window",
    ),
    Feature("closed_event_count", Source.EVENTS, pl.len(), "Events with a lot closed.", dtype=INT),
    Feature(
        "profitable_event_count",
        Source.EVENTS,
        count(_pnl > 0),
        "Of these with PnL > 0.",
        dtype=INT,
    ),
    Feature(
        "event_win_rate",
        Source.ROW,
        ratio(pl.col("profitable_event_count"), pl.col("closed_event_count")),
        "profitable_event_count ÷ closed_event_count.",
        unit="ratio",
        null=_NO_EVENT,
    ),
    Feature(
        "top1_pnl_share",
        Source.EVENTS,
        ratio(_pnl.max(), _pnl.filter(_pnl > 0).sum()),
        "Largest positive event PnL ÷ Σ positive event PnL.",
        unit="ratio",
        null="no profitable event in the window",
    ),
)

_cost, _mark = pl.col("cost_usdc"), pl.col("mark_pico")
_value = wide(_mark) * pl.col("size_shares")
_is_loser = 2 * _value < wide(_cost) * PICO
_is_marked = _mark.null_count() == 0
_NO_MARK = "a token held has no mark"

MARK = (
    Feature(
        "unrealised_pnl_usdc",
        Source.POSITIONS,
        pl.when(_is_marked).then(ratio(ratio((_value - wide(_cost) * PICO).sum(), PICO), MICRO)),
        "Σ shares × mark − cost of what is held; 0 where nothing is.",
        unit="USDC",
        null=_NO_MARK,
        is_total=True,
    ),
    Feature(
        "open_loser_count",
        Source.POSITIONS,
        pl.when(_is_marked).then(count(_is_loser)),
        "Tokens held that are marked below half their cost.",
        null=_NO_MARK,
        dtype=INT,
        is_total=True,
    ),
    Feature(
        "open_loser_cost_ratio",
        Source.POSITIONS,
        pl.when(_is_marked).then(ratio(_cost.filter(_is_loser).sum(), _cost.sum())),
        "Their share of open cost.",
        unit="ratio",
        null="nothing is held, or a token held has no mark",
    ),
    Feature(
        "adjusted_win_rate",
        Source.ROW,
        ratio(
            pl.col("win_count"),
            pl.col("win_count") + pl.col("loss_count") + pl.col("open_loser_count"),
        ),
        "Wins ÷ (wins + losses + open losers).",
        unit="ratio",
        null="neither a win, a loss nor an open loser, or a token held has no mark",
    ),
)
