"""Checkout and return with no database behind: the pool's own cost."""

from collections.abc import Iterator

from harness import Bench, Row, at_most, figures

TITLE = "Checkout and return, no database work, 8 connections, metrics on"
THREADS = (1, 2, 8, 32)
LIMITS = {1: 100, 2: 60, 8: 60, 32: 60}  # ns


def run(bench: Bench) -> Iterator[Row]:
    results = bench.take_turns(
        {
            "cenote": lambda: bench.program("checkout", 1),
            "SOCI": lambda: bench.program("soci", 0.5, *THREADS),
            "HikariCP": lambda: bench.java("Hikari", 0.5, *THREADS),
            "SQLAlchemy": lambda: bench.python("queue_pool", 0.5, *THREADS),
        }
    )
    for threads in THREADS:
        ours = figures(results, "ns_per_op", "ns", who="cenote", threads=threads)
        what = f"{threads} thread{'s' if threads > 1 else ''}"
        yield Row(what, ours, limit=at_most(LIMITS[threads]))
        for peer in ("HikariCP", "SOCI", "SQLAlchemy"):
            theirs = figures(results, "ns_per_op", "ns", who=peer, threads=threads)
            yield bench.row(what, ours, peer, theirs, None)
