"""Version 2 of the Data API: `/v2/holders` and `/v2/leaderboard`."""

from typing import Any

import numpy as np

from evaluator.venue.sim.answers_v2 import asked_markets, envelope
from evaluator.venue.sim.ask import Ask
from evaluator.venue.sim.boards import OVERALL, Board
from evaluator.venue.sim.cursors import seal, unseal
from evaluator.venue.sim.holders import Held, Holder, Ranked, held, ranked
from evaluator.venue.sim.rows import UNIT, Row, rounded

_PAGE = 100
_WITH_PROFIT = 100
_PERIODS = ("day", "week", "month", "all")
_SORTS = ("PNL", "VOLUME")


def holders(ask: Ask) -> Any:
    """`/v2/holders`: the largest holders per token, netted unless `include_pnl` is asked for."""
    query = ask.query
    markets = asked_markets(ask)
    if markets is None:
        raise query.refuse("required query param 'condition' not provided")
    is_gross = query.flag("include_pnl", default=False) is True
    if is_gross and len(query.conditions("condition", "condition_id", most=20) or ()) > 1:
        raise query.refuse("'include_pnl' takes exactly one 'condition'")
    anchor = f"{sorted(market.condition_id for market in markets)}|{is_gross}"
    cursor = query.text("cursor")
    place = unseal(cursor, "holders", anchor) if cursor else {}
    most = _WITH_PROFIT if is_gross else ask.caps.v2_limit
    limit = place.get("n", query.whole("limit", _PAGE, most=most))
    shown = place.get("o", 0)
    least = round((query.number("min_balance", 0.0) or 0.0) * UNIT)
    groups, has_more = [], False
    for market in markets:
        found = held(ask.present, market, least=least, is_net=not is_gross)
        for token_id, listed in found.by_token.items():
            part = listed[shown : shown + limit]
            rows = [_holder(one, found, is_gross=is_gross) for one in part]
            groups.append({"token_id": token_id, "holders": rows})
            has_more |= 0 < limit < len(listed) - shown
    following = seal("holders", anchor, {"n": limit, "o": shown + limit}) if has_more else None
    return envelope(groups, limit, shown, following)


def _holder(one: Holder, found: Held, *, is_gross: bool) -> Row:
    row = {
        "proxy_wallet": one.wallet,
        "bio": "",
        "token_id": one.token_id,
        "pseudonym": "",
        "amount": one.shares / UNIT,
        "display_username_public": False,
        "outcome_index": one.outcome_index,
        "name": "",
        "profile_image": "",
        "profile_image_optimized": "",
        "verified": False,
    }
    return row | _economics(one, found) if is_gross else row


def _economics(one: Holder, found: Held) -> Row:
    of, at = found.positions, one.place
    held_shares, average = int(of.of.held[at]), float(of.of.average[at])
    realised, unrealised = float(of.of.realised[at]), float(of.unrealised[at])
    return {
        "avg_price": round(average, 4),
        "entry_cost_usdc": rounded(held_shares * average),
        "current_price": round(float(of.price[at]), 6),
        "current_value": rounded(float(of.value[at])),
        "realized_pnl": rounded(realised),
        "unrealized_pnl": rounded(unrealised),
        "total_pnl": rounded(realised + unrealised),
    }


def leaderboard(ask: Ask) -> Any:
    """`/v2/leaderboard`: a board, or with `user` one wallet's standing on both."""
    query = ask.query
    if query.has("offset"):
        raise query.refuse("'offset' is not supported: follow pagination.next_cursor")
    cursor = query.text("cursor")
    place = unseal(cursor, "leaderboard", "") if cursor else {}
    period = _pinned(ask, place, "time_period", query.choice("time_period", _PERIODS, "day"))
    sort_by = _pinned(ask, place, "sort_by", query.choice("sort_by", _SORTS, "PNL"))
    category = _pinned(ask, place, "category", (query.text("category") or OVERALL).upper())
    board = ask.present.past.boards.board(ask.present.now, period.upper(), category)
    user = query.address("user")
    if user is not None:
        return {"data": _standing(ask, board, user)}
    standing = ranked(board, board.pnl if sort_by == "PNL" else board.volume_shares)
    limit = place.get("n", query.whole("limit", _PAGE, most=ask.caps.v2_limit))
    shown = place.get("o", 0)
    data = ask.shown([_row(ask, board, standing, i) for i in _window(standing, shown, limit)])
    following = None
    if 0 < limit < len(standing.order) - shown:
        pinned = {"time_period": period, "sort_by": sort_by, "category": category}
        following = seal("leaderboard", "", pinned | {"n": limit, "o": shown + limit})
    return envelope(data, limit, shown, following)


def _pinned(ask: Ask, place: dict[str, Any], name: str, asked: str) -> str:
    """A choice that a cursor keeps; stating another one is refused."""
    kept = place.get(name)
    if kept is not None and ask.query.has(name) and asked != kept:
        raise ask.query.refuse(f"cursor contradicts '{name}'")
    return str(kept or asked)


def _window(standing: Ranked, first: int, limit: int) -> range:
    return range(first, min(first + limit, len(standing.order)))


def _row(ask: Ask, board: Board, standing: Ranked, number: int) -> Row:
    at = int(standing.order[number])
    return {
        "rank": int(standing.ranks[number]),
        "user_id": ask.present.tape.wallets[int(board.wallet[at])],
        "user_name": "",
        "x_username": "",
        "verified": False,
        "volume": float(board.volume_shares[at]),
        "pnl": float(board.pnl[at]),
        "profile_image": "",
    }


def _standing(ask: Ask, board: Board, user: str) -> Row | None:
    """Both ranks of one wallet, None for one that is on neither board."""
    code = ask.present.tape.wallet_codes.get(user, -1)
    found = np.flatnonzero(board.wallet == code)
    if not len(found):
        return None
    at = int(found[0])
    by_profit, by_volume = ranked(board, board.pnl), ranked(board, board.volume_shares)
    return {
        "user_id": user,
        "pnl": float(board.pnl[at]),
        "volume": float(board.volume_shares[at]),
        "rank_pnl": int(by_profit.ranks[by_profit.order == at][0]),
        "rank_volume": int(by_volume.ranks[by_volume.order == at][0]),
        "user_name": "",
        "profile_image": "",
        "x_username": "",
        "verified": False,
    }
