"""A small history of our own, written as an archive: real shapes, invented people.

Until the embedded venue exists, `make run` evaluates this history. It is a pure function of its
arguments; `history_styles` says who trades in it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from evaluator.domain.schema import MICRO
from evaluator.venue.archive import DEFAULT_MARKETS, DEFAULT_POSITIONS, DEFAULT_TRADES
from evaluator.venue.history_exchange import TICKS, Exchange, Match
from evaluator.venue.history_styles import cast_of, plans
from evaluator.venue.history_world import DAY_S, Market, World, build

_EXCHANGE = "0x" + "e" * 40
_KEY_DIGITS = 13
_KEYS_ONLY_EVERY = 5
_REDEEMED = 0.7


@dataclass(frozen=True, slots=True)
class History:
    """What has been written, for whoever reports it."""

    folder: Path
    seed: int
    first_day: date
    last_day: date
    wallet_count: int
    market_count: int
    fill_count: int


@dataclass(frozen=True, slots=True)
class Names:
    """Invented identifiers, in the shapes of the chain."""

    wallets: Sequence[str]
    conditions: Sequence[str]
    tokens: Sequence[str]


def write_history(
    folder: Path,
    *,
    end: date,
    seed: int = 7,
    wallets: int = 300,
    events: int = 40,
    days: int = 120,
) -> History:
    """Write trades, markets and positions up to the end of the UTC day `end`.

    The same arguments give the same bytes of data; file names are the defaults of `Archive`.
    """
    rng = np.random.default_rng(seed)
    world = build(end=end, days=days, event_count=events, rng=rng)
    names = _names(world, wallets, rng)
    cast = cast_of(wallets)
    exchange = Exchange(world, cast, rng)
    exchange.run(plans(cast, world, rng))
    folder.mkdir(parents=True, exist_ok=True)
    trades = _trades(exchange, names, rng)
    trades.write_parquet(folder / DEFAULT_TRADES)
    _markets(world, names, trades).write_parquet(folder / DEFAULT_MARKETS)
    _positions(exchange, names, rng).write_parquet(folder / DEFAULT_POSITIONS)
    return History(
        folder=folder,
        seed=seed,
        first_day=end - timedelta(days=days - 1),
        last_day=end,
        wallet_count=trades["proxyWallet"].n_unique(),
        market_count=len(world.markets),
        fill_count=trades.height,
    )


def _names(world: World, wallets: int, rng: np.random.Generator) -> Names:
    """Addresses of 40 hex digits, conditions of 64, tokens of up to 78 decimal digits."""
    return Names(
        wallets=[f"0x{rng.bytes(20).hex()}" for _ in range(wallets)],
        conditions=[f"0x{rng.bytes(32).hex()}" for _ in world.markets],
        tokens=[str(int.from_bytes(rng.bytes(32))) for _ in world.payout],
    )


def _start(world: World) -> datetime:
    """Midnight before the first day."""
    first = world.end - timedelta(days=world.days - 1)
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


def _trades(exchange: Exchange, names: Names, rng: np.random.Generator) -> pl.DataFrame:
    """One row per filled order, as in the file of real trades.

    Every fifth event keeps only the keys of its hashes, as some real ones do.
    """
    world, matches = exchange.world, exchange.matches
    hashes = [f"0x{rng.bytes(32).hex()}" for _ in range(exchange.transactions)]
    base = int(_start(world).timestamp())
    rows = pl.DataFrame(
        [_trade(match, exchange, names, hashes[match.transaction], base) for match in matches],
        schema=_TRADE_SCHEMA,
        orient="row",
    )
    orders = pl.Series("orderHash", [f"0x{rng.bytes(32).hex()}" for _ in matches])
    has_hashes = pl.col("event") % _KEYS_ONLY_EVERY != 0
    return rows.with_columns(orders).select(
        pl.exclude("event", "transactionHash", "orderHash"),
        pl.col("usdcSize").truediv("size").alias("price"),
        pl.when(has_hashes).then("transactionHash").alias("transactionHash"),
        pl.col("transactionHash").str.slice(2, _KEY_DIGITS).alias("txKey"),
        pl.when(has_hashes).then("orderHash").alias("orderHash"),
        pl.col("orderHash").str.slice(2, _KEY_DIGITS).alias("orderKey"),
        pl.col("eventSlug").str.replace_all("-", "_").alias("sourceEvent"),
        pl.int_range(pl.len(), dtype=pl.Int32).over("eventSlug").alias("seq"),
    )


_TRADE_SCHEMA = pl.Schema(
    {
        "event": pl.Int64(),
        "proxyWallet": pl.String(),
        "side": pl.String(),
        "asset": pl.String(),
        "conditionId": pl.String(),
        "size": pl.Float64(),
        "usdcSize": pl.Float64(),
        "timestamp": pl.Int64(),
        "title": pl.String(),
        "slug": pl.String(),
        "eventSlug": pl.String(),
        "outcome": pl.String(),
        "outcomeIndex": pl.Int8(),
        "transactionHash": pl.String(),
        "counterparty": pl.String(),
        "isTaker": pl.Boolean(),
        "fee": pl.Float64(),
    }
)


def _trade(
    match: Match, exchange: Exchange, names: Names, transaction: str, base: int
) -> tuple[object, ...]:
    """The row of one match, in the order of `_TRADE_SCHEMA`."""
    number = int(exchange.world.market_of[match.token])
    market = exchange.world.markets[number]
    place = match.token - market.first_token
    other = match.counterparty
    return (
        market.event,
        names.wallets[match.wallet],
        "BUY" if match.is_buy else "SELL",
        names.tokens[match.token],
        names.conditions[number],
        match.size / MICRO,
        match.size * match.tick // TICKS / MICRO,
        base + match.second,
        market.title,
        slug(market),
        market.event_slug,
        market.outcomes[place],
        place,
        transaction,
        _EXCHANGE if other is None else names.wallets[other],
        other is None,
        match.fee / MICRO,
    )


def slug(market: Market) -> str:
    """The name of a market in addresses: its title without blanks and signs."""
    words = "".join(sign if sign.isalnum() else " " for sign in market.title.lower()).split()
    return "-".join(words)


def _markets(world: World, names: Names, trades: pl.DataFrame) -> pl.DataFrame:
    """One row per market, as in the file of real markets, with a category."""
    rows = [_market(world, names, number) for number in range(len(world.markets))]
    taken = trades.filter("isTaker").group_by("conditionId").agg(pl.col("size").sum().round(6))
    volume = taken.rename({"size": "volume"})
    listed = pl.DataFrame(rows).join(volume, on="conditionId", how="left", maintain_order="left")
    return listed.with_columns(pl.col("volume").fill_null(0.0))


def _market(world: World, names: Names, number: int) -> dict[str, object]:
    """The row of one market; the venue keeps lists as JSON in texts."""
    market, start = world.markets[number], _start(world)
    ends = start + timedelta(seconds=market.closes_s - market.closes_s % DAY_S)
    return {
        "conditionId": names.conditions[number],
        "slug": slug(market),
        "title": market.title,
        "eventSlug": market.event_slug,
        "eventTitle": market.title.split(",")[0],
        "category": market.domain,
        "startDate": f"{start + timedelta(seconds=market.opens_s):%Y-%m-%dT%H:%M:%SZ}",
        "endDate": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
        "outcomes": json.dumps(market.outcomes),
        "clobTokenIds": json.dumps([names.tokens[token] for token in market.tokens]),
        "outcomePrices": json.dumps(_closing_prices(world, number)),
        "closed": world.is_closed(market),
    }


def _closing_prices(world: World, number: int) -> list[str]:
    """Payouts of a closed market, its mid prices else; a few as noisy as old markets have them."""
    market = world.markets[number]
    if not world.is_closed(market) or market.is_ambiguous:
        last = min(market.closes_s, world.seconds) - 1
        return [f"{world.price(token, last):.4f}" for token in market.tokens]
    payouts = [float(world.payout[token]) for token in market.tokens]
    if number % 10 == 3 and max(payouts) == 1.0 and len(payouts) == 2:  # noqa: PLR2004 - a few
        return ["0.9999981" if payout else "0.0000019" for payout in payouts]
    return [f"{payout:g}" for payout in payouts]


def _positions(exchange: Exchange, names: Names, rng: np.random.Generator) -> pl.DataFrame:
    """One row per wallet and token of closed markets: the venue's own numbers.

    Seven in ten have been redeemed, which is a sale at the payout.
    """
    world, rows = exchange.world, []
    for (wallet, token), position in sorted(exchange.positions.items()):
        number = int(world.market_of[token])
        market = world.markets[number]
        if not world.is_closed(market) or market.is_ambiguous:
            continue
        payout, place = float(world.payout[token]), token - market.first_token
        if rng.random() < _REDEEMED:
            position.sell(position.held, payout)
        rows.append(
            {
                "proxyWallet": names.wallets[wallet],
                "asset": names.tokens[token],
                "conditionId": names.conditions[number],
                "outcome": market.outcomes[place],
                "outcomeIndex": place,
                "slug": slug(market),
                "eventSlug": market.event_slug,
                "amount": position.held / MICRO,
                "avgPrice": round(position.average, 6),
                "realizedPnl": round(position.realised, 6),
                "totalBought": position.bought / MICRO,
                "curPrice": payout,
            }
        )
    return pl.DataFrame(rows)
