"""Worlds in several processes: the same rows, made once where they share a folder."""

import hashlib
import os
import subprocess
import sys
from datetime import timedelta

import pytest

from evaluator.venue.sim.world import World, WorldRules

RULES = WorldRules(seed=5, wallets=30)
SCRIPT = """
import hashlib
from datetime import timedelta
from evaluator.venue.sim.world import World, WorldRules
rules = WorldRules(seed=5, wallets=30)
history = World(rules).history(rules.start + timedelta(days=6))
frames = (history.fills, history.activity, history.prices, history.comments, history.markets)
print(hashlib.sha256("".join(one.write_ndjson() for one in frames).encode()).hexdigest())
"""


def after(world, days):
    return world.history(RULES.start + timedelta(days=days))


def digest(history):
    frames = (
        history.fills,
        history.activity,
        history.prices,
        history.comments,
        history.markets,
    )
    return hashlib.sha256("".join(one.write_ndjson() for one in frames).encode()).hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_process_has_the_same_world(hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.strip() == digest(after(World(RULES), 6))


def test_a_second_world_reads_what_the_first_has_made(tmp_path, monkeypatch):
    first = World(RULES, cache=tmp_path)
    earlier, later = digest(after(first, 4)), digest(after(first, 9))
    files = sorted(tmp_path.rglob("*.parquet"))
    assert len(files) == 4  # fills and activity, of two runs of events

    second = World(RULES, cache=tmp_path)
    monkeypatch.setattr(second, "_play", lambda number: pytest.fail(f"played event {number}"))
    assert digest(after(second, 9)) == later
    assert digest(after(second, 4)) == earlier
    assert sorted(tmp_path.rglob("*")) == sorted([files[0].parent, *files])


def test_worlds_of_other_rules_share_no_file(tmp_path):
    after(World(RULES, cache=tmp_path), 3)
    after(World(WorldRules(seed=6, wallets=30), cache=tmp_path), 3)
    assert len(list(tmp_path.iterdir())) == 2


def test_another_seed_is_another_world():
    assert digest(after(World(WorldRules(seed=6, wallets=30)), 3)) != digest(after(World(RULES), 3))


def test_a_larger_world_opens_with_all_that_a_smaller_one_has_seen():
    """Wallets arrive and events open while the world goes on."""
    world = World(RULES)
    early, late = after(world, 5), after(world, 15)
    assert late.wallets.height > early.wallets.height
    assert late.markets.height > early.markets.height
    assert late.wallets["proxy_wallet"][: early.wallets.height].equals(
        early.wallets["proxy_wallet"]
    )
