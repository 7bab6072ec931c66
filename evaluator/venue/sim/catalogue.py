"""Markets and events as the Gamma API spells them.

Amounts come as strings and again as numbers, lists as JSON inside strings, instants in three
spellings. A closed market of unknown outcome shows the price 0 for every token.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.rows import Row, iso, iso_date

DAY_S = 86_400
_CATEGORY_EVERY = 10
"""Few markets still carry a category; the others have only the tags of their event."""

_ALWAYS = {
    "resolutionSource": "",
    "image": "",
    "icon": "",
    "marketMakerAddress": "",
    "new": False,
    "featured": False,
    "archived": False,
    "restricted": True,
    "enableOrderBook": True,
    "orderMinSize": 5,
    "hasReviewedDates": True,
    "umaBond": "500",
    "umaReward": "5",
    "customLiveness": 0,
    "ready": False,
    "funded": False,
    "cyom": False,
    "approved": True,
    "pagerDutyNotificationEnabled": False,
    "rewardsMinSize": 20,
    "rewardsMaxSpread": 3.5,
    "negRiskRequestID": "",
    "umaResolutionStatuses": "[]",
    "rfqEnabled": False,
    "holdingRewardsEnabled": False,
    "requiresTranslation": False,
    "active": True,
}


def market_row(present: Present, market: Market, *, has_tags: bool = False) -> Row:
    """A market without the events it belongs to."""
    is_closed = market.is_closed(present.now)
    prices = shown_prices(present, market)
    row: Row = {
        **_ALWAYS,
        "id": market.market_id,
        "question": market.question,
        "conditionId": market.condition_id,
        "slug": market.slug,
        "description": f"This market resolves to the outcome of: {market.question}",
        "outcomes": json.dumps(market.outcomes),
        "outcomePrices": json.dumps([_plain(price) for price in prices]),
        "closed": is_closed,
        "acceptingOrders": not is_closed,
        "clobTokenIds": json.dumps(market.token_ids),
        "negRisk": market.neg_risk,
        "orderPriceMinTickSize": market.tick,
        "feesEnabled": market.fee_rate > 0,
        "feeSchedule": {
            "rate": market.fee_rate,
            "exponent": market.fee_exponent,
            "takerOnly": True,
            "rebateRate": 0.2 if market.fee_rate > 0 else 0,
        },
        **_instants(present, market),
        **_amounts(present, market),
        **(_resolved(market) if is_closed else _quote(market, prices)),
    }
    if market.code % _CATEGORY_EVERY == 0:
        row["category"] = market.domain
    return row | {"tags": tags(market)} if has_tags else row


def shown_prices(present: Present, market: Market) -> list[float]:
    """Payouts of a closed market, 0 where they stay unknown; else prices on the tick."""
    if market.is_closed(present.now):
        return list(market.payouts or (0.0,) * len(market.token_ids))
    marks = present.past.marks.at(present.now)[market.first_token :][: len(market.token_ids)]
    decimals = len(_plain(market.tick).partition(".")[2])
    rounded = [round(float(price), decimals) for price in marks]
    if len(rounded) == 2:  # noqa: PLR2004 - two outcomes make 1
        rounded[1] = round(1 - rounded[0], decimals)
    return rounded


def tags(market: Market) -> list[Row]:
    """Tags of a market's event: its domain first."""
    labels = dict.fromkeys((market.domain, *market.tags))
    return [
        {
            "id": str(100_000 + sum(label.encode())),
            "label": label,
            "slug": label.lower().replace(" ", "-"),
            "forceShow": False,
            "publishedAt": "2023-11-02 21:22:21.615+00",
            "createdAt": "2023-11-02T21:22:21.62Z",
            "requiresTranslation": False,
        }
        for label in labels
    ]


def event_row(present: Present, members: tuple[Market, ...]) -> Row:
    """An event without its markets; closed when all of them are."""
    first = members[0]
    volumes, now = present.past.volumes, present.now
    is_open = [not market.is_closed(now) for market in members]
    ends = [market.end_at for market in members if market.end_at is not None]
    opened = min(market.opened_at for market in members)
    row: Row = {
        "id": first.event_id,
        "ticker": first.event_slug,
        "slug": first.event_slug,
        "title": first.event_title,
        "description": f"This event asks: {first.event_title}",
        "resolutionSource": "",
        "image": "",
        "icon": "",
        "active": True,
        "archived": False,
        "startDate": _fractional(opened),
        "creationDate": _fractional(opened),
        "endDate": iso(max(ends)) if ends else None,
        "closed": not any(is_open),
        "new": False,
        "featured": False,
        "restricted": True,
        "enableOrderBook": True,
        "liquidity": sum(
            m.liquidity_usdc for m, alive in zip(members, is_open, strict=True) if alive
        ),
        "volume": sum(volumes.until(market, now) for market in members),
        "openInterest": 0,
        "volume24hr": sum(volumes.between(m, now - DAY_S, now) for m in members),
        "negRisk": first.neg_risk,
        "commentCount": present.comments(first.event_slug).height,
        "createdAt": _fractional(opened),
        "updatedAt": _fractional(np.floor(now)),
    }
    return {name: value for name, value in row.items() if value is not None}


def _instants(present: Present, market: Market) -> Row:
    row = {
        "startDate": _fractional(market.opened_at),
        "startDateIso": iso_date(market.opened_at),
        "createdAt": _fractional(market.opened_at),
        "acceptingOrdersTimestamp": iso(market.opened_at),
        "updatedAt": _fractional(np.floor(present.now)),
    }
    if market.end_at is not None:
        row |= {"endDate": iso(market.end_at), "endDateIso": iso_date(market.end_at)}
    return row


def _amounts(present: Present, market: Market) -> Row:
    """Volumes in shares; liquidity and the volume of the day only of open markets."""
    volumes, now = present.past.volumes, present.now
    total = volumes.until(market, now)
    row: Row = {
        "volume": _plain(total),
        "volumeNum": total,
        "volumeClob": total,
        "volume1wk": volumes.between(market, now - 7 * DAY_S, now),
        "volume1mo": volumes.between(market, now - 30 * DAY_S, now),
    }
    if market.is_closed(now):
        return row
    day = volumes.between(market, now - DAY_S, now)
    liquidity = market.liquidity_usdc
    row |= {"liquidity": _plain(liquidity), "liquidityNum": liquidity, "liquidityClob": liquidity}
    return row | {"volume24hr": day, "volume24hrClob": day}


def _resolved(market: Market) -> Row:
    closed_at = datetime.fromtimestamp(market.closed_at or 0.0, UTC)
    return {
        "closedTime": closed_at.strftime("%Y-%m-%d %H:%M:%S+00"),
        "umaEndDate": iso(market.closed_at),
        "umaResolutionStatus": "resolved",
        "bestAsk": 1,
    }


def _quote(market: Market, prices: list[float]) -> Row:
    """Best prices of the first outcome, one tick around its price."""
    bid, ask = max(prices[0] - market.tick, 0.0), min(prices[0] + market.tick, 1.0)
    return {
        "lastTradePrice": prices[0],
        "bestBid": round(bid, 4),
        "bestAsk": round(ask, 4),
        "spread": round(ask - bid, 4),
    }


def _plain(number: float) -> str:
    """A number without exponent or superfluous zeros.

    Whole numbers have no point: "1", "0.525", "57721.1642".
    """
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _fractional(at: float) -> str:
    """An instant with fractions of a second, as most of the venue's are written."""
    return datetime.fromtimestamp(float(at), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


NUMBERS: dict[str, Callable[[Present, Market], float]] = {
    "id": lambda _, market: number_of(market.market_id),
    "volumeNum": lambda now, market: now.past.volumes.until(market, now.now),
    "volume24hr": lambda now, market: now.past.volumes.between(market, now.now - DAY_S, now.now),
    "liquidityNum": lambda now, market: 0.0 if market.is_closed(now.now) else market.liquidity_usdc,
    "startDate": lambda _, market: market.opened_at,
    "createdAt": lambda _, market: market.opened_at,
    "endDate": lambda _, market: market.end_at or 0.0,
    "closedTime": lambda now, market: market.closed_at or 0.0 if market.is_closed(now.now) else 0.0,
}
"""What markets can be ordered by, under the names that the API accepts."""


def number(present: Present, market: Market, name: str) -> float:
    """One of `NUMBERS` of a market."""
    return NUMBERS[name](present, market)


def number_of(identifier: str) -> int:
    """The number that an id is, 0 for one that is none."""
    return int(identifier) if identifier.isdigit() else 0
