"""A process that forks with pools open: the child works, the parent does not notice."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator

import cenote
import pytest


def in_child(work: Callable[[], object]) -> None:
    """Runs `work` in a forked child; its failure is the test's."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(60)  # a hang fails
            work()
            status = 0
        except BaseException:
            os.write(write, traceback.format_exc().encode()[-4000:])
        finally:
            os._exit(status)
    os.close(write)
    said = b""
    while part := os.read(read, 65536):
        said += part
    os.close(read)
    _, ended = os.waitpid(child, 0)
    assert ended == 0, f"ended with {ended}\n{said.decode()}"


@pytest.fixture
def pool(url: str) -> Iterator[cenote.Pool]:
    with cenote.connect(url) as opened:
        opened.query("select 1")
        yield opened
        # The parent's own sessions are as they were.
        assert opened.query("select 2").rows() == [(2,)]
        assert opened.status()["active_connections"] == 0


def test_the_child_uses_the_pool_too(pool: cenote.Pool) -> None:
    def work() -> None:
        assert pool.query("select 3").rows() == [(3,)]
        with pool.transaction() as tx:
            assert tx.query("select 4").rows() == [(4,)]
        with pool.stream("select 5") as stream:
            assert [frame.rows() for frame in stream] == [[(5,)]]

    in_child(work)


def test_the_child_makes_pools_of_its_own(pool: cenote.Pool, url: str) -> None:
    def work() -> None:
        with cenote.connect(url) as own:
            assert own.query("select 3").rows() == [(3,)]

    in_child(work)


def test_a_child_of_another_thread_works(pool: cenote.Pool) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            in_child(lambda: pool.query("select 3"))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failures == []


def test_control_c_works_in_the_child(pool: cenote.Pool) -> None:
    def work() -> None:
        def interrupt() -> None:
            while pool.status()["active_connections"] == 0:
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            pool.query("with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n")
        assert pool.query("select 3").rows() == [(3,)]

    in_child(work)


def test_what_was_open_at_the_fork_stays_the_parents(pool: cenote.Pool, url: str) -> None:
    with pool.transaction() as tx, pool.connection(read_only=True) as connection:
        with connection.stream("select 1 as a union all select 2", chunk_size=1) as stream:
            assert len(next(stream)) == 1

            def work() -> None:
                for use in (lambda: tx.query("select 1"), lambda: next(stream)):
                    with pytest.raises(cenote.DbPoolError):
                        use()
                if url.startswith("sqlite:"):  # no child can take over the locks of a busy handle
                    with pytest.raises(cenote.InterfaceError, match="fork while the database is idle"):
                        pool.query("select 3")
                else:
                    assert pool.query("select 3").rows() == [(3,)]

            in_child(work)
            assert len(next(stream)) == 1
        assert tx.query("select 7").rows() == [(7,)]


def test_the_child_ends_without_touching_the_parents_sessions(url: str) -> None:
    # With the interpreter's whole exit, which closes pools.
    code = """
        import os, sys, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        import cenote
        pool = cenote.connect(sys.argv[1])
        with pool.transaction() as tx:
            tx.query("select 1")
            child = os.fork()
            if child == 0:
                sys.exit(0)
            assert os.waitpid(child, 0)[1] == 0
            assert tx.query("select 2").rows() == [(2,)]
        assert pool.query("select 3").rows() == [(3,)]
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), url], capture_output=True, text=True, timeout=110, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_pool_of_forked_workers_works(pool: cenote.Pool) -> None:
    global square_pool
    square_pool = pool
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with multiprocessing.get_context("fork").Pool(2) as workers:
            assert workers.map(square, range(10)) == [number * number for number in range(10)]


def square(number: int) -> int:
    return int(square_pool.query("select ? * ?", [number, number]).rows()[0][0])


async def test_a_child_runs_a_loop_of_its_own(url: str) -> None:
    kind, _, rest = url.partition(":")
    where = {"database": rest} if kind == "sqlite" else {"uri": url, "min_connections": 0}
    async with cenote.DatabasePool() as pools:
        await pools.create_pool("main", kind, **where)
        await pools.query("main", "select 1")

        def work() -> None:
            async def main() -> None:
                assert (await pools.query("main", "select 3")).rows() == [(3,)]
                frames = await asyncio.gather(*(pools.query("main", "select 4") for _ in range(20)))
                assert len(frames) == 20

            asyncio.events._set_running_loop(None)  # the copy of the parent's
            asyncio.run(main())

        pending = asyncio.create_task(pools.query("main", "select 5"))
        in_child(work)
        assert (await pending).rows() == [(5,)]
        assert (await pools.query("main", "select 6")).rows() == [(6,)]
