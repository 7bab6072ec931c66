"""WScore v1 over the feature rows of one day and window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.oracle.measures import clamp01

Row = Mapping[str, Any]
Membership = Mapping[str, bool | None]

MIN_FILLS = 10
MIN_COVERAGE = 0.95


def edge(row: Row) -> float | None:
    """Return on closed cost, full at 20 %."""
    return None if row["roi"] is None else clamp01(max(row["roi"], 0.0) / 0.20)


def consistency(row: Row) -> float | None:
    """Calm daily returns; nothing left at a standard deviation of 10 %."""
    return None if row["return_stdev"] is None else clamp01(1 - row["return_stdev"] / 0.10)


def market_skill(row: Row) -> float | None:
    """Share of events that made money."""
    value: float | None = row["event_win_rate"]
    return value


def timing(row: Row) -> float | None:
    """Price drift in the hour after entry, −10 to +10 cents."""
    cents = row["timing_1h_cents"]
    return None if cents is None else clamp01((cents + 10) / 20)


def behavior(row: Row) -> float | None:
    """Absence of noise: extreme prices and bursts, whichever is known."""
    noise = [row[name] for name in ("extreme_price_ratio", "burstiness_top_1h")]
    known = [value for value in noise if value is not None]
    return clamp01(1 - sum(known) / len(known)) if known else None


COMPONENTS: tuple[tuple[str, float, Callable[[Row], float | None]], ...] = (
    ("edge", 0.30, edge),
    ("consistency", 0.25, consistency),
    ("market_skill", 0.20, market_skill),
    ("timing", 0.15, timing),
    ("behavior", 0.10, behavior),
)


def win_rate_multiplier(row: Row) -> float:
    """Half below .45, .8 below .52, 1 where unknown."""
    rate = row["win_rate"]
    if rate is None or rate >= 0.52:
        return 1.0
    return 0.5 if rate < 0.45 else 0.8


def trust_multiplier(row: Row) -> float:
    """Wallets under 90 days are trusted less."""
    age = row["wallet_age_days"]
    return 0.8 if age is not None and age < 90 else 1.0


def obscurity_multiplier(on_leaderboard: bool | None) -> float:
    """Wallets known not to be among the top 500 gain."""
    return 1.2 if on_leaderboard is False else 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """One row of wallet_scores; `product` is the unclamped score that ranks."""

    proxy_wallet: str
    window_days: int
    components: dict[str, float | None]
    components_used: tuple[str, ...]
    win_rate_multiplier: float
    trust_multiplier: float
    obscurity_multiplier: float
    product: float | None
    wscore: float | None
    score_reason: str | None
    is_rankable: bool
    rank_reason: str | None
    rank: int | None = None
    percentile: float | None = None


def scores(rows: Sequence[Row], leaderboard: Membership | None = None) -> list[Score]:
    """Score and rank the rows of one day and window; membership None means unknown."""
    known = leaderboard or {}
    found = [score(row, known.get(row["proxy_wallet"])) for row in rows]
    ranked = sorted(
        (one for one in found if one.is_rankable), key=lambda s: (-(s.product or 0), s.proxy_wallet)
    )
    places = {one.proxy_wallet: place for place, one in enumerate(ranked, start=1)}
    return [placed(one, places.get(one.proxy_wallet), len(ranked)) for one in found]


def score(row: Row, on_leaderboard: bool | None) -> Score:
    """One wallet's score, not yet ranked."""
    components = {name: component(row) for name, _, component in COMPONENTS}
    reason = score_reason(row)
    factors = (
        win_rate_multiplier(row), trust_multiplier(row), obscurity_multiplier(on_leaderboard)
    )  # fmt: skip
    weighted = weighted_mean(components)
    product = (
        None if reason or weighted is None else weighted * factors[0] * factors[1] * factors[2]
    )
    rank_reason = reason or history_reason(row)
    return Score(
        proxy_wallet=row["proxy_wallet"],
        window_days=row["window_days"],
        components=components,
        components_used=tuple(name for name, value in components.items() if value is not None),
        win_rate_multiplier=factors[0],
        trust_multiplier=factors[1],
        obscurity_multiplier=factors[2],
        product=product,
        wscore=None if product is None else clamp01(product),
        score_reason=reason,
        is_rankable=rank_reason is None,
        rank_reason=rank_reason,
    )


def weighted_mean(components: Mapping[str, float | None]) -> float | None:
    """Weights of the known components, renormalised."""
    known = [(components[name], weight) for name, weight, _ in COMPONENTS]
    parts = [(value, weight) for value, weight in known if value is not None]
    total = sum(weight for _, weight in parts)
    return sum(value * weight for value, weight in parts) / total if parts else None


def score_reason(row: Row) -> str | None:
    """Why there is no score."""
    if row["fill_count"] < MIN_FILLS:
        return "TOO_FEW_FILLS"
    return "NO_CLOSES" if row["closed_event_count"] == 0 else None


def history_reason(row: Row) -> str | None:
    """Why a scored wallet is not ranked; an unknown coverage passes."""
    coverage = row["coverage"]
    is_short = coverage is not None and coverage < MIN_COVERAGE
    return "INSUFFICIENT_HISTORY" if is_short or row["history_complete"] is False else None


def placed(one: Score, rank: int | None, count: int) -> Score:
    """The score with its rank and percentile among the rankable."""
    percentile = None if rank is None else (count - rank + 1) / count
    values = {name: getattr(one, name) for name in Score.__slots__}
    return Score(**{**values, "rank": rank, "percentile": percentile})
