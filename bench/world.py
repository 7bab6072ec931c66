"""The cast of a synthetic history: wallets and how much they trade, events, markets, prices.

All is drawn from one seed; what the wallets do is in `trades`, the lake in `generate`.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from evaluator.domain import ids
from evaluator.domain.schema import BUCKET_COUNT
from evaluator.domain.tables.discovery import MARKETS
from evaluator.domain.tables.history import FILLS, INGEST_STATE, RESOLUTIONS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_S = 86_400
PRICE_STEPS = 64
"""A market's price path has this many steps from its opening to its end."""

MARKETS_AN_EVENT = 2.5
SPLIT_SHARE = 0.01
"""Markets that resolve at one half for each side."""
UNKNOWN_SHARE = 0.005
"""Markets that close without payouts."""

DOMAINS = ("crypto", "culture", "economy", "politics", "science", "sports", "weather", None)
_VERSION = 1
"""Part of the key of a generated lake: raise it where the same arguments give another history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Arguments of a history. `tokens` 0 is one token per 500 fills, from 200 to 40,000."""

    wallets: int
    fills: int
    tokens: int = 0
    days: int = 365
    last_day: date = date(2026, 6, 30)
    quiet_share: float = 0.86
    """Wallets with hardly any fills; the others share the rest by a Zipf law."""
    zipf_exponent: float = 1.0
    oversold_share: float = 0.01
    """Fills that sell whatever the wallet holds, so that shares stay unexplained."""
    seed: int = 1

    @property
    def token_count(self) -> int:
        """Outcome tokens, two for each market."""
        return 2 * ((self.tokens or min(max(self.fills // 500, 200), 40_000)) // 2)

    @property
    def end_s(self) -> int:
        """The end of the last day, in seconds since the epoch."""
        midnight = datetime.combine(self.last_day, datetime.min.time(), UTC)
        return int((midnight + timedelta(days=1)).timestamp())

    @property
    def start_s(self) -> int:
        """The start of the first day."""
        return self.end_s - self.days * DAY_S

    @property
    def key(self) -> str:
        """Short digest of all arguments and schemas: equal key, equal history."""
        schemas = [table.version for table in (FILLS, MARKETS, RESOLUTIONS, INGEST_STATE)]
        text = f"{_VERSION} {schemas} {asdict(self)}"
        return hashlib.blake2b(text.encode(), digest_size=5).hexdigest()


@dataclass(frozen=True, slots=True)
class Wallets:
    """One entry per wallet, the most active first; instants in seconds."""

    text: list[str]
    surrogate: Ints
    fill_count: Ints
    first_at: Ints
    last_at: Ints
    skill: Floats
    """Chance above one half to take the side that wins."""
    scale_usdc: Floats
    maker_share: Floats

    def of_bucket(self, number: int) -> Ints:
        """Places of the wallets of a bucket, in the order of their surrogates."""
        mine = np.flatnonzero(self.surrogate % BUCKET_COUNT == number)
        return mine[np.argsort(self.surrogate[mine])]


@dataclass(frozen=True, slots=True)
class Markets:
    """One entry per market of two tokens, by opening; instants in seconds."""

    condition: list[str]
    token_text: list[str]
    """Two for each market."""
    condition_surrogate: Ints
    token_surrogate: Ints
    event: Ints
    domain: Ints
    opens_at: Ints
    ends_at: Ints
    resolves_at: Ints
    wins_first: NDArray[np.bool_]
    is_split: NDArray[np.bool_]
    """Resolved at one half for each side."""
    is_unknown: NDArray[np.bool_]
    """Closed without payouts."""
    tick: Floats
    fee_rate: Floats
    popularity: Floats
    """Cumulative, from 0, with one more entry than there are markets."""
    path: NDArray[np.float32]
    """Price of the first token at `PRICE_STEPS + 1` instants from opening to end."""


def wallets(size: Size) -> Wallets:
    """The wallets: a heavy tail of traders, the rest nearly empty."""
    rng = np.random.default_rng([size.seed, 1])
    text = [_address(f"wallet {size.seed} {number}", 20) for number in range(size.wallets)]
    counts = _fill_counts(size, rng)
    span = size.end_s - size.start_s
    is_quiet = np.arange(size.wallets) >= _busy_count(size)
    length = np.where(
        is_quiet, rng.exponential(5 * DAY_S, size.wallets), span * rng.uniform(0.2, 1, size.wallets)
    )
    length = np.clip(length, 3600, span - 2 * DAY_S)
    first = size.start_s + rng.random(size.wallets) * (span - DAY_S - length)
    return Wallets(
        text=text,
        surrogate=np.array([ids.surrogate(each) for each in text]),
        fill_count=counts,
        first_at=first.astype(np.int64),
        last_at=(first + length).astype(np.int64),
        skill=rng.normal(0, 0.08, size.wallets),
        scale_usdc=rng.lognormal(3, 1.2, size.wallets),
        maker_share=rng.beta(1.2, 1.2, size.wallets),
    )


def _busy_count(size: Size) -> int:
    return max(1, round(size.wallets * (1 - size.quiet_share)))


def _fill_counts(size: Size, rng: np.random.Generator) -> Ints:
    """Fills of each wallet, `size.fills` together: Zipf-Mandelbrot before, a handful behind."""
    busy = _busy_count(size)
    quiet = np.minimum(rng.geometric(0.3, size.wallets - busy), 10)
    rest = size.fills - int(quiet.sum())
    if rest < busy:
        raise ValueError(f"{size.fills} fills are too few for {size.wallets} wallets")
    share = (np.arange(busy) + 10.0) ** -size.zipf_exponent
    exact = (rest - busy) * share / share.sum()
    counts = exact.astype(np.int64)
    counts[: rest - busy - int(counts.sum())] += 1
    return np.concatenate([counts + 1, quiet.astype(np.int64)])


def markets(size: Size) -> Markets:
    """Markets that open and end through the whole history; the last ones are still open."""
    rng = np.random.default_rng([size.seed, 2])
    count = size.token_count // 2
    opens = np.sort(rng.uniform(size.start_s - 20 * DAY_S, size.end_s - DAY_S, count))
    life = np.clip(rng.lognormal(np.log(12), 1.1, count), 0.2, 300) * DAY_S
    chance = rng.beta(1.3, 1.3, count)
    wins_first = rng.random(count) < chance
    condition = [_address(f"market {size.seed} {number}", 32) for number in range(count)]
    digits = rng.integers(0, 10**18, (2 * count, 4))
    tokens = [f"{a:018d}{b:018d}{c:018d}{d:018d}".lstrip("0") for a, b, c, d in digits.tolist()]
    event = np.cumsum(rng.random(count) * MARKETS_AN_EVENT < 1)
    domain_of_event = rng.choice(len(DOMAINS), int(event[-1]) + 1)
    weight = rng.permutation((np.arange(count) + 10.0) ** -0.9)
    return Markets(
        condition=condition,
        token_text=tokens,
        condition_surrogate=np.array([ids.surrogate(each) for each in condition]),
        token_surrogate=np.array([ids.surrogate(each) for each in tokens]),
        event=event,
        domain=domain_of_event[event],
        opens_at=np.maximum(opens, size.start_s).astype(np.int64),
        ends_at=(np.maximum(opens, size.start_s) + life).astype(np.int64),
        resolves_at=(
            np.maximum(opens, size.start_s) + life + rng.exponential(DAY_S / 4, count) + 60
        ).astype(np.int64),
        wins_first=wins_first,
        is_split=rng.random(count) < SPLIT_SHARE,
        is_unknown=rng.random(count) < UNKNOWN_SHARE,
        tick=rng.choice([0.01, 0.001], count, p=[0.7, 0.3]),
        fee_rate=rng.choice([0.0, 0.02], count, p=[0.8, 0.2]),
        popularity=np.append(0.0, np.cumsum(weight)),
        path=_paths(chance, wins_first, rng),
    )


def _paths(
    chance: Floats, wins_first: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A random walk of log odds from the chance, drawn to what happens in the end."""
    steps = rng.normal(0, 2.0 / np.sqrt(PRICE_STEPS), (chance.size, PRICE_STEPS))
    walk = np.concatenate([np.zeros((chance.size, 1)), np.cumsum(steps, axis=1)], axis=1)
    late = np.linspace(0, 1, PRICE_STEPS + 1) ** 4
    end = np.where(wins_first, 5.0, -5.0)
    start = np.log(chance / (1 - chance))
    odds = (start[:, None] + walk) * (1 - late) + end[:, None] * late
    return (1 / (1 + np.exp(-odds))).astype(np.float32)


def _address(name: str, width: int) -> str:
    return "0x" + hashlib.blake2b(name.encode(), digest_size=width).hexdigest()
