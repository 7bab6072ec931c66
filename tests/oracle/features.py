"""One wallet, one day, one window: every feature of the specification under its name.

Flow, breadth, style and quality are here; outcome, mark, edge and risk are beside it.
Money is a float of USDC, made from micro-unit sums at the very end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from tests.oracle.measures import (
    densest,
    gini,
    mean,
    quantile,
    ratio,
    stdev,
    weighted_median,
)
from tests.oracle.outcomes import edge, marks, outcome
from tests.oracle.risk import risk
from tests.oracle.view import View, look, orders
from tests.oracle.world import MICRO, half_even

if TYPE_CHECKING:
    from datetime import datetime

    from tests.oracle.world import Fill, WorldIndex

Row = dict[str, object]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
DUST_POSITION = MICRO  # an open position counts above 1 USDC of cost
MIN_ORDERS_FOR_BURSTINESS = 30


def features(
    world_index: WorldIndex, wallet: str, as_of: datetime, window_days: int, *, force: bool = False
) -> Row | None:
    """Every feature and support column, or None where the wallet has no row (unless forced)."""
    view = look(world_index, wallet, as_of, window_days)
    if not force and not has_row(view):
        return None
    return {
        "proxy_wallet": wallet,
        "feature_date": (as_of - DAY).date(),
        "window_days": window_days,
        **flow(view),
        **breadth(view),
        **outcome(view),
        **marks(view),
        **risk(view),
        **edge(view),
        **style(view),
        **quality(view),
    }


def has_row(view: View) -> bool:
    """A fill or a close in the window, or an open position of cost > 1 USDC."""
    return bool(view.fills or view.closed or open_position_count(view))


def open_position_count(view: View) -> int:
    """Unresolved tokens with open cost > 1 USDC at as_of."""
    return sum(cost > DUST_POSITION for cost in view.books.cost.values())


def flow(view: View) -> Row:
    """How much and how often, from the fills of the window."""
    fills = view.fills
    usdc = [fill.notional / MICRO for fill in fills]
    average, spread = mean(usdc), stdev(usdc)
    return {
        "fill_count": len(fills),
        "order_count": len(orders(fills)),
        "buy_count": sum(fill.side == "BUY" for fill in fills),
        "sell_count": sum(fill.side == "SELL" for fill in fills),
        "active_days": len({fill.at.date() for fill in fills}),
        "fills_per_day": len(fills) / view.days,
        "fills_per_week": len(fills) * 7 / view.days,
        "volume_usdc": sum(fill.notional for fill in fills) / MICRO,
        "avg_fill_usdc": ratio(sum(fill.notional for fill in fills), len(fills) * MICRO),
        "median_fill_usdc": quantile(usdc, 0.5),
        "p90_fill_usdc": quantile(usdc, 0.9),
        "size_cv": spread / average if spread is not None and average else None,
        "size_gini": gini(fill.notional for fill in fills),
        "first_fill_at": fills[0].at if fills else None,
        "last_fill_at": fills[-1].at if fills else None,
        "wallet_age_days": days_since(view, first=True),
        "days_since_last_fill": days_since(view, first=False),
    }


def days_since(view: View, *, first: bool) -> float | None:
    """Fractional days from the wallet's first or last fill ever to as_of."""
    if not view.history:
        return None
    fill = view.history[0] if first else view.history[-1]
    return (view.as_of - fill.at) / DAY


def breadth(view: View) -> Row:
    """How widely, by the volume of the window's fills."""
    by_market: Counter[str] = Counter()
    by_domain: Counter[str] = Counter()
    for fill in view.fills:
        by_market[fill.condition_id] += fill.notional
        domain = view.index.domain_of(fill.condition_id)
        if domain is not None:
            by_domain[domain] += fill.notional
    total = sum(by_market.values())
    top3 = sum(sorted(by_market.values(), reverse=True)[:3])
    top = min(by_domain, key=lambda name: (-by_domain[name], name)) if by_domain else None
    return {
        "market_count": len(by_market),
        "event_count": len({view.index.event_of(market) for market in by_market}),
        "open_position_count": open_position_count(view),
        "concentration_top3": ratio(top3, total),
        "market_hhi": ratio(sum(v * v for v in by_market.values()), total * total),
        "top_domain": top,
        "top_domain_ratio": ratio(by_domain[top], total) if top is not None else None,
    }


def style(view: View) -> Row:
    """How the wallet trades."""
    fills = view.fills
    known = [fill for fill in fills if fill.role != "unknown"]
    buys = [fill for fill in fills if fill.side == "BUY"]
    sells = len(fills) - len(buys)
    prices = [tick_price(view, fill) for fill in fills]
    middle = sum(abs(price - Fraction(1, 2)) <= Fraction(1, 20) for price in prices)
    ends = sum(price <= Fraction(1, 10) or price >= Fraction(9, 10) for price in prices)
    return {
        "maker_share": ratio(sum(fill.role == "maker" for fill in known), len(known)),
        "role_known_count": len(known),
        "buy_sell_balance": ratio(len(fills) - abs(len(buys) - sells), len(fills)),
        "both_sides_ratio": both_sides_ratio(buys),
        "mid_fill_ratio": ratio(middle, len(fills)),
        "extreme_price_ratio": ratio(ends, len(fills)),
        "mean_entry_price": ratio(
            sum(fill.notional for fill in buys), sum(fill.size for fill in buys)
        ),
        "burstiness_top_1h": burstiness(view),
        **holds(view),
    }


def tick_price(view: View, fill: Fill) -> Fraction:
    """The fill's price rounded half-even to its market's tick."""
    tick = view.index.tick_of(fill.condition_id)
    return half_even(fill.price / tick) * tick


def both_sides_ratio(buys: list[Fill]) -> float | None:
    """Markets with two or more tokens bought ÷ markets with a buy."""
    tokens: dict[str, set[str]] = defaultdict(set)
    for fill in buys:
        tokens[fill.condition_id].add(fill.token_id)
    return ratio(sum(len(bought) >= 2 for bought in tokens.values()), len(tokens))


def burstiness(view: View) -> float | None:
    """Most orders starting within an hour ÷ orders; None under 30 orders."""
    starts = [order.start for order in orders(view.fills)]
    if len(starts) < MIN_ORDERS_FOR_BURSTINESS:
        return None
    return densest(starts, HOUR) / len(starts)


def holds(view: View) -> Row:
    """Size-weighted holding time of the lots closed in the window, in hours."""
    pairs = [((r.closed_at - r.opened_at) // MICROSECOND, r.size_shares) for r in view.closed]
    hour = HOUR // MICROSECOND
    median = weighted_median(pairs)
    total = sum(weight for _, weight in pairs)
    return {
        "hold_hours_mean": ratio(sum(hold * weight for hold, weight in pairs), total * hour),
        "hold_hours_median": None if median is None else median / hour,
    }


def quality(view: View) -> Row:
    """What the numbers rest on."""
    return {
        "coverage": view.books.coverage,
        "history_complete": view.index.world.history_complete,
        "source": "batch",
        "inputs_watermark": view.history[-1].at if view.history else None,
    }
