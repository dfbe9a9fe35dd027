"""Point queries of PostgreSQL: one row by its key, through 10 connections."""

from collections.abc import Iterator

from harness import Bench, Row, figures, ratio_at_least

TITLE = "PostgreSQL point query, prepared, result as a frame, 10 connections"
CONCURRENCY = (1, 8, 64)
SECONDS = 1.0
MAKE = """
create table points as select i::int as id, 'point ' || i as name, i * 0.5::float8 as value,
  timestamptz '2025-01-01 00:00:00Z' + i * interval '1 second' as made from generate_series(1, 100000) as i;
alter table points add primary key (id); analyze points;
"""
# Row, ours, the peer, what is asked, and at which concurrency: 64 threads on 10 connections share them, 8 need not.
PAIRS = [
    ("C++ threads", "cenote, C++", "libpq", ratio_at_least(0.9), {1, 8}),
    ("C++ threads", "cenote, C++", "libpq, shared", ratio_at_least(0.9), {64}),
    ("C++ threads", "cenote, C++", "libpq, and a table", None, set()),
    ("asyncio", "cenote, asyncio", "asyncpg", ratio_at_least(2), set(CONCURRENCY)),
    ("asyncio", "cenote, asyncio", "psycopg async", None, set()),
    ("Python threads", "cenote, threads", "psycopg_pool", ratio_at_least(1.5), set(CONCURRENCY)),
]


def run(bench: Bench) -> Iterator[Row]:
    bench.psql(MAKE)
    url = bench.postgresql()
    results = []
    for concurrency in CONCURRENCY:
        contestants = {"cenote, C++": lambda n=concurrency: bench.program("points", url, n, SECONDS)}
        for who in ("cenote, asyncio", "asyncpg", "psycopg async", "cenote, threads", "psycopg_pool"):
            contestants[who] = lambda n=concurrency, who=who: bench.python("points", who, url, n, SECONDS)
        results += bench.take_turns(contestants, seconds=bench.seconds / len(CONCURRENCY))
    for what, ours, peer, limit, judged in PAIRS:
        for concurrency in CONCURRENCY:
            mine, theirs = (
                figures(results, "per_second", "q/s", more_is_better=True, who=who, concurrency=concurrency)
                for who in (ours, peer)
            )
            yield bench.row(
                f"{what}, {concurrency} at once", mine, peer, theirs, limit if concurrency in judged else None
            )
