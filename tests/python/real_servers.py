"""Where the real servers of the tests are."""

from __future__ import annotations

import os

import pytest


def server(variable: str) -> str:
    """The URL of a test server, or the end of the test without it."""
    url = os.environ.get(variable, "")
    if not url:
        if os.environ.get("CENOTE_TEST_REQUIRE_SERVERS"):
            pytest.fail(f"{variable} is not set, though all servers should run")
        pytest.skip(f"{variable} is not set; run by tools/servers.py")
    return url
