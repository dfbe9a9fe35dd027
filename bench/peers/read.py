"""One result into a frame: read.py WHO URL SQL. Connects before the clock starts, where that is a call of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from measure import MEGABYTE, measured, report

Read = Callable[[], Any]


def cenote(url: str, sql: str) -> Read:
    import cenote

    pool = cenote.connect(url)
    pool.query("select 1")
    return lambda: pool.query(sql)


def _adbc(connection: Any, sql: str) -> Read:
    cursor = connection.cursor()
    cursor.execute("select 1").fetchall()

    def read() -> Any:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()

    return read


def adbc_postgresql(url: str, sql: str) -> Read:
    import adbc_driver_postgresql.dbapi

    return _adbc(adbc_driver_postgresql.dbapi.connect(url), sql)


def adbc_sqlite(url: str, sql: str) -> Read:
    import adbc_driver_sqlite.dbapi

    return _adbc(adbc_driver_sqlite.dbapi.connect(url), sql)


def connectorx(url: str, sql: str) -> Read:
    import connectorx

    return lambda: connectorx.read_sql(url, sql, return_type="arrow")


def duckdb(url: str, sql: str) -> Read:
    import duckdb
    import duckdb_extensions

    duckdb_extensions.import_extension("postgres_scanner")
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("load postgres_scanner")
    connection.execute(f"attach '{url}' as pg (type postgres, read_only)")
    connection.execute("use pg")
    return lambda: connection.execute(sql).to_arrow_table()


def pandas(url: str, sql: str) -> Read:
    import pandas
    import sqlalchemy

    connection = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:")).connect()
    return lambda: pandas.read_sql(sqlalchemy.text(sql), connection)


def psql(url: str, sql: str) -> Read:
    command = ["psql", url, "-c", f"copy ({sql}) to stdout (format binary)"]
    return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    who, url, sql = sys.argv[1:]
    read: Callable[[str, str], Read] = globals()[who]
    result, values = measured(read(url, sql))
    if who == "cenote":
        values["rows"] = len(result)
        values["growth_ratio"] = values["growth_mb"] * MEGABYTE / result.to_pyarrow().nbytes
    report("read", who, **values)


if __name__ == "__main__":
    main()
