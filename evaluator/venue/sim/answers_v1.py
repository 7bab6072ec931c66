"""Version 1 of the Data API: bare camelCase lists, pages by limit and offset.

Larger limits are clamped. Beyond its cap an offset is refused, but for trades, where pages come
round again from the start, silently.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from evaluator.venue.sim import positions, rows
from evaluator.venue.sim.ask import Ask
from evaluator.venue.sim.boards import OVERALL, PERIODS, Board
from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.feeds import YEARS_3_S, Floor, Span, Wanted, places
from evaluator.venue.sim.holders import Holder, Ranked, held, ranked
from evaluator.venue.sim.positions import Positions
from evaluator.venue.sim.rows import UNIT, Row
from evaluator.venue.sim.tape import KINDS, NONE, Floats, Ints

_SIDES = ("BUY", "SELL")
_DIRECTIONS = ("ASC", "DESC")
_FILTERS = ("CASH", "TOKENS")
_CATEGORIES = (
    *(OVERALL, "POLITICS", "SPORTS", "CRYPTO", "CULTURE", "MENTIONS", "WEATHER"),
    *("ECONOMICS", "TECH", "FINANCE"),
)
_SORTS: dict[str, Callable[[Positions], Floats]] = {
    "CURRENT": lambda found: found.value,
    "INITIAL": lambda found: found.of.held * found.of.average,
    "TOKENS": lambda found: found.of.held.astype(np.float64),
    "CASHPNL": lambda found: found.unrealised,
    "PRICE": lambda found: found.price,
    "AVGPRICE": lambda found: found.of.average,
}
_CLOSED_SORTS: dict[str, Callable[[Positions], Floats]] = {
    "REALIZEDPNL": lambda found: found.of.realised,
    "PRICE": lambda found: found.price,
    "AVGPRICE": lambda found: found.of.average,
    "TIMESTAMP": lambda found: found.of.last_at.astype(np.float64),
}


def trades(ask: Ask) -> Any:
    """`/trades`: of a wallet, of markets, or of all."""
    query, caps = ask.query, ask.caps
    limit = query.clamped("limit", 100, most=caps.v1_trades_limit)
    offset = query.whole("offset")
    if offset > caps.v1_trades_offset:
        offset %= caps.v1_trades_offset
    amount = query.number("filterAmount")
    kind = query.choice("filterType", _FILTERS, "") if query.has("filterType") else ""
    if (amount is None) is not (kind == ""):
        raise query.refuse("filterType and filterAmount must be provided together")
    least = round((amount or 0.0) * UNIT)
    wanted = Wanted(
        wallet=query.address("user"),
        markets=_markets(ask),
        side=_side(ask),
        is_taker_only=query.flag("takerOnly", default=True) is True,
        floor=Floor(usdc=least) if kind == "CASH" else Floor(shares=least),
        span=_span(ask),
    )
    return _listing(ask, wanted, offset, limit, rows.trades)


def activity(ask: Ask) -> Any:
    """`/activity` of a wallet."""
    query, caps = ask.query, ask.caps
    user = query.address("user")
    if user is None:
        raise query.refuse("required query param 'user' not provided")
    query.choice("sortBy", ("TIMESTAMP", "TOKENS", "CASH"), "TIMESTAMP")
    named = query.words("type", KINDS) or KINDS
    wanted = Wanted(
        wallet=user,
        markets=_markets(ask),
        side=_side(ask),
        kinds=frozenset(code for code, name in enumerate(KINDS) if name in named),
        span=_span(ask),
    )
    limit = query.clamped("limit", 100, most=caps.v1_activity_limit)
    offset = query.whole("offset", most=caps.v1_activity_offset)
    is_oldest_first = query.choice("sortDirection", _DIRECTIONS, "DESC") == "ASC"
    return _listing(ask, wanted, offset, limit, rows.activity, is_oldest_first=is_oldest_first)


def _listing(
    ask: Ask,
    wanted: Wanted,
    offset: int,
    limit: int,
    shape: Callable[..., list[Row]],
    *,
    is_oldest_first: bool = False,
) -> list[Row]:
    """One page, newest first. In every fifth the first two rows have changed places."""
    found = places(ask.present, wanted)
    order = found if is_oldest_first else found[::-1]
    page: Ints = np.array(ask.window(order, offset, limit), dtype=np.int64)
    shown = shape(ask.present, page, is_v2=False)
    if len(shown) > 1 and page[0] % 5 == 0:
        shown[0], shown[1] = shown[1], shown[0]
    return shown


def _markets(ask: Ask) -> tuple[Market, ...] | None:
    """Markets that `market` or `eventId` name; None where neither does."""
    query, present = ask.query, ask.present
    conditions = query.conditions("market", most=ask.caps.conditions)
    events = query.listed("eventId", most=ask.caps.conditions)
    if conditions and events:
        raise query.refuse("market and eventId are mutually exclusive")
    if conditions is None and not events:
        return None
    found = [present.market(condition) for condition in conditions or ()]
    of_events = [m for m in present.markets.of_events(events) if m.is_listed(present.now)]
    return tuple(market for market in found if market is not None) + tuple(of_events)


def _side(ask: Ask) -> str | None:
    text = ask.query.text("side")
    return None if text is None else ask.query.word("side", text, _SIDES)


def _span(ask: Ask) -> Span:
    """`start` and `end`; without a start, three years."""
    start = ask.query.whole("start") or int(ask.present.now) - YEARS_3_S
    return Span(start, ask.query.whole("end") or None)


def wallet_positions(ask: Ask) -> Any:
    """`/positions` of a wallet; those of a share or less are hidden by default."""
    query, caps = ask.query, ask.caps
    found = _of_user(ask)
    least = query.number("sizeThreshold", 1.0) or 0.0
    kept = found.have("OPEN") & (found.of.held > least * UNIT)
    for name, which in (("redeemable", found.is_resolved), ("mergeable", found.is_mergeable)):
        if query.flag(name) is True:
            kept &= which
    key = _SORTS[query.choice("sortBy", tuple(_SORTS), "TOKENS")]
    limit = query.clamped("limit", 100, most=caps.v1_positions_limit)
    offset = query.whole("offset", most=caps.v1_positions_offset)
    return positions.first_version(_part(ask, found.where(kept), key, offset, limit))


def closed_positions(ask: Ask) -> Any:
    """`/closed-positions` of a wallet: what it no longer holds."""
    query, caps = ask.query, ask.caps
    found = _of_user(ask)
    key = _CLOSED_SORTS[query.choice("sortBy", tuple(_CLOSED_SORTS), "REALIZEDPNL")]
    limit = query.clamped("limit", 10, most=caps.v1_closed_limit)
    offset = query.whole("offset", most=caps.v1_closed_offset)
    closed = found.where(found.have("CLOSED"))
    return positions.closed_first_version(_part(ask, closed, key, offset, limit))


def _of_user(ask: Ask) -> Positions:
    user = ask.query.address("user")
    if user is None:
        raise ask.query.refuse("required query param 'user' not provided")
    found, markets = positions.of_wallet(ask.present, user), _markets(ask)
    if markets is None:
        return found
    return found.where(np.isin(found.market, [market.code for market in markets]))


def _part(
    ask: Ask, found: Positions, key: Callable[[Positions], Floats], offset: int, limit: int
) -> Positions:
    """One page of positions in order."""
    is_descending = ask.query.choice("sortDirection", _DIRECTIONS, "DESC") == "DESC"
    order = positions.ordered(found, key(found), is_descending=is_descending)
    page: Ints = np.array(ask.window(order, offset, limit), dtype=np.int64)
    return found.where(page)


def holders(ask: Ask) -> Any:
    """`/holders`: the twenty largest per token, each with its own shares."""
    query = ask.query
    markets = _markets(ask)
    if markets is None:
        raise query.refuse("required query param 'market' not provided")
    limit = query.clamped("limit", 20, most=ask.caps.v1_holders_limit)
    least = round((query.number("minBalance", 1.0) or 0.0) * UNIT)
    found = [held(ask.present, market, least=least, is_net=False) for market in markets]
    return [
        {"token": token_id, "holders": [_holder(one) for one in listed[:limit]]}
        for of_market in found
        for token_id, listed in of_market.by_token.items()
    ]


def _holder(one: Holder) -> Row:
    return {
        "proxyWallet": one.wallet,
        "bio": "",
        "asset": one.token_id,
        "pseudonym": "",
        "amount": one.shares / UNIT,
        "displayUsernamePublic": False,
        "outcomeIndex": one.outcome_index,
        "name": "",
        "profileImage": "",
        "profileImageOptimized": "",
        "verified": False,
    }


def leaderboard(ask: Ask) -> Any:
    """`/v1/leaderboard`; a rank is a string."""
    query, caps, present = ask.query, ask.caps, ask.present
    period = query.choice("timePeriod", tuple(PERIODS), "DAY")
    category = query.choice("category", _CATEGORIES, OVERALL)
    is_by_profit = query.choice("orderBy", ("PNL", "VOL"), "PNL") == "PNL"
    limit = query.clamped("limit", 25, most=caps.v1_board_limit)
    offset = query.whole("offset", most=caps.v1_board_offset)
    user = query.address("user")
    board = present.past.boards.board(present.now, period, category)
    standing = ranked(board, board.pnl if is_by_profit else board.volume_usdc)
    places: Ints = np.arange(len(standing.order))
    if user is not None:
        code = present.tape.wallet_codes.get(user, NONE)
        places = places[board.wallet[standing.order] == code]
    shown: list[int] = ask.window(places, offset, limit)
    return [_ranked(ask, board, standing, place) for place in shown]


def _ranked(ask: Ask, board: Board, standing: Ranked, place: int) -> Row:
    at = int(standing.order[place])
    return {
        "rank": str(int(standing.ranks[place])),
        "proxyWallet": ask.present.tape.wallets[int(board.wallet[at])],
        "userName": "",
        "xUsername": "",
        "verifiedBadge": False,
        "vol": float(board.volume_usdc[at]),
        "pnl": float(board.pnl[at]),
        "profileImage": "",
    }
