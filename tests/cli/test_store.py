"""The verbs about a cluster that meets in a store: the same words as with a coordinator."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import pathlib
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from program import PROGRAM, ROOT, Run


def ensemble(kind: str, folder: pathlib.Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"cenote_{kind}", ROOT / "tests" / "servers" / f"{kind}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return (module.Etcd if kind == "etcd" else module.Consul)(folder / kind)


NODES = ("n1", "n2")


@contextlib.contextmanager
def node(folder: pathlib.Path, name: str, discovery: dict[str, str]) -> Iterator[None]:
    """One that serves `main_db`, and writes to NAME.log."""
    config = {
        "deployment": {
            "mode": "distributed",
            "discovery": discovery,
            "node": {"id": name, "state_dir": str(folder)},
            "pools": [{"id": "main_db", "type": "sqlite", "config": {"database": str(folder / "shop.db")}}],
        },
        "server": {"flight": {"listen": "127.0.0.1:0"}},
    }
    (folder / f"{name}.yaml").write_text(json.dumps(config))
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAM, "node", "-c", str(folder / f"{name}.yaml")], stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("grpc://"), (folder / f"{name}.log").read_text()
        yield
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()


@pytest.fixture(params=["etcd", "consul"])
def cluster(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """Two nodes with a pool `main_db`; cenote.yaml of the working directory names the store."""
    with ensemble(request.param, tmp_path) as members, contextlib.ExitStack() as nodes:
        discovery = {"type": request.param, "endpoint": members.endpoint, "cluster": "test", "stage_hold": "200ms"}
        (tmp_path / "cenote.yaml").write_text(
            json.dumps({"deployment": {"mode": "distributed", "discovery": discovery}})
        )
        with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
            shop.executescript("create table t (i integer); insert into t values (7);")
        for name in NODES:
            nodes.enter_context(node(tmp_path, name, discovery))
        yield request.param


def late(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether the store did not answer within its second, because it stood still."""
    return b"took too long" in done.stderr


@pytest.fixture
def run(run: Run) -> Run:
    """Asks such a store again, but for what could be done twice."""

    def call(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        done = run(*arguments)
        twice = arguments[:2] in (("config", "apply"), ("config", "rollback")) and "--if-match" not in arguments
        while late(done) and not twice:
            done = run(*arguments)
        return done

    return call


def changed(done: subprocess.CompletedProcess[bytes], told: bytes = b"") -> None:
    """It did what it was told to and says so; or it did, and nobody told it."""
    assert late(done) or (done.returncode == 0 and told in done.stdout), (done.stdout, done.stderr)


def read(run: Run, *arguments: str) -> Any:
    ran = run(*arguments, "-o", "json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def eventually(condition: Callable[[], Any]) -> Any:
    """Waits, bounded, for what other processes bring about."""
    end = time.monotonic() + 60
    while not (got := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return got


def members(run: Run) -> list[dict[str, Any]]:
    def all_there() -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = read(run, "members")["nodes"]
        return nodes if len(nodes) == len(NODES) else []

    found: list[dict[str, Any]] = eventually(all_there)
    return found


def states(run: Run) -> dict[str, str]:
    return {each["node_id"]: each["state"] for each in members(run)}


def limits(run: Run) -> list[tuple[int, int]]:
    """Of each node the version that it has, and its pool's connections, which its next heartbeat tells."""
    return [(each["config_version"], each["pools"][0]["max"]) for each in members(run)]


def test_members_pools_status_and_queries_ask_the_store(cluster: str, run: Run) -> None:
    eventually(lambda: states(run) == dict.fromkeys(NODES, "up"))
    (pool,) = read(run, "pools")
    assert (pool["pool_id"], [each["node_id"] for each in pool["instances"]]) == ("main_db", list(NODES))
    assert b"main_db" in run("status").stdout
    asked = run("query", "-p", "main_db", "select i from t", "-o", "csv")
    assert asked.stdout.splitlines()[-1].strip() == b"7", asked.stderr
    refused = run("backup", "state.db")
    assert refused.returncode != 0
    assert b"needs a coordinator" in refused.stderr


def test_a_drained_node_finishes_what_it_has_and_takes_nothing_new_until_it_is_called_back(
    cluster: str, run: Run
) -> None:
    members(run)
    drained = run("drain", "n1", "--yes", "--wait")
    assert drained.returncode == 0, drained.stderr
    assert b"is drained: it may be stopped" in drained.stdout
    eventually(lambda: states(run) == {"n1": "draining", "n2": "up"})
    for _ in range(4):
        assert read(run, "query", "-p", "main_db", "select i from t") == [{"i": 7}]
    assert run("undrain", "n1", "--yes").returncode == 0
    eventually(lambda: members(run)[0]["state"] == "up")


def write(folder: pathlib.Path, connections: int, database: str = "shop.db") -> str:
    pool = {"id": "main_db", "type": "sqlite", "config": {"database": str(folder / database)}}
    pool["pool"] = {"max_connections": connections}
    (folder / "new.yaml").write_text(json.dumps({"deployment": {"pools": [pool]}}, indent=1))
    return str(folder / "new.yaml")


def test_a_configuration_is_applied_shown_and_taken_back(cluster: str, run: Run, tmp_path: pathlib.Path) -> None:
    members(run)
    assert b"no configuration yet" in run("config", "history").stdout
    changed(run("config", "apply", write(tmp_path, 5), "--yes", "--wait"), b"every node has version 1")
    eventually(lambda: limits(run) == [(1, 5)] * 2)
    changed(run("config", "apply", write(tmp_path, 6), "--yes", "--wait"))
    shown = run("config", "diff").stdout
    assert b'-     "max_connections": 5' in shown
    assert b'+     "max_connections": 6' in shown
    # Somebody else was faster.
    stale = run("config", "apply", write(tmp_path, 9), "--yes", "--if-match", "1")
    assert stale.returncode != 0
    assert b"nothing was changed" in stale.stderr, stale.stderr
    changed(run("config", "rollback", "--yes", "--wait"))
    eventually(lambda: limits(run) == [(3, 5)] * 2)
    versions = read(run, "config", "history")["versions"]
    assert [(each["version"], each["reason"]) for each in versions] == [(3, "back to version 1"), (2, ""), (1, "")]
    wrong = run("config", "apply", write(tmp_path, 0), "--yes")
    assert wrong.returncode == 3
    assert b"max_connections" in wrong.stderr


def test_a_configuration_that_the_first_node_refuses_reaches_no_other_and_is_taken_back(
    cluster: str, run: Run, tmp_path: pathlib.Path
) -> None:
    members(run)
    changed(run("config", "apply", write(tmp_path, 5), "--yes", "--wait"))
    refused = run("config", "apply", write(tmp_path, 6, "${env:CENOTE_IS_NOT_SET}"), "--yes", "--wait")
    assert refused.returncode != 0
    versions = eventually(lambda: [v for v in [read(run, "config", "history")["versions"]] if len(v) == 3])[0]
    assert versions[0]["reason"].startswith("back to version 1: node 'n1' rejected it")
    eventually(lambda: limits(run) == [(3, 5)] * 2)
    assert "configuration 2" in (tmp_path / "n1.log").read_text()
    assert "configuration 2 was refused" not in (tmp_path / "n2.log").read_text(), "it never came there"


def test_a_fixed_list_is_shown_and_keeps_nothing(run: Run, tmp_path: pathlib.Path) -> None:
    discovery = {"type": "static", "endpoint": "db1:8815, db2:8815", "pools": "main_db"}
    (tmp_path / "cenote.yaml").write_text(json.dumps({"deployment": {"mode": "distributed", "discovery": discovery}}))
    shown = [(each["node_id"], each["state"], each["location"]) for each in read(run, "members")["nodes"]]
    assert shown == [("db1:8815", "up", "grpc://db1:8815"), ("db2:8815", "up", "grpc://db2:8815")]
    (pool,) = read(run, "pools")
    assert (pool["pool_id"], len(pool["instances"])) == ("main_db", 2)
    status = run("status")
    assert status.returncode == 0, status.stderr
    assert b"2 of 2" in status.stdout
    for needs_a_store in (
        ("drain", "db1:8815", "--yes"),
        ("config", "history"),
        ("config", "diff"),
        ("config", "apply", write(tmp_path, 5), "--yes"),
        ("config", "rollback", "1", "--yes"),
    ):
        refused = run(*needs_a_store)
        assert refused.returncode == 3, refused.stderr
        assert b"discovery.type static is a fixed list" in refused.stderr
