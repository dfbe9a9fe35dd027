"""A coordinator and nodes as real processes on loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import cenote

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = str(ROOT / "build" / "bin" / "cenote")


def servers(name: str) -> ModuleType:
    """The module tests/servers/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"cenote_{name}", ROOT / "tests" / "servers" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port() -> int:
    """Free again when its server, which a test ends and starts, comes back."""
    return int(servers("members").free_port(["127.0.0.1"]))


class Process:
    """One `cenote` process that prints its address when it serves."""

    def __init__(self, folder: pathlib.Path, name: str, *arguments: str) -> None:
        self.log = folder / f"{name}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, f"{name} did not start: {self.log.read_text()}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGSTOP; waits until none of its threads runs."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def kill(self) -> None:
        """SIGKILL; waits for its end."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(60)
        finally:
            self.kill()


def eventually(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Waits, bounded, for what another process brings about."""
    end = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return got


def start_node(folder: pathlib.Path, name: str) -> Process:
    """By its file in the folder, which prepare_node wrote."""
    return Process(folder, name, "node", "-c", str(folder / f"{name}.yaml"))


def prepare_node(
    folder: pathlib.Path,
    name: str,
    deployment: dict[str, object],
    pool: dict[str, object] | None = None,
    **server: object,
) -> None:
    """The file of a node that serves `main_db`: `pool`, or a database of its own whose table `who` says its name."""
    database = folder / f"{name}.db"
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("create table if not exists who (name text)")
        if not made.execute("select * from who").fetchall():
            made.execute("insert into who values (?)", [name])
        made.commit()
    config = {
        "deployment": {
            **deployment,
            "node": {"id": name, "state_dir": str(folder)},
            "pools": [{"id": "main_db", **(pool or {"type": "sqlite", "config": {"database": str(database)}})}],
        },
        "server": {"flight": {"listen": "127.0.0.1:0"}, **server},
    }
    (folder / f"{name}.yaml").write_text(json.dumps(config))


def coordinated(url: str, **settings: Any) -> cenote.DistributedDatabasePool:
    """A client of the nodes of these coordinators."""
    return cenote.DistributedDatabasePool(
        mode=cenote.DeploymentMode.COORDINATED, coordinator_url=url, load_balancer="round_robin", **settings
    )


class Cluster:
    """A coordinator and nodes that each serve `main_db`, a database whose table `who` says the node's name."""

    def __init__(self, folder: pathlib.Path, **coordinator: object) -> None:
        self.folder = folder
        self.nodes: dict[str, Process] = {}
        self.settings = folder / "coordinator.yaml"
        self.settings.write_text(json.dumps({"coordinator": coordinator}))
        self.start_coordinator(f"127.0.0.1:{free_port()}")

    @property
    def url(self) -> str:
        return self.coordinator.address

    def start_coordinator(self, listen: str) -> None:
        given = ["-c", str(self.settings), "--listen", listen, "--state", str(self.folder / "coordinator.db")]
        self.coordinator = Process(self.folder, "coordinator", "coordinator", *given)

    def connect(self, **settings: Any) -> cenote.DistributedDatabasePool:
        return coordinated(self.url, **settings)

    def add(self, name: str, pool: dict[str, object] | None = None, **settings: object) -> Process:
        """`pool`: its type and config, in place of a database of the node's own."""
        deployment: dict[str, object] = {"mode": "coordinated", "coordinator": {"endpoint": self.url}}
        prepare_node(self.folder, name, deployment, pool, **settings)
        return self.restart(name)

    def restart(self, name: str) -> Process:
        """A node that was added before and has ended, as it was."""
        self.nodes[name] = start_node(self.folder, name)
        return self.nodes[name]

    def end(self) -> None:
        for process in [*self.nodes.values(), self.coordinator]:
            process.end()


@contextlib.contextmanager
def cluster(
    folder: pathlib.Path, *names: str, pool: dict[str, object] | None = None, **coordinator: object
) -> Iterator[Cluster]:
    """`pool` is every node's, `coordinator` the coordinator's settings."""
    made = Cluster(folder, **coordinator)
    try:
        for name in names:
            made.add(name, pool)
        yield made
    finally:
        made.end()
