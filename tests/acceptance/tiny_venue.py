"""A tiny simulated venue on a port, and everything that a source reads from it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from evaluator.domain.market_scores import DiscoveryRules
from evaluator.domain.tables import discovery, history, market_data
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.stages.source import Gathered
from evaluator.stages.stamp import Stamp
from evaluator.stages.venue_source import VenueSource
from evaluator.store.lake import Lake
from evaluator.venue.api.client import VenueClient, open_client
from evaluator.venue.api.endpoints import Hosts
from evaluator.venue.api.limits import Buckets
from evaluator.venue.api.options import Options
from evaluator.venue.api.transport import Policy, Timing
from evaluator.venue.sim.app import Manner, create_app
from evaluator.venue.sim.ask import Caps
from evaluator.venue.sim.clock import fixed
from evaluator.venue.sim.faults import Faults
from evaluator.venue.sim.rules import WorldRules
from evaluator.venue.sim.world import World
from tests.venue.api.test_loopback import served

RULES = WorldRules(
    start=datetime(2026, 7, 24, tzinfo=UTC),
    wallets=35,
    new_wallets_per_day=0.5,
    events_per_day=0.5,
    mean_life_days=6.0,
)
NOW = RULES.start + timedelta(days=16, hours=15, minutes=20)
DAY, HOUR = NOW.date(), NOW.replace(minute=0) - timedelta(hours=1)

CAPS = Caps(
    v2_limit=20,
    v1_trades_limit=20,
    v1_trades_offset=40,
    v1_activity_limit=5,
    v1_activity_offset=10,
    v1_positions_limit=10,
    v1_closed_limit=10,
    gamma_limit=10,
)
"""Pages so short that every listing has several, and offsets that end before a history does."""

MOST_ATTEMPTS, MOST_IN_A_ROW = 10, 3
PATIENT = Policy(
    max_attempts=MOST_ATTEMPTS,
    timeout_s=1.5,
    backoff_s=0.002,
    longest_retry_after_s=0.005,
    circuit_threshold=1000,
)
"""Tries again at once, where a real client waits."""

DISCOVERY = DiscoveryRules(
    min_liquidity_usdc=10.0,
    min_volume_24h_usdc=10.0,
    selected_events=9,
    feed_pages=200,
    min_recent_trades=12,
    full_trades=2_000,
    leaderboard_categories=("OVERALL",),
    leaderboard_periods=("WEEK",),
)
"""All candidates are searched and their feeds read whole: rows shown twice then cost pages, and
hide no trade. Of a feed read down to an instant, what lies below it depends on where pages end."""

INGESTION = IngestionRules(
    concurrency=8,
    wallets_per_commit=8,
    pages_per_walk=4,
    price_history_days=3,
    tokens_per_request=8,
)

READ = (
    *(discovery.MARKETS, discovery.HOLDERS, discovery.MARKET_SCORES, discovery.LEADERBOARD),
    *(discovery.WALLETS, discovery.WALLET_SOURCES),
    *(history.FILLS, history.ACTIVITY, history.POSITIONS, history.RESOLUTIONS),
    *(market_data.PRICES, market_data.BOOKS, market_data.COMMENTS),
    *(history.INGEST_STATE, history.QUARANTINE),
)
"""Every table that reading a venue fills, but `venue_requests`: it counts the requests, and
those that faults cost are among them."""

Step = Callable[[VenueSource, Lake], Gathered]
STEPS: dict[str, Step] = {
    "markets": lambda source, lake: source.markets(lake, DAY),
    "holders": lambda source, lake: source.holders(lake, DAY),
    "market_scores": lambda source, lake: source.market_scores(lake, DAY),
    "leaderboard": lambda source, lake: source.leaderboard(lake, DAY),
    "wallets": lambda source, lake: source.wallets(lake, DAY),
    "histories": lambda source, lake: source.histories(lake, range(64)),
    "positions": lambda source, lake: source.positions(lake, range(64)),
    "resolutions": lambda source, lake: source.resolutions(lake),
    "prices": lambda source, lake: source.prices(lake, HOUR),
    "books": lambda source, lake: source.books(lake, HOUR),
    "comments": lambda source, lake: source.comments(lake, HOUR),
}
"""What a source reads, in the order in which the pipeline asks for it."""


@cache
def world() -> World:
    return World(RULES)


@contextmanager
def venue(faults: Faults | None = None, **limits: Any) -> Iterator[str]:
    """The base URL of a new server of the world, which answers in a thread of its own."""
    manner = Manner(caps=CAPS, has_control=True)
    with served(create_app(world(), fixed(NOW), faults=faults, manner=manner, **limits)) as url:
        yield url


def client(url: str, dialect: str = "v2", policy: Policy = PATIENT, **options: Any) -> VenueClient:
    chosen = {"limit_factor": 1e6, "leaderboard_rows": 5, "feed_page_rows": 20,
              "market_page_rows": 20} | options  # fmt: skip
    return open_client(
        Hosts(url, url, url),
        Options(dialect=dialect, policy=policy, **chosen),
        timing=Timing(clock=fixed(NOW)),
        buckets=Buckets(),
    )


def source(url: str, dialect: str = "v2", policy: Policy = PATIENT) -> VenueSource:
    stamp = Stamp(NOW, "digest", "0", is_frozen=False)
    return VenueSource(lambda: client(url, dialect, policy), DISCOVERY, INGESTION, stamp)


def read_everything(url: str, lake: Lake, dialect: str = "v2") -> None:
    """All steps, each without a problem."""
    whole = source(url, dialect)
    for name, step in STEPS.items():
        assert step(whole, lake).problems == (), name


@dataclass(frozen=True)
class Tables:
    """What a lake holds of the tables that reading fills."""

    hashes: dict[str, str]
    rows: dict[str, int]

    @classmethod
    def of(cls, lake: Lake) -> "Tables":
        with lake.snapshot() as now:
            return cls(
                {table.name: now.content_hash(table) for table in READ},
                {table.name: now.read(table, columns=list(table.key)).height for table in READ},
            )


def asked(lake: Lake) -> pl.DataFrame:
    """Requests by endpoint: sent, retried, and the questions that they were."""
    with lake.snapshot() as now:
        rows = now.read(history.VENUE_REQUESTS)
    sums = rows.group_by("endpoint").agg(pl.col("request_count", "retry_count").sum())
    questions = pl.col("request_count") - pl.col("retry_count")
    return sums.with_columns(questions.alias("question_count")).sort("endpoint")


def statuses(lake: Lake) -> set[str]:
    with lake.snapshot() as now:
        return set(now.read(history.VENUE_REQUESTS)["status"])


def control(url: str, path: str) -> Any:
    """What the server itself says."""
    with httpx.Client(trust_env=False) as http:
        return http.get(f"{url}/_sim/{path}").raise_for_status().json()


def new_lake(folder: Path) -> Lake:
    return Lake(folder, threads=1)
