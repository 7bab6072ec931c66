from pathlib import Path

import pytest

from evaluator.store.lake import Lake
from tests.store.sample_tables import TABLES


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tables=TABLES, views=(), lock_deadline_s=20)
