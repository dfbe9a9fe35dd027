"""The published figures of the prototype whose interface cenote keeps, on equal work."""

import sqlite3
from collections.abc import Iterator

from harness import Bench, Row, at_least, at_most, figures

TITLE = "The original's figures: simple queries, bulk inserts, 1,000 callers"
CALLERS = 12  # the original's 15,000 queries a second of 0.8 ms each are twelve at once
MAKE = """
create table users (id integer primary key, name text, age integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
insert into users select i, 'user ' || i, i % 80 from n;
"""


def run(bench: Bench) -> Iterator[Row]:
    users = bench.scratch / "users.db"
    with sqlite3.connect(users) as connection:
        connection.executescript(MAKE)
    connection.close()
    postgresql = bench.postgresql()
    inserts = {
        "cenote sqlite": ("cenote", f"sqlite:{bench.scratch / 'insert.db'}"),
        "ADBC sqlite": ("adbc_sqlite", bench.scratch / "insert-adbc.db"),
        "cenote postgresql": ("cenote", postgresql),
        "ADBC postgresql": ("adbc_postgresql", postgresql),
    }
    contestants = {
        "cenote asyncio": lambda: bench.python("simple", "asyncio", users, CALLERS, 20_000),
        "cenote threads": lambda: bench.python("simple", "threads", users, CALLERS, 20_000),
        "cenote crowd": lambda: bench.python("simple", "crowd", users, 1000, 20_000),
    }
    for name, (who, target) in inserts.items():
        contestants[name] = lambda name=name, who=who, target=target: bench.python("ingest", who, target, name)
    results = bench.take_turns(contestants)

    def of(who: str, key: str, unit: str, *, more: bool = False):
        return figures(results, key, unit, more_is_better=more, who=who)

    for who in ("asyncio", "threads"):
        what = f"SQLite simple query, {who}, {CALLERS} callers"
        yield Row(what, of(who, "per_second", "q/s", more=True), limit=at_least(15_000))
        yield Row(f"{what}, mean", of(who, "mean_ms", "ms"), limit=at_most(0.8))
        yield Row(f"{what}, p99", of(who, "p99_ms", "ms"), limit=at_most(3.2))
        yield Row(f"{what}, memory above the import", of(who, "growth_mb", "MB"), limit=at_most(50))
    yield Row("1,000 asyncio callers", of("crowd", "per_second", "q/s", more=True), limit=at_least(15_000))
    yield Row("1,000 asyncio callers, memory of the process", of("crowd", "rss_mb", "MB"), limit=at_most(200))
    for kind, title in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        ours = of(f"cenote {kind}", "per_second", "rows/s", more=True)
        yield Row(f"{title} bulk insert", ours, limit=at_least(50_000))
        adbc = of(f"ADBC {kind}", "per_second", "rows/s", more=True)
        yield bench.row(f"{title} bulk insert", ours, f"ADBC {kind}", adbc, None)
