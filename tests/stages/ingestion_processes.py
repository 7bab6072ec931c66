"""What other processes do in the tests of ingestion: read wallets, add fills, build lots."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

from evaluator.domain.tables.history import FILLS
from evaluator.stages import ledger, new_fills, parts
from evaluator.stages.ingestion import Progress, ingest_wallets
from evaluator.store.lake import Lake
from tests.stages.hand_made_venue import NOW
from tests.stages.ingestion_worlds import SMALL, as_of, trading_venue, wallets

ROOT = Path(__file__).parents[2]
COUNT = 24
"""Wallets of the venue that all processes read."""

SLOW = replace(SMALL, wallets_per_commit=3, known_wallets_per_commit=3, pages_per_walk=3)


def started(verb: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs one of the verbs below and prints lines."""
    command = [sys.executable, "-m", "tests.stages.ingestion_processes", verb]
    return subprocess.Popen(
        [*command, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _told(progress: Progress) -> None:
    say(progress.wallets_left)


def _ingest(root: str, seed: str) -> None:
    """Everything up to now, a line for each commit."""
    names = wallets(COUNT)
    Random(int(seed)).shuffle(names)
    venue = trading_venue(COUNT, shuffle=int(seed), page_rows=8)
    say("begun")
    asyncio.run(ingest_wallets(Lake(Path(root), threads=1), venue, names, SLOW, _told))


def _instants(seed: str, rounds: str) -> Iterator[tuple[Random, timedelta]]:
    """How long before now each round happens, the last one now."""
    dice = Random(int(seed))
    for number in reversed(range(int(rounds))):
        yield dice, timedelta(hours=2 * number)


def _follow(root: str, seed: str, rounds: str) -> None:
    """Some wallets round by round as time goes on, then all of them now."""
    lake, whole = Lake(Path(root), threads=1, lock_deadline_s=200), trading_venue(COUNT)
    for dice, before in _instants(seed, rounds):
        names = dice.sample(wallets(COUNT), COUNT if not before else COUNT // 3)
        venue = replace(as_of(whole, NOW - before), shuffle=dice.randint(1, 99), page_rows=16)
        asyncio.run(ingest_wallets(lake, venue, names, SMALL))
        say(before)


def _watch(root: str, seed: str, rounds: str) -> None:
    """Fills that have just been seen, appended without any state."""
    lake, whole = Lake(Path(root), threads=1, lock_deadline_s=200), trading_venue(COUNT)
    for dice, before in _instants(seed, rounds):
        venue = as_of(whole, NOW - before)
        walk = asyncio.run(venue.wallet_trades(dice.choice(wallets(COUNT)[3:]), max_pages=2))
        with lake.snapshot() as now:
            rows = new_fills.unseen(now, walk.found.rows)
        pieces = {(FILLS, where): part for where, part in parts.by_bucket(rows) if part.height}
        lake.commit(append=pieces)
        say(before)


def _build(root: str, seed: str, rounds: str) -> None:
    """Lots of what is there, again and again."""
    lake = Lake(Path(root), threads=1, lock_deadline_s=200)
    for _, before in _instants(seed, rounds):
        ledger.refresh_lots(lake)
        say(before)


VERBS = {"ingest": _ingest, "follow": _follow, "watch": _watch, "build": _build}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
