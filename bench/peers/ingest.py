"""A bulk insert of 500,000 rows × 6 columns into a new table: ingest.py LIBRARY TARGET NAME."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from measure import measured, report

ROWS = 500_000


def frame() -> pa.Table:
    numbers = range(ROWS)
    start = datetime.datetime(2025, 1, 1)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "device": pa.array([n * 7919 % 1000 for n in numbers], pa.int32()),
            "value": pa.array([n * 0.37 for n in numbers], pa.float64()),
            "name": pa.array([f"device {n * 7919 % 1000}" for n in numbers]),
            "made": pa.array([start + datetime.timedelta(seconds=n % 86_400) for n in numbers], pa.timestamp("us")),
            "error": pa.array([None if n % 10 == 0 else n % 97 for n in numbers], pa.int64()),
        }
    )


def cenote(target: str, table: pa.Table) -> Callable[[], object]:
    import cenote

    pool = cenote.connect(target)
    pool.execute("drop table if exists bulk")
    return lambda: pool.bulk_insert("bulk", table, mode="create")


def _adbc(connection: Any, table: pa.Table) -> Callable[[], object]:
    cursor = connection.cursor()
    cursor.execute("drop table if exists bulk")
    connection.commit()

    def insert() -> None:
        cursor.adbc_ingest("bulk", table, mode="create")
        connection.commit()

    return insert


def adbc_sqlite(target: str, table: pa.Table) -> Callable[[], object]:
    import adbc_driver_sqlite.dbapi

    # As cenote opens a file; the driver itself is always inside a transaction, where SQLite refuses the change.
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.execute("pragma journal_mode = wal")
    return _adbc(adbc_driver_sqlite.dbapi.connect(target), table)


def adbc_postgresql(target: str, table: pa.Table) -> Callable[[], object]:
    import adbc_driver_postgresql.dbapi

    return _adbc(adbc_driver_postgresql.dbapi.connect(target), table)


def main() -> None:
    library, target, name = sys.argv[1:]
    _, values = measured(globals()[library](target, frame()))
    report("ingest", name, per_second=ROWS / values["seconds"], **values)


if __name__ == "__main__":
    main()
