import doctest
from datetime import date

import pytest

from evaluator.domain.schema import Partitioning, Table
from evaluator.domain.tables.registry import TABLES
from evaluator.store import partitions
from evaluator.store.reading import scope_of

NAMES = {
    Partitioning.SINGLE: partitions.SINGLE,
    Partitioning.BUCKET: partitions.bucket(15),
    Partitioning.DAY: partitions.day(date(2025, 5, 8)),
    Partitioning.DAY_WINDOW: partitions.day_window(date(2025, 5, 8), 90),
}


def test_the_examples_are_true():
    assert doctest.testmod(partitions).failed == 0


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_accepts_the_names_made_for_its_partitioning(table: Table):
    partitions.check_name(table, NAMES[table.partitioned_by])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_an_upsert_of_any_declared_table_supersedes_whole_keys(table: Table):
    assert set(scope_of(table)) <= set(table.key)
