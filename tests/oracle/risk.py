"""Capital at risk, the daily equity path, and what follows from it."""

from __future__ import annotations

from bisect import bisect_left
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from operator import attrgetter
from typing import TYPE_CHECKING

from tests.oracle.measures import clamp01, mean, ratio, stdev
from tests.oracle.world import MICRO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tests.oracle.lots import Step
    from tests.oracle.view import View

Row = dict[str, object]

DAY = timedelta(days=1)
FLOOR = 100 * MICRO  # equity starts at no less than 100 USDC
DAYS_A_YEAR = 365
MIN_DAYS_FOR_STDEV = 5
MIN_DAYS_FOR_SHARPE = 20


def risk(view: View) -> Row:
    """Peak capital, drawdown, volatility and Sharpe of the window."""
    peak = peak_capital(view)
    pnl = sum(row.realised_pnl_usdc for row in view.closed)
    path = equity_path(view, peak)
    exposure_days = count_exposure_days(view)
    deviation, sharpe = return_statistics(path, exposure_days)
    return {
        "peak_capital_usdc": peak / MICRO,
        "roi_on_peak_capital": ratio(pnl, peak),
        "max_drawdown": max_drawdown(path) if was_exposed(view) else None,
        "exposure_days": exposure_days,
        "return_stdev": deviation,
        "daily_sharpe": sharpe,
    }


def step_before(view: View, instant: datetime) -> Step | None:
    """Totals after the last event strictly before an instant."""
    place = bisect_left(view.books.steps, instant, key=attrgetter("at"))
    return view.books.steps[place - 1] if place else None


def open_cost(view: View, instant: datetime) -> int:
    """Cost of all open lots just before an instant."""
    step = step_before(view, instant)
    return step.open_cost if step else 0


def peak_capital(view: View) -> int:
    """Highest open cost at the window's start or after any event of it."""
    inside = [step.open_cost for step in view.books.steps if step.at >= view.start]
    return max([open_cost(view, view.start), *inside])


def was_exposed(view: View) -> bool:
    """Whether anything was held, bought or closed in the window."""
    acquired = any(flow.at >= view.start and flow.amount < 0 for flow in view.books.cash)
    bought = any(fill.side == "BUY" for fill in view.fills)
    return bool(held_at(view, view.start) or acquired or bought or view.closed)


def held_at(view: View, instant: datetime) -> dict[str, tuple[int, int]]:
    """Shares and cost per token held just before an instant."""
    found = {}
    for token, path in view.books.positions.items():
        place = bisect_left(path, instant, key=attrgetter("at"))
        if place and path[place - 1].size:
            found[token] = (path[place - 1].size, path[place - 1].cost)
    return found


def total_pnl(view: View, instant: datetime) -> Fraction:
    """Realised since the beginning plus marked; a token without a price stands at cost."""
    step = step_before(view, instant)
    total = Fraction(step.realised if step else 0)
    for token, (size, cost) in held_at(view, instant).items():
        price = view.index.price_before(token, instant)
        total += size * price - cost if price is not None else 0
    return total


def equity_path(view: View, peak: int) -> list[float]:
    """Equity at as_of − k·24 h for k = W … 0, in micro-USDC."""
    days = [view.as_of - k * DAY for k in range(view.days, -1, -1)]
    pnl = [total_pnl(view, day) for day in days]
    return [float(max(peak, FLOOR) + now - pnl[0]) for now in pnl]


def max_drawdown(path: Sequence[float]) -> float:
    """Largest fall from a running peak, as a share of that peak."""
    highest, worst = path[0], 0.0
    for equity in path:
        highest = max(highest, equity)
        worst = max(worst, (highest - equity) / highest)
    return clamp01(worst)


def count_exposure_days(view: View) -> int:
    """Days of the window with open cost or a close."""
    exposed = set()
    for number in range(view.days):
        if open_cost(view, view.start + number * DAY) > 0:
            exposed.add(number)
    for step in view.books.steps:
        if step.at >= view.start and step.open_cost > 0:
            exposed.add((step.at - view.start) // DAY)
    exposed |= {(row.closed_at - view.start) // DAY for row in view.closed}
    return len(exposed)


def return_statistics(
    path: Sequence[float], exposure_days: int
) -> tuple[float | None, float | None]:
    """Standard deviation of daily returns, and the yearly Sharpe ratio (Sharpe 1994)."""
    if min(path) <= 0:
        return None, None
    returns = [now / before - 1 for before, now in pairwise(path)]
    deviation, average = stdev(returns), mean(returns)
    if exposure_days < MIN_DAYS_FOR_STDEV or deviation is None or average is None:
        return None, None
    if exposure_days < MIN_DAYS_FOR_SHARPE or deviation == 0:
        return deviation, None
    return deviation, average / deviation * sqrt(DAYS_A_YEAR)
