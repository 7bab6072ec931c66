"""A world small enough to know by heart, and one of random fills; both look like a `World`."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from evaluator.venue.sim.rules import Book, History, Level

START = datetime(2026, 9, 1, tzinfo=UTC)
UNIT = 1_000_000
TX = "0x{:064x}"


def wallet(number: int) -> str:
    return f"0x{number:040x}"


def condition(number: int) -> str:
    return f"0x{number:064x}"


def tokens(number: int, count: int = 2) -> list[str]:
    return [str(10**76 + 10 * number + outcome) for outcome in range(count)]


MARKETS_SCHEMA = {
    **dict.fromkeys(("condition_id", "market_id", "event_id", "event_slug"), pl.String),
    **dict.fromkeys(("event_title", "slug", "question", "domain"), pl.String),
    "tags": pl.List(pl.String),
    "outcomes": pl.List(pl.String),
    "token_ids": pl.List(pl.String),
    **{name: pl.Datetime("us", "UTC") for name in ("opened_at", "end_at", "closed_at")},
    "payouts": pl.List(pl.Float64),
    "neg_risk": pl.Boolean,
    **dict.fromkeys(("tick", "fee_rate", "fee_exponent", "liquidity_usdc"), pl.Float64),
}
FILLS_SCHEMA = {
    **dict.fromkeys(("proxy_wallet", "condition_id", "token_id"), pl.String),
    "outcome_index": pl.Int32,
    "side": pl.String,
    **dict.fromkeys(("size_shares", "notional_usdc"), pl.Int64),
    "price": pl.Float64,
    "fee_usdc": pl.Int64,
    "is_taker": pl.Boolean,
    "filled_at": pl.Datetime("us", "UTC"),
    "transaction_hash": pl.String,
    "sequence": pl.Int64,
}
ACTIVITY_SCHEMA = {
    **dict.fromkeys(("proxy_wallet", "kind", "condition_id", "token_id"), pl.String),
    **dict.fromkeys(("size_shares", "amount_usdc"), pl.Int64),
    "happened_at": pl.Datetime("us", "UTC"),
    "transaction_hash": pl.String,
    "sequence": pl.Int64,
}
COMMENTS_SCHEMA = {
    **dict.fromkeys(("comment_id", "event_slug", "author", "text"), pl.String),
    "posted_at": pl.Datetime("us", "UTC"),
}
PRICES_SCHEMA = {
    "token_id": pl.String,
    "priced_at": pl.Datetime("us", "UTC"),
    "price": pl.Float64,
}


def at(hours: float) -> datetime:
    """So many hours after the start."""
    return START + timedelta(hours=hours)


class SmallWorld:
    """A world whose rows a test writes down; it tells only what lies before the instant asked."""

    def __init__(self) -> None:
        self.markets: list[dict] = []
        self.fills: list[dict] = []
        self.activity: list[dict] = []
        self.comments: list[dict] = []
        self.quotes: list[dict] = []
        self.readings = 0

    def market(self, number: int, **changes) -> str:
        """Add a market of event `number`, unless told otherwise; returns its condition id."""
        row = {
            "condition_id": condition(number),
            "market_id": str(500_000 + number),
            "event_id": str(9_000 + number),
            "event_slug": f"event-{number}",
            "event_title": f"Event {number}",
            "slug": f"market-{number}",
            "question": f"Question {number}?",
            "domain": "Politics",
            "tags": ["Elections"],
            "outcomes": ["Yes", "No"],
            "token_ids": tokens(number),
            "opened_at": START,
            "end_at": at(240),
            "closed_at": None,
            "payouts": None,
            "neg_risk": False,
            "tick": 0.01,
            "fee_rate": 0.04,
            "fee_exponent": 1.0,
            "liquidity_usdc": 1000.5,
        }
        self.markets.append(row | changes)
        return row["condition_id"]

    def fill(self, who: int, side: str, shares: float, price: float, when: datetime, **changes):
        """Add a fill of the first market's first outcome, unless told otherwise."""
        number, outcome = changes.pop("market", 1), changes.pop("outcome", 0)
        sequence = len(self.fills) + len(self.activity)
        row = {
            "proxy_wallet": wallet(who),
            "condition_id": condition(number),
            "token_id": tokens(number, 5)[outcome],
            "outcome_index": outcome,
            "side": side,
            "size_shares": round(shares * UNIT),
            "notional_usdc": round(shares * price * UNIT),
            "price": price,
            "fee_usdc": 0,
            "is_taker": True,
            "filled_at": when,
            "transaction_hash": TX.format(sequence),
            "sequence": sequence,
        }
        self.fills.append(row | changes)

    def act(self, who: int, kind: str, shares: float, usdc: float, when: datetime, **changes):
        """Add a movement that is no trade."""
        sequence = len(self.fills) + len(self.activity)
        row = {
            "proxy_wallet": wallet(who),
            "kind": kind,
            "condition_id": condition(changes.pop("market", 1)),
            "token_id": None,
            "size_shares": round(shares * UNIT),
            "amount_usdc": round(usdc * UNIT),
            "happened_at": when,
            "transaction_hash": TX.format(sequence),
            "sequence": sequence,
        }
        self.activity.append(row | changes)

    def comment(self, number: int, text: str, when: datetime, *, event: int = 1, who: int = 1):
        row = {"comment_id": str(number), "event_slug": f"event-{event}", "author": wallet(who)}
        self.comments.append(row | {"text": text, "posted_at": when})

    def quote(self, token_id: str, price: float, when: datetime):
        self.quotes.append({"token_id": token_id, "priced_at": when, "price": price})

    def history(self, until: datetime) -> History:
        self.readings += 1
        markets = pl.DataFrame(self.markets, schema=MARKETS_SCHEMA)
        is_closed = pl.col("closed_at") < until
        return History(
            markets=markets.filter(pl.col("opened_at") < until).with_columns(
                pl.when(is_closed).then("closed_at").alias("closed_at"),
                pl.when(is_closed).then("payouts").alias("payouts"),
            ),
            fills=pl.DataFrame(self.fills, schema=FILLS_SCHEMA).filter(pl.col("filled_at") < until),
            activity=pl.DataFrame(self.activity, schema=ACTIVITY_SCHEMA).filter(
                pl.col("happened_at") < until
            ),
            comments=pl.DataFrame(self.comments, schema=COMMENTS_SCHEMA).filter(
                pl.col("posted_at") < until
            ),
            wallets=pl.DataFrame(
                schema={"proxy_wallet": pl.String, "created_at": pl.Datetime("us", "UTC")}
            ),
            read_prices=lambda: pl.DataFrame(self.quotes, schema=PRICES_SCHEMA),
        )

    def prices(self, token_ids: Sequence[str], start: datetime, end: datetime) -> pl.DataFrame:
        quotes = pl.DataFrame(self.quotes, schema=PRICES_SCHEMA)
        is_asked = quotes["token_id"].is_in(list(token_ids))
        return quotes.filter(is_asked & quotes["priced_at"].is_between(start, end, closed="left"))

    def book(self, token_id: str, at: datetime) -> Book:
        bids = (Level(0.49, 100.0), Level(0.48, 250.5))
        return Book(token_id, at, 0.01, bids, (Level(0.52, 80.0), Level(0.53, 10.0)))


def busy_world(seed: int = 1, *, transactions: int = 60, wallets: int = 5) -> SmallWorld:
    """Random fills of three markets: several a second, several a transaction, some twins."""
    draw = random.Random(seed)
    world = SmallWorld()
    for number in (1, 2, 3):
        world.market(
            number, event_id=str(9_000 + number // 2), domain=("Sports", "Crypto")[number % 2]
        )
    when = at(1)
    for number in range(transactions):
        when += timedelta(seconds=draw.choice((0, 0, 1, 600)))
        market, outcome, price = draw.randint(1, 3), draw.randint(0, 1), draw.randint(2, 98) / 100
        one = {"market": market, "outcome": outcome, "transaction_hash": TX.format(10**6 + number)}
        taker, side = draw.randint(1, wallets), draw.choice(("BUY", "SELL"))
        parts = [draw.randint(1, 5_000) / 100 for _ in range(draw.randint(1, 3))]
        parts += parts[:1] if draw.random() < 0.3 else []
        world.fill(taker, side, sum(parts), price, when, fee_usdc=draw.randint(0, 5_000), **one)
        maker, other = draw.randint(wallets + 1, 2 * wallets), {"BUY": "SELL", "SELL": "BUY"}[side]
        for part in parts:
            world.fill(maker, other, part, price, when, is_taker=False, **one)
        if draw.random() < 0.2:
            world.act(taker, "SPLIT", 10, 10, when, market=market)
        if draw.random() < 0.1:
            world.act(taker, "REWARD", 0, 1.5, when, condition_id=None)
    return world
