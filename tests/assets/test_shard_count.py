"""How many shards: the smallest of all limits, and its reason."""

import pytest

from evaluator.domain.personas.rules import PersonaRules
from evaluator.stages.shards import (
    BYTES_PER_FILL,
    BYTES_PER_SHARD,
    FILLS_PER_SHARD,
    Machine,
    ShardCount,
    UnknownHandOverError,
    folder_of,
    shard_count,
)

IDLE = Machine(cores=4, free_bytes=512 * 2**30, load=0.0)
MANY = 200_000_000
FIT_3 = MANY * BYTES_PER_FILL + 3 * BYTES_PER_SHARD


@pytest.mark.parametrize(
    ("fills", "rules", "machine", "expected"),
    [
        (MANY, PersonaRules(), IDLE, ShardCount(4, "4 cores")),
        (MANY, PersonaRules(parallel_tasks=2), IDLE, ShardCount(2, "personas.parallel_tasks is 2")),
        (MANY, PersonaRules(forced_tasks=7), IDLE, ShardCount(7, "forced to 7")),
        (
            MANY,
            PersonaRules(),
            Machine(cores=4, free_bytes=512 * 2**30, load=2.2),
            ShardCount(2, "2 of 4 cores idle"),
        ),
        (
            MANY,
            PersonaRules(),
            Machine(cores=4, free_bytes=FIT_3, load=0.0),
            ShardCount(3, f"{FIT_3 >> 20} MiB free"),
        ),
        (3 * FILLS_PER_SHARD + 1, PersonaRules(), IDLE, ShardCount(3, "60000001 fills")),
        (0, PersonaRules(), IDLE, ShardCount(1, "0 fills")),
        (
            MANY,
            PersonaRules(),
            Machine(cores=1, free_bytes=0, load=30.0),
            ShardCount(1, "1 cores"),
        ),
    ],
)
def test_the_smallest_limit_decides(fills, rules, machine, expected):
    assert shard_count(fills, rules, machine) == expected


def test_a_hand_over_elsewhere_is_refused():
    with pytest.raises(UnknownHandOverError, match="no way to read s3://bucket/run"):
        folder_of("s3://bucket/run")


def test_a_folder_with_blanks_survives_its_uri(tmp_path):
    folder = tmp_path / "with blank"
    assert folder_of(folder.as_uri()) == folder
