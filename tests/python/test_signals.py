"""Ctrl-C, other signals and cancelled tasks: what they stop, and what the pool is after it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator

import cenote
import polars
import pytest

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
ROWS = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"


@pytest.fixture
def pool(tmp_path: pathlib.Path) -> Iterator[cenote.Pool]:
    with cenote.connect({"type": "sqlite", "database": str(tmp_path / "shop.db"), "max_connections": 1}) as opened:
        opened.execute("create table item (id integer primary key, name text)")
        yield opened
        assert opened.query("select 1").rows() == [(1,)]
        assert opened.status()["active_connections"] == opened.status()["waiting_connections"] == 0


@contextlib.contextmanager
def signal_when(condition: Callable[[], object], number: int = signal.SIGINT) -> Iterator[None]:
    """Sends the signal to this process, as a terminal does, once the condition holds."""
    give_up = threading.Event()

    def watch() -> None:
        while not condition():
            if give_up.wait(0.001):
                return
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        give_up.set()
        thread.join()


@contextlib.contextmanager
def handler(number: int, function: Callable[..., object]) -> Iterator[None]:
    before = signal.signal(number, function)
    try:
        yield
    finally:
        signal.signal(number, before)


def active(pool: cenote.Pool) -> Callable[[], bool]:
    return lambda: pool.status()["active_connections"] > 0


def test_control_c_cancels_and_raises(pool: cenote.Pool) -> None:
    with pytest.raises(KeyboardInterrupt), signal_when(active(pool)):
        pool.query(ENDLESS)


def test_control_c_works_though_another_library_has_its_own_handler(pool: cenote.Pool) -> None:
    # Polars puts a handler before Python's when it first runs something.
    polars.DataFrame({"a": [1]}).lazy().select(polars.col("a") + 1).collect()
    with pytest.raises(KeyboardInterrupt), signal_when(active(pool)):
        pool.query(ENDLESS)


def test_control_c_stops_a_stream(pool: cenote.Pool) -> None:
    seen = 0
    with pytest.raises(KeyboardInterrupt), pool.stream(ROWS, chunk_size=1000) as stream, signal_when(lambda: seen > 3):
        for frame in stream:
            seen += 1
            assert len(frame) == 1000


def test_control_c_stops_the_reading_of_one_frame(pool: cenote.Pool) -> None:
    reading = threading.Event()
    late = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where i < 20 or i > 1e15"
    with pool.stream(late, chunk_size=9) as stream:
        assert len(next(stream)) == len(next(stream)) == 9
        reading.set()
        with pytest.raises(KeyboardInterrupt), signal_when(reading.is_set):
            next(stream)


def test_control_c_rolls_a_transaction_back(pool: cenote.Pool) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        pool.transaction() as tx,
        signal_when(active(pool)),
    ):
        tx.execute("insert into item values (1, 'a')")
        tx.query(ENDLESS)
    assert pool.query("select count(*) from item").rows() == [(0,)]


def test_control_c_ends_the_wait_for_a_connection(pool: cenote.Pool) -> None:
    with pool.connection() as held:
        with pytest.raises(KeyboardInterrupt), signal_when(lambda: pool.status()["waiting_connections"] > 0):
            pool.execute("insert into item values (1, 'a')")
        assert pool.status()["waiting_connections"] == 0
        assert held.execute("insert into item values (2, 'b')") == 1
    assert pool.query("select id from item").rows() == [(2,)]


def test_control_c_cuts_closing_short(tmp_path: pathlib.Path) -> None:
    pool = cenote.connect(tmp_path / "shop.db")
    outcome: list[BaseException] = []

    def run() -> None:
        try:
            pool.query(ENDLESS)
        except cenote.DbPoolError as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not active(pool)():
        thread.join(0.001)
    with pytest.raises(KeyboardInterrupt), signal_when(lambda: pool.status()["closed"]):
        pool.close(timeout=600)
    thread.join()
    assert len(outcome) == 1


LENGTHS = (2_000_000, 20_000_000, 200_000_000)  # a signal may be too late for a shorter one


def long(length: int) -> str:
    return f"with recursive n(i) as (select 1 union all select i + 1 from n limit {length}) select count(*) from n"


def test_a_handler_that_returns_lets_the_statement_go_on(pool: cenote.Pool) -> None:
    for length in LENGTHS:
        seen: list[int] = []
        with (
            handler(signal.SIGINT, lambda *_, seen=seen: seen.append(pool.status()["active_connections"])),
            signal_when(active(pool)),
        ):
            assert pool.query(long(length)).rows() == [(length,)]
        if seen == [1]:
            break
    assert seen == [1]  # it ran during the statement


def test_a_handler_that_raises_cancels_the_statement(pool: cenote.Pool) -> None:
    def out_of_time(*_: object) -> None:
        raise ZeroDivisionError

    with (
        handler(signal.SIGALRM, out_of_time),
        pytest.raises(ZeroDivisionError),
        signal_when(active(pool), signal.SIGALRM),
    ):
        pool.query(ENDLESS)


def test_a_handler_may_use_the_pool(pool: cenote.Pool) -> None:
    seen: list[object] = []
    for length in LENGTHS:
        with (
            handler(signal.SIGINT, lambda *_: seen.extend(pool.query("select 7").rows())),
            signal_when(active(pool)),
        ):
            pool.query(long(length))
        if seen:
            break
    assert seen == [(7,)]


def test_an_ignored_control_c_is_ignored(pool: cenote.Pool) -> None:
    with handler(signal.SIGINT, signal.SIG_IGN), signal_when(active(pool)):
        assert pool.query(long(LENGTHS[0])).rows() == [(LENGTHS[0],)]


def test_control_c_leaves_the_calls_of_other_threads_alone(pool: cenote.Pool) -> None:
    results: list[object] = []
    interrupted, finished = threading.Event(), threading.Event()

    def run() -> None:
        while not interrupted.is_set():
            results.extend(pool.query(long(LENGTHS[0])).rows())
        finished.set()

    with pytest.raises(KeyboardInterrupt), signal_when(active(pool)):
        threading.Thread(target=run).start()
        finished.wait()
    interrupted.set()
    finished.wait()
    assert set(results) == {(LENGTHS[0],)}


@pytest.fixture
async def pools(tmp_path: pathlib.Path):
    async with cenote.DatabasePool() as opened:
        await opened.create_pool("main", "sqlite", database=tmp_path / "shop.db", max_connections=1)
        await opened.execute("main", "create table item (id integer primary key, name text)")
        yield opened
        while (await opened.get_pool_status("main"))["active_connections"]:
            await asyncio.sleep(0.001)
        assert (await opened.query("main", "select 1")).rows() == [(1,)]


async def cancelled_when(condition: Callable[[dict], object], pools: cenote.DatabasePool, task: asyncio.Task) -> None:
    while not condition(await pools.get_pool_status("main")):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_task_stops_its_statement(pools: cenote.DatabasePool) -> None:
    task = asyncio.create_task(pools.query("main", ENDLESS))
    await cancelled_when(lambda status: status["active_connections"], pools, task)


async def test_a_cancelled_task_stops_its_stream(pools: cenote.DatabasePool) -> None:
    async def read() -> None:
        async for _ in pools.query_stream("main", ROWS, chunk_size=100):
            pass

    await cancelled_when(lambda status: status["active_connections"], pools, asyncio.create_task(read()))


async def test_a_cancelled_task_rolls_its_transaction_back(pools: cenote.DatabasePool) -> None:
    inserted = asyncio.Event()

    async def work() -> None:
        async with pools.transaction("main") as tx:
            await tx.execute("insert into item values (1, 'a')")
            inserted.set()
            await tx.query(ENDLESS)

    await cancelled_when(lambda _: inserted.is_set(), pools, asyncio.create_task(work()))
    assert (await pools.query("main", "select count(*) from item")).rows() == [(0,)]


async def test_a_cancelled_task_leaves_the_queue(pools: cenote.DatabasePool) -> None:
    async with pools.connection("main") as held:
        task = asyncio.create_task(pools.execute("main", "insert into item values (1, 'a')"))
        await cancelled_when(lambda status: status["waiting_connections"], pools, task)
        while (await pools.get_pool_status("main"))["waiting_connections"]:
            await asyncio.sleep(0.001)
        assert await held.execute("insert into item values (2, 'b')") == 1
    assert (await pools.query("main", "select id from item")).rows() == [(2,)]


async def test_a_timeout_of_asyncio_stops_the_statement(pools: cenote.DatabasePool) -> None:
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(pools.query("main", ENDLESS), 0.05)
