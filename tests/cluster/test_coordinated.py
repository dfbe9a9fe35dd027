"""DistributedDatabasePool with a real coordinator and real nodes."""

from __future__ import annotations

import asyncio
import json
import pathlib
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import adbc_driver_flightsql.dbapi as flightsql
import cenote
import pytest
from processes import Cluster, cluster, eventually

WHO = "select name from who"


@pytest.fixture
def two(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    with cluster(tmp_path, "n1", "n2") as made:
        yield made


def connect(made: Cluster, **settings: Any) -> cenote.DistributedDatabasePool:
    return cenote.DistributedDatabasePool(
        mode=cenote.DeploymentMode.COORDINATED, coordinator_url=made.url, load_balancer="round_robin", **settings
    )


def states(pool: cenote.DistributedDatabasePool) -> dict[str, str]:
    status = pool.cluster_status()
    assert status is not None
    return {node["id"]: node["state"] for node in status["nodes"]}


def both_up(pool: cenote.DistributedDatabasePool) -> bool:
    return states(pool) == {"n1": "up", "n2": "up"}


async def test_a_query_goes_to_a_node_and_its_frame_says_which(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: both_up(pool))
    seen = set()
    while seen != {"n1", "n2"}:
        frame = await pool.query("main_db", WHO)
        assert frame.rows() == [(frame.meta["node"],)]
        assert frame.meta["location"] == two.nodes[frame.meta["node"]].address
        assert frame.meta["attempts"] == 1
        seen.add(frame.meta["node"])
    assert pool.list_pools() == ["main_db"]


async def test_all_calls_work_over_a_node(two: Cluster) -> None:
    pool = connect(two)
    two.nodes.pop("n2").end()
    assert await pool.execute("main_db", "create table t (i integer, s text)") == -1
    assert await pool.execute("main_db", "insert into t values (?, ?)", [1, "one"]) == 1
    rows = await pool.query("main_db", "select 2 as i, 'two' as s")
    assert await pool.bulk_insert("main_db", "t", rows) == 1
    async with pool.transaction("main_db") as transaction:
        await transaction.execute("insert into t values (3, 'three')")
        assert len(await transaction.query("select * from t")) == 3
    with pytest.raises(ZeroDivisionError):
        async with pool.transaction("main_db") as transaction:
            await transaction.execute("delete from t")
            raise ZeroDivisionError
    frames = [frame async for frame in pool.query_stream("main_db", "select i from t order by i", chunk_size=2)]
    assert [len(frame) for frame in frames] == [2, 1]
    assert frames[0].meta["node"] == "n1"
    assert await pool.health_check("main_db")
    assert "main_db" in repr(pool.pool("main_db"))
    with pytest.raises(cenote.NotSupportedError, match="on other nodes"):
        await pool.get_pool_status("main_db")
    with pytest.raises(cenote.UnknownPool):
        await pool.get_pool_status("nobody's")
    with pytest.raises(cenote.IntegrityError):
        await pool.execute("main_db", "create unique index u on t (i)")
        await pool.execute("main_db", "insert into t values (1, 'again')")


async def test_calls_that_wait_for_a_transaction_do_not_keep_it_from_its_end(tmp_path: pathlib.Path) -> None:
    """More of them than there are threads: the others wait without one."""
    with cluster(tmp_path, "n1") as one:
        pool = connect(one)
        await pool.execute("main_db", "create table t (i integer)")
        async with pool.transaction("main_db") as transaction:
            await transaction.execute("insert into t values (0)")
            waiting = [asyncio.create_task(pool.execute("main_db", "insert into t values (1)")) for _ in range(200)]
            late = asyncio.create_task(pool.execute("main_db", "insert into t values (2)", timeout=0.2))
            with pytest.raises(cenote.DbPoolError, match="time"):
                await late
            assert len(await transaction.query("select * from t")) == 1
        assert await asyncio.gather(*waiting) == [1] * 200
        assert len(list(pathlib.Path("/proc/self/task").iterdir())) < 128 + 100


def test_blocking_calls_work_over_a_node(two: Cluster) -> None:
    pool = connect(two)
    assert pool.sync.query("main_db", WHO).meta["node"] in two.nodes
    with pool.sync.query_stream("main_db", WHO) as stream:
        assert [len(frame) for frame in stream] == [1]
    with pool.sync.transaction("main_db") as transaction:
        transaction.execute("create table s (i integer)")
        assert transaction.query("select * from s").num_rows == 0
    with pytest.raises(cenote.NotSupportedError, match="transaction"), pool.sync.connection("main_db"):
        pass


async def test_the_yaml_of_the_design_opens_it(two: Cluster, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "client.yaml"
    path.write_text(json.dumps({"deployment": {"mode": "coordinated", "coordinator": {"endpoint": two.url}}}))
    pool = cenote.DistributedDatabasePool.from_yaml(path)
    assert isinstance(pool, cenote.DistributedDatabasePool)
    assert (await pool.query("main_db", WHO)).meta["node"] in two.nodes


async def test_the_own_pool_comes_first(two: Cluster) -> None:
    pool = connect(two)
    await pool.create_pool("main_db", "sqlite", database=":memory:")
    eventually(lambda: len(states(pool)) == 2)
    frame = await pool.query("main_db", "select 'here'")
    assert frame.rows() == [("here",)]
    assert frame.meta["node"] is None


def test_a_killed_node_costs_reads_nothing(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)
    two.nodes["n1"].kill()
    for _ in range(50):
        assert pool.sync.query("main_db", WHO).rows() == [("n2",)]
    eventually(lambda: states(pool)["n1"] == "dead")


def test_a_node_that_ends_is_published_as_draining_and_loses_no_call(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)
    # A transaction keeps it until that was seen.
    with flightsql.connect(two.nodes["n1"].address, autocommit=False) as held, held.cursor() as cursor:
        cursor.execute(WHO)
        cursor.fetchall()
        two.nodes["n1"].signal(signal.SIGTERM)
        eventually(lambda: pool.sync.query("main_db", WHO) and states(pool)["n1"] == "draining")
    while two.nodes["n1"].process.poll() is None:
        pool.sync.query("main_db", WHO)
    assert two.nodes["n1"].end() == 0
    eventually(lambda: "n1" not in states(pool))


def test_a_stopped_node_is_left_by_the_reads_that_wait_for_it(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)
    two.nodes["n1"].stop()
    for _ in range(20):
        assert pool.sync.query("main_db", WHO).rows() == [("n2",)]
    two.nodes["n1"].signal(signal.SIGCONT)
    eventually(lambda: states(pool)["n1"] == "up")
    eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])


def test_the_last_good_view_goes_on_without_the_coordinator(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)
    listen = two.url.split("://")[1]
    two.coordinator.kill()
    eventually(lambda: (pool.cluster_status() or {})["last_error"])
    for _ in range(20):
        pool.sync.query("main_db", WHO)
    two.start_coordinator(listen)
    eventually(lambda: not (pool.cluster_status() or {})["last_error"])
    assert set(states(pool)) == {"n1", "n2"}
    eventually(lambda: both_up(pool))


def test_a_node_started_again_counts_on_and_is_used_again(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)
    before = int((two.folder / "n1.incarnation").read_text())
    two.nodes["n1"].kill()
    two.add("n1")
    assert int((two.folder / "n1.incarnation").read_text()) == before + 1
    eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])


def test_an_operators_drain_is_obeyed_and_taken_back(two: Cluster) -> None:
    pool = connect(two)
    eventually(lambda: len(states(pool)) == 2)

    def post(verb: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{two.url}/v1/nodes/n1/{verb}", method="POST")).close()

    post("drain")
    eventually(lambda: states(pool)["n1"] == "draining")
    for _ in range(6):
        assert pool.sync.query("main_db", WHO).rows() == [("n2",)]
    post("undrain")
    eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])


def test_a_drained_node_turns_away_those_too_who_know_no_coordinator(two: Cluster) -> None:
    def post(verb: str) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{two.url}/v1/nodes/n1/{verb}", method="POST")).close()

    def ask() -> str:
        with flightsql.connect(two.nodes["n1"].address, autocommit=True) as node, node.cursor() as cursor:
            try:
                cursor.execute(WHO)
            except flightsql.Error as error:
                return str(error)
            return str(cursor.fetchone()[0])

    assert ask() == "n1"
    post("drain")
    eventually(lambda: "draining" in ask())
    post("undrain")
    eventually(lambda: ask() == "n1")


def test_a_configuration_reaches_the_nodes(two: Cluster) -> None:
    pool = connect(two)
    content = json.dumps(
        {"deployment": {"pools": [{"id": "other", "type": "sqlite", "config": {"database": str(two.folder / "o.db")}}]}}
    )
    request = urllib.request.Request(
        f"{two.url}/v1/config/default",
        method="PUT",
        headers={"If-Match": '"0"', "Content-Type": "application/json"},
        data=json.dumps({"content": content}).encode(),
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status in (200, 201, 202)
    eventually(lambda: "other" in pool.list_pools())
    assert pool.sync.query("other", "select 1").meta["node"] in two.nodes


def test_without_a_coordinator_the_error_says_so() -> None:
    pool = cenote.DistributedDatabasePool("coordinated", "http://127.0.0.1:1")
    with pytest.raises(cenote.OperationalError, match=r"127\.0\.0\.1:1") as caught:
        pool.sync.query("main_db", "select 1", timeout=0.3)
    assert caught.value.retryable


async def test_the_coordinator_sums_up_what_clients_and_nodes_went_through(
    two: Cluster, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "client.yaml"
    deployment = {
        "mode": "coordinated",
        "coordinator": {"endpoint": two.url},
        "metrics": {"export_interval": "100ms"},
    }
    file.write_text(json.dumps({"deployment": deployment}))
    pool = cenote.DistributedDatabasePool.from_yaml(file)
    eventually(lambda: len(states(pool)) == 2)

    def summary() -> Any:
        with urllib.request.urlopen(f"{two.url}/v1/summary") as answer:
            return json.load(answer)

    for times in range(1, 4):
        eventually(lambda: both_up(pool))
        two.nodes["n1"].kill()
        for _ in range(8):  # some go to the dead node first, if they are faster than the news of its end
            await pool.query("main_db", WHO)
        eventually(lambda times=times: summary()["request_routing"]["requests"] >= 8 * times)
        if summary()["failover"]["switches"] >= 1:
            break
        two.restart("n1")
    content = json.dumps(
        {
            "deployment": {
                "pools": [{"id": "main_db", "type": "sqlite", "config": {"database": str(tmp_path / "n2.db")}}]
            }
        }
    )
    request = urllib.request.Request(
        f"{two.url}/v1/config/default", json.dumps({"content": content}).encode(), method="PUT"
    )
    request.add_header("content-type", "application/json")
    request.add_header("if-match", '"0"')
    urllib.request.urlopen(request).close()
    eventually(lambda: summary()["request_routing"]["requests"] >= 8 and summary()["config_sync"]["syncs"] >= 1)
    seen = summary()
    assert seen["request_routing"]["success_rate"] == 1
    assert seen["request_routing"]["p99_seconds"] > 0
    assert seen["failover"]["switches"] >= 1
    assert seen["failover"]["recovery_p99_seconds"] > 0
    assert seen["config_sync"]["failures"] == 0
    assert seen["config_sync"]["p99_seconds"] > 0
    address = two.coordinator.address.removeprefix("http://")
    two.coordinator.kill()
    eventually(lambda: (pool.cluster_status() or {})["last_error"])
    two.start_coordinator(address)
    eventually(lambda: summary()["network_partition"]["partitions"] >= 1)
    eventually(lambda: summary()["network_partition"]["recovery_p50_seconds"] > 0)
    assert summary()["request_routing"]["requests"] >= 8  # reports hold all since the process began
