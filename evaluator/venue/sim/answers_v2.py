"""Version 2 of the Data API: `{data, pagination}`, snake_case, cursors only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from evaluator.venue.sim import positions, rows
from evaluator.venue.sim.ask import Ask
from evaluator.venue.sim.cursors import seal, unseal
from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.feeds import YEARS_3_S, Floor, Page, Span, Walk, Wanted, page, places
from evaluator.venue.sim.parameters import Query
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.positions import SORTS, STATUSES, Positions
from evaluator.venue.sim.rows import UNIT
from evaluator.venue.sim.tape import KINDS, Floats, Ints

ACTIVITY_TYPES = (
    *KINDS,
    *("MIGRATION", "REFERRAL_REWARD", "DEPOSIT", "WITHDRAWAL", "TIP"),
)
SIDES = ("BUY", "SELL")
DIRECTIONS = ("ASC", "DESC")
FILTERS = ("CASH", "TOKENS")

_PAGE = 100
_DUST_TRADE = 0.01
_DUST_POSITION = 0.1


def trades(ask: Ask) -> Any:
    """`/v2/trades`: of a wallet, of markets or events, or of all."""
    query = ask.query
    user, markets = query.address("user"), asked_markets(ask)
    feed = Wanted(
        wallet=user,
        markets=markets,
        side=_word(query, "side", SIDES),
        is_taker_only=query.flag("taker_only", default=True) is True,
        span=_span(ask, user, markets),
        floor=_floor(query),
    )
    return _feed(ask, "trades", feed)


def activity(ask: Ask) -> Any:
    """`/v2/activity`: all that a wallet did."""
    query = ask.query
    user = query.address("user")
    if user is None:
        raise query.refuse("required query param 'user' not provided")
    query.choice("sort_by", ("TIMESTAMP",), "TIMESTAMP")
    named = query.words("type", ACTIVITY_TYPES) or ACTIVITY_TYPES
    markets = asked_markets(ask)
    feed = Wanted(
        wallet=user,
        markets=markets,
        kinds=frozenset(code for code, name in enumerate(KINDS) if name in named),
        side=_word(query, "side", SIDES),
        span=_span(ask, user, markets),
    )
    return _feed(ask, "activity", feed)


def asked_markets(ask: Ask) -> tuple[Market, ...] | None:
    """Markets that `condition` or `event_id` name and that have opened; None where neither does."""
    query, present = ask.query, ask.present
    if query.has("offset"):
        raise query.refuse("'offset' is not supported: follow pagination.next_cursor")
    conditions = query.conditions("condition", "condition_id", most=ask.caps.conditions)
    events = query.listed("event_id", most=ask.caps.conditions)
    if conditions and events:
        raise query.refuse("provide at most one of 'condition' or 'event_id'")
    if conditions is None and not events:
        return None
    found = [present.market(condition) for condition in conditions or ()]
    of_events = [m for m in present.markets.of_events(events) if m.is_listed(present.now)]
    return tuple(market for market in found if market is not None) + tuple(of_events)


def _word(query: Query, name: str, allowed: tuple[str, ...]) -> str | None:
    text = query.text(name)
    return None if text is None else query.word(name, text, allowed)


def _span(ask: Ask, user: str | None, markets: tuple[Market, ...] | None) -> Span:
    """`start` and `end`, which count for a wallet only: other feeds have a window of their own."""
    start, end = ask.query.whole("start"), ask.query.whole("end")
    three_years = int(ask.present.now) - YEARS_3_S
    if user is not None:
        return Span(start or three_years, end or None)
    if markets is not None:
        return Span(three_years)
    return Span(int(_previous_month(ask.present.instant).timestamp()))


def _previous_month(instant: datetime) -> datetime:
    """The first instant of the month before."""
    this_month = datetime(instant.year, instant.month, 1, tzinfo=UTC)
    return (this_month - timedelta(days=1)).replace(day=1)


def _floor(query: Query) -> Floor:
    """The smallest trade shown; 0 means the default, 0.01 shares."""
    kind = query.choice("filter_type", FILTERS, "TOKENS")
    amount = query.number("filter_amount", 0.0) or 0.0
    if kind == "CASH":
        return Floor(shares=int(_DUST_TRADE * UNIT), usdc=round(amount * UNIT))
    return Floor(shares=round(max(amount, _DUST_TRADE) * UNIT))


def _feed(ask: Ask, endpoint: str, wanted: Wanted) -> Any:
    query = ask.query
    anchor = f"{wanted.wallet}|{sorted(m.condition_id for m in wanted.markets or ())}"
    cursor = query.text("cursor")
    place = unseal(cursor, endpoint, anchor) if cursor else {}
    asked = _word(query, "sort_direction", DIRECTIONS) if endpoint == "activity" else None
    direction = place.get("d") or asked or "DESC"
    limit = place.get("n", query.whole("limit", _PAGE, most=ask.caps.v2_limit))
    walk = Walk(
        limit=limit,
        is_descending=direction == "DESC",
        anchor=place.get("sq"),
        overlap=ask.faults.overlap,
    )
    found = page(places(ask.present, wanted), walk)
    shape = rows.trades if endpoint == "trades" else rows.activity
    data = ask.shown(shape(ask.present, found.places, is_v2=True))
    shown = place.get("o", 0)
    following = None
    if found.has_more:
        after = _place(ask.present, found, walk, direction) | {"o": shown + len(data)}
        following = seal(endpoint, anchor, after)
    return envelope(data, limit, shown, following)


def _place(present: Present, found: Page, walk: Walk, direction: str) -> dict[str, Any]:
    """The keyset of a page's last row: its time, and its number in the venue's order."""
    last = int(found.places[-1])
    return {"ts": int(present.tape.at[last]), "sq": last, "n": walk.limit, "d": direction}


def envelope(data: list[Any], limit: int, shown: int, cursor: str | None) -> dict[str, Any]:
    """A page of version 2."""
    told = {"limit": limit, "offset": shown, "has_more": cursor is not None, "next_cursor": cursor}
    return {"data": data, "pagination": told}


def wallet_positions(ask: Ask) -> Any:
    """`/v2/positions`: of a wallet, or of everybody in one market."""
    query = ask.query
    user, markets = query.address("user"), asked_markets(ask)
    if user is None and markets is None:
        raise query.refuse("required query param 'user' or 'condition' not provided")
    if user is None and len(markets or ()) > 1:
        raise query.refuse("exactly one 'condition' is accepted without 'user'")
    anchor = f"{user}|{sorted(m.condition_id for m in markets or ())}"
    cursor = query.text("cursor")
    place = unseal(cursor, "positions", anchor) if cursor else {}
    status = _pinned(query, place, "status", STATUSES, "OPEN")
    default = "REALIZED_PNL" if status == "CLOSED" else "CURRENT_VALUE"
    by = _pinned(query, place, "sort_by", tuple(SORTS), default)
    direction = _pinned(query, place, "sort_direction", DIRECTIONS, "DESC")
    limit = place.get("limit", query.whole("limit", _PAGE, most=ask.caps.v2_limit))
    found = _filtered(ask, _anchored(ask.present, user, markets), status)
    keys = SORTS[by](found)
    order = positions.ordered(found, keys, is_descending=direction == "DESC")
    rest = order[_first_after(found, keys[order], order, place, direction) :]
    data = ask.shown(positions.second_version(found.where(rest[:limit])))
    shown, following = place.get("shown", 0), None
    if 0 < limit < len(rest):
        last = int(rest[limit - 1])
        walk = {"status": status, "sort_by": by, "sort_direction": direction, "limit": limit}
        after = walk | _keyset(found, keys, last) | {"shown": shown + limit}
        following = seal("positions", anchor, after)
    return envelope(data, limit, shown, following)


def _pinned(
    query: Query, place: dict[str, Any], name: str, allowed: tuple[str, ...], default: str
) -> str:
    """A choice that a cursor keeps; contradicting it is refused."""
    asked = _word(query, name, allowed)
    kept = place.get(name)
    if kept is not None and asked not in {None, kept}:
        raise query.refuse(f"cursor contradicts '{name}'")
    return str(kept or asked or default)


def _anchored(present: Present, user: str | None, markets: tuple[Market, ...] | None) -> Positions:
    if user is None:
        return (
            positions.of_market(present, markets[0])
            if markets
            else positions.of_wallet(present, "")
        )
    found = positions.of_wallet(present, user)
    if markets is None:
        return found
    return found.where(np.isin(found.market, [market.code for market in markets]))


def _filtered(ask: Ask, found: Positions, status: str) -> Positions:
    """Those of a status that are large enough, moved in the window and match the title."""
    query = ask.query
    kept = found.have(status)
    is_cash = query.choice("filter_type", FILTERS, "TOKENS") == "CASH"
    default = 0.0 if is_cash or status == "CLOSED" else _DUST_POSITION
    least = (query.number("filter_amount", default) or 0.0) * UNIT
    kept &= (found.value if is_cash else found.of.held) >= least
    start, end = query.whole("start"), query.whole("end")
    kept &= found.of.last_at >= start
    kept &= (found.of.last_at <= end) | (end == 0)
    title = (query.text("title") or "").lower()
    if title:
        titles = [m.question.lower() for m in found.present.markets.markets]
        kept &= np.array([title in titles[code] for code in found.market], dtype=np.bool_)
    return found.where(kept)


def _keyset(found: Positions, keys: Floats, place: int) -> dict[str, Any]:
    present = found.present
    return {
        "key": float(keys[place]),
        "wallet": present.tape.wallets[int(found.of.wallet[place])],
        "token": present.markets.token_ids[int(found.of.token[place])],
    }


def _first_after(
    found: Positions, keys: Floats, order: Ints, place: dict[str, Any], direction: str
) -> int:
    """How many positions, in order, lie up to the one that a cursor stands at."""
    if "key" not in place:
        return 0
    present = found.present
    wallet = present.tape.wallet_codes[place["wallet"]]
    market, number = present.markets.by_token[place["token"]]
    sign = -1 if direction == "DESC" else 1
    ranks = zip(sign * keys, found.of.wallet[order], found.of.token[order], strict=True)
    at = (sign * place["key"], wallet, market.first_token + number)
    return sum(1 for rank in ranks if rank <= at)
