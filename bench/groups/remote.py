"""What a node adds to a query: a small one, and a large result."""

import sqlite3
from collections.abc import Iterator

from groups.sqlite import MAKE
from harness import Bench, Row, figures, ratio_at_most

TITLE = "Through a node: a point query, and 2,000,000 rows × 6 columns (SQLite, two processes)"


def run(bench: Bench) -> Iterator[Row]:
    file = bench.scratch / "readings.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(MAKE)
    connection.close()
    results = bench.take_turns({"cenote": lambda: bench.program("remote", file, 1)})
    bare = figures(results, "us", "µs", who="bare do_get")
    added = figures(results, "us", "µs", who="node adds")
    yield Row("point query: added", added, "bare one-row do_get", bare, ratio_at_most(1.3))
    local = figures(results, "seconds", "s", who="local")
    node = figures(results, "seconds", "s", who="node")
    yield Row("2,000,000 rows", node, "the same, local", local, ratio_at_most(1.25))
