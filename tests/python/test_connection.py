"""One held connection, transactions on it and savepoints, blocking and for coroutines."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import cenote
import pyarrow
import pytest


@pytest.fixture
def pool(url: str) -> Iterator[cenote.Pool]:
    with cenote.connect(url) as opened:
        opened.execute("drop table if exists held")
        opened.execute("create table held (id integer primary key)")
        yield opened
        opened.execute("drop table held")


def ids(pool: cenote.Pool) -> list[int]:
    return [row[0] for row in pool.query("select id from held order by id")]


def insert(target: cenote.Connection | cenote.Transaction, number: int) -> None:
    assert target.execute("insert into held values (?)", [number]) == 1


def test_session_state_lives_as_long_as_the_connection_is_held(pool: cenote.Pool) -> None:
    with pool.connection() as connection:
        connection.execute("create temporary table mine (a integer)")
        assert connection.ingest("mine", pyarrow.table({"a": [1, 2]})) == 2
        assert connection.query("select count(*) from mine").rows() == [(2,)]
        with connection.stream("select a from mine order by a", chunk_size=1) as stream:
            assert [frame.rows() for frame in stream] == [[(1,)], [(2,)]]
        assert pool.status()["active_connections"] == 1
    assert pool.status()["active_connections"] == 0
    with pool.connection() as connection, pytest.raises(cenote.DatabaseError):
        connection.query("select * from mine")


def test_a_connection_rolls_back_what_was_left_open(pool: cenote.Pool) -> None:
    with pool.connection() as connection:
        connection.execute("begin")
        insert(connection, 1)
    with pytest.raises(ZeroDivisionError), pool.connection() as connection:
        insert(connection, 2)  # commits by itself
        raise ZeroDivisionError
    assert ids(pool) == [2]


def test_a_nested_transaction_is_a_savepoint(pool: cenote.Pool) -> None:
    with pool.connection() as connection, connection.transaction() as tx:
        insert(tx, 1)
        with pytest.raises(cenote.IntegrityError), tx.transaction() as inner:
            insert(inner, 2)
            insert(inner, 1)
        with tx.transaction() as inner:
            insert(inner, 3)
            with pytest.raises(ZeroDivisionError), inner.transaction() as innermost:
                insert(innermost, 4)
                raise ZeroDivisionError
        insert(connection, 5)
    assert ids(pool) == [1, 3, 5]


def test_transactions_follow_one_another_on_a_connection(pool: cenote.Pool) -> None:
    with pool.connection() as connection:
        with connection.transaction() as tx:
            insert(tx, 1)
        with pytest.raises(ZeroDivisionError), connection.transaction() as tx:
            insert(tx, 2)
            raise ZeroDivisionError
        with connection.transaction() as tx:
            insert(tx, 3)
            tx.rollback()
        with connection.transaction() as tx:
            insert(tx, 4)
            tx.commit()
            with pytest.raises(cenote.InterfaceError, match="commit"):
                insert(tx, 5)
        assert connection.query("select 1").rows() == [(1,)]
    assert ids(pool) == [1, 4]


def test_savepoints_by_name(pool: cenote.Pool) -> None:
    with pool.transaction() as tx:
        insert(tx, 1)
        tx.savepoint("a b")
        insert(tx, 2)
        tx.rollback_to("a b")
        insert(tx, 3)
        tx.release("a b")
    assert ids(pool) == [1, 3]


def test_a_nested_transaction_has_no_level_of_its_own(pool: cenote.Pool) -> None:
    with (
        pool.connection() as connection,
        connection.transaction(isolation="serializable"),
        pytest.raises(cenote.InterfaceError, match="outermost"),
        connection.transaction(isolation="serializable"),
    ):
        pass


def test_a_read_only_transaction_refuses_to_write(pool: cenote.Pool) -> None:
    with pytest.raises(cenote.OperationalError), pool.transaction(read_only=True) as tx:
        tx.execute("insert into held values (1)")


def test_a_closed_connection_says_so(pool: cenote.Pool) -> None:
    connection = pool.connection()
    with pytest.raises(cenote.InterfaceError, match="with"):
        connection.query("select 1")
    with connection:
        stream = connection.stream("select 1 as a union all select 2", chunk_size=1)
        with pytest.raises(cenote.InterfaceError, match="stream"):
            connection.query("select 1")
    with pytest.raises(cenote.InterfaceError, match="given back"):
        next(stream)
    with pytest.raises(cenote.InterfaceError):
        connection.query("select 1")
    with connection:  # it may be taken again
        assert connection.query("select 1").rows() == [(1,)]


def test_calls_on_a_held_connection_are_counted_and_errors_have_an_origin(pool: cenote.Pool) -> None:
    before = pool.metrics()
    with pool.connection() as connection:
        connection.query("select 1")
        with pytest.raises(cenote.ProgrammingError) as caught:
            connection.query("selec 1")
    assert caught.value.pool_id == "main"
    assert caught.value.endpoint
    after = pool.metrics()
    assert after["total_queries"] - before["total_queries"] == 2
    assert after["total_errors"] - before["total_errors"] == 1


def test_the_wait_for_a_connection_ends_with_its_timeout(url: str) -> None:
    with cenote.connect(url, id="small") as pool:
        pool.resize(1)
        with pool.connection(tag="the one in front"):
            with pytest.raises(cenote.PoolTimeout, match="the one in front") as caught, pool.connection(timeout=0.05):
                pass
            assert isinstance(caught.value, TimeoutError)
        assert pool.status()["active_connections"] == 0


def test_a_forgotten_connection_returns(pool: cenote.Pool) -> None:
    connection = pool.connection().__enter__()
    connection.execute("begin")
    assert pool.status()["active_connections"] == 1
    del connection
    gc.collect()
    assert pool.status()["active_connections"] == 0


@pytest.fixture
async def pools(url: str):
    kind, _, rest = url.partition(":")
    async with cenote.DatabasePool() as opened:
        if kind == "sqlite":
            await opened.create_pool("main", "sqlite", database=rest)
        else:
            await opened.create_pool("main", "postgresql", uri=url, min_connections=0)
        await opened.execute("main", "drop table if exists held")
        await opened.execute("main", "create table held (id integer primary key)")
        yield opened
        await opened.execute("main", "drop table held")


async def test_coroutines_hold_a_connection_too(pools: cenote.DatabasePool) -> None:
    async with pools.connection("main") as connection:
        await connection.execute("create temporary table mine (a integer)")
        assert await connection.ingest("mine", pyarrow.table({"a": [1, 2]})) == 2
        frames = [frame.rows() async for frame in connection.stream("select a from mine order by a", chunk_size=1)]
        assert frames == [[(1,)], [(2,)]]
        async with connection.transaction() as tx:
            await tx.execute("insert into held values (1)")
            with pytest.raises(cenote.IntegrityError):
                async with tx.transaction() as inner:
                    await inner.execute("insert into held values (2)")
                    await inner.execute("insert into held values (1)")
            assert (await tx.query("select id from held")).rows() == [(1,)]
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction() as tx:
                await tx.execute("insert into held values (3)")
                raise ZeroDivisionError
        with pytest.raises(cenote.ProgrammingError) as caught:
            await connection.query("selec 1")
        assert caught.value.pool_id == "main"
    assert (await pools.get_pool_status("main"))["active_connections"] == 0
    assert (await pools.query("main", "select id from held")).rows() == [(1,)]
    with pytest.raises(cenote.InterfaceError):
        await connection.query("select 1")


async def test_the_blocking_view_holds_connections(pools: cenote.DatabasePool) -> None:
    with pools.sync.connection("main") as connection, connection.transaction() as tx:
        tx.execute("insert into held values (1)")
    with pools.sync.transaction("main") as tx:
        tx.execute("insert into held values (2)")
    assert pools.sync.query("main", "select count(*) from held").rows() == [(2,)]


async def test_statements_of_one_connection_take_turns(pools: cenote.DatabasePool) -> None:
    async with pools.connection("main") as connection:
        frames = await asyncio.gather(*(connection.query("select ?", [i]) for i in range(20)))
    assert [int(frame.rows()[0][0]) for frame in frames] == list(range(20))
