"""Rows as the Data API spells them: version 1 in camelCase, version 2 in snake_case.

Numbers are JSON numbers. A price is what changed hands divided by the shares, with all its digits.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from evaluator.venue.columns import snake_case
from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.tape import KINDS, NONE, TRADE, Ints

Row = dict[str, Any]

UNIT = 1_000_000
UNLABELLED = 999
"""Outcome index of a row that is about no one outcome."""

_TRADE = (
    *("proxyWallet", "side", "asset", "conditionId", "size", "price", "timestamp", "title"),
    *("slug", "icon", "eventSlug", "outcome", "outcomeIndex", "name", "pseudonym", "bio"),
    *("profileImage", "profileImageOptimized", "transactionHash"),
)
_ACTIVITY = (
    *("proxyWallet", "timestamp", "conditionId", "type", "size", "usdcSize", "transactionHash"),
    *("price", "asset", "side", "outcomeIndex", "title", "slug", "icon", "eventSlug", "outcome"),
    *("name", "pseudonym", "bio", "profileImage", "profileImageOptimized"),
)
_RENAMED = {"asset": "token_id", "oppositeAsset": "opposite_token_id"}


@lru_cache(maxsize=256)
def second_name(name: str) -> str:
    """What version 2 calls a field of version 1."""
    return _RENAMED.get(name) or snake_case(name)


_NAMES = {
    (False, "trade"): _TRADE,
    (True, "trade"): tuple(map(second_name, _TRADE)),
    (False, "activity"): _ACTIVITY,
    (True, "activity"): tuple(map(second_name, _ACTIVITY)),
}
_PROFILE = ("", "", "", "", "")


def trades(present: Present, places: Ints, *, is_v2: bool) -> list[Row]:
    """Fills, one row each."""
    tape, markets = present.tape, present.markets.markets
    names = _NAMES[is_v2, "trade"]
    shares = tape.shares[places]
    columns = zip(
        tape.wallet[places].tolist(),
        tape.market[places].tolist(),
        tape.token[places].tolist(),
        tape.is_buy[places].tolist(),
        (shares / UNIT).tolist(),
        (tape.usdc[places] / shares).tolist(),
        tape.at[places].tolist(),
        tape.hashes.gather(places).to_list(),
        strict=True,
    )
    rows = []
    for wallet, code, token, is_buy, size, price, at, transaction in columns:
        market = markets[code]
        place = token - market.first_token
        values = (
            *(tape.wallets[wallet], "BUY" if is_buy else "SELL", market.token_ids[place]),
            *(market.condition_id, size, price, at, market.question, market.slug, ""),
            *(market.event_slug, market.outcomes[place], place, *_PROFILE, transaction),
        )
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def activity(present: Present, places: Ints, *, is_v2: bool) -> list[Row]:
    """Trades and all else a wallet did, one row each.

    What is no trade names no outcome; a redemption that paid nothing has size 0.
    """
    names = _NAMES[is_v2, "activity"]
    hashes = present.tape.hashes.gather(places).to_list()
    rows = []
    for place, transaction in zip(places.tolist(), hashes, strict=True):
        known = _movement(present, place) | {"transactionHash": transaction}
        values = (known.get(field, "") for field in _ACTIVITY)
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _movement(present: Present, place: int) -> Row:
    """The fields of a row of activity that are not blank."""
    tape = present.tape
    code = int(tape.market[place])
    market = present.markets.markets[code] if code != NONE else None
    kind = KINDS[tape.kind[place]]
    is_trade = kind == KINDS[TRADE]
    return {
        "proxyWallet": tape.wallets[tape.wallet[place]],
        "timestamp": int(tape.at[place]),
        "type": kind,
        "size": _size(present, place, kind),
        "usdcSize": _usdc(present, place, is_trade=is_trade),
        "price": 0,
        "outcomeIndex": UNLABELLED,
        **(_named(market) if market else {}),
        **(_traded(present, place, market) if market and is_trade else {}),
    }


def _named(market: Market) -> Row:
    return {
        "conditionId": market.condition_id,
        "title": market.question,
        "slug": market.slug,
        "eventSlug": market.event_slug,
    }


def _traded(present: Present, place: int, market: Market) -> Row:
    """Side, price and outcome of a fill."""
    tape = present.tape
    number = int(tape.token[place]) - market.first_token
    return {
        "side": "BUY" if tape.is_buy[place] else "SELL",
        "price": int(tape.usdc[place]) / int(tape.shares[place]),
        "asset": market.token_ids[number],
        "outcome": market.outcomes[number],
        "outcomeIndex": number,
    }


def _size(present: Present, place: int, kind: str) -> float:
    tape = present.tape
    usdc, shares = int(tape.usdc[place]), int(tape.shares[place])
    is_lost = kind == "REDEEM" and usdc == 0
    return (0 if is_lost else shares or usdc) / UNIT


def _usdc(present: Present, place: int, *, is_trade: bool) -> float:
    """What the wallet paid or received: a taker's fee comes on top of a buy, off a sale."""
    tape = present.tape
    usdc, fee = int(tape.usdc[place]), int(tape.fee[place])
    if is_trade:
        usdc += fee if tape.is_buy[place] else -fee
    return usdc / UNIT


def rounded(micro_units: float) -> float:
    """Shares or USDC with four decimals, as positions show them."""
    return round(float(micro_units) / UNIT, 4)


def iso(at: float | None) -> str:
    """An instant as 2026-01-31T12:00:00Z, empty for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_date(at: float | None) -> str:
    """A day as 2026-01-31, empty for none."""
    return iso(at)[:10]
