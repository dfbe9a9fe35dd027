"""The real binary, and a small shop to ask."""

from __future__ import annotations

import os
import pathlib
import sqlite3
import subprocess

import pytest
from program import PROGRAM, Run


@pytest.fixture
def program() -> str:
    return str(PROGRAM)


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    """Runs the program in a directory of its own; `stdin` is bytes."""

    def call(
        *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(PROGRAM), *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            timeout=60,
            check=False,
        )

    return call


@pytest.fixture
def shop(tmp_path: pathlib.Path) -> str:
    """The URL of a small SQLite database with values that formats get wrong."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as base:
        base.execute("create table goods (id integer primary key, name text, price real, picture blob, sold timestamp)")
        base.executemany(
            "insert into goods values (?, ?, ?, ?, ?)",
            [
                (1, "rope", 2.5, b"\x00\xff", "2025-01-02 03:04:05"),
                (2, None, None, None, None),
                (3, "", 0.1, b"", "1969-12-31 23:59:59"),
                (2**53 + 1, 'lamp, "red"\nlarge', 1e300, b"x", "2025-01-02 03:04:05.25"),
            ],
        )
    base.close()
    return f"sqlite:{path}"


@pytest.fixture
def config(tmp_path: pathlib.Path, shop: str) -> pathlib.Path:
    """A configuration with two pools, as cenote.yaml of the program's working directory."""
    file = tmp_path / "cenote.yaml"
    database = shop.removeprefix("sqlite:")
    file.write_text(
        "deployment:\n  pools:\n"
        f'    - {{id: main_db, type: sqlite, config: {{database: "{database}"}}}}\n'
        '    - {id: scratch, type: sqlite, config: {database: ":memory:"}}\n'
    )
    return file


@pytest.fixture
def postgresql() -> str:
    url = os.environ.get("CENOTE_TEST_POSTGRESQL")
    if url is None:
        pytest.skip("needs a PostgreSQL: run under tools/servers.py")
    return url
