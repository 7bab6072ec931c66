"""Features of results: round trips, closed lots, events, open positions at their marks, edge."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING

from tests.oracle.measures import ratio, wilson_lower
from tests.oracle.world import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.oracle.view import View
    from tests.oracle.world import Fill

Row = dict[str, object]

CLV_LEAD = timedelta(hours=1)


def outcome(view: View) -> Row:
    """Trips, closed lots and events of the window."""
    return {**trip_features(view), **lot_features(view), **event_features(view)}


def trip_features(view: View) -> Row:
    """Round trips that became flat in the window."""
    wins, losses, pushes = tally(view)
    results = [trip.pnl for trip in view.trips]
    gain = sum(pnl for pnl in results if pnl > 0)
    loss = -sum(pnl for pnl in results if pnl < 0)
    worst = max(0, *(-pnl for pnl in results)) if results else None
    return {
        "settled_count": len(results),
        "win_count": wins,
        "loss_count": losses,
        "push_count": pushes,
        "win_rate": ratio(wins, wins + losses),
        "win_rate_lower": wilson_lower(wins, wins + losses),
        "gross_gain": gain / MICRO,
        "gross_loss": loss / MICRO,
        "profit_factor": ratio(gain, loss),
        "expectancy_usdc": ratio(sum(results), len(results) * MICRO),
        "avg_win_usdc": ratio(gain, wins * MICRO),
        "max_single_loss_usdc": None if worst is None else worst / MICRO,
    }


def tally(view: View) -> tuple[int, int, int]:
    """Wins, losses and pushes of the window's trips."""
    results = [trip.pnl for trip in view.trips]
    wins, losses = sum(pnl > 0 for pnl in results), sum(pnl < 0 for pnl in results)
    return wins, losses, len(results) - wins - losses


def lot_features(view: View) -> Row:
    """Lots closed in the window."""
    pnl = sum(row.realised_pnl_usdc for row in view.closed)
    cost = sum(row.cost_usdc for row in view.closed)
    return {
        "realised_pnl_usdc": pnl / MICRO,
        "closed_cost_usdc": cost / MICRO,
        "roi": ratio(pnl, cost),
    }


def event_features(view: View) -> Row:
    """Lots closed in the window, netted per event."""
    by_event: dict[str, int] = defaultdict(int)
    for row in view.closed:
        by_event[row.event_slug] += row.realised_pnl_usdc
    gains = [pnl for pnl in by_event.values() if pnl > 0]
    return {
        "closed_event_count": len(by_event),
        "profitable_event_count": len(gains),
        "event_win_rate": ratio(len(gains), len(by_event)),
        "top1_pnl_share": ratio(max(gains, default=0), sum(gains)),
    }


def marks(view: View) -> Row:
    """Open positions at the last price before as_of; None where a held token has none."""
    cost = {token: view.books.cost[token] for token, size in view.books.held.items() if size}
    values = [mark_value(view, token) for token in cost]
    if any(value is None for value in values):
        return {
            "unrealised_pnl_usdc": None,
            "open_loser_count": None,
            "open_loser_cost_ratio": None,
            "adjusted_win_rate": None,
        }
    worth = dict(zip(cost, (value for value in values if value is not None), strict=True))
    losers = [token for token in cost if 2 * worth[token] < cost[token]]
    wins, losses, _ = tally(view)
    return {
        "unrealised_pnl_usdc": float((sum(worth.values()) - sum(cost.values())) / Fraction(MICRO)),
        "open_loser_count": len(losers),
        "open_loser_cost_ratio": ratio(sum(cost[token] for token in losers), sum(cost.values())),
        "adjusted_win_rate": ratio(wins, wins + losses + len(losers)),
    }


def mark_value(view: View, token_id: str) -> Fraction | None:
    """Held shares at the token's last price, micro-USDC."""
    price = view.index.price_before(token_id, view.as_of)
    return None if price is None else view.books.held[token_id] * price


def edge(view: View) -> Row:
    """Buys in tokens that resolved in the window, whenever they were made."""
    buys = resolved_buys(view)
    size = sum(fill.size for fill in buys)
    gain = sum(fill.size * payout_of(view, fill.token_id) - fill.notional for fill in buys)
    return {
        "edge_per_share": ratio(gain, size),
        "edge_z": edge_z(view, buys),
        "clv_cents": clv_cents(view, buys),
        "timing_5m_cents": None,  # no price series in an archive, and fills do not stand in
        "timing_1h_cents": None,
        "timing_24h_cents": None,
        "execution_share": None,  # no mids in an archive
        "resolved_buy_count": len(buys),
        "resolved_event_count": len({view.index.event_of(fill.condition_id) for fill in buys}),
    }


def resolved_buys(view: View) -> list[Fill]:
    """BUY fills made before the resolution of a token resolved in the window."""
    found = []
    for fill in view.history:
        resolved_at = view.index.resolved_at(fill.token_id)
        if resolved_at is None or not view.start <= resolved_at < view.as_of:
            continue
        if fill.side == "BUY" and fill.at < resolved_at:
            found.append(fill)
    return found


def payout_of(view: View, token_id: str) -> Fraction:
    """The payout of a resolved token."""
    return view.index.payout_of(token_id) or Fraction(0)


def edge_z(view: View, buys: Iterable[Fill]) -> float | None:
    """Σ(y − p) ÷ √Σp(1 − p), one draw per event: its most bought token."""
    by_event: dict[str, dict[str, list[Fill]]] = defaultdict(lambda: defaultdict(list))
    for fill in buys:
        by_event[view.index.event_of(fill.condition_id)][fill.token_id].append(fill)
    surprise = variance = Fraction(0)
    for tokens in by_event.values():
        token = min(tokens, key=lambda name: (-bought(tokens[name]), name))
        price = Fraction(bought(tokens[token]), sum(fill.size for fill in tokens[token]))
        surprise += payout_of(view, token) - price
        variance += price * (1 - price)
    return float(surprise) / sqrt(variance) if variance > 0 else None


def bought(fills: Iterable[Fill]) -> int:
    """Notional of some fills."""
    return sum(fill.notional for fill in fills)


def clv_cents(view: View, buys: Iterable[Fill]) -> float | None:
    """Last price an hour before the end, less entry, per share bought, in cents."""
    gain, size = Fraction(0), 0
    for fill in buys:
        price = closing_price(view, fill)
        if price is not None:
            gain += fill.size * price - fill.notional
            size += fill.size
    return ratio(100 * gain, size)


def closing_price(view: View, fill: Fill) -> Fraction | None:
    """Last price at least 1 h before the earlier of the market's end and its resolution."""
    market = view.index.market_of_token[fill.token_id]
    ends = [at for at in (market.end_at, market.resolved_at) if at is not None]
    return view.index.price_until(fill.token_id, min(ends) - CLV_LEAD)
