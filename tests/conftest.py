"""Fixtures for all tests."""

from pathlib import Path

import pytest

from tests.archive import real_archive


@pytest.fixture(scope="session")
def archive_folder() -> Path:
    """The folder of real Polymarket history."""
    return real_archive()
