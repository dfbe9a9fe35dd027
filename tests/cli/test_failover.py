"""`cenote failover`, with a real etcd: what it writes, the processes of the cluster follow."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import cenote
import pytest
from program import Run

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cluster"))

from processes import eventually
from stores import store


def configuration(folder: pathlib.Path, **deployment: object) -> pathlib.Path:
    pools = []
    for name in ("a", "b"):
        with sqlite3.connect(folder / f"{name}.db") as base:
            base.execute("create table if not exists t (place text)")
        base.close()
        pools.append({"id": name, "type": "sqlite", "config": {"database": str(folder / f"{name}.db")}})
    failover = {"strategy": "active_standby", "primary": "a", "backup": "b"}
    file = folder / "cenote.yaml"
    file.write_text(json.dumps({"deployment": {**deployment, "failover": failover, "pools": pools}}))
    return file


@pytest.fixture
def clustered(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    with store("etcd", tmp_path, 1) as members:
        discovery = {"type": "etcd", "endpoint": members.endpoint, "cluster": "test"}
        yield configuration(tmp_path, mode="distributed", discovery=discovery)


PATIENT = ("--timeout", "30s")


def switched(done: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[bytes] | None:
    return done if done.returncode == 0 or b"is the active target already" in done.stderr else None


def test_processes_follow_what_it_decides(run: Run, clustered: pathlib.Path) -> None:
    pool = cenote.DistributedDatabasePool.from_yaml(clustered)
    try:
        eventually(lambda: pool.failover_status()[0]["state"] == "active")

        tried = run("failover", "--dry-run", "-o", "json", *PATIENT)
        assert tried.returncode == 0, tried.stderr
        told = json.loads(tried.stdout)
        assert (told["pool_id"], told["from"], told["to"], told["epoch"], told["dry_run"]) == ("a", "a", "b", 0, True)
        assert [target["state"] for target in told["targets"]] == ["writable", "writable"]
        assert b"would switch from 'a' to 'b'" in run("failover", "--dry-run", *PATIENT).stdout

        # Tried again if the store did not answer in time, and done already if its answer alone came late.
        done = eventually(lambda: switched(run("failover", "--to", "b", *PATIENT)))
        assert done.returncode != 0 or b"switched from 'a' to 'b' by epoch 1" in done.stdout
        eventually(lambda: pool.failover_status()[0]["active"] == "b")
        assert pool.sync.query("a", "select * from t").meta["target"] == "b"
        assert pool.failover_status()[0]["epoch"] == 1
        assert any("an operator asked for it" in event for event in pool.failover_status()[0]["events"])
    finally:
        pool.sync.close()


def test_it_says_why_not(run: Run, clustered: pathlib.Path) -> None:
    for arguments, why in [
        (("--to", "a"), b"'a' is the active target already"),
        (("--to", "elsewhere"), b"there is no target 'elsewhere'; there are: a, b"),
        (("-p", "other"), b"no failover strategy stands for a pool 'other'; there are: a"),
    ]:
        refused = run("failover", *arguments, *PATIENT)
        assert refused.returncode != 0
        assert why in refused.stderr, refused.stderr
    assert b'"epoch": 0' in run("failover", "--dry-run", "-o", "json", *PATIENT).stdout


def test_without_its_store_it_switches_nothing(run: Run, tmp_path: pathlib.Path) -> None:
    configuration(
        tmp_path, mode="distributed", discovery={"type": "etcd", "endpoint": "127.0.0.1:1", "cluster": "test"}
    )
    refused = run("failover", "--timeout", "4s")
    assert refused.returncode == 4
    assert b"nothing was switched: etcd (127.0.0.1:1) does not answer" in refused.stderr, refused.stderr


def test_where_processes_decide_for_themselves_it_says_what_to_do(run: Run, tmp_path: pathlib.Path) -> None:
    configuration(tmp_path)
    refused = run("failover")
    assert refused.returncode == 2
    assert b"in mode standalone each process decides for itself" in refused.stderr
    assert b"DistributedPoolManager::failover()" in refused.stderr
