"""All features of one wallet and window as plain Python over its fills and books.

Names and meanings are those of `evaluator.domain.features`; a ratio over nothing is None.
"""

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, stdev
from typing import Any

from bench.serial_ledger import BUY, DAY, Books, Fill, Token
from evaluator.domain.features.curve import DAYS_A_YEAR, MIN_CAPITAL_USDC, SHARPE_DAYS, STDEV_DAYS
from evaluator.domain.features.risk import MIN_ORDERS
from evaluator.domain.schema import MICRO
from evaluator.domain.scores import ScoreRules

Row = dict[str, Any]

HOUR = 3_600_000_000
ORDER_GAP = 10_000_000
MAKER, TAKER = 0, 1
RULES = ScoreRules()
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class View:
    """A wallet, and the window [start, as_of) of it; `history` is everything before as_of."""

    history: list[Fill]
    fills: list[Fill]
    books: Books
    tokens: dict[int, Token]
    start: int
    as_of: int
    days: int


def features(
    history: list[Fill], books: Books, tokens: dict[int, Token], as_of: int, days: int
) -> Row | None:
    """Every feature, or None where the wallet has no row in the window."""
    start = as_of - days * DAY
    fills = history[bisect_left(history, start, key=_at) :]
    view = View(history, fills, books, tokens, start, as_of, days)
    row = {**_outcome(view), **_positions(view)}
    if not fills and not row["closed_event_count"] and not row["open_position_count"]:
        return None
    row |= {**_flow(view), **_breadth(view), **_style(view), **_edge(view), **_risk(view)}
    win, lost = row["win_count"], row["win_count"] + row["loss_count"]
    losers = row["open_loser_count"]
    row["adjusted_win_rate"] = None if losers is None else _ratio(win, lost + losers)
    row["roi_on_peak_capital"] = _ratio(row["realised_pnl_usdc"], row["peak_capital_usdc"])
    row["coverage"] = _ratio(books.explained, books.disposed)
    return row


def wscore(row: Row) -> float | None:
    """Score v1 without a leaderboard."""
    if row["fill_count"] < RULES.min_fills or not row["closed_event_count"]:
        return None
    noise = [row[name] for name in ("extreme_price_ratio", "burstiness_top_1h")]
    known = [value for value in noise if value is not None]
    roi, deviation = row["roi"], row["return_stdev"]
    parts = (
        (RULES.weight_edge, None if roi is None else _clip(max(roi, 0) / RULES.full_roi)),
        (
            RULES.weight_consistency,
            None if deviation is None else _clip(1 - deviation / RULES.full_stdev),
        ),
        (RULES.weight_market_skill, row["event_win_rate"]),
        (RULES.weight_behavior, _clip(1 - fmean(known)) if known else None),
    )
    weight = sum(share for share, value in parts if value is not None)
    base = sum(share * value for share, value in parts if value is not None) / weight
    rate, age = row["win_rate"], row["wallet_age_days"]
    if rate is not None and rate < RULES.bad_win_rate:
        base *= RULES.bad_win_rate_multiplier
    elif rate is not None and rate < RULES.fair_win_rate:
        base *= RULES.fair_win_rate_multiplier
    return _clip(base * (RULES.young_multiplier if age < RULES.trusted_age_days else 1.0))


def _at(fill: Fill) -> int:
    return fill.at


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _flow(view: View) -> Row:
    fills, count = view.fills, len(view.fills)
    usdc = sorted(fill.notional / MICRO for fill in fills)
    volume = sum(fill.notional for fill in fills) / MICRO
    starts = _order_starts(fills)
    total = sum(usdc)
    buys = sum(fill.side == BUY for fill in fills)
    return {
        "fill_count": count,
        "order_count": len(starts),
        "buy_count": buys,
        "sell_count": count - buys,
        "active_days": len({fill.at // DAY for fill in fills}),
        "fills_per_day": count / view.days,
        "fills_per_week": 7 * count / view.days,
        "volume_usdc": volume,
        "avg_fill_usdc": _ratio(volume, count),
        "median_fill_usdc": _quantile(usdc, 0.5),
        "p90_fill_usdc": _quantile(usdc, 0.9),
        "size_cv": _ratio(stdev(usdc), total / count) if count > 1 else None,
        "size_gini": _ratio(
            sum((2 * i - count - 1) * value for i, value in enumerate(usdc, 1)), count * total
        ),
        "wallet_age_days": (view.as_of - view.history[0].at) / DAY if view.history else None,
        "days_since_last_fill": (view.as_of - view.history[-1].at) / DAY if view.history else None,
        "burstiness_top_1h": (
            _most_in_an_hour(starts) / len(starts) if len(starts) >= MIN_ORDERS else None
        ),
    }


def _quantile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _order_starts(fills: list[Fill]) -> list[int]:
    last: dict[tuple[int, int], int] = {}
    starts = []
    for fill in fills:
        key = (fill.token, fill.side)
        before = last.get(key)
        if before is None or fill.at - before > ORDER_GAP:
            starts.append(fill.at)
        last[key] = fill.at
    return starts


def _most_in_an_hour(starts: list[int]) -> int:
    most = tail = 0
    for place, at in enumerate(starts):
        while at - starts[tail] >= HOUR:
            tail += 1
        most = max(most, place - tail + 1)
    return most


def _breadth(view: View) -> Row:
    markets: dict[int, int] = defaultdict(int)
    domains: dict[str, int] = defaultdict(int)
    events = set()
    for fill in view.fills:
        token = view.tokens[fill.token]
        markets[fill.market] += fill.notional
        events.add(token.event)
        if token.domain is not None:
            domains[token.domain] += fill.notional
    volume = sum(markets.values())
    top = min(domains, key=lambda name: (-domains[name], name)) if domains else None
    return {
        "market_count": len(markets),
        "event_count": len(events),
        "concentration_top3": _ratio(sum(sorted(markets.values())[-3:]), volume),
        "market_hhi": _ratio(sum(value * value for value in markets.values()), volume * volume),
        "top_domain": top,
        "top_domain_ratio": None if top is None else _ratio(domains[top], volume),
    }


def _outcome(view: View) -> Row:
    trips = [trip.pnl for trip in view.books.trips if trip.closed_at >= view.start]
    wins, losses = [pnl for pnl in trips if pnl > 0], [pnl for pnl in trips if pnl < 0]
    gain, loss = sum(wins) / MICRO, -sum(losses) / MICRO
    decided = len(wins) + len(losses)
    lots = [lot for lot in view.books.closed if lot.closed_at >= view.start]
    pnl, cost = sum(lot.pnl for lot in lots) / MICRO, sum(lot.cost for lot in lots) / MICRO
    events: dict[int, int] = defaultdict(int)
    for lot in lots:
        events[lot.event] += lot.pnl
    gains = [value for value in events.values() if value > 0]
    holds = sorted(((lot.closed_at - lot.opened_at) / HOUR, lot.size) for lot in lots)
    size = sum(lot.size for lot in lots)
    return {
        "settled_count": len(trips),
        "win_count": len(wins),
        "loss_count": len(losses),
        "push_count": len(trips) - decided,
        "win_rate": _ratio(len(wins), decided),
        "win_rate_lower": _wilson(len(wins), decided),
        "gross_gain": gain,
        "gross_loss": loss,
        "profit_factor": _ratio(gain, loss),
        "expectancy_usdc": _ratio(sum(trips) / MICRO, len(trips)),
        "avg_win_usdc": _ratio(gain, len(wins)),
        "max_single_loss_usdc": max(0, -min(trips)) / MICRO if trips else None,
        "realised_pnl_usdc": pnl,
        "closed_cost_usdc": cost,
        "roi": _ratio(pnl, cost),
        "closed_event_count": len(events),
        "profitable_event_count": len(gains),
        "event_win_rate": _ratio(len(gains), len(events)),
        "top1_pnl_share": _ratio(max(gains, default=0), sum(gains)),
        "hold_hours_mean": _ratio(sum(hold * weight for hold, weight in holds), size),
        "hold_hours_median": _half_of_weight(holds, size),
    }


def _wilson(wins: int, trials: int) -> float | None:
    if not trials:
        return None
    p, z2 = wins / trials, Z * Z
    spread = sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    return (p + z2 / (2 * trials) - Z * spread) / (1 + z2 / trials)


def _half_of_weight(ordered: list[tuple[float, int]], total: int) -> float | None:
    seen = 0
    for value, weight in ordered:
        seen += weight
        if 2 * seen >= total:
            return value
    return None


def _positions(view: View) -> Row:
    held = [holding for holding in view.books.holdings.values() if holding.held]
    costs = [holding.cost for holding in held]
    marks = [holding.token.marks[-1] for holding in held]
    row: Row = {"open_position_count": sum(cost > MICRO for cost in costs)}
    if None in marks:
        unknown = ("unrealised_pnl_usdc", "open_loser_count", "open_loser_cost_ratio")
        return row | dict.fromkeys(unknown)
    values = [holding.held * mark for holding, mark in zip(held, marks, strict=True)]
    losers = [cost for cost, value in zip(costs, values, strict=True) if value < cost / 2]
    return row | {
        "unrealised_pnl_usdc": (sum(values) - sum(costs)) / MICRO,
        "open_loser_count": len(losers),
        "open_loser_cost_ratio": _ratio(sum(losers), sum(costs)),
    }


def _style(view: View) -> Row:
    fills, count = view.fills, len(view.fills)
    known = [fill.role for fill in fills if fill.role in (MAKER, TAKER)]
    buys = [fill for fill in fills if fill.side == BUY]
    bought: dict[int, set[int]] = defaultdict(set)
    for fill in buys:
        bought[fill.market].add(fill.token)
    mid = extreme = 0
    for fill in fills:
        tick = view.tokens[fill.token].tick
        price = round(fill.price / tick) * round(tick * MICRO)
        mid += abs(price - MICRO // 2) <= MICRO // 20
        extreme += price <= MICRO // 10 or price >= MICRO - MICRO // 10
    balance = _ratio(abs(2 * len(buys) - count), count)
    return {
        "role_known_count": len(known),
        "maker_share": _ratio(known.count(MAKER), len(known)),
        "buy_sell_balance": None if balance is None else 1 - balance,
        "both_sides_ratio": _ratio(sum(len(each) > 1 for each in bought.values()), len(bought)),
        "mid_fill_ratio": _ratio(mid, count),
        "extreme_price_ratio": _ratio(extreme, count),
        "mean_entry_price": _ratio(
            sum(fill.notional for fill in buys), sum(fill.size for fill in buys)
        ),
    }


def _edge(view: View) -> Row:
    buys = [fill for fill in view.history if fill.side == BUY and _is_resolved(view, fill)]
    gain = clv = 0.0
    size = clv_size = 0
    draws: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for fill in buys:
        token = view.tokens[fill.token]
        gain += (token.payout - fill.price) * fill.size
        size += fill.size
        if token.clv_price is not None:
            clv += (token.clv_price - fill.price) * fill.size
            clv_size += fill.size
        draw = draws[token.event][fill.token]
        draw[0] += fill.notional
        draw[1] += fill.size
    surprise = variance = 0.0
    for tokens in draws.values():
        name = min(tokens, key=lambda each: (-tokens[each][0], view.tokens[each].rank))
        price = tokens[name][0] / tokens[name][1]
        surprise += view.tokens[name].payout - price
        variance += price * (1 - price)
    cents = _ratio(clv, clv_size)
    return {
        "resolved_buy_count": len(buys),
        "resolved_event_count": len(draws),
        "edge_per_share": _ratio(gain, size),
        "edge_z": _ratio(surprise, sqrt(variance)),
        "clv_cents": None if cents is None else 100 * cents,
    }


def _is_resolved(view: View, fill: Fill) -> bool:
    at = view.tokens[fill.token].resolved_at
    return at is not None and view.start <= at < view.as_of and fill.at < at


def _risk(view: View) -> Row:
    books = view.books
    place = bisect_left(books.step_at, view.start)
    peak = max([books.cost_before(view.start), *books.step_cost[place:]]) / MICRO
    pnl = books.pnl[-view.days - 1 :]
    curve = [max(peak, MIN_CAPITAL_USDC) + each - pnl[0] for each in pnl]
    exposed = sum(view.start <= day * DAY < view.as_of for day in books.exposed)
    row: Row = {"peak_capital_usdc": peak, "exposure_days": exposed}
    if min(curve) <= 0:
        drawdown, deviation, sharpe = 1.0, None, None
    else:
        drawdown, deviation, sharpe = _curve_risk(curve)
    return row | {
        "max_drawdown": drawdown if exposed else None,
        "return_stdev": deviation if exposed >= STDEV_DAYS else None,
        "daily_sharpe": sharpe if exposed >= SHARPE_DAYS else None,
    }


def _curve_risk(curve: list[float]) -> tuple[float, float, float | None]:
    top, worst = curve[0], 0.0
    for equity in curve:
        top = max(top, equity)
        worst = max(worst, (top - equity) / top)
    returns = [now / before - 1 for before, now in pairwise(curve)]
    deviation = stdev(returns)
    varies = max(returns) > min(returns)
    return worst, deviation, fmean(returns) / deviation * sqrt(DAYS_A_YEAR) if varies else None
