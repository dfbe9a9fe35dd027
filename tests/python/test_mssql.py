"""The package on the tests' SQL Server: the original's keys, values both ways, errors, and that the pool recovers."""

from __future__ import annotations

import asyncio
import datetime
import decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import cenote
import pytest
from real_servers import server


def keys(**others: Any) -> dict[str, Any]:
    url = urlsplit(server("CENOTE_TEST_MSSQL"))
    return {
        "host": url.hostname,
        "port": url.port,
        "database": "master",
        "username": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "min_connections": 0,
        "max_connections": 2,
    } | others


def url(query: str = "encrypt=no") -> str:
    return f"{server('CENOTE_TEST_MSSQL')}?{query}"


@pytest.mark.parametrize(
    "words",
    [
        {"encrypt": "no"},
        {"ssl_mode": "disable"},
        {"ssl_mode": "require", "trust_server_certificate": True},
        {"trust_server_certificate": True},
        {"encrypt": "no", "driver": "freetds"},
        {"trust_server_certificate": True, "driver": "freetds"},
    ],
)
async def test_the_originals_keys_make_a_pool(words: dict[str, Any]) -> None:
    async with cenote.DatabasePool() as pool:
        await pool.create_pool("x", "mssql", **keys(**words))
        frame = await pool.query("x", "select ? as a, 2 as b", ["\u00e4\U0001f600"])
        assert frame.rows() == [("\u00e4\U0001f600", 2)]


async def test_a_certificate_of_its_own_is_refused_unless_it_is_trusted() -> None:
    async with cenote.DatabasePool() as pool:
        await pool.create_pool("x", "mssql", **keys(driver="microsoft", health_check_interval=0))
        with pytest.raises(cenote.Error, match="(?i)certificate"):
            await pool.query("x", "select 1")


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_values_go_in_and_come_back(driver: str) -> None:
    with cenote.connect(url(f"encrypt=no&driver={driver}")) as pool:
        pool.execute("drop table if exists cenote_py")
        pool.execute(
            "create table cenote_py (a bigint, b float, c nvarchar(max), d varbinary(max), e date, f datetime2(6), "
            "g datetimeoffset(6), h decimal(38,10), i time(6), j bit)"
        )
        row = (
            -(2**63),
            0.1,
            "\u00e4\U0001f600",
            b"\x00\xff",
            datetime.date(1, 1, 1),
            datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
            datetime.datetime(2024, 2, 29, 12, 0, 0, 1, tzinfo=datetime.timezone.utc),
            decimal.Decimal("-1234567890123456789012345678.0123456789"),
            datetime.time(23, 59, 59, 999999),
            True,
        )
        holes = ", ".join("?" * len(row))
        assert pool.execute(f"insert into cenote_py values ({holes})", row) == 1
        assert pool.query("select * from cenote_py").rows() == [row]
        pool.execute("drop table cenote_py")


def test_errors_have_their_classes_and_numbers() -> None:
    with cenote.connect(url()) as pool:
        with pytest.raises(cenote.ProgrammingError) as wrong:
            pool.query("select * from cenote_no_such_table")
        assert wrong.value.sqlstate == "42S02"
        with pytest.raises(cenote.OperationalError) as deadlock:
            pool.execute("exec cenote_error 1205")
        assert deadlock.value.retryable
        with pytest.raises(cenote.IntegrityError):
            pool.execute("exec cenote_error 2627")


@pytest.mark.parametrize("driver", ["microsoft", "freetds"])
def test_a_dropped_connection_is_replaced(driver: str) -> None:
    with cenote.connect(url(f"encrypt=no&driver={driver}&max_connections=1")) as pool:
        for _ in range(3):
            with pytest.raises(cenote.OperationalError):
                pool.query("exec cenote_drop 5000")
            assert pool.query("select 1 as a").rows() == [(1,)]


async def test_a_cancelled_task_stops_the_statement_and_spares_the_pool() -> None:
    async with cenote.DatabasePool() as pool:
        await pool.create_pool("x", "mssql", **keys(encrypt="no", max_connections=1))
        await pool.query("x", "select 1")
        task = asyncio.create_task(pool.query("x", "select count_big(*) from generate_series(1, 100000000000)"))
        done, _ = await asyncio.wait({task}, timeout=0.1)
        assert not done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await pool.query("x", "select 2")).rows() == [(2,)]
