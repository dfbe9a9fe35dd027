"""Point queries of PostgreSQL through a pool of 10 connections: points.py WHO URL CONCURRENCY SECONDS."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Awaitable, Callable

from measure import report

CONNECTIONS = 10
DOLLAR = "select id, name, value, made from points where id = $1"
PERCENT = DOLLAR.replace("$1", "%s")


def points(worker: int) -> itertools.accumulate:
    return itertools.accumulate(
        itertools.repeat(104_729), lambda n, step: (n + step) % 100_000, initial=worker * 7919 + 1
    )


async def rate_async(query: Callable[[int], Awaitable[object]], concurrency: int, seconds: float) -> float:
    async def work(worker: int) -> int:
        done = 0
        for point in points(worker):
            await query(point + 1)
            done += 1
            if time.perf_counter() > end:
                return done
        return done

    end = time.perf_counter() + seconds / 4  # connects and prepares
    await asyncio.gather(*map(work, range(concurrency)))
    begin = time.perf_counter()
    end = begin + seconds
    done = await asyncio.gather(*map(work, range(concurrency)))
    return sum(done) / (time.perf_counter() - begin)


def rate_threads(query: Callable[[int], object], concurrency: int, seconds: float) -> float:
    counts = [0] * concurrency

    def work(worker: int) -> None:
        done = 0
        for point in points(worker):
            query(point + 1)
            done += 1
            if time.perf_counter() > end:
                break
        counts[worker] = done

    for length in (seconds / 4, seconds):
        begin = time.perf_counter()
        end = begin + length
        threads = [threading.Thread(target=work, args=(i,)) for i in range(concurrency)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(counts) / (time.perf_counter() - begin)


async def cenote_asyncio(url: str, concurrency: int, seconds: float) -> float:
    import urllib.parse

    import cenote

    parts = urllib.parse.urlsplit(url)
    pool = cenote.DatabasePool()
    await pool.create_pool(
        "bench", "postgresql", parts.hostname, parts.port, parts.path[1:], parts.username, parts.password,
        min_connections=CONNECTIONS, max_connections=CONNECTIONS,
    )  # fmt: skip
    figure = await rate_async(lambda point: pool.query("bench", DOLLAR, [point]), concurrency, seconds)
    await pool.aclose()
    return figure


async def asyncpg(url: str, concurrency: int, seconds: float) -> float:
    import asyncpg

    async with asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        return await rate_async(lambda point: pool.fetch(DOLLAR, point), concurrency, seconds)


async def psycopg_async(url: str, concurrency: int, seconds: float) -> float:
    import psycopg_pool

    settings = {"autocommit": True, "prepare_threshold": 0}
    async with psycopg_pool.AsyncConnectionPool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=settings, open=False
    ) as pool:

        async def query(point: int) -> object:
            async with pool.connection() as connection:
                cursor = await connection.execute(PERCENT, (point,), binary=True)
                return await cursor.fetchall()

        return await rate_async(query, concurrency, seconds)


def cenote_threads(url: str, concurrency: int, seconds: float) -> float:
    import cenote

    with cenote.connect(f"{url}{'&' if '?' in url else '?'}max_connections={CONNECTIONS}") as pool:
        return rate_threads(lambda point: pool.query(DOLLAR, [point]), concurrency, seconds)


def psycopg_threads(url: str, concurrency: int, seconds: float) -> float:
    import psycopg_pool

    settings = {"autocommit": True, "prepare_threshold": 0}
    with psycopg_pool.ConnectionPool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=settings, open=False
    ) as pool:

        def query(point: int) -> object:
            with pool.connection() as connection:
                return connection.execute(PERCENT, (point,), binary=True).fetchall()

        return rate_threads(query, concurrency, seconds)


CONTESTANTS = {
    "cenote, asyncio": cenote_asyncio,
    "asyncpg": asyncpg,
    "psycopg async": psycopg_async,
    "cenote, threads": cenote_threads,
    "psycopg_pool": psycopg_threads,
}


def main() -> None:
    who, url, concurrency, seconds = sys.argv[1:]
    contestant = CONTESTANTS[who]
    given = (url, int(concurrency), float(seconds))
    figure = asyncio.run(contestant(*given)) if asyncio.iscoroutinefunction(contestant) else contestant(*given)
    report("points", who, concurrency=int(concurrency), per_second=figure)


if __name__ == "__main__":
    main()
