"""A real node, in a process of its own, and what it serves."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = [str(ROOT / "build" / "bin" / "cenote"), "node", "-c"]


@dataclass
class Node:
    """Where a running node is reached."""

    uri: str
    process: subprocess.Popen[str]
    folder: pathlib.Path

    @property
    def address(self) -> str:
        return self.uri.split("://")[1]


@contextlib.contextmanager
def running(folder: pathlib.Path, config: dict) -> Iterator[Node]:
    """Starts a node with the configuration (JSON is YAML too) and ends it with SIGTERM."""
    path = folder / "node.yaml"
    path.write_text(json.dumps(config))
    with (folder / "node.log").open("a") as log:
        process = subprocess.Popen([*COMMAND, str(path)], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        uri = process.stdout.readline().strip()
        assert uri, f"the node did not start: {(folder / 'node.log').read_text()}"
        yield Node(uri, process, folder)
    finally:
        process.terminate()
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def make_shop(path: pathlib.Path) -> None:
    """A small database with keys, a view, and every kind of column."""
    with contextlib.closing(sqlite3.connect(path)) as shop:
        shop.executescript("""
            create table customers (id integer primary key, name text not null);
            create table orders (
                id integer primary key, customer integer not null references customers (id) on delete cascade,
                total real, note text, made date, at timestamp, paid boolean, raw blob);
            create view big_orders as select * from orders where total > 100;
            insert into customers values (1, 'Ada'), (2, 'Grüße');
            insert into orders values
                (1, 1, 9.5, 'first', '2024-02-29', '2024-02-29 12:00:00', true, x'00ff'),
                (2, 2, 250.0, null, null, null, false, null);
        """)


def config_of(folder: pathlib.Path, **server: object) -> dict:
    """A node with an SQLite shop, and PostgreSQL where the tests have one."""
    pools = [
        {
            "id": "shop",
            "type": "sqlite",
            "config": {"database": str(folder / "shop.db")},
            "pool": {"max_connections": 2, "max_readers": 4, "acquire_timeout": "10s"},
        }
    ]
    if url := os.environ.get("CENOTE_TEST_POSTGRESQL"):
        place = urllib.parse.urlsplit(url)
        pools.append(
            {
                "id": "pg",
                "type": "postgresql",
                "config": {
                    "host": place.hostname,
                    "port": place.port,
                    "database": place.path.lstrip("/"),
                    "username": place.username,
                    "password": place.password,
                },
                "pool": {"max_connections": 4, "acquire_timeout": "10s"},
            }
        )
    flight = {"listen": "127.0.0.1:0"} | dict(server.pop("flight", {}))  # type: ignore[call-overload]
    return {
        "deployment": {"pools": pools},
        "server": {"node_id": "n1", "drain_timeout": "10s", "flight": flight} | server,
    }


USERS = [
    {"name": "ada", "password": "secret of ada", "role": "writer"},
    {"name": "rhea", "password": "secret of rhea", "role": "reader"},
    {"name": "pat", "password": "secret of pat", "pools": ["other"]},
]
