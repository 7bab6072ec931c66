"""A wallet's or a market's positions at an instant: which there are, in what order, and as rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evaluator.venue.sim.directory import Market
from evaluator.venue.sim.ledger_view import DUST, Holdings
from evaluator.venue.sim.past import Present
from evaluator.venue.sim.rows import UNIT, Row, iso, iso_date, rounded, second_name
from evaluator.venue.sim.tape import Flags, Floats, Ints

STATUSES = ("OPEN", "REDEEMABLE", "REDEEMABLE_LOST", "MERGEABLE", "CLOSED")


@dataclass(frozen=True, slots=True)
class Positions:
    """Holdings with what they are worth: one element per position in each array.

    `value` is micro-USDC at the current price, `unrealised` what of it was gained since buying.
    """

    present: Present
    of: Holdings
    price: Floats
    value: Floats
    unrealised: Floats
    market: Ints
    is_resolved: Flags
    is_mergeable: Flags

    def where(self, kept: Flags | Ints) -> "Positions":
        """Those that a mask keeps, or these in that order."""
        holdings = {name: getattr(self.of, name)[kept] for name in Holdings.__slots__}
        names = (name for name in Positions.__slots__ if name not in {"present", "of"})
        columns = {name: getattr(self, name)[kept] for name in names}
        return Positions(present=self.present, of=Holdings(**holdings), **columns)

    def have(self, status: str) -> Flags:
        """Which have a status; OPEN is every position still held."""
        is_held = self.of.held >= DUST
        is_won = self.price > 0
        return {
            "OPEN": is_held,
            "REDEEMABLE": is_held & self.is_resolved & is_won,
            "REDEEMABLE_LOST": is_held & self.is_resolved & ~is_won,
            "MERGEABLE": is_held & self.is_mergeable,
            "CLOSED": ~is_held,
        }[status]

    def __len__(self) -> int:
        return len(self.price)


def of_wallet(present: Present, proxy_wallet: str) -> Positions:
    """All positions that a wallet ever had."""
    code = present.tape.wallet_codes.get(proxy_wallet)
    ledger = present.past.ledger
    return _valued(present, ledger.of_wallet(code) if code is not None else np.arange(0))


def of_market(present: Present, market: Market) -> Positions:
    """All positions that anybody ever had in a market."""
    pairs = [present.past.ledger.of_token(token) for token in market.tokens]
    return _valued(present, np.sort(np.concatenate(pairs)))


def _valued(present: Present, pairs: Ints) -> Positions:
    holdings = present.past.ledger.holdings(pairs, present.cut)
    directory = present.markets
    market = directory.market_of_token[holdings.token]
    resolved = [m.known_payouts(present.now) is not None for m in directory.markets]
    sizes = np.array([len(m.token_ids) for m in directory.markets], dtype=np.int64)
    owner = holdings.wallet * (len(sizes) + 1) + market
    _, number = np.unique(owner, return_inverse=True)
    held = np.bincount(number, holdings.held >= DUST)[number] if len(owner) else np.empty(0)
    price = present.past.marks.at(present.now)[holdings.token]
    return Positions(
        present=present,
        of=holdings,
        price=price,
        value=holdings.held * price,
        unrealised=holdings.held * (price - holdings.average),
        market=market,
        is_resolved=np.array(resolved, dtype=np.bool_)[market],
        is_mergeable=held == sizes[market],
    )


SORTS: dict[str, Callable[[Positions], Floats]] = {
    "CURRENT_VALUE": lambda found: found.value,
    "PRICE": lambda found: found.price,
    "TOKENS": lambda found: found.of.held.astype(np.float64),
    "UNREALIZED_PNL": lambda found: found.unrealised,
    "REALIZED_PNL": lambda found: found.of.realised,
    "TOTAL_PNL": lambda found: found.of.realised + found.unrealised,
    "TIMESTAMP": lambda found: found.of.last_at.astype(np.float64),
}
"""What positions can be ordered by, in version 2."""


def ordered(found: Positions, keys: Floats, *, is_descending: bool) -> Ints:
    """Places of positions by key; ties by wallet and token."""
    return np.lexsort((found.of.token, found.of.wallet, -keys if is_descending else keys))


def second_version(found: Positions) -> list[Row]:
    """Rows of /v2/positions. Costs are without fees, which are named beside them."""
    return [_second(one) for one in _each(found)]


def first_version(found: Positions) -> list[Row]:
    """Rows of /positions."""
    return [_first(one) for one in _each(found)]


def closed_first_version(found: Positions) -> list[Row]:
    """Rows of /closed-positions."""
    return [_closed(one) for one in _each(found)]


@dataclass(frozen=True, slots=True)
class _Position:
    """One position: shares in micro-shares, money in micro-USDC."""

    market: Market
    place: int
    wallet: str
    held: int
    average: float
    realised: float
    bought: int
    fees: float
    first_at: int
    last_at: int
    price: float
    value: float
    unrealised: float
    is_resolved: bool
    is_mergeable: bool

    @property
    def is_held(self) -> bool:
        """Whether more than dust is left."""
        return self.held >= DUST

    @property
    def status(self) -> str:
        """What a row says of itself: a lost position is REDEEMABLE, a mergeable one OPEN."""
        if not self.is_held:
            return "CLOSED"
        return "REDEEMABLE" if self.is_resolved else "OPEN"

    @property
    def opposite(self) -> int:
        """The outcome shown beside it: the other one of two, else the next."""
        return (self.place + 1) % len(self.market.token_ids)


def _each(found: Positions) -> Iterator[_Position]:
    markets, wallets = found.present.markets.markets, found.present.tape.wallets
    of = found.of
    columns = (
        *(found.market, of.token, of.wallet, of.held, of.average, of.realised, of.bought),
        *(of.fees, of.first_at, of.last_at, found.price, found.value, found.unrealised),
        *(found.is_resolved, found.is_mergeable),
    )
    for code, token, wallet, *rest in zip(*(c.tolist() for c in columns), strict=True):
        market = markets[code]
        yield _Position(market, token - market.first_token, wallets[wallet], *rest)


def _ratio(part: float, whole: float) -> float:
    """Percent with four decimals; 0 of nothing, as the venue shows it."""
    return round(100 * part / whole, 4) if whole else 0.0


def _second(one: _Position) -> Row:
    cost = one.held * one.average
    fees = one.fees * one.held / one.bought if one.bought else 0.0
    return {
        "proxy_wallet": one.wallet,
        "token_id": one.market.token_ids[one.place],
        "condition_id": one.market.condition_id,
        "current_size": rounded(one.held),
        "avg_price": round(one.average, 4),
        "entry_cost_usdc": rounded(cost),
        "entry_fees_usdc": rounded(fees),
        "total_cost_usdc": rounded(cost + fees),
        "current_price": round(one.price, 6),
        "current_value": rounded(one.value),
        "total_size": rounded(one.bought),
        "realized_pnl": rounded(one.realised),
        "unrealized_pnl": rounded(one.unrealised),
        "total_pnl": rounded(one.realised + one.unrealised),
        "percent_pnl": _ratio(one.unrealised, cost),
        "percent_realized_pnl": _ratio(one.realised, one.bought * one.average),
        "status": one.status,
        "redeemable": one.is_held and one.is_resolved,
        "mergeable": one.is_held and one.is_mergeable,
        "negative_risk": one.market.neg_risk,
        "archived": False,
        **{second_name(name): value for name, value in _labels(one).items()},
        "end_date": iso_date(one.market.end_at),
        "last_event_at": one.last_at,
        "first_entry_at": one.first_at,
        "name": "",
        "profile_image": "",
        "verified": False,
    }


def _labels(one: _Position) -> Row:
    market = one.market
    return {
        "title": market.question,
        "slug": market.slug,
        "icon": "",
        "eventId": market.event_id,
        "eventSlug": market.event_slug,
        "outcome": market.outcomes[one.place],
        "outcomeIndex": one.place,
        "oppositeOutcome": market.outcomes[one.opposite],
        "oppositeAsset": market.token_ids[one.opposite],
    }


def _first(one: _Position) -> Row:
    initial = one.held * one.average
    return {
        "proxyWallet": one.wallet,
        "asset": one.market.token_ids[one.place],
        "conditionId": one.market.condition_id,
        "size": rounded(one.held),
        "avgPrice": round(one.average, 4),
        "initialValue": rounded(initial),
        "currentValue": rounded(one.value),
        "cashPnl": rounded(one.value - initial),
        "percentPnl": _ratio(one.value - initial, initial),
        "totalBought": rounded(one.bought),
        "realizedPnl": rounded(one.realised),
        "percentRealizedPnl": _ratio(one.realised, one.bought * one.average),
        "curPrice": round(one.price, 6),
        "redeemable": one.is_resolved,
        "mergeable": one.is_mergeable,
        **_labels(one),
        "endDate": iso_date(one.market.end_at),
        "negativeRisk": one.market.neg_risk,
    }


def _closed(one: _Position) -> Row:
    labels = _labels(one)
    del labels["eventId"]
    return {
        "proxyWallet": one.wallet,
        "asset": one.market.token_ids[one.place],
        "conditionId": one.market.condition_id,
        "avgPrice": round(one.average, 6),
        "totalBought": one.bought / UNIT,
        "realizedPnl": rounded(one.realised),
        "curPrice": round(one.price, 6),
        **labels,
        "endDate": iso(one.market.end_at),
        "timestamp": one.last_at,
    }
