"""Failover strategies whose targets are pools of nodes, with a real coordinator and real nodes."""

from __future__ import annotations

import json
import pathlib
import sqlite3
from collections.abc import Iterator

import cenote
import pytest
from processes import Cluster, cluster, eventually

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
    pool = client(
        apart, {"strategy": "active_standby", "primary": "first", "backup": "second", "switch_threshold": "1s"}
    )

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
    with sqlite3.connect(tmp_path / "own.db") as base:
        base.execute("create table who (name text)")
        base.execute("insert into who values ('own')")
    base.close()
    own = {"id": "own", "type": "sqlite", "config": {"database": str(tmp_path / "own.db")}}
    pool = client(
        apart, {"strategy": "load_balanced", "pools": ["own", "first", "second"], "algorithm": "round_robin"}, own
    )
    eventually(lambda: len((pool.cluster_status() or {"nodes": []})["nodes"]) == 2)
    seen = {name for _ in range(30) for (name,) in pool.sync.query("own", WHO).rows()}
    assert seen == {"own", "n1", "n2"}
    apart.nodes.pop("n2").kill()
    for _ in range(30):  # a read whose node is dead goes to another member
        assert pool.sync.query("first", WHO).rows()[0][0] in {"own", "n1"}
    pool.sync.close()
