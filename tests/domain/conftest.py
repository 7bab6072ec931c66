"""The real archive, for the oracle and for the implementation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.domain.both import Both, both
from tests.oracle.world import archive_world

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def whole_archive(archive_folder: Path) -> Both:
    """All 287,157 fills."""
    return both(archive_world(archive_folder))


@pytest.fixture(scope="session")
def small_archive(archive_folder: Path) -> Both:
    """The 13,956 fills before July 2024."""
    return both(archive_world(archive_folder, until=datetime(2024, 7, 1, tzinfo=UTC)))
