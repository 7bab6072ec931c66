"""A tiny synthetic history, made once."""

from pathlib import Path

import pytest

from bench.generate import history_lake
from bench.world import Size

TINY = Size(wallets=120, fills=6_000, tokens=60, days=150)


@pytest.fixture(scope="session")
def size() -> Size:
    return TINY


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """Where histories are kept."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="session")
def history_root(size, home) -> Path:
    """The folder of the tiny history's lake."""
    return history_lake(size, home, lambda _: None)
