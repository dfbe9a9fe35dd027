"""The original Python API: names, parameters, defaults, returned keys, errors. Its users' code relies on each line."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import pathlib
import pickle
from typing import Any

import cenote
import pandas
import polars
import pyarrow
import pytest

REQUIRED = inspect.Parameter.empty
CREATE_POOL = {
    "pool_id": REQUIRED,
    "db_type": REQUIRED,
    "host": "localhost",
    "port": None,
    "database": None,
    "username": "",
    "password": "",
    "min_connections": 5,
    "max_connections": 50,
    "acquire_timeout": 30,
    "idle_timeout": 600,
    "max_lifetime": 3600,
    "auto_scaling": True,
    "health_check_interval": 60,
    "application_name": None,
    "ssl_mode": None,
    "trust_server_certificate": False,
    "retry_attempts": 3,
    "log_slow_queries": False,
    "log_threshold_ms": 1000,
}
METHODS = {
    "query": ["pool_id", "sql", "params"],
    "execute": ["pool_id", "sql", "params"],
    "execute_batch": ["pool_id", "operations"],
    "bulk_insert": ["pool_id", "table", "frame"],
    "get_pool_status": ["pool_id"],
    "get_pool_metrics": ["pool_id"],
    "remove_pool": ["pool_id"],
    "health_check": ["pool_id"],
}
STATUS = {
    "pool_id": str,
    "db_type": str,
    "total_connections": int,
    "active_connections": int,
    "idle_connections": int,
    "waiting_connections": int,
    "is_healthy": bool,
    "last_error": (str, type(None)),
    "uptime_seconds": float,
}
METRICS = {
    "pool_id": str,
    "queries_per_second": float,
    "connection_utilization": float,
    "avg_query_time_ms": float,
    "p99_query_time_ms": float,
    "error_rate": float,
    "total_queries": int,
    "total_errors": int,
    "cache_hit_rate": float,
}


@pytest.fixture
async def pools(tmp_path: pathlib.Path):
    async with await cenote.create_pool("main", "sqlite", database=str(tmp_path / "shop.db")) as opened:
        await opened.execute("main", "create table item (id integer primary key, name text)")
        yield opened


@pytest.mark.parametrize(
    "function",
    [cenote.create_pool, cenote.DatabasePool().create_pool, cenote.DatabasePool().sync.create_pool],
    ids=["module", "manager", "sync"],
)
def test_create_pool_has_the_originals_parameters_and_defaults(function: Any) -> None:
    parameters = inspect.signature(function).parameters
    defaults = {name: parameters[name].default for name in CREATE_POOL}
    assert defaults == CREATE_POOL
    positional = [p.name for p in parameters.values() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert positional == list(CREATE_POOL)[:7]


@pytest.mark.parametrize(("name", "parameters"), METHODS.items())
def test_methods_are_coroutines_with_the_originals_parameters(name: str, parameters: list[str]) -> None:
    method = getattr(cenote.DatabasePool, name)
    assert inspect.iscoroutinefunction(method)
    blocking = getattr(cenote.DatabasePool().sync, name)
    assert not inspect.iscoroutinefunction(blocking)
    for function in (getattr(cenote.DatabasePool(), name), blocking):
        given = inspect.signature(function).parameters.values()
        assert [p.name for p in given if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD] == parameters
        assert all(p.default is not REQUIRED for p in list(given)[len(parameters) :])


def test_the_manager_and_its_blocking_view_have_the_same_methods() -> None:
    def public(item: object) -> set[str]:
        return {name for name in dir(item) if not name.startswith("_") and callable(getattr(item, name))}

    manager = cenote.DatabasePool()
    # What only makes sense on one side.
    assert public(manager) - {"aclose", "pool", "from_yaml", "sync"} == public(manager.sync) - {"close"}


async def test_default_sizes_are_the_originals(tmp_path: pathlib.Path) -> None:
    async with cenote.DatabasePool() as pools:
        await pools.create_pool("main", "postgresql", "127.0.0.1", 1, "shop", "user", "secret")
        assert (await pools.get_pool_status("main"))["max_connections"] == 50
        await pools.create_pool("own", "postgresql", "127.0.0.1", 1, "shop", max_connections=2)
        assert (await pools.get_pool_status("own"))["max_connections"] == 2
        assert "127.0.0.1:1/shop" in (await pools.get_pool_status("own"))["endpoint"]
        await pools.create_pool("port", "postgresql", database="shop", min_connections=0)
        assert "localhost:5432/shop" in (await pools.get_pool_status("port"))["endpoint"]


async def test_a_uri_is_overridden_by_what_the_caller_gave_alone() -> None:
    uri = "postgresql://user@127.0.0.9:7001/shop"
    async with cenote.DatabasePool() as pools:

        async def endpoint(pool_id: str, *arguments: Any, **settings: Any) -> str:
            await pools.create_pool(pool_id, "postgresql", *arguments, min_connections=0, **settings)
            return str((await pools.get_pool_status(pool_id))["endpoint"])

        assert await endpoint("plain", uri=uri) == "127.0.0.9:7001/shop"
        assert await endpoint("nested", config={"uri": uri}) == "127.0.0.9:7001/shop"
        assert await endpoint("moved", "localhost", uri=uri) == "localhost:7001/shop"
        assert await endpoint("named", host="127.0.0.1", port=1, database="x", uri=uri) == "127.0.0.1:1/x"


async def test_queries_and_statements(pools: cenote.DatabasePool) -> None:
    assert await pools.execute("main", "insert into item values (?, ?)", {"second": 1, "first": "a"}) == 1
    assert await pools.execute("main", "insert into item values (:id, :name)", {"name": "b", "id": 2}) == 1
    assert await pools.execute("main", "insert into item values (@id, $name)", {"name": "c", "id": 3}) == 1
    assert await pools.execute("main", "insert into item values (?, ?)", [4, "d"]) == 1
    assert await pools.execute("main", "update item set name = 'x' where id > ?", (2,)) == 2
    frame = await pools.query("main", "select id, name from item where id <= :most order by id", {"most": 3})
    assert frame.shape == (3, 2)
    assert frame.columns == ["id", "name"]
    assert frame.rows() == [(1, "a"), (2, "b"), (3, "x")]
    assert len((await pools.query("main", "select * from item", params=None)).rows()) == 4


async def test_a_batch_hides_no_operation_behind_another(pools: cenote.DatabasePool) -> None:
    results = await pools.execute_batch(
        "main",
        [
            "insert into item values (1, 'a')",
            "nonsense",
            {"sql": "insert into item values (:id, :name)", "params": {"id": 2, "name": "b"}},
            {"sql": "insert into item values (?, 'b')", "params": [2]},
            {"sql": "insert into item values (3, 'c')"},
        ],
    )
    assert [set(result) for result in results] == [{"affected_rows", "execution_time_ms", "error"}] * 5
    assert [result["affected_rows"] for result in results] == [1, 0, 1, 0, 1]
    assert [result["error"] is None for result in results] == [True, False, True, False, True]
    assert "nonsense" in results[1]["error"]
    assert all(result["execution_time_ms"] >= 0 for result in results)
    assert (await pools.query("main", "select count(*) from item")).rows() == [(3,)]
    with pytest.raises(cenote.InterfaceError, match="sql"):
        await pools.execute_batch("main", ["delete from item", {"statement": "delete from item"}])
    # Nothing half done: the wrong operation was seen before the first one ran.
    assert (await pools.query("main", "select count(*) from item")).rows() == [(3,)]


async def test_a_transaction_commits_or_rolls_back(pools: cenote.DatabasePool) -> None:
    async with pools.transaction("main") as tx:
        assert await tx.execute("insert into item values (1, 'a')") == 1
        assert (await tx.query("select count(*) from item")).rows() == [(1,)]
    with pytest.raises(ZeroDivisionError):
        async with pools.transaction("main") as tx:
            await tx.execute("insert into item values (2, 'b')")
            raise ZeroDivisionError
    assert (await pools.query("main", "select id from item")).rows() == [(1,)]


async def test_a_stream_has_chunks(pools: cenote.DatabasePool) -> None:
    sql = "with recursive n(i) as (select 1 union all select i + 1 from n limit 2500) select i from n"

    async def sizes(*arguments: Any, **keywords: Any) -> list[int]:
        return [len(frame) async for frame in pools.query_stream("main", sql, *arguments, **keywords)]

    assert await sizes() == [1000, 1000, 500]
    assert await sizes(chunk_size=2000) == [2000, 500]
    assert await sizes(2000) == [2000, 500]  # the original's third parameter
    assert [len(frame) for frame in pools.sync.query_stream("main", sql)] == [1000, 1000, 500]
    with pytest.raises(cenote.InterfaceError, match="timeout"):
        await pools.query("main", "select 1", timeout=float("nan"))
    with pytest.raises(cenote.InterfaceError, match="chunk_size"):
        pools.query_stream("main", sql, chunk_size=0)
    limited = pools.query_stream("main", "select * from item where id = ?", [7], 10)
    assert [frame async for frame in limited] == []


async def test_a_stream_left_early_returns_its_connection(pools: cenote.DatabasePool) -> None:
    sql = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    async with pools.query_stream("main", sql, chunk_size=10) as stream:
        assert stream.columns == ["i"]
        async for frame in stream:
            assert frame.rows()[0] == (1,)
            break
        assert (await pools.get_pool_status("main"))["active_connections"] == 1
    assert (await pools.get_pool_status("main"))["active_connections"] == 0
    assert [frame async for frame in stream] == []


@pytest.mark.parametrize("library", ["pyarrow", "polars", "pandas", "batch", "frame", "capsule", "stream"])
async def test_any_arrow_capable_frame_is_inserted(pools: cenote.DatabasePool, library: str) -> None:
    data = {"id": [1, 2], "name": ["a", None]}
    table = pyarrow.table(data)

    class Capsule:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return table.__arrow_c_stream__(requested_schema)

    select = "select 1 as id, 'a' as name union all select 2, null"
    frame = {
        "pyarrow": lambda: table,
        "polars": lambda: polars.DataFrame(data),
        "pandas": lambda: pandas.DataFrame(data),
        "batch": lambda: pyarrow.record_batch(data),
        "frame": lambda: pools.sync.query("main", select),
        "capsule": Capsule,
        "stream": lambda: pools.sync.query_stream("main", select),
    }[library]()
    assert await pools.bulk_insert("main", "item", frame) == 2
    assert (await pools.query("main", "select * from item order by id")).rows() == [(1, "a"), (2, None)]


async def test_what_is_no_frame_is_refused(pools: cenote.DatabasePool) -> None:
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        await pools.bulk_insert("main", "item", [(1, "a")])
    with pytest.raises(cenote.DatabaseError):
        await pools.bulk_insert("main", "no_such_table", pyarrow.table({"a": [1]}))


async def test_status_and_metrics_have_the_originals_keys(pools: cenote.DatabasePool) -> None:
    await pools.query("main", "select 1")
    with pytest.raises(cenote.DbPoolError):
        await pools.query("main", "nonsense")
    status = await pools.get_pool_status("main")
    metrics = await pools.get_pool_metrics("main")
    for keys, got in ((STATUS, status), (METRICS, metrics)):
        for key, kind in keys.items():
            assert isinstance(got[key], kind), key
        assert got["pool_id"] == "main"
    assert status["db_type"] == "sqlite"
    assert status["is_healthy"]
    assert status["active_connections"] + status["idle_connections"] <= status["total_connections"]
    assert metrics["total_errors"] == 1
    assert metrics["total_queries"] >= 2
    assert metrics["error_rate"] == metrics["total_errors"] / metrics["total_queries"]
    assert 0 <= metrics["connection_utilization"] <= 1
    assert pools.sync.get_pool_status("main").keys() == status.keys()


async def test_pools_come_and_go(pools: cenote.DatabasePool) -> None:
    assert pools.list_pools() == ["main"]
    await pools.create_pool("second", "sqlite", database=":memory:")
    assert pools.list_pools() == ["main", "second"]
    with pytest.raises(cenote.ConfigError, match="second"):
        await pools.create_pool("second", "sqlite", database=":memory:")
    assert await pools.health_check("second") is True
    await pools.remove_pool("second")
    assert pools.list_pools() == ["main"]
    await pools.create_pool("second", "sqlite", database=":memory:")  # the name is free again
    assert (await pools.query("second", "select 1")).rows() == [(1,)]


async def test_a_pool_whose_database_is_gone_is_not_healthy() -> None:
    async with await cenote.create_pool("main", "postgresql", "127.0.0.1", 1, "x", min_connections=0) as pools:
        assert await pools.health_check("main") is False
        with pytest.raises(cenote.ConnectionError) as caught:
            await pools.query("main", "select 1", timeout=5)
        assert isinstance(caught.value, ConnectionError)
        assert "127.0.0.1:1" in str(caught.value)


async def test_removing_a_pool_waits_for_what_runs(pools: cenote.DatabasePool) -> None:
    long = "with recursive n(i) as (select 1 union all select i + 1 from n limit 1000000) select count(*) from n"
    query = asyncio.create_task(pools.query("main", long))
    # Not seen at work, it was faster than this loop.
    while (await pools.get_pool_status("main"))["active_connections"] == 0 and not query.done():
        await asyncio.sleep(0.001)
    await pools.remove_pool("main")
    assert (await query).rows() == [(1_000_000,)]
    assert pools.list_pools() == []


async def test_an_unknown_pool_is_a_key_error(pools: cenote.DatabasePool) -> None:
    calls = [
        lambda: pools.query("none", "select 1"),
        lambda: pools.execute("none", "select 1"),
        lambda: pools.execute_batch("none", []),
        lambda: pools.bulk_insert("none", "item", pyarrow.table({"a": [1]})),
        lambda: pools.get_pool_status("none"),
        lambda: pools.get_pool_metrics("none"),
        lambda: pools.health_check("none"),
        lambda: pools.remove_pool("none"),
    ]
    for call in calls:
        with pytest.raises(KeyError) as caught:
            await call()
        assert isinstance(caught.value, cenote.DbPoolError)
        assert str(caught.value) == "there is no pool 'none'; there are: main"
    for plain in (pools.transaction, pools.connection, pools.sync.transaction, pools.pool):
        with pytest.raises(KeyError):
            plain("none")
    with pytest.raises(KeyError):
        pools.sync.query("none", "select 1")
    with pytest.raises(KeyError):
        pools.query_stream("none", "select 1")


def test_versions_and_databases() -> None:
    assert cenote.DatabasePool.version() == cenote.__version__
    assert {"sqlite", "postgresql"} <= set(cenote.DatabasePool.supported_databases())


@pytest.mark.parametrize("mode", [cenote.DeploymentMode.STANDALONE, "standalone"])
def test_the_deployment_mode_may_be_named(mode: Any) -> None:
    assert cenote.DatabasePool(deployment_mode=mode).list_pools() == []


@pytest.mark.parametrize("mode", [cenote.DeploymentMode.FULL_DISTRIBUTED, "distributed", "full_distributed"])
def test_mode_distributed_wants_a_store(mode: Any) -> None:
    with pytest.raises(cenote.ConfigError, match="discovery is missing"):
        cenote.DistributedDatabasePool(mode)
    for wrong, words in (
        ({"type": "zookeeper"}, "consul, etcd, static"),
        ({"typ": "consul"}, "type"),
        ({"type": "consul"}, r"discovery\.endpoint"),
        ({"type": "consul", "endpoint": "consul:8500", "ttl": "soon"}, "ttl"),
    ):
        with pytest.raises(cenote.ConfigError, match=words):
            cenote.DistributedDatabasePool(mode, discovery=wrong)


def test_mode_coordinated_wants_a_coordinator() -> None:
    with pytest.raises(cenote.ConfigError, match=r"coordinator\.endpoint"):
        cenote.DistributedDatabasePool("coordinated")
    with pytest.raises(cenote.ConfigError, match="fastest.*round_robin"):
        cenote.DistributedDatabasePool("coordinated", "http://127.0.0.1:1", load_balancer="fastest")


def test_an_unknown_deployment_mode_is_refused() -> None:
    with pytest.raises(cenote.ConfigError, match="standalone"):
        cenote.DatabasePool("sideways")


async def test_a_wrong_setting_is_refused_with_its_name(pools: cenote.DatabasePool) -> None:
    with pytest.raises(cenote.ConfigError, match="max_conections.*max_connections"):
        await pools.create_pool("x", "sqlite", database=":memory:", max_conections=3)
    with pytest.raises(cenote.ConfigError, match="oracle"):
        await pools.create_pool("x", "oracle", database="x")
    with pytest.raises(cenote.ConfigError, match="database"):
        await pools.create_pool("x", "sqlite")
    with pytest.raises(ValueError, match="max_connections"):
        await pools.create_pool("x", "sqlite", database=":memory:", max_connections=0)
    assert pools.list_pools() == ["main"]


async def test_slow_statements_are_logged_without_their_values(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "cenote")
    database = tmp_path / "shop.db"
    async with cenote.DatabasePool() as pools:
        await pools.create_pool("all", "sqlite", database=database, log_slow_queries=True, log_threshold_ms=0)
        await pools.create_pool("slow", "sqlite", database=database, log_slow_queries=True, log_threshold_ms=1e9)
        await pools.create_pool("none", "sqlite", database=database)
        for pool_id in ("all", "slow", "none"):
            await pools.query(pool_id, "select ?", ["secret"])
        pools.sync.query("all", "select 1, ?", ["secret"])
    lines = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(": ")[2] for line in lines] == ["select ?", "select 1, ?"]
    assert all("pool all" in line and "secret" not in line for line in lines)


async def test_without_auto_scaling_all_connections_stay_open(postgresql: str) -> None:
    async with cenote.DatabasePool() as pools:
        await pools.create_pool("fixed", "postgresql", uri=postgresql, max_connections=3, auto_scaling=False)
        while (await pools.get_pool_status("fixed"))["idle_connections"] < 3:
            await asyncio.sleep(0.001)


async def test_retryable_errors_are_tried_again(postgresql: str) -> None:
    async with cenote.DatabasePool() as pools:
        await pools.create_pool("three", "postgresql", uri=postgresql, min_connections=0)
        await pools.create_pool("never", "postgresql", uri=postgresql, min_connections=0, retry_attempts=0)
        # A sequence counts on though its statement is rolled back.
        flaky = """
            create or replace function flaky(sqlstate_ text) returns bigint language plpgsql as $$
            begin
              if nextval('attempts') < 3 then raise exception 'again' using errcode = sqlstate_; end if;
              return currval('attempts');
            end $$"""
        for sql in ("drop sequence if exists attempts", "create sequence attempts", flaky):
            await pools.execute("three", sql)

        async def attempts(pool_id: str, sqlstate: str) -> int:
            await pools.execute("three", "alter sequence attempts restart")
            return int((await pools.query(pool_id, "select flaky($1::text)", [sqlstate])).rows()[0][0])

        assert await attempts("three", "40001") == 3
        with pytest.raises(cenote.OperationalError) as caught:
            await attempts("never", "40001")
        assert caught.value.retryable
        with pytest.raises(cenote.IntegrityError) as caught:
            await attempts("three", "23505")
        assert not caught.value.retryable
        assert (await pools.query("three", "select last_value from attempts")).rows() == [(1,)]


def test_pools_from_yaml(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "cenote.yaml"
    file.write_text(
        f"""
deployment:
  mode: standalone
  pools:
    - id: main_db
      type: sqlite
      config: {{database: "{tmp_path}/shop.db"}}
    - id: cache
      type: sqlite
      config: {{database: ":memory:"}}
"""
    )
    pools = cenote.DatabasePool.from_yaml(file)
    assert pools.list_pools() == ["main_db", "cache"]
    assert pools.sync.query("main_db", "select 7").rows() == [(7,)]

    async def main() -> list[tuple[Any, ...]]:
        async with pools:
            return (await pools.query("cache", "select 8")).rows()

    assert asyncio.run(main()) == [(8,)]
    file.write_text("deployment:\n  pools:\n    - id: x\n      tpye: sqlite\n")
    with pytest.raises(cenote.ConfigError, match=r"cenote\.yaml:4.*tpye.*type"):
        cenote.DatabasePool.from_yaml(file)
    with pytest.raises(cenote.ConfigError, match="absent"):
        cenote.DatabasePool.from_yaml(tmp_path / "absent.yaml")


def test_errors_form_pep_249s_tree() -> None:
    assert cenote.Error is cenote.DbPoolError
    assert cenote.QueryError is cenote.DatabaseError
    for name in ("DataError", "OperationalError", "IntegrityError", "InternalError", "ProgrammingError"):
        assert issubclass(getattr(cenote, name), cenote.DatabaseError)
    assert issubclass(cenote.NotSupportedError, cenote.DatabaseError)
    for kind, builtin in (
        (cenote.ConnectionError, ConnectionError),
        (cenote.AuthenticationError, cenote.ConnectionError),
        (cenote.ConfigError, ValueError),
        (cenote.UnknownPool, KeyError),
        (cenote.PoolTimeout, TimeoutError),
        (cenote.QueryTimeout, TimeoutError),
        (cenote.QueryTimeout, cenote.OperationalError),
        (cenote.InterfaceError, cenote.Error),
        (cenote.PoolTimeout, cenote.PoolError),
    ):
        assert issubclass(kind, builtin)
        assert issubclass(kind, cenote.DbPoolError)


def test_an_error_survives_pickling() -> None:
    with cenote.connect("sqlite::memory:", id="here") as pool, pytest.raises(cenote.ProgrammingError) as caught:
        pool.query("nonsense")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is cenote.ProgrammingError
    assert str(copy) == str(caught.value)
    assert copy.pool_id == "here"
    assert copy.vendor_code == caught.value.vendor_code != 0
    assert copy.sqlstate == ""
    assert copy.retryable is False


def test_all_public_names_say_what_they_are() -> None:
    for name in cenote.__all__:
        item = getattr(cenote, name)
        assert item.__doc__, name
        if isinstance(item, type) and item is not cenote.DeploymentMode:
            assert item.__module__ == "cenote"
    assert "ConnectionError" not in cenote.__all__  # `import *` hides no builtin


def test_the_stub_of_the_extension_names_what_there_is() -> None:
    extension = cenote._cenote
    stub = ast.parse((pathlib.Path(cenote.__file__).parent / "_cenote.pyi").read_text())
    for item in stub.body:
        if isinstance(item, ast.ClassDef):
            for member in item.body:
                target = member.target if isinstance(member, ast.AnnAssign) else None
                name = target.id if isinstance(target, ast.Name) else getattr(member, "name", None)
                assert name is None or hasattr(getattr(extension, item.name), name), (item.name, name)
    named = {item.name for item in stub.body if isinstance(item, (ast.ClassDef, ast.FunctionDef))}
    assert named == {name for name in dir(extension) if not name.startswith("_")}
