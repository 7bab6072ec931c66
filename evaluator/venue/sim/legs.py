"""What each row of the tape does to which tokens: a trade is one leg, the rest one per token."""

from dataclasses import dataclass, replace

import numpy as np

from evaluator.venue.sim.directory import Directory
from evaluator.venue.sim.tape import (
    CONVERSION,
    MERGE,
    NONE,
    REDEEM,
    SPLIT,
    TRADE,
    Flags,
    Floats,
    Ints,
    Tape,
)

_ALL = np.int64(1) << 60
"""More micro-shares than anybody holds: a sale of everything."""

_YES, _NO = 0, 1


@dataclass(frozen=True, slots=True)
class Legs:
    """One element per leg in each array: `shares` is negative where tokens leave the wallet.

    `price` is NaN where the tokens leave at what they cost; `conversion` numbers the conversion
    that a leg belongs to, `NONE` for any other.
    """

    place: Ints
    wallet: Ints
    token: Ints
    shares: Ints
    price: Floats
    fee: Ints
    conversion: Ints

    def take(self, order: Ints) -> "Legs":
        """These legs, in this order."""
        columns = {name: getattr(self, name)[order] for name in self.__slots__}
        return Legs(**columns)

    def priced(self, price: Floats) -> "Legs":
        """The same legs at other prices."""
        return replace(self, price=price)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Per market: its first token, how many it has; per token its payout, NaN unknown."""

    first: Ints
    count: Ints
    payout: Floats


def legs(tape: Tape, markets: Directory) -> Legs:
    """Every leg of the tape, in no order; those of one row share its place."""
    shapes = _shapes(markets)
    parts = [
        _trades(tape),
        _even(tape, shapes, tape.kind == SPLIT, sign=1),
        _even(tape, shapes, tape.kind == MERGE, sign=-1),
        _named_redemptions(tape, shapes),
        _whole_redemptions(tape, shapes),
        *_conversions(tape, markets),
    ]
    return Legs(*(np.concatenate(columns) for columns in zip(*map(_columns, parts), strict=True)))


def _columns(part: Legs) -> tuple[Ints | Floats, ...]:
    return tuple(getattr(part, name) for name in Legs.__slots__)


def _shapes(markets: Directory) -> _Shapes:
    return _Shapes(
        first=np.array([market.first_token for market in markets.markets], dtype=np.int64),
        count=np.array([len(market.token_ids) for market in markets.markets], dtype=np.int64),
        payout=markets.payouts(),
    )


def _legs(tape: Tape, place: Ints, token: Ints, shares: Ints, price: Floats) -> Legs:
    return Legs(
        place=place,
        wallet=tape.wallet[place].astype(np.int64),
        token=token.astype(np.int64),
        shares=shares,
        price=price,
        fee=np.where(shares > 0, tape.fee[place], 0),
        conversion=np.full(len(place), NONE, dtype=np.int64),
    )


def _trades(tape: Tape) -> Legs:
    place: Ints = np.flatnonzero((tape.kind == TRADE) & (tape.token != NONE) & (tape.shares > 0))
    shares = np.where(tape.is_buy[place], tape.shares[place], -tape.shares[place])
    price = tape.usdc[place] / tape.shares[place]
    return _legs(tape, place, tape.token[place].astype(np.int64), shares, price)


def _of_every_token(tape: Tape, shapes: _Shapes, which: Flags) -> tuple[Ints, Ints]:
    """Places of these rows, once per token of their market, and the tokens."""
    rows = np.flatnonzero(which & (tape.market != NONE))
    count = shapes.count[tape.market[rows]]
    place = np.repeat(rows, count)
    outcome = np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count)
    return place, shapes.first[tape.market[place]] + outcome


def _even(tape: Tape, shapes: _Shapes, which: Flags, *, sign: int) -> Legs:
    place, token = _of_every_token(tape, shapes, which)
    price = 1.0 / shapes.count[tape.market[place]]
    return _legs(tape, place, token, sign * tape.shares[place], price)


def _named_redemptions(tape: Tape, shapes: _Shapes) -> Legs:
    place = np.flatnonzero((tape.kind == REDEEM) & (tape.token != NONE))
    token = tape.token[place].astype(np.int64)
    shares = np.where(tape.shares[place] > 0, -tape.shares[place], -_ALL)
    return _legs(tape, place, token, shares, shapes.payout[token])


def _whole_redemptions(tape: Tape, shapes: _Shapes) -> Legs:
    place, token = _of_every_token(tape, shapes, (tape.kind == REDEEM) & (tape.token == NONE))
    return _legs(tape, place, token, np.full(len(place), -_ALL), shapes.payout[token])


def _conversions(tape: Tape, markets: Directory) -> list[Legs]:
    """Legs of each conversion: rows of one transaction, wallet and size name the NO given up."""
    groups: dict[tuple[str, int, int], list[int]] = {}
    for row in np.flatnonzero((tape.kind == CONVERSION) & (tape.market != NONE)).tolist():
        key = (str(tape.hashes[row]), int(tape.wallet[row]), int(tape.shares[row]))
        groups.setdefault(key, []).append(row)
    return [_conversion(tape, markets, number, rows) for number, rows in enumerate(groups.values())]


def _conversion(tape: Tape, markets: Directory, number: int, rows: list[int]) -> Legs:
    given = {int(tape.market[row]) for row in rows}
    event = markets.by_event[markets.markets[min(given)].event_id]
    tokens = [
        (market.first_token + _NO, -1) if market.code in given else (market.first_token + _YES, 1)
        for market in event
    ]
    token, sign = (np.array(column, dtype=np.int64) for column in zip(*tokens, strict=True))
    place = np.full(len(token), rows[-1], dtype=np.int64)
    price = np.where(sign > 0, 0.0, np.nan)
    made = _legs(tape, place, token, sign * tape.shares[rows[0]], price)
    return replace(made, conversion=np.full(len(token), number, dtype=np.int64))
