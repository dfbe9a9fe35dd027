"""The package on SQLite: frames, parameters, transactions, streams, both worlds."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import pathlib
import uuid

import cenote
import pyarrow
import pytest

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


@pytest.fixture
def pool(tmp_path: pathlib.Path):
    with cenote.connect(tmp_path / "shop.db") as opened:
        opened.execute("create table item (id integer primary key, name text)")
        yield opened


@pytest.fixture
def database(tmp_path: pathlib.Path) -> str:
    return str(tmp_path / "shop.db")


@pytest.mark.parametrize("params", [(7, "x"), [7, "x"], {"a": 7, "b": "x"}])
def test_positions_and_names_bind(pool: cenote.Pool, params) -> None:
    sql = "select :a, :b" if isinstance(params, dict) else "select ?, ?"
    assert pool.query(sql, params).rows() == [(7, "x")]


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        2**62,
        2.5,
        "text",
        b"\x00\xff",
        decimal.Decimal("1.10"),
        datetime.date(2026, 1, 2),
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
        uuid.UUID(int=5),
    ],
)
def test_a_value_of_every_kind_is_taken(pool: cenote.Pool, value) -> None:
    assert len(pool.query("select ?", [value])) == 1


def test_a_value_without_a_type_is_refused(pool: cenote.Pool) -> None:
    with pytest.raises(cenote.InterfaceError, match="object"):
        pool.query("select ?", [object()])


def test_a_transaction_commits_or_rolls_back(pool: cenote.Pool) -> None:
    with pool.transaction() as tx:
        tx.execute("insert into item values (1, 'a')")
    with pytest.raises(ZeroDivisionError), pool.transaction() as tx:
        tx.execute("insert into item values (2, 'b')")
        raise ZeroDivisionError
    assert pool.query("select id from item").rows() == [(1,)]


def test_a_stream_is_read_in_chunks_and_returns_its_connection(pool: cenote.Pool) -> None:
    sql = "with recursive n(i) as (select 1 union all select i + 1 from n limit 2500) select i from n"
    with pool.stream(sql, chunk_size=1000) as stream:
        sizes = [len(frame) for frame in stream]
    assert sizes == [1000, 1000, 500]
    assert pool.status()["active_connections"] == 0
    assert pyarrow.RecordBatchReader.from_stream(pool.stream(sql)).read_all().num_rows == 2500


def test_an_error_says_what_it_is(pool: cenote.Pool) -> None:
    with pytest.raises(cenote.ProgrammingError) as caught:
        pool.query("selec 1")
    assert isinstance(caught.value, cenote.QueryError)
    assert caught.value.pool_id == "main"
    assert caught.value.retryable is False
    pool.execute("insert into item values (1, 'a')")
    with pytest.raises(cenote.IntegrityError):
        pool.execute("insert into item values (1, 'b')")


def test_any_arrow_object_is_inserted(pool: cenote.Pool) -> None:
    assert pool.ingest("item", pyarrow.table({"id": [1, 2], "name": ["a", None]})) == 2
    assert pool.query("select * from item order by id").rows() == [(1, "a"), (2, None)]


async def test_the_original_contract(database: str) -> None:
    pool = await cenote.create_pool("main", "sqlite", database=database)
    assert pool.list_pools() == ["main"]
    await pool.execute("main", "create table item (id integer primary key, name text)")
    results = await pool.execute_batch(
        "main",
        ["insert into item values (1, 'a')", "nonsense", {"sql": "insert into item values (?, 'b')", "params": [2]}],
    )
    assert [result["error"] is None for result in results] == [True, False, True]
    async with pool.transaction("main") as tx:
        await tx.execute("insert into item values (3, 'c')")
        assert (await tx.query("select count(*) from item")).rows() == [(3,)]
    assert await pool.bulk_insert("main", "item", pyarrow.table({"id": [4], "name": ["d"]})) == 1
    sizes = [len(frame) async for frame in pool.query_stream("main", "select * from item", chunk_size=3)]
    assert sizes == [3, 1]
    status = await pool.get_pool_status("main")
    assert status["pool_id"] == "main" and status["is_healthy"]
    metrics = await pool.get_pool_metrics("main")
    assert metrics["total_queries"] > 0
    assert await pool.health_check("main")
    assert pool.sync.query("main", "select count(*) from item").rows() == [(4,)]
    await pool.remove_pool("main")
    with pytest.raises(KeyError):
        await pool.query("main", "select 1")


async def test_a_cancelled_task_stops_its_statement(database: str) -> None:
    pool = await cenote.create_pool("main", "sqlite", database=database)
    task = asyncio.create_task(pool.query("main", ENDLESS))
    while (await pool.get_pool_status("main"))["active_connections"] == 0:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while (await pool.get_pool_status("main"))["active_connections"]:
        await asyncio.sleep(0)
    assert (await pool.query("main", "select 1")).rows() == [(1,)]
    await pool.aclose()


async def test_many_coroutines_share_few_threads(database: str) -> None:
    pool = await cenote.create_pool("main", "sqlite", database=database)
    frames = await asyncio.gather(*(pool.query("main", "select ?", [i]) for i in range(1000)))
    assert [frame.rows()[0][0] for frame in frames] == list(range(1000))
    await pool.aclose()
