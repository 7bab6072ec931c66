"""A hand-made venue with the histories of some wallets, and what a lake holds of them."""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from evaluator.domain.tables.history import ACTIVITY, FILLS, INGEST_STATE, QUARANTINE
from evaluator.stages.ingestion_rules import IngestionRules
from evaluator.store.lake import Lake
from tests.stages.hand_made_venue import NOW, HandMadeVenue, address, fill, movement

TABLES = (FILLS, ACTIVITY, INGEST_STATE, QUARANTINE)
SMALL = IngestionRules(
    concurrency=3, wallets_per_commit=4, known_wallets_per_commit=5, pages_per_walk=2
)
KINDS = ("SPLIT", "MERGE", "REDEEM", "REWARD")


def wallets(count: int) -> list[str]:
    return [address(number) for number in range(count)]


def trading_venue(count: int = 12, *, seed: int = 1, **given: Any) -> HandMadeVenue:
    """Wallet k has about 3·k fills and k movements, hours apart; wallet 0 has nothing."""
    dice = Random(seed)
    trades, movements = [], []
    for wallet in range(count):
        at = NOW
        for number in range(3 * wallet):
            at -= timedelta(minutes=dice.randint(1, 90))
            trades.append(fill(wallet, dice.randrange(5), at))
            if dice.random() < 0.2:  # two fills of one transaction that agree in everything
                trades.append(dict(trades[-1]))
            if number % 3 == 0:
                moved = at - timedelta(seconds=dice.randint(1, 50))
                movements.append(movement(wallet, dice.choice(KINDS), moved))
    return HandMadeVenue(trades=trades, movements=movements, **{"page_rows": 4, **given})


def hashes(lake: Lake) -> dict[str, str]:
    with lake.snapshot() as now:
        return {table.name: now.content_hash(table) for table in TABLES}


def row_counts(lake: Lake) -> dict[str, int]:
    with lake.snapshot() as now:
        return {table.name: now.read(table).height for table in TABLES}


def as_of(venue: HandMadeVenue, at: datetime) -> HandMadeVenue:
    """The venue as it was at an instant."""
    return replace(
        venue,
        at=at,
        trades=[row for row in venue.trades if row["filled_at"] <= at],
        movements=[row for row in venue.movements if row["happened_at"] <= at],
        calls=[],
    )


def check_states_tell_the_truth(lake: Lake, venue: HandMadeVenue) -> None:
    """Every row of the venue from a wallet's oldest_at to its newest_at is there."""
    with lake.snapshot() as now:
        states = now.sql("SELECT * FROM ingest_state").rows(named=True)
        fills = now.sql("SELECT proxy_wallet, filled_at FROM fills").rows()
        moved = now.sql("SELECT proxy_wallet, happened_at FROM activity").rows()
    there = [(fills, venue.trades, "filled_at"), (moved, venue.movements, "happened_at")]
    for state in states:
        wallet, oldest, newest = (state[n] for n in ("proxy_wallet", "oldest_at", "newest_at"))
        for mine, theirs, instant in there:
            expected = [row[instant] for row in theirs if row["proxy_wallet"] == wallet]
            first = min(expected, default=oldest) if state["history_complete"] else oldest
            found = sorted(at for name, at in mine if name == wallet and first <= at <= newest)
            assert found == sorted(at for at in expected if first <= at <= newest)
