"""Mode distributed with real stores, real nodes and real faults: the view is never emptied, no read fails."""

from __future__ import annotations

import json
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import adbc_driver_flightsql.dbapi as flightsql
import cenote
import pytest
from processes import ROOT, eventually
from stores import Fleet, fleet, servers, store

WHO = "select name from who"
THREE = ["n1", "n2", "n3"]


@pytest.fixture(params=["etcd", "consul"])
def three(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[tuple[Fleet, Any]]:
    """Three nodes that meet in a store of three members."""
    with store(request.param, tmp_path, 3) as members:
        discovery = {"type": request.param, "endpoint": members.endpoint, "cluster": "test"}
        with fleet(tmp_path, discovery, *THREE) as made:
            yield made, members


@pytest.fixture(params=["etcd", "consul"])
def single(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[tuple[Fleet, Any]]:
    """Three nodes that meet in a store of one member."""
    with store(request.param, tmp_path, 1) as members:
        discovery = {"type": request.param, "endpoint": members.endpoint, "cluster": "test"}
        with fleet(tmp_path, discovery, *THREE) as made:
            yield made, members


def status(pool: cenote.DistributedDatabasePool) -> dict[str, Any]:
    found = pool.cluster_status()
    assert found is not None
    return found


def states(pool: cenote.DistributedDatabasePool) -> dict[str, str]:
    return {node["id"]: node["state"] for node in status(pool)["nodes"]}


def all_up(pool: cenote.DistributedDatabasePool) -> bool:
    return states(pool) == dict.fromkeys(THREE, "up")


class Reader:
    """Reads without a break, and looks at the view."""

    def __init__(self, pool: cenote.DistributedDatabasePool) -> None:
        self.pool, self.failures, self.reads, self.fewest = pool, [], 0, len(THREE)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.pool.sync.query("main_db", WHO)
                self.reads += 1
            except cenote.DbPoolError as error:
                self.failures.append(error)
            self.fewest = min(self.fewest, len(states(self.pool)))
            self._stop.wait(0.01)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert not self.failures, (len(self.failures), self.reads, self.failures[:3])
        assert self.fewest == len(THREE), "the view lost a node"


def test_calls_are_spread_and_a_killed_node_costs_reads_nothing(three: tuple[Fleet, Any]) -> None:
    made, _ = three
    pool = made.connect()
    eventually(lambda: all_up(pool))
    eventually(lambda: {pool.sync.query("main_db", WHO).meta["node"] for _ in range(9)} == set(THREE))
    assert pool.list_pools() == ["main_db"]
    with Reader(pool):
        made.nodes["n1"].kill()
        eventually(lambda: states(pool)["n1"] == "dead")
    eventually(lambda: states(pool) == {"n1": "dead", "n2": "up", "n3": "up"})
    made.add("n1")
    eventually(lambda: all_up(pool))
    eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])


def test_the_killed_leader_of_the_store_fails_no_read_and_takes_nobody_out(three: tuple[Fleet, Any]) -> None:
    made, members = three
    pool = made.connect()
    eventually(lambda: all_up(pool))
    with Reader(pool) as reader:
        leader = members.leader()
        leader.kill()
        before = reader.reads
        eventually(lambda: reader.reads > before + 100)
        # Who comes now is seen: the others elect a leader and go on.
        made.nodes["n1"].kill()
        made.add("n1")
        eventually(lambda: pool.sync.query("main_db", WHO).rows() == [("n1",)])
        eventually(lambda: all_up(pool))


def test_a_store_that_is_restarted_empties_no_view(single: tuple[Fleet, Any]) -> None:
    made, members = single
    pool = made.connect()
    eventually(lambda: all_up(pool))
    with Reader(pool):
        members.members[0].kill()
        eventually(lambda: status(pool)["last_error"])
        assert len(states(pool)) == len(THREE)
        members.start()
        eventually(lambda: not status(pool)["last_error"] and all_up(pool))


def test_a_store_that_lost_everything_empties_no_view_and_is_filled_anew(single: tuple[Fleet, Any]) -> None:
    made, members = single
    pool = made.connect()
    eventually(lambda: all_up(pool))
    with Reader(pool):
        members.wipe()
        eventually(lambda: not status(pool)["last_error"] and all_up(pool))
    # The nodes are in the new store: a new client finds them there.
    other = made.connect()
    eventually(lambda: all_up(other))


def test_a_pause_of_all_nodes_empties_no_view(single: tuple[Fleet, Any]) -> None:
    made, _ = single
    pool = made.connect()
    eventually(lambda: all_up(pool))
    for node in made.nodes.values():
        node.signal(signal.SIGSTOP)
    eventually(lambda: set(states(pool).values()) == {"frozen"})
    for node in made.nodes.values():
        node.signal(signal.SIGCONT)
    eventually(lambda: all_up(pool))
    assert pool.sync.query("main_db", WHO).meta["node"] in THREE


def test_a_node_that_ends_loses_no_call_and_is_gone(single: tuple[Fleet, Any]) -> None:
    made, _ = single
    pool = made.connect()
    eventually(lambda: all_up(pool))
    # A transaction keeps it until that was seen.
    with flightsql.connect(made.nodes["n1"].address, autocommit=False) as held, held.cursor() as cursor:
        cursor.execute(WHO)
        cursor.fetchall()
        made.nodes["n1"].signal(signal.SIGTERM)
        eventually(lambda: pool.sync.query("main_db", WHO) and states(pool)["n1"] == "draining")
    while made.nodes["n1"].process.poll() is None:
        pool.sync.query("main_db", WHO)
    assert made.nodes["n1"].end() == 0
    eventually(lambda: "n1" not in states(pool))


def refusal(pool: cenote.DistributedDatabasePool) -> str:
    """Why a call fails; at first that the store has not answered yet, if it is slow."""
    with pytest.raises(cenote.OperationalError) as caught:
        pool.sync.query("main_db", WHO, timeout=30)
    return str(caught.value)


def test_a_token_that_loses_its_rights_empties_no_view(tmp_path: pathlib.Path) -> None:
    consul = servers("consul")
    with consul.Consul(tmp_path / "consul", secure=True) as members:
        nodes, client = (consul.members.eventually(lambda: members.token(consul.RULES), "a token") for _ in range(2))
        discovery = {"type": "consul", "endpoint": members.endpoint, "ca": str(members.ca)}
        with fleet(tmp_path, {**discovery, "token": nodes}, *THREE):
            pool = cenote.DistributedDatabasePool("distributed", discovery={**discovery, "token": client})
            eventually(lambda: all_up(pool))
            accessor = members.call("GET", "acl/tokens")
            for token in accessor:
                read = members.call("GET", f"acl/token/{token['AccessorID']}")
                if read["SecretID"] == client:
                    members.call("DELETE", f"acl/token/{token['AccessorID']}")
            with Reader(pool):
                eventually(lambda: "discovery.token" in status(pool)["last_error"])
                assert len(states(pool)) == len(THREE)
            # Who comes with it now is told so.
            guest = cenote.DistributedDatabasePool("distributed", discovery={**discovery, "token": client})
            eventually(lambda: "discovery.token" in refusal(guest))
            assert client not in json.dumps(status(guest))
            # Without any token Consul shows an empty list, not an error.
            nobody = cenote.DistributedDatabasePool("distributed", discovery=discovery)
            eventually(lambda: "discovery.token" in refusal(nobody))


def test_the_yaml_of_the_design_takes_turns_among_nodes(tmp_path: pathlib.Path) -> None:
    text = (ROOT / "examples" / "distributed.yaml").read_text()
    assert 'endpoint: "consul:8500"' in text
    with store("consul", tmp_path, 1) as members:
        place = members.urls[0].removeprefix("http://")
        path = tmp_path / "client.yaml"
        path.write_text(text.replace("consul:8500", place))
        with fleet(tmp_path, {"type": "consul", "endpoint": place}, "n1", "n2"):
            pool = cenote.DistributedDatabasePool.from_yaml(path)
            eventually(lambda: len(states(pool)) == 2)

            def take_turns() -> bool:
                seen = [pool.sync.query("main_db", WHO).meta["node"] for _ in range(12)]
                return seen in (["n1", "n2"] * 6, ["n2", "n1"] * 6)

            # More than once, for a node whose heartbeat is late gets no call.
            assert any(take_turns() for _ in range(3)), "round_robin, as the file says"


def test_a_fixed_list_needs_no_store(tmp_path: pathlib.Path) -> None:
    alone = {"type": "static", "endpoint": "127.0.0.1:1", "pools": "main_db"}
    with fleet(tmp_path, alone, "n1", "n2") as made:
        places = ",".join(node.address.removeprefix("grpc://") for node in made.nodes.values())
        pool = cenote.DistributedDatabasePool("distributed", discovery={**alone, "endpoint": places})
        eventually(lambda: {pool.sync.query("main_db", WHO).rows()[0][0] for _ in range(4)} == {"n1", "n2"})
        made.nodes["n1"].kill()
        for _ in range(20):
            assert pool.sync.query("main_db", WHO).rows() == [("n2",)]


def test_without_a_store_the_error_says_so() -> None:
    for kind in ("consul", "etcd"):
        pool = cenote.DistributedDatabasePool("distributed", discovery={"type": kind, "endpoint": "127.0.0.1:1"})
        with pytest.raises(cenote.OperationalError, match=rf"{kind} 127\.0\.0\.1:1") as caught:
            pool.sync.query("main_db", "select 1", timeout=0.3)
        assert caught.value.retryable


def test_without_discovery_the_error_says_what_to_write() -> None:
    with pytest.raises(cenote.ConfigError, match="discovery is missing"):
        cenote.DistributedDatabasePool(mode=cenote.DeploymentMode.FULL_DISTRIBUTED)
