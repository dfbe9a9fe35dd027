"""`cenote dev up`: a cluster that works, and of which nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from program import PROGRAM, Run


@dataclass
class Cluster:
    process: subprocess.Popen[str]
    told: str
    folder: pathlib.Path  # that TMPDIR was

    @property
    def yaml(self) -> str:
        return str(next(self.folder.glob("cenote-dev-*/cenote.yaml")))

    @property
    def url(self) -> str:
        return next(line.split()[1] for line in self.told.splitlines() if line.startswith("coordinator"))


def processes(folder: pathlib.Path) -> list[int]:
    """Of the cluster: their command lines name files in the folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def wait_until_gone(folder: pathlib.Path) -> None:
    deadline = time.monotonic() + 60
    while processes(folder) or list(folder.iterdir()):
        assert time.monotonic() < deadline, (processes(folder), list(folder.iterdir()))
        time.sleep(0.05)


@contextlib.contextmanager
def up(folder: pathlib.Path) -> Iterator[Cluster]:
    folder.mkdir()
    process = subprocess.Popen(
        [PROGRAM, "dev", "up"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        told = ""
        for line in process.stdout:
            told += line
            if line.startswith("Ctrl-C"):
                break
        assert "Ctrl-C" in told, f"it did not start: {told}"
        yield Cluster(process, told, folder)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_two_nodes_and_the_shop_are_there(run: Run, tmp_path: pathlib.Path) -> None:
    with up(tmp_path / "tmp") as cluster:
        assert len(processes(cluster.folder)) == 3
        deadline = time.monotonic() + 30
        states: dict[str, str] = {}
        while states != {"node-1": "up", "node-2": "up"}:
            assert time.monotonic() < deadline, states
            done = run("members", "--coordinator", cluster.url, "-o", "json")
            assert done.returncode == 0, done.stderr
            nodes = json.loads(done.stdout)["nodes"]
            states = {node["node_id"]: node["state"] for node in nodes}
        assert [pool["max"] for node in nodes for pool in node["pools"]] == [8, 8]
        sql = "select (select count(*) from customers) as customers, (select count(*) from orders) as orders"
        done = run("query", "-c", cluster.yaml, "-p", "shop", "-o", "csv", sql)
        assert done.stdout == b"customers,orders\n2000,100000\n", done.stderr
        drained = run("drain", "node-1", "--yes", "--wait", "-c", cluster.yaml)
        assert drained.returncode == 0 and b"is drained" in drained.stdout, drained.stderr
        assert run("query", "-c", cluster.yaml, "-p", "shop", "select 1").returncode == 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_after_a_signal(tmp_path: pathlib.Path, ending: signal.Signals) -> None:
    with up(tmp_path / "tmp") as cluster:
        cluster.process.send_signal(ending)
        assert cluster.process.wait(60) == 0
        assert processes(cluster.folder) == [] and list(cluster.folder.iterdir()) == []


def test_nothing_is_left_when_it_is_killed(tmp_path: pathlib.Path) -> None:
    with up(tmp_path / "tmp") as cluster:
        cluster.process.kill()
        wait_until_gone(cluster.folder)


def test_it_goes_on_without_a_node_that_is_killed(run: Run, tmp_path: pathlib.Path) -> None:
    with up(tmp_path / "tmp") as cluster:
        victim = next(
            pid
            for pid in processes(cluster.folder)
            if b"node-1.yaml" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        os.kill(victim, signal.SIGKILL)
        assert run("members", "--coordinator", cluster.url).returncode == 0
        assert cluster.process.poll() is None


def test_a_port_that_is_taken_is_named_and_nothing_is_left(tmp_path: pathlib.Path) -> None:
    with up(tmp_path / "one") as cluster:
        other = tmp_path / "two"
        other.mkdir()
        port = cluster.url.rsplit(":", 1)[1]
        done = subprocess.run(
            [PROGRAM, "dev", "up", "--port", port],
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": str(other)},
            timeout=60,
            check=False,
        )
        assert done.returncode == 1 and port in done.stderr
        assert processes(other) == [] and list(other.iterdir()) == []
