"""The CLOB: order books, midpoints, price history. Prices and sizes are strings, times are ms."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from evaluator.venue.sim.ask import Ask
from evaluator.venue.sim.parameters import NOT_FOUND, RefusedError
from evaluator.venue.sim.rows import Row
from evaluator.venue.sim.rules import Book, Level

_INTERVALS = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "1w": timedelta(days=7),
    "1m": timedelta(days=30),
    "max": None,
    "all": None,
}
_LEAST_FIDELITY = {"1w": 5, "1m": 10}
_LONGEST_S = 366 * 86_400


def book(ask: Ask) -> Any:
    """`/book` of one token; 404 where its market is not open."""
    token_id = ask.query.text("token_id")
    if token_id is None:
        raise ask.query.refuse("Invalid token id")
    found = _book(ask, token_id)
    if found is None:
        raise RefusedError("No orderbook exists for the requested token id", NOT_FOUND)
    return found


def books(ask: Ask) -> Any:
    """`/books`, a POST of `[{"token_id": …}]`; tokens without a book are left out."""
    asked = ask.body
    if not isinstance(asked, list) or not all(
        isinstance(one, dict) and isinstance(one.get("token_id"), str) for one in asked
    ):
        raise ask.query.refuse("Invalid payload")
    if len(asked) > ask.caps.books:
        raise ask.query.refuse("Payload exceeds the limit")
    found = [_book(ask, token_id) for token_id in dict.fromkeys(one["token_id"] for one in asked)]
    return [row for row in found if row is not None]


def midpoint(ask: Ask) -> Any:
    """`/midpoint` of one token, halfway between best bid and best ask."""
    row = book(ask)
    if not row["bids"] or not row["asks"]:
        raise RefusedError("No orderbook exists for the requested token id", NOT_FOUND)
    middle = (float(row["bids"][-1]["price"]) + float(row["asks"][-1]["price"])) / 2
    return {"mid": _plain(middle)}


def _book(ask: Ask, token_id: str) -> Row | None:
    present = ask.present
    market, _ = present.markets.by_token.get(token_id, (None, 0))
    if market is None or not market.is_listed(present.now) or market.is_closed(present.now):
        return None
    found = present.world.book(token_id, present.instant)
    place = market.token_ids.index(token_id)
    last = float(present.past.marks.at(present.now)[market.first_token + place])
    return {
        "market": market.condition_id,
        "asset_id": token_id,
        "timestamp": str(int(found.at.timestamp() * 1000)),
        "hash": _hash(found),
        "bids": [_level(level) for level in reversed(found.bids)],
        "asks": [_level(level) for level in reversed(found.asks)],
        "min_order_size": "5",
        "tick_size": _plain(market.tick),
        "neg_risk": market.neg_risk,
        "last_trade_price": _plain(last),
    }


def _level(level: Level) -> Row:
    """A level; the venue lists the best one last."""
    return {"price": _plain(level.price), "size": _plain(level.size_shares)}


def _hash(found: Book) -> str:
    content = repr((found.token_id, found.bids, found.asks)).encode()
    return hashlib.blake2b(content, digest_size=20).hexdigest()


def _plain(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")


def prices_history(ask: Ask) -> Any:
    """`/prices-history`: the last price of every `fidelity` minutes, oldest first.

    A point of now ends every answer, even where `endTs` lies in the past.
    """
    query, present = ask.query, ask.present
    token_id = query.text("market")
    if token_id is None:
        raise query.refuse("invalid filters: 'market' is required")
    fidelity = max(1, query.whole("fidelity", 1))
    start, end = _window(ask, fidelity)
    market, place = present.markets.by_token.get(token_id, (None, 0))
    if market is None or not market.is_listed(present.now):
        return {"history": []}
    points = _points(ask, token_id, start, min(end, present.instant))
    kept = {at // (60 * fidelity): (at, price) for at, price in points}
    shown = list(kept.values())[-ask.caps.price_points :]
    now = float(present.past.marks.at(present.now)[market.first_token + place])
    history = [{"t": at, "p": price} for at, price in shown]
    return {"history": [*history, {"t": int(present.now), "p": now}]}


def _points(ask: Ask, token_id: str, start: datetime, end: datetime) -> list[tuple[int, float]]:
    if end <= start:
        return []
    frame = ask.present.world.prices([token_id], start, end).sort("priced_at")
    seconds = frame["priced_at"].dt.epoch("s").to_list()
    return list(zip(seconds, frame["price"].to_list(), strict=True))


def _window(ask: Ask, fidelity: int) -> tuple[datetime, datetime]:
    """The instants asked for: `startTs` and `endTs`, else an interval that ends now."""
    query, present = ask.query, ask.present
    interval = query.choice("interval", tuple(_INTERVALS), "") if query.has("interval") else ""
    least = _LEAST_FIDELITY.get(interval, 1)
    if fidelity < least:
        said = f"invalid filters: minimum 'fidelity' for '{interval}' range is {least}"
        raise query.refuse(said)
    if query.has("startTs"):
        start = query.whole("startTs")
        end = query.whole("endTs", int(present.now) + 1)
        if end - start > _LONGEST_S:
            raise query.refuse("invalid filters: 'startTs' and 'endTs' interval is too long")
        return _instant(start), _instant(end)
    if not interval:
        raise query.refuse("invalid filters: 'startTs' or 'interval' is required")
    length = _INTERVALS[interval]
    oldest = min(market.opened_at for market in present.markets.markets)
    start_at = _instant(oldest) if length is None else present.instant - length
    return start_at, present.instant


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(seconds, 4_000_000_000), UTC)
