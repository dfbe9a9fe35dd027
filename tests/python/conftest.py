"""The databases of the tests: a file of SQLite, and the real PostgreSQL of tools/servers.py."""

from __future__ import annotations

import pathlib

import pytest
from real_servers import server


@pytest.fixture
def postgresql() -> str:
    return server("CENOTE_TEST_POSTGRESQL")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """One of the databases."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'shop.db'}"
    return server("CENOTE_TEST_POSTGRESQL")
