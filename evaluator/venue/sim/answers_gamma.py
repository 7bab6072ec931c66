"""The Gamma API: markets, events, comments. What it refuses is a 422."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from evaluator.venue.sim import catalogue
from evaluator.venue.sim.ask import Ask
from evaluator.venue.sim.cursors import seal, unseal
from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.parameters import Query
from evaluator.venue.sim.rows import Row

_PAGE = 20
_ORDERS = tuple(catalogue.NUMBERS)
_EVENT_ORDERS = {"volume": "volumeNum", "liquidity": "liquidityNum"}
_ENTITIES = ("Event", "Series", "PerpsAsset")

Key = tuple[float, ...]


def markets(ask: Ask) -> Any:
    """`/markets`: oldest first unless an order is asked for, open and closed ones alike."""
    found = _in_order(ask, _markets(ask))
    offset = _offset(ask, "/markets")
    limit = ask.query.clamped("limit", _PAGE, most=ask.caps.gamma_limit)
    return _market_rows(ask, ask.window(found, offset, limit))


def markets_keyset(ask: Ask) -> Any:
    """`/markets/keyset`: the same, page by page along `after_cursor`; none follows the last."""
    query = ask.query
    found = _in_order(ask, _markets(ask))
    limit = query.clamped("limit", _PAGE, most=ask.caps.gamma_limit)
    cursor = query.text("after_cursor")
    first = 0
    if cursor:
        last = unseal(cursor, "markets", query.text("order") or "")["key"]
        is_rising = _is_rising(query)
        keys = [_key(ask, market) for market in found]
        at = tuple(last)
        first = sum(1 for key in keys if (key <= at if is_rising else key >= at))
    page = found[first : first + limit]
    following = None
    if page and first + limit < len(found):
        following = seal("markets", query.text("order") or "", {"key": _key(ask, page[-1])})
    return {"markets": ask.shown(_market_rows(ask, page)), "next_cursor": following}


def events(ask: Ask) -> Any:
    """`/events`, each with its markets and tags."""
    query, present = ask.query, ask.present
    groups: dict[str, list[Market]] = {}
    for market in present.listed():
        groups.setdefault(market.event_id, []).append(market)
    tests = _ranges(ask)
    kept = [
        tuple(members)
        for event_id, members in groups.items()
        if _is_event(ask, event_id, members)
        and any(all(test(market) for test in tests) for market in members)
    ]
    found = sorted(
        kept, key=lambda members: _event_key(ask, members), reverse=not _is_rising(query)
    )
    offset = _offset(ask, "/events")
    limit = query.clamped("limit", _PAGE, most=ask.caps.gamma_limit)
    return [_event(ask, members) for members in ask.window(found, offset, limit)]


def comments(ask: Ask) -> Any:
    """`/comments` on one event, newest first unless asked otherwise."""
    query, present = ask.query, ask.present
    entity, identifier = query.text("parent_entity_type"), query.text("parent_entity_id")
    if entity is None or identifier is None:
        raise query.refuse("required query parameter is missing")
    if entity not in _ENTITIES:
        raise query.refuse(f'expected value to be one of "{", ".join(_ENTITIES)}"')
    query.whole("parent_entity_id")
    members = present.markets.by_event.get(identifier, ()) if entity == "Event" else ()
    is_known = bool(members) and members[0].is_listed(present.now)
    rows = present.comments(members[0].event_slug).to_dicts() if is_known else []
    found = rows if query.flag("ascending", default=False) is True else rows[::-1]
    offset = query.whole("offset")
    if offset > ask.caps.comments_offset:
        raise query.refuse("offset too large")
    limit = query.clamped("limit", _PAGE, most=ask.caps.gamma_limit)
    return [_comment(row, identifier) for row in ask.window(found, offset, limit)]


def _offset(ask: Ask, path: str) -> int:
    offset = ask.query.whole("offset")
    if offset > ask.caps.gamma_offset:
        raise ask.query.refuse(f"offset too large, use {path}/keyset for deeper pagination")
    return offset


def _market_rows(ask: Ask, markets: Sequence[Market]) -> list[Row]:
    """Rows of markets, each with its event."""
    present = ask.present
    has_tags = ask.query.flag("include_tag", default=False) is True
    events: dict[str, Row] = {}
    rows = []
    for market in markets:
        if market.event_id not in events:
            members = present.markets.by_event[market.event_id]
            listed = tuple(member for member in members if member.is_listed(present.now))
            events[market.event_id] = catalogue.event_row(present, listed)
        row = catalogue.market_row(present, market, has_tags=has_tags)
        rows.append(row | {"events": [events[market.event_id]]})
    return rows


def _event(ask: Ask, members: tuple[Market, ...]) -> Row:
    rows = [catalogue.market_row(ask.present, market) for market in members]
    shared = {"tags": catalogue.tags(members[0]), "markets": rows}
    return catalogue.event_row(ask.present, members) | shared


def _comment(row: Row, event_id: str) -> Row:
    posted = datetime.fromtimestamp(row["posted_s"], UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    author = row["author"] or ""
    return {
        "id": str(row["comment_id"]),
        "body": row["text"],
        "parentEntityType": "Event",
        "parentEntityID": int(event_id),
        "userAddress": author,
        "createdAt": posted,
        "updatedAt": posted,
        "profile": {
            "name": "",
            "pseudonym": "",
            "displayUsernamePublic": False,
            "proxyWallet": author,
        },
        "reportCount": 0,
        "reactionCount": 0,
    }


def _markets(ask: Ask) -> list[Market]:
    """Listed markets that all filters let pass."""
    query, now = ask.query, ask.present.now
    wanted_ids = [query.condition(text) for text in query.texts("condition_ids")]
    tests = (
        _one_of(wanted_ids, lambda market: market.condition_id),
        _one_of(query.texts("id"), lambda market: market.market_id),
        _one_of(query.texts("slug"), lambda market: market.slug),
        _any_of(query.texts("clob_token_ids")),
        _state(query, "closed", lambda market: market.is_closed(now)),
        _state(query, "active", lambda _: True),
        _state(query, "archived", lambda _: False),
        *_ranges(ask),
    )
    return [market for market in ask.present.listed() if all(test(market) for test in tests)]


Test = Callable[[Market], bool]


def _one_of(wanted: Sequence[str], value: Callable[[Market], str]) -> Test:
    names = set(wanted)
    return lambda market: not names or value(market) in names


def _any_of(token_ids: Sequence[str]) -> Test:
    wanted = set(token_ids)
    return lambda market: not wanted or not wanted.isdisjoint(market.token_ids)


def _state(query: Query, name: str, value: Test) -> Test:
    asked = query.flag(name)
    return lambda market: asked is None or value(market) is asked


def _ranges(ask: Ask) -> list[Test]:
    """Filters by amount and by date, each with a least and a most."""
    query, present = ask.query, ask.present
    amounts: dict[str, Callable[[Market], float]] = {
        "liquidity_num": lambda m: 0.0 if m.is_closed(present.now) else m.liquidity_usdc,
        "volume_num": lambda market: present.past.volumes.until(market, present.now),
    }
    dates: dict[str, Callable[[Market], float | None]] = {
        "start_date": lambda market: market.opened_at,
        "end_date": lambda market: market.end_at,
    }
    found = [
        _between(query.number(f"{name}_min"), query.number(f"{name}_max"), value)
        for name, value in amounts.items()
    ]
    return found + [
        _between(_date(query, f"{name}_min"), _date(query, f"{name}_max"), value)
        for name, value in dates.items()
    ]


def _between(
    least: float | None, most: float | None, value: Callable[[Market], float | None]
) -> Test:
    def test(market: Market) -> bool:
        if least is None and most is None:
            return True
        found = value(market)
        if found is None:
            return False
        return (least is None or found >= least) and (most is None or found <= most)

    return test


def _date(query: Query, name: str) -> float | None:
    """Epoch seconds of a date or an instant."""
    text = query.text(name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise query.refuse(f"invalid {name}: {text}") from None
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()


def _is_rising(query: Query) -> bool:
    return query.flag("ascending", default=True) is True


def _in_order(ask: Ask, found: list[Market]) -> list[Market]:
    is_rising = _is_rising(ask.query)
    return sorted(found, key=lambda market: _key(ask, market), reverse=not is_rising)


def _key(ask: Ask, market: Market) -> Key:
    """What a market is ordered by: the fields asked for, then its id."""
    values = (catalogue.number(ask.present, market, name) for name in _orders(ask))
    return *values, catalogue.number_of(market.market_id), market.code


def _orders(ask: Ask) -> list[str]:
    """Fields that the rows are to be ordered by."""
    names = [_EVENT_ORDERS.get(name, name) for name in ask.query.listed("order", most=len(_ORDERS))]
    if not set(names) <= set(_ORDERS):
        raise ask.query.refuse("order fields are not valid")
    return names


def _event_key(ask: Ask, members: tuple[Market, ...]) -> Key:
    values = (
        max(catalogue.number(ask.present, market, name) for market in members)
        for name in _orders(ask)
    )
    return *values, catalogue.number_of(members[0].event_id), members[0].code


def _is_event(ask: Ask, event_id: str, members: list[Market]) -> bool:
    """Whether all filters let an event pass."""
    query, present = ask.query, ask.present
    ids, slugs, closed = query.texts("id"), query.texts("slug"), query.flag("closed")
    is_closed = all(market.is_closed(present.now) for market in members)
    if (ids and event_id not in ids) or (slugs and members[0].event_slug not in slugs):
        return False
    tag = query.text("tag_slug")
    if tag is not None and tag not in {row["slug"] for row in catalogue.tags(members[0])}:
        return False
    return closed is None or closed is is_closed
