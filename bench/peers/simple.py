"""Simple queries of SQLite by many callers: simple.py asyncio|threads|crowd FILE CALLERS QUERIES."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import cenote
from measure import MEGABYTE, report, reset_peak, resident

SELECT = "select id, name, age from users where id = ?"


async def coroutines(file: str, callers: int, queries: int) -> list[float]:
    async with cenote.DatabasePool() as pool:
        await pool.create_pool("main", "sqlite", database=file)
        times: list[float] = []

        async def work(caller: int) -> None:
            for n in range(queries // callers):
                begin = time.perf_counter()
                await pool.query("main", SELECT, [(caller * 7919 + n) % 1000 + 1])
                times.append(time.perf_counter() - begin)

        await asyncio.gather(*map(work, range(callers)))
        return times


def threads(file: str, callers: int, queries: int) -> list[float]:
    with cenote.connect(file) as pool:
        times: list[list[float]] = [[] for _ in range(callers)]

        def work(caller: int) -> None:
            for n in range(queries // callers):
                begin = time.perf_counter()
                pool.query(SELECT, [(caller * 7919 + n) % 1000 + 1])
                times[caller].append(time.perf_counter() - begin)

        workers = [threading.Thread(target=work, args=(i,)) for i in range(callers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [taken for part in times for taken in part]


def main() -> None:
    who, file, callers, queries = sys.argv[1:]
    run: Callable[..., Any] = threads
    if who != "threads":
        run = lambda *given: asyncio.run(coroutines(*given))  # noqa: E731
    reset_peak()
    before = resident()
    begin = time.perf_counter()
    times = sorted(run(file, int(callers), int(queries)))
    seconds = time.perf_counter() - begin
    report(
        "simple",
        who,
        per_second=len(times) / seconds,
        mean_ms=sum(times) / len(times) * 1e3,
        p99_ms=times[len(times) * 99 // 100] * 1e3,
        growth_mb=(resident("VmHWM") - before) / MEGABYTE,
        rss_mb=resident("VmHWM") / MEGABYTE,
    )


if __name__ == "__main__":
    main()
