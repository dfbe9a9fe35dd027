"""A large result of SQLite into a frame."""

import sqlite3
from collections.abc import Iterator

from harness import Bench, Row, figures, ratio_at_most

TITLE = "SQLite, 2,000,000 rows × 6 columns into a frame"
ROWS = 2_000_000
SELECT = "select id, device, value, name, place, error from readings"
MAKE = f"""
create table readings (id integer primary key, device integer, value real, name varchar(20), place text, error real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS})
insert into readings select i, i * 7919 % 1000, i * 0.37, 'device ' || (i * 7919 % 1000),
  case i % 4 when 0 then 'Mérida' when 1 then 'Valladolid' when 2 then 'Tulum' else 'Campeche' end,
  case when i % 10 then i % 97 * 0.01 end from n;
"""


def run(bench: Bench) -> Iterator[Row]:
    file = bench.scratch / "readings.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(MAKE)
    connection.close()
    url = f"sqlite:{file}"
    results = bench.take_turns(
        {
            "cenote": lambda: bench.program("sqlite", file, 2),
            "cenote, Python": lambda: bench.python("read", "cenote", url, SELECT),
            "ADBC": lambda: bench.python("read", "adbc_sqlite", file, SELECT),
            "connectorx": lambda: bench.python("read", "connectorx", f"sqlite://{file}", SELECT),
        }
    )
    bare = figures(results, "seconds", "s", who="bare loop")
    yield Row(
        "C++", figures(results, "seconds", "s", who="cenote", bench="sqlite"), "bare loop", bare, ratio_at_most(1.2)
    )
    python = figures(results, "seconds", "s", who="cenote", bench="read")
    for peer, name in (("ADBC", "adbc_sqlite"), ("connectorx", "connectorx")):
        yield bench.row("Python", python, peer, figures(results, "seconds", "s", who=name), None)
