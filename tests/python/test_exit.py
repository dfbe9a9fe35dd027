"""The end of the interpreter with things open: no hang, no crash, no word on standard error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import cenote
import pytest

PRELUDE = """
import asyncio, os, signal, sys, threading, time
import cenote
URL = sys.argv[1]
def with_options(url, options):
    return url + ("&" if "?" in url else "?") + options
ENDLESS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
    "postgresql": "select pg_sleep(600)",
}[URL.partition(":")[0]]
ROWS = {
    "sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n",
    "postgresql": "select generate_series(1, 100000000)",
}[URL.partition(":")[0]]
def wait_until_active(pool, count=1):
    while pool.status()["active_connections"] < count:
        time.sleep(0.001)
"""

ENDINGS = {
    "an open pool": """
        pool = cenote.connect(URL)
        pool.query("select 1")
    """,
    "an open pool in a cycle": """
        pool = cenote.connect(URL)
        pool.query("select 1")
        pool.me = pool
    """,
    "a manager": """
        pools = cenote.DatabasePool()
        pools.sync.create_pool("main", URL.partition(":")[0], uri=URL, min_connections=2) if "postgres" in URL else (
            pools.sync.create_pool("main", "sqlite", database=URL.partition(":")[2]))
        pools.sync.query("main", "select 1")
    """,
    "a running query on a daemon thread": """
        pool = cenote.connect(URL)
        def run():
            try:
                pool.query(ENDLESS)
            except cenote.DbPoolError:
                pass
        threading.Thread(target=run, daemon=True).start()
        wait_until_active(pool)
    """,
    "a caller who waits for a connection on a daemon thread": """
        pool = cenote.connect(URL)
        pool.resize(1)
        held = pool.connection().__enter__()
        def run():
            try:
                pool.execute("select 1")
            except cenote.DbPoolError:
                pass
        threading.Thread(target=run, daemon=True).start()
        while pool.status()["waiting_connections"] == 0:
            time.sleep(0.001)
    """,
    "a stream that was read in part": """
        pool = cenote.connect(URL)
        stream = pool.stream(ROWS, chunk_size=10)
        next(stream)
    """,
    "an exported stream": """
        pool = cenote.connect(URL)
        capsule = pool.stream(ROWS, chunk_size=10).__arrow_c_stream__()
    """,
    "an open transaction": """
        pool = cenote.connect(URL)
        tx = pool.transaction().__enter__()
        tx.query("select 1")
    """,
    "sys.exit inside a with": """
        pool = cenote.connect(URL)
        with pool.stream(ROWS, chunk_size=10) as stream, pool.connection() as connection:
            next(stream)
            connection.query("select 1")
            sys.exit(0)
    """,
    "a task that asyncio.run cancels": """
        async def main():
            pools = cenote.DatabasePool()
            await pools.create_pool("main", "sqlite", database=":memory:")
            global task
            task = asyncio.create_task(pools.query("main", "with recursive n(i) as "
                "(select 1 union all select i + 1 from n) select count(*) from n"))
            while (await pools.get_pool_status("main"))["active_connections"] == 0:
                await asyncio.sleep(0)
        asyncio.run(main())
    """,
    "a loop that nobody runs any more": """
        pool = cenote.connect(URL)
        manager = cenote.DatabasePool()
        manager.sync.create_pool("main", "sqlite", database=":memory:")
        loop = asyncio.new_event_loop()
        async def begin():
            global pending
            pending = asyncio.ensure_future(manager.query("main", "with recursive n(i) as "
                "(select 1 union all select i + 1 from n) select count(*) from n"))
            while (await manager.get_pool_status("main"))["active_connections"] == 0:
                await asyncio.sleep(0)
            pending._log_destroy_pending = False
        loop.run_until_complete(begin())
        loop.close()
    """,
    "a stream of coroutines left open": """
        async def main():
            global stream
            pools = cenote.DatabasePool()
            await pools.create_pool("main", "sqlite", database=":memory:")
            stream = pools.query_stream("main", "with recursive n(i) as "
                "(select 1 union all select i + 1 from n) select i from n")
            async for frame in stream:
                break
        asyncio.run(main())
    """,
    "rows that come from Python on a daemon thread": """
        import pyarrow
        pool = cenote.connect(URL)
        pool.execute("drop table if exists endless")
        pool.execute("create table endless (a bigint)")
        started = threading.Event()
        batch = pyarrow.record_batch({"a": [1] * 10})
        def batches():
            while True:
                yield batch
                started.set()
        # Global: pyarrow's own readers cannot be freed by a thread that the interpreter's end overtakes.
        reader = pyarrow.RecordBatchReader.from_batches(batch.schema, batches())
        def run():
            try:
                pool.ingest("endless", reader)
            except cenote.DbPoolError:
                pass
        threading.Thread(target=run, daemon=True).start()
        started.wait()
    """,
    "a thread that ends first": """
        pool = cenote.connect(URL)
        threading.Thread(target=lambda: pool.query("select 1")).start()
    """,
    "an exit handler that uses the pool": """
        import atexit
        pool = cenote.connect(URL)
        atexit.register(lambda: print(pool.query("select 1").rows()))
    """,
    "closed by hand": """
        with cenote.connect(URL) as pool:
            pool.query("select 1")
    """,
}


def run(code: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(code), url],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_quietly_with(ending: str, url: str) -> None:
    done = run(ENDINGS[ending], url)
    assert done.stderr == ""
    assert done.returncode == 0


def test_credentials_of_python_do_not_outlive_it(postgresql: str) -> None:
    code = """
        rest = URL.partition("://cenote:")[2]
        password, _, address = rest.partition("@")
        pool = cenote.connect(with_options("postgresql://" + address, "health_check_interval=1ms&min_connections=4"),
                              credentials=lambda: ("cenote", password))
        pool.query("select 1")
    """
    for _ in range(5):
        done = run(code, postgresql)
        assert done.stderr == ""
        assert done.returncode == 0


def test_an_unhandled_control_c_ends_the_program(url: str) -> None:
    code = """
        pool = cenote.connect(URL)
        def interrupt():
            wait_until_active(pool)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        pool.query(ENDLESS)
    """
    done = run(code, url)
    assert done.returncode == -signal.SIGINT
    assert done.stderr.rstrip().endswith("KeyboardInterrupt")


def test_nothing_stays_on_the_server(postgresql: str) -> None:
    code = """
        pool = cenote.connect(with_options(URL, "application_name=ended"))
        def run():
            try:
                pool.query(ENDLESS)
            except cenote.DbPoolError:
                pass
        threading.Thread(target=run, daemon=True).start()
        judge = cenote.connect(URL)
        while judge.query(\"\"\"select count(*) from pg_stat_activity
                              where application_name = 'ended' and wait_event = 'PgSleep'\"\"\").rows() != [(1,)]:
            time.sleep(0.001)
    """
    assert run(code, postgresql).stderr == ""
    with cenote.connect(postgresql) as judge:
        sql = "select count(*) from pg_stat_activity where application_name = 'ended'"
        while judge.query(sql).rows() != [(0,)]:
            os.sched_yield()
