"""A coordinator as its own process, and calls of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import urllib.parse
from collections.abc import Iterator
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("CENOTE_PROGRAM", ROOT / "build" / "bin" / "cenote"))
DEADLINE = 60


class Coordinator:
    """One process; `kill` ends it as a power failure would end its process."""

    def __init__(self, folder: pathlib.Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, "coordinator", "--state", folder / "state.db", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.address = urllib.parse.urlsplit(self.url).netloc

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=DEADLINE)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON; raises OSError or HTTPException where no whole answer came."""
        connection = self.connect()
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            kind = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, path, text, {**kind, **(headers or {})})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def terminate(self) -> int:
        self.process.terminate()
        return self.close()

    def close(self) -> int:
        code = self.process.wait(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


@contextlib.contextmanager
def running(folder: pathlib.Path, *arguments: str) -> Iterator[Coordinator]:
    coordinator = Coordinator(folder, "--listen", "127.0.0.1:0", *arguments)
    try:
        yield coordinator
    finally:
        if coordinator.process.poll() is None:
            coordinator.kill()


def config(connections: int) -> dict[str, str]:
    """A configuration that differs by one number."""
    return {
        "content": "deployment:\n  pools:\n    - {id: main_db, type: sqlite, config: {database: shop.db}, "
        f"pool: {{max_connections: {connections}}}}}\n"
    }
