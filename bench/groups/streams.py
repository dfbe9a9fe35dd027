"""Streams of many rows: memory stays where it was."""

from collections.abc import Iterator

from harness import Bench, Row, at_most, figures

TITLE = "A stream of 10,000,000 rows: memory above the start"
ROWS = 10_000_000
SELECT = {
    "PostgreSQL": f"select i, i * 0.5::float8 as half, 'row ' || i as name from generate_series(1, {ROWS}) as i",
    "SQLite": f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) "
    "select i, i * 0.5 as half, 'row ' || i as name from n",
}


def run(bench: Bench) -> Iterator[Row]:
    urls = {"PostgreSQL": bench.postgresql(), "SQLite": f"sqlite:{bench.scratch / 'empty.db'}"}
    results = bench.take_turns(
        {f"cenote {kind}": lambda kind=kind: bench.python("stream", kind, urls[kind], SELECT[kind]) for kind in urls},
        repetitions=min(bench.repetitions, 3),
    )
    if any(result["rows"] != ROWS for result in results):
        raise RuntimeError("a stream lost rows")
    for kind in urls:
        yield Row(f"{kind}, peak memory", figures(results, "growth_mb", "MB", who=kind), limit=at_most(100))
        yield Row(f"{kind}, time", figures(results, "seconds", "s", who=kind))
