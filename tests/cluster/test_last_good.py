"""A node keeps the configuration that it applied last, and begins with it when its coordinator is away."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
from processes import PROGRAM, Cluster, Process, cluster, eventually, free_port, prepare_node, start_node
from stores import store


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as made:
        yield made


def pools(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/status", timeout=30) as answer:
        return [pool["pool_id"] for pool in json.load(answer)["pools"]]


def put(made: Cluster, version: int, pool: str) -> None:
    database = str(made.folder / f"{pool}.db")
    content = {"deployment": {"pools": [{"id": pool, "type": "sqlite", "config": {"database": database}}]}}
    request = urllib.request.Request(
        f"{made.url}/v1/config/default",
        method="PUT",
        headers={"If-Match": f'"{version - 1}"', "Content-Type": "application/json"},
        data=json.dumps({"content": json.dumps(content)}).encode(),
    )
    urllib.request.urlopen(request, timeout=30).close()


def applied(made: Cluster) -> int:
    with urllib.request.urlopen(f"{made.url}/v1/nodes", timeout=30) as answer:
        nodes = json.load(answer)["nodes"]
    return max((int(node["config_version"]) for node in nodes), default=0)


def given(made: Cluster, port: int) -> None:
    """A node that has a configuration of its coordinator; then both are gone."""
    made.add("n1", admin={"listen": f"127.0.0.1:{port}"})
    assert pools(port) == ["main_db"]
    put(made, 1, "given")
    eventually(lambda: pools(port) == ["given"])
    eventually(lambda: applied(made) == 1)
    assert (made.folder / "n1.last-good").stat().st_mode & 0o777 == 0o600
    assert made.nodes["n1"].end() == 0
    made.coordinator.kill()


def again(made: Cluster, port: int) -> str:
    """The node, started anew; what it logged since."""
    log = made.folder / "n1.log"
    before = len(log.read_text())
    made.add("n1", admin={"listen": f"127.0.0.1:{port}"})
    return log.read_text()[before:]


def test_a_node_begins_with_its_last_good_configuration_while_the_coordinator_is_away(made: Cluster, port: int) -> None:
    listen = made.url.split("://")[1]
    given(made, port)
    assert "begins with the last good configuration 1" in again(made, port)
    assert pools(port) == ["given"]
    made.nodes["n1"].signal(signal.SIGHUP)
    eventually(
        lambda: (
            "not reloaded: the pools are those of configuration 1 of the coordinator"
            in made.nodes["n1"].log.read_text()
        )
    )
    assert pools(port) == ["given"]
    made.start_coordinator(listen)
    eventually(lambda: applied(made) == 1)
    put(made, 2, "newer")
    eventually(lambda: pools(port) == ["newer"])


def test_a_damaged_file_is_not_used_and_said_so(made: Cluster, port: int) -> None:
    given(made, port)
    file = made.folder / "n1.last-good"
    file.write_bytes(file.read_bytes().replace(b"given", b"taken"))
    log = again(made, port)
    assert "is damaged" in log and "begins with the pools of its own file" in log
    assert pools(port) == ["main_db"]


def test_a_coordinator_with_another_line_of_versions_has_its_own_content_applied(made: Cluster, port: int) -> None:
    given(made, port)
    (made.folder / "coordinator.db").unlink()
    for left in made.folder.glob("coordinator.db-*"):
        left.unlink()
    made.start_coordinator("127.0.0.1:0")
    put(made, 1, "other")
    again(made, port)
    eventually(lambda: pools(port) == ["other"])


@pytest.mark.parametrize("kind", ["etcd", "consul"])
def test_a_node_begins_with_it_while_its_store_is_away_and_takes_newer_ones_later(
    kind: str, tmp_path: pathlib.Path, port: int
) -> None:
    def start() -> Process:
        deployment: dict[str, object] = {"mode": "distributed", "discovery": discovery}
        prepare_node(tmp_path, "n1", deployment, admin={"listen": f"127.0.0.1:{port}"})
        return start_node(tmp_path, "n1")

    def apply(pool: str) -> None:
        database = str(tmp_path / f"{pool}.db")
        content = {"deployment": {"pools": [{"id": pool, "type": "sqlite", "config": {"database": database}}]}}
        (tmp_path / "new.yaml").write_text(json.dumps(content))
        command = [PROGRAM, "config", "apply", "new.yaml", "--yes", "-c", "n1.yaml"]
        # More than once, if the store stands still for the second in which it is to answer.
        eventually(lambda: subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60).returncode == 0)

    with store(kind, tmp_path, 1) as members:
        discovery = {"type": kind, "endpoint": members.endpoint, "cluster": "test"}
        node = start()
        try:
            assert pools(port) == ["main_db"]
            apply("given")
            eventually(lambda: pools(port) == ["given"])
            assert node.end() == 0
            members.members[0].kill()
            node = start()
            assert pools(port) == ["given"]
            node.signal(signal.SIGHUP)
            eventually(lambda: f"the pools are those of configuration 1 of {kind}" in node.log.read_text())
            members.start()
            apply("newer")
            eventually(lambda: pools(port) == ["newer"])
        finally:
            node.end()
