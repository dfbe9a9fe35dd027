"""Failover strategies whose targets are pools of nodes, with a real coordinator and real nodes."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
from collections.abc import Iterator

import cenote
import pytest
from processes import Cluster, Process, cluster, eventually

WHO = "select name from who"


@pytest.fixture
def apart(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    """`first` is served by n1, `second` by n2."""
    with cluster(tmp_path) as made:
        for node, pool_id in (("n1", "first"), ("n2", "second")):
            made.add(node, {"id": pool_id, "type": "sqlite", "config": {"database": str(tmp_path / f"{node}.db")}})
        yield made


def client(made: Cluster, failover: dict[str, object], *pools: dict[str, object]) -> cenote.DistributedDatabasePool:
    deployment = {"mode": "coordinated", "coordinator": {"endpoint": made.url}, "failover": failover, "pools": pools}
    file = made.folder / "client.yaml"
    file.write_text(json.dumps({"deployment": deployment}))
    return cenote.DistributedDatabasePool.from_yaml(file)


def test_when_the_last_node_of_the_primary_dies_calls_go_to_the_backups(apart: Cluster) -> None:
    # A node that stands still for a moment is no reason to switch, and callers wait until there was one.
    times = {"switch_threshold": "4s", "hold": "60s"}
    pool = client(apart, {"strategy": "active_standby", "primary": "first", "backup": "second", **times})

    def states() -> list[str]:
        return [target["state"] for target in pool.failover_status()[0]["targets"]]

    eventually(lambda: states() == ["writable", "writable"])
    before = pool.sync.query("first", WHO)
    assert (before.rows(), before.meta["node"], before.meta["target"]) == ([("n1",)], "n1", "first")
    apart.nodes.pop("n1").kill()
    held = pool.sync.query("first", WHO)  # until the switch
    assert (held.rows(), held.meta["node"], held.meta["target"]) == ([("n2",)], "n2", "second")
    assert pool.sync.execute("first", "insert into who values ('written')") == 1
    assert pool.failover_status()[0]["active"] == "second"
    assert pool.sync.query("second", "select count(*) from who").rows() == [(2,)]
    pool.sync.close()


def test_pools_of_this_process_and_of_nodes_share_the_load(apart: Cluster, tmp_path: pathlib.Path) -> None:
    [own] = files(tmp_path, "own")
    pool = client(
        apart, {"strategy": "load_balanced", "pools": ["own", "first", "second"], "algorithm": "round_robin"}, own
    )
    eventually(lambda: len((pool.cluster_status() or {"nodes": []})["nodes"]) == 2)
    everybody = {"own", "n1", "n2"}
    eventually(lambda: {name for _ in range(30) for (name,) in pool.sync.query("own", WHO).rows()} == everybody)
    apart.nodes.pop("n2").kill()
    for _ in range(30):  # a read whose node is dead goes to another member
        assert pool.sync.query("first", WHO).rows()[0][0] in {"own", "n1"}
    pool.sync.close()


def files(folder: pathlib.Path, *names: str) -> list[dict[str, object]]:
    """A pool for each name, whose table `who` says it."""
    pools: list[dict[str, object]] = []
    for name in names:
        with contextlib.closing(sqlite3.connect(folder / f"{name}.db")) as base:
            base.execute("create table who (name text)")
            base.execute("insert into who values (?)", [name])
            base.commit()
        pools.append({"id": name, "type": "sqlite", "config": {"database": str(folder / f"{name}.db")}})
    return pools


BALANCED = {"strategy": "load_balanced", "pools": ["a", "b"], "algorithm": "round_robin"}


def test_a_node_shares_the_load_of_its_clients_as_its_strategy_says(tmp_path: pathlib.Path) -> None:
    deployment = {"mode": "standalone", "failover": BALANCED, "pools": files(tmp_path, "a", "b")}
    server = {"flight": {"listen": "127.0.0.1:0"}}
    (tmp_path / "node.yaml").write_text(json.dumps({"deployment": deployment, "server": server}))
    node = Process(tmp_path, "node", "node", "-c", str(tmp_path / "node.yaml"))
    try:
        pool = cenote.DistributedDatabasePool(
            "distributed", discovery={"type": "static", "endpoint": node.address.split("://")[1], "pools": "a"}
        )
        asked = [pool.sync.query("a", WHO).rows()[0][0] for _ in range(4)]
        assert sorted(asked) == ["a", "a", "b", "b"]
        begun = []
        for _ in range(4):
            with pool.sync.transaction("a") as transaction:
                begun.append(transaction.query(WHO).rows()[0][0])
        assert sorted(begun) == ["a", "a", "b", "b"]
        pool.sync.close()
    finally:
        node.end()


def test_a_transaction_goes_where_other_calls_go(tmp_path: pathlib.Path) -> None:
    pools = files(tmp_path, "a", "b")
    pools[0]["config"] |= {"read_only": True}  # type: ignore[operator]
    (tmp_path / "pools.yaml").write_text(json.dumps({"deployment": {"failover": BALANCED, "pools": pools}}))
    pool = cenote.DatabasePool.from_yaml(tmp_path / "pools.yaml")
    targets = ["read-only", "writable"]
    eventually(lambda: [target["state"] for target in pool.failover_status()[0]["targets"]] == targets)
    for _ in range(4):
        with pool.sync.transaction("a") as transaction:
            transaction.execute("insert into who values ('written')")
    assert pool.sync.query("b", "select count(*) from who where name = 'written'", read_only=False).rows() == [(4,)]
    pool.sync.close()
