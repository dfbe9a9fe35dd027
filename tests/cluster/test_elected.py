"""Several coordinators on one store: one leads, another follows it, and who led before writes nothing."""

from __future__ import annotations

import itertools
import json
import pathlib
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import cenote
import elected
import outages
import pytest
from elected import Coordinators, config, coordinators, registration, steady
from processes import PROGRAM, eventually
from stores import servers, store

THREE = ("n1", "n2", "n3")


@pytest.fixture(params=["etcd", "consul"])
def two(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Coordinators]:
    """Two coordinators on a store of three members; nodes that the test plays die late."""
    patient = {"suspect_after": "50s", "dead_after": "60s"}
    with (
        store(request.param, tmp_path, 3) as members,
        coordinators(tmp_path, request.param, members.endpoint, cluster="test", **patient) as made,
    ):
        yield made


def put(coordinator: elected.Coordinator, number: int, seen: int) -> int:
    return coordinator.call("PUT", "/v1/config/default", config(number), If_Match=f'"{seen}"').status


def begin(leader: elected.Coordinator, _: elected.Coordinator) -> Any:
    """It has a version and a node; what the node was told."""
    if leader.call("GET", "/v1/config/default").status == 404:
        assert put(leader, 1, 0) == 201
    registered = leader.call("POST", "/v1/nodes", registration("n1"))
    assert registered.status == 201
    return registered.body


def answers_reads_and_sends_the_rest_on(leader: elected.Coordinator, standby: elected.Coordinator) -> None:
    eventually(lambda: standby.call("GET", "/readyz").status == 200)
    eventually(lambda: standby.call("GET", "/v1/config/default").status == 200)
    read = standby.call("GET", "/v1/config/default")
    assert read.body["content"] == config(1)["content"]
    assert (read.headers["Cenote-Stale"], read.headers["Cenote-Leader"]) == ("true", leader.url)
    assert read.body["term"] == leader.call("GET", "/v1/config/default").body["term"]
    eventually(lambda: [n["node_id"] for n in standby.call("GET", "/v1/nodes").body["nodes"]] == ["n1"])
    assert standby.call("GET", "/v1/nodes").body["provisional"]
    sent_on = standby.call("PUT", "/v1/config/default?x=1", config(2), If_Match='"1"')
    assert (sent_on.status, sent_on.headers["Location"]) == (307, f"{leader.url}/v1/config/default?x=1")
    assert leader.url in sent_on.body["detail"]
    for method, path in (
        ("POST", "/v1/nodes"),
        ("PUT", "/v1/nodes/n1/heartbeat"),
        ("GET", "/v1/watch?from=1.1"),
        ("GET", "/metrics"),
    ):
        answer = standby.call(method, path, {} if method != "GET" else None)
        assert (answer.status, answer.headers["Location"]) == (307, leader.url + path)
    assert standby.call("GET", "/healthz").status == 200
    assert [each["version"] for each in leader.call("GET", "/v1/config/default/history").body["versions"]] == [1]


def test_a_standby_answers_reads_and_sends_the_rest_to_the_leader(two: Coordinators) -> None:
    steady(two, begin)
    steady(two, answers_reads_and_sends_the_rest_on)


def test_a_killed_leader_is_followed_and_all_it_kept_is_there(two: Coordinators) -> None:
    registered = steady(two, begin)
    killed, beats = two.leader(), itertools.count(9)
    killed.process.kill()

    def has_all(leader: elected.Coordinator, _: elected.Coordinator) -> None:
        assert leader is not killed
        nodes = leader.call("GET", "/v1/nodes")
        assert "Cenote-Stale" not in nodes.headers
        assert nodes.body["provisional"]
        assert [(n["node_id"], n["state"]) for n in nodes.body["nodes"]] == [("n1", "up")]
        assert nodes.body["term"] > registered["term"]
        if leader.call("GET", "/v1/config/default").body["version"] == 1:
            assert put(leader, 2, 1) == 201
        # The lease of the node goes on with the new one.
        beat = {"node_id": "n1", "incarnation": 1, "lease": registered["lease"], "seq": next(beats), "pools": []}
        assert leader.call("PUT", "/v1/nodes/n1/heartbeat", beat).status == 200

    steady(two, has_all)

    def leads_on() -> bool:
        """Whether the lead stays where it is when the other comes back."""
        leader, other = two.leader(), two.standby()
        other.process.kill()
        other.start()
        eventually(lambda: other.call("POST", "/v1/nodes", {}).status == 307 or other.leads())
        return leader.leads()

    # More than once, for a leader that stands still loses the lead.
    assert any(leads_on() for _ in range(3))


def test_leaders_that_are_killed_lose_no_acknowledged_version_and_fork_none(two: Coordinators) -> None:
    versions, done = elected.Versions(), threading.Event()
    writer = threading.Thread(target=versions.write, args=(two, done))
    writer.start()
    try:
        for _ in range(3):
            before = len(versions.acknowledged)
            eventually(lambda before=before: len(versions.acknowledged) > before + 3, 60)
            leader = two.leader()
            leader.process.kill()
            before = len(versions.acknowledged)
            eventually(lambda before=before: len(versions.acknowledged) > before, 60)
            leader.start()
    finally:
        done.set()
        writer.join()
    assert len(versions.terms) >= 4

    def has_all(leader: elected.Coordinator, _: elected.Coordinator) -> None:
        assert versions.judge(leader) == {"lost": 0, "forked": 0, "falling": False}
        assert leader.call("GET", "/v1/audit/verify").body["whole"] is True

    steady(two, has_all)


def test_a_leader_that_stood_still_writes_nothing_when_it_goes_on(two: Coordinators) -> None:
    taken, _ = elected.zombie_writes(two, 20)
    assert taken == 0


def test_a_leader_that_is_told_to_end_is_followed_at_once(two: Coordinators) -> None:
    leader, standby = two.leader(), two.standby()
    assert leader.process.end() == 0
    eventually(standby.leads)
    leader.start()


@pytest.mark.parametrize("kind", ["etcd", "consul"])
async def test_a_store_without_its_leader_fails_no_read(tmp_path: pathlib.Path, kind: str) -> None:
    with (
        store(kind, tmp_path, 3) as members,
        coordinators(tmp_path, kind, members.endpoint, *THREE, cluster="test") as made,
    ):

        async def fault() -> None:
            members.leader().kill()

        reads = await outages.reads_during(made, 8, fault)
        assert reads.errors == []
        assert reads.count == 8 * 200
        # The coordinators go on with the members that are left.
        eventually(lambda: elected.takes_writes(made.leader(), "n9"), 60)


def states(pool: cenote.DistributedDatabasePool) -> dict[str, str]:
    status = pool.cluster_status()
    assert status is not None
    return {node["id"]: node["state"] for node in status["nodes"]}


class Watched:
    """A client's view, and what the coordinators list, which must never be without one of the nodes."""

    def __init__(self, made: Coordinators) -> None:
        self.made, self.fewest = made, len(THREE)
        self.pool = made.connect()
        eventually(lambda: states(self.pool) == dict.fromkeys(THREE, "up"))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.fewest = min(self.fewest, len(states(self.pool)))
            self._stop.wait(0.02)

    def all_up(self) -> bool:
        status: Any = self.pool.cluster_status()
        return states(self.pool) == dict.fromkeys(THREE, "up") and not status["last_error"]

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.fewest == len(THREE), "the view lost a node"


@pytest.mark.parametrize("kind", ["etcd", "consul"])
def test_a_store_that_is_restarted_or_wiped_and_nodes_that_pause_empty_no_view(
    tmp_path: pathlib.Path, kind: str
) -> None:
    with (
        store(kind, tmp_path, 1) as members,
        coordinators(tmp_path, kind, members.endpoint, *THREE, cluster="test") as made,
        Watched(made) as watched,
    ):
        members.members[0].kill()
        eventually(lambda: not any(each.leads() for each in made.all), 60)
        members.start()
        made.leader()
        eventually(watched.all_up, 60)
        term = made.term()
        members.wipe()
        eventually(lambda: made.term() > term)
        # The nodes are in the new store: whoever leads next has them.
        eventually(lambda: len(made.listed().get("nodes", [])) == len(THREE))
        eventually(watched.all_up, 60)
        for node in made.nodes.values():
            node.signal(signal.SIGSTOP)
        eventually(lambda: "frozen" in states(watched.pool).values(), 60)
        for node in made.nodes.values():
            node.signal(signal.SIGCONT)
        eventually(watched.all_up, 60)


def test_a_coordinator_whose_token_loses_its_rights_empties_no_view_and_says_so(tmp_path: pathlib.Path) -> None:
    consul = servers("consul")
    with consul.Consul(tmp_path / "consul", secure=True) as members:
        token = consul.members.eventually(lambda: members.token(consul.RULES), "a token")
        secret = {"token": token, "ca": str(members.ca)}
        with coordinators(tmp_path, "consul", members.endpoint, *THREE, store=secret) as made, Watched(made) as watched:
            for each in members.call("GET", "acl/tokens"):
                if members.call("GET", f"acl/token/{each['AccessorID']}")["SecretID"] == token:
                    members.call("DELETE", f"acl/token/{each['AccessorID']}")
            eventually(lambda: not any(each.leads() for each in made.all), 60)
            eventually(lambda: any("coordinator.store.token" in each.process.log.read_text() for each in made.all))
            assert token not in "".join(each.process.log.read_text() for each in made.all)
            assert watched.pool.sync.query("main_db", "select name from who").meta["node"] in THREE


def test_a_shared_store_must_be_named_and_the_others_told_where_one_is(tmp_path: pathlib.Path) -> None:
    def refusal(settings: dict[str, Any]) -> str:
        file = tmp_path / "wrong.yaml"
        file.write_text(json.dumps({"coordinator": settings}))
        ran = subprocess.run([PROGRAM, "coordinator", "-c", file], capture_output=True, text=True, timeout=30)
        assert ran.returncode == 3
        return ran.stderr

    assert "needs a type and an endpoint" in refusal({"store": {"type": "etcd"}, "listen": "127.0.0.1:8080"})
    etcd = {"type": "etcd", "endpoint": "etcd:2379"}
    assert "needs a port of its own" in refusal({"store": etcd, "listen": "127.0.0.1:0"})
    secure = {"tls": {"certificate": "a", "key": "b"}, "tokens": [{"name": "o", "role": "operator", "token": "x" * 40}]}
    assert "coordinator.advertise" in refusal({"store": etcd, "listen": "0.0.0.0:8080", **secure})
