"""The fills of one wallet bucket of a synthetic history, as rows of `fills`.

Each wallet draws tokens of markets that trade while it is active, and walks through each: it
buys, buys more within seconds, sells what it holds, or keeps it to the resolution.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from bench.world import PRICE_STEPS, Floats, Ints, Markets, Size, Wallets
from evaluator.domain.schema import MICRO
from evaluator.domain.tables.history import FILLS, ROLE, SIDE

SAME_ORDER_SHARE = 0.35
"""Fills that continue the order before them, within seconds."""

SELL_SHARE = 0.45
"""Fills that sell, where something is held; of them those that sell it all."""
SELL_ALL_SHARE = 0.4

UNKNOWN_ROLE_SHARE = 0.02
_UNKNOWN = 2


class Pairs(NamedTuple):
    """Draws of a (wallet, token): place of the wallet, market, outcome, span of its fills."""

    wallet: Ints
    market: Ints
    outcome: Ints
    first_at: Ints
    last_at: Ints


class Walk(NamedTuple):
    """What is done at each row: 1 sells, micro-shares, instant in seconds."""

    is_sell: NDArray[np.bool_]
    size: Ints
    at: Ints


def bucket_fills(size: Size, wallets: Wallets, markets: Markets, number: int) -> pl.DataFrame:
    """All fills of a bucket, by wallet."""
    rng = np.random.default_rng([size.seed, 3, number])
    mine = wallets.of_bucket(number)
    pairs, pair = _pairs(size, wallets, markets, mine, rng)
    at = pairs.first_at[pair] + (
        (pairs.last_at - pairs.first_at)[pair] * rng.random(pair.size)
    ).astype(np.int64)
    order = np.lexsort((at, pair))
    pair, at = pair[order], at[order]
    wallet, market, outcome = pairs.wallet[pair], pairs.market[pair], pairs.outcome[pair]
    draws = rng.random((4, pair.size), dtype=np.float32)
    price = _prices(markets, market, outcome, at, rng)
    cash = np.clip(wallets.scale_usdc[wallet] * rng.lognormal(0, 1, pair.size), 1, 50_000)
    walk = _walk(pair, at, cash / price, draws, size.oversold_share, pairs.last_at[pair])
    notional = np.rint(walk.size * price).astype(np.int64)
    is_taker = rng.random(pair.size) >= wallets.maker_share[wallet]
    fee = notional * markets.fee_rate[market] * np.minimum(price, 1 - price) * is_taker
    role = np.where(rng.random(pair.size) < UNKNOWN_ROLE_SHARE, _UNKNOWN, is_taker).astype(np.uint8)
    number_of = np.arange(pair.size, dtype=np.uint64) + np.uint64(number << 40)
    return pl.DataFrame(
        {
            "fill_id": _scattered(number_of, size.seed).view(np.int64),
            "proxy_wallet": wallets.surrogate[wallet],
            "condition_id": markets.condition_surrogate[market],
            "token_id": markets.token_surrogate[2 * market + outcome],
            "outcome_index": outcome.astype(np.int32),
            "side": pl.Series(walk.is_sell.astype(np.uint8)).cat.to(SIDE.frame),
            "size_shares": walk.size,
            "price": price,
            "notional_usdc": notional,
            "fee_usdc": np.rint(fee).astype(np.int64),
            "is_fee_included": np.zeros(pair.size, np.bool_),
            "role": pl.Series(role).cat.to(ROLE.frame),
            "filled_at": pl.Series(walk.at * MICRO).cast(pl.Datetime("us", "UTC")),
            "source_sequence": pl.Series([None], dtype=pl.Int64).new_from_index(0, pair.size),
            "transaction_key": (_scattered(number_of, size.seed + 1) >> np.uint64(4)).view(np.int64),
            "transaction_hash": pl.Series([None], dtype=pl.String).new_from_index(0, pair.size),
            "ordinal": np.zeros(pair.size, np.int32),
        }
    ).select(FILLS.schema.names())  # fmt: skip


def _pairs(
    size: Size, wallets: Wallets, markets: Markets, mine: Ints, rng: np.random.Generator
) -> tuple[Pairs, Ints]:
    """Tokens drawn by the wallets, and the draw of each fill."""
    counts = wallets.fill_count[mine]
    each = np.clip(rng.lognormal(np.log(8), 0.8, mine.size), 1.5, 200)
    drawn = np.clip(np.ceil(counts / each), 1, 0.4 * size.token_count).astype(np.int64)
    wallet = np.repeat(mine, drawn)
    low = np.searchsorted(markets.opens_at, wallets.first_at - 5 * 86_400)[wallet]
    high = np.maximum(np.searchsorted(markets.opens_at, wallets.last_at)[wallet], low + 1)
    cum = markets.popularity
    high = np.minimum(high, cum.size - 1)
    low = np.minimum(low, high - 1)
    at = cum[low] + rng.random(wallet.size) * (cum[high] - cum[low])
    market = np.clip(np.searchsorted(cum, at, side="right") - 1, low, high - 1)
    takes_winner = rng.random(wallet.size) < 0.5 + wallets.skill[wallet]
    outcome = (markets.wins_first[market] != takes_winner).astype(np.int64)
    ends = np.minimum(markets.ends_at[market], size.end_s - 1)
    first = np.maximum(markets.opens_at[market], wallets.first_at[wallet])
    last = np.minimum(ends, wallets.last_at[wallet])
    is_apart = last <= first
    pairs = Pairs(
        wallet, market, outcome,
        np.where(is_apart, markets.opens_at[market], first), np.where(is_apart, ends, last),
    )  # fmt: skip
    start = np.cumsum(drawn) - drawn
    place = rng.random(int(counts.sum())) ** 1.5 * np.repeat(drawn, counts)
    return pairs, np.repeat(start, counts) + place.astype(np.int64)


def _prices(
    markets: Markets, market: Ints, outcome: Ints, at: Ints, rng: np.random.Generator
) -> Floats:
    """The path of the market at the instant, a little off, on its tick."""
    opens = markets.opens_at[market]
    place = (at - opens) / (markets.ends_at[market] - opens) * PRICE_STEPS
    step = np.clip(place.astype(np.int64), 0, PRICE_STEPS - 1)
    part = place - step
    first = markets.path[market, step] * (1 - part) + markets.path[market, step + 1] * part
    price = np.where(outcome == 0, first, 1 - first) + rng.normal(0, 0.01, at.size)
    per_share = np.rint(1 / markets.tick[market])
    return np.clip(np.rint(price * per_share), 1, per_share - 1) / per_share


@njit(cache=True)
def _walk(
    pair: Ints, at: Ints, shares: Floats, draws: NDArray[np.float32], oversold: float, last_at: Ints
) -> Walk:
    """Row by row: continue the order, sell some or all of what is held, or buy."""
    is_sell = np.zeros(pair.size, np.bool_)
    size = np.empty(pair.size, np.int64)
    instant = np.empty(pair.size, np.int64)
    held = 0
    for row in range(pair.size):
        is_new = row == 0 or pair[row] != pair[row - 1]
        if is_new:
            held = 0
        wanted = max(np.int64(shares[row] * 100), 1) * 10_000
        instant[row] = at[row]
        sells = draws[0, row] < SELL_SHARE
        if not is_new:
            instant[row] = max(at[row], instant[row - 1])
            if draws[1, row] < SAME_ORDER_SHARE:
                sells = is_sell[row - 1]
                instant[row] = min(instant[row - 1] + np.int64(draws[1, row] * 20), last_at[row])
        if draws[2, row] < oversold:
            is_sell[row], size[row] = True, wanted
            held = max(held - wanted, 0)
        elif sells and held > 0:
            part = 1.0 if draws[3, row] < SELL_ALL_SHARE else draws[3, row]
            size[row] = min(held, max(np.int64(held * part), 10_000))
            is_sell[row] = True
            held -= size[row]
        else:
            size[row] = wanted
            held += wanted
    return Walk(is_sell, size, instant)


def _scattered(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """SplitMix64 of consecutive numbers: distinct for distinct numbers, in no order."""
    state = (numbers + np.uint64(seed << 52)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
