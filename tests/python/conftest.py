"""The databases of the tests: a file of SQLite, and the real PostgreSQL of tools/servers.py."""

from __future__ import annotations

import os
import pathlib

import pytest


def server(variable: str) -> str:
    """The URL of a test server, or the end of the test without it."""
    url = os.environ.get(variable, "")
    if not url:
        if os.environ.get("CENOTE_TEST_REQUIRE_SERVERS"):
            pytest.fail(f"{variable} is not set, though all servers should run")
        pytest.skip(f"{variable} is not set; run by tools/servers.py")
    return url


@pytest.fixture
def postgresql() -> str:
    return server("CENOTE_TEST_POSTGRESQL")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """One of the databases."""
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'shop.db'}"
    return server("CENOTE_TEST_POSTGRESQL")
