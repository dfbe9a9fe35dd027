"""A large result of PostgreSQL into a frame."""

from collections.abc import Iterator

from harness import Bench, Row, at_most, figures, ratio_at_most

TITLE = "PostgreSQL, 2,000,000 rows × 9 columns with exact decimals into a frame"
ROWS = 2_000_000
SELECT = "select * from wide"
MAKE = f"""
create unlogged table wide as select i::int4 as i4, i::int8 * 1000003 as i8, i * 0.37::float8 as f8,
  (i % 1000000 * 1.0001)::numeric(18,4) as amount, ('customer ' || i % 5000)::varchar as name,
  timestamptz '2025-01-01 00:00:00Z' + i * interval '1.5 seconds' as made, i % 3 = 0 as flag,
  date '2020-01-01' + i % 2000 as day, case when i % 10 > 0 then i % 97 end::int4 as maybe
  from generate_series(1, {ROWS}) as i;
"""


def run(bench: Bench) -> Iterator[Row]:
    bench.psql(MAKE)
    bench.psql("vacuum analyze wide")
    url = bench.postgresql()
    contestants = {
        who: lambda who=who, name=name: bench.python("read", name, url, SELECT)
        for who, name in {
            "cenote": "cenote", "psql COPY": "psql", "DuckDB": "duckdb", "ADBC": "adbc_postgresql",
            "connectorx": "connectorx",
        }.items()
    }  # fmt: skip
    results = bench.take_turns(contestants, seconds=bench.seconds * 0.6)
    results += bench.take_turns({"pandas": lambda: bench.python("read", "pandas", url, SELECT)}, repetitions=1)

    def of(who: str, key: str = "seconds", unit: str = "s"):
        return figures(results, key, unit, who=who)

    ours = of("cenote")
    yield bench.row("wall", ours, "psql COPY", of("psql"), ratio_at_most(1.15))
    yield bench.row("wall", ours, "DuckDB", of("duckdb"), ratio_at_most(1.0))
    yield bench.row("client CPU", of("cenote", "cpu"), "ADBC", of("adbc_postgresql", "cpu"), ratio_at_most(0.4))
    yield bench.row("wall", ours, "ADBC", of("adbc_postgresql"), None)
    yield bench.row("wall", ours, "connectorx", of("connectorx"), None)
    yield bench.row("wall", ours, "pandas", of("pandas"), None)
    yield Row("peak memory, of the table's bytes", of("cenote", "growth_ratio", "×"), limit=at_most(1.3))
