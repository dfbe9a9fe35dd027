"""Processes on machines that are network namespaces: stores, nodes, whatever else; all end together."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from network import Network
from processes import PROGRAM, eventually

NODES = ("n1", "n2", "n3")
# Only who is on a machine can ask what listens there.
ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], b'{}', timeout=10).read().decode())"
USER, PASSWORD = "app", "partition"  # of the nodes, which live as long as a test


def certificates(folder: pathlib.Path, addresses: Sequence[str]) -> None:
    """ca.crt, node.crt and node.key: without TLS no node listens where others reach it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, cwd=folder, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=cenote test", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *key, "-subj", "/CN=node", "-keyout", "node.key", "-out", "node.csr")
    names = ",".join(f"IP:{address}" for address in addresses)
    (folder / "extensions").write_text(f"subjectAltName={names}\n")
    openssl("x509", "-req", "-in", "node.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", "node.crt")  # fmt: skip


def own_database(folder: pathlib.Path, name: str) -> dict[str, Any]:
    """A pool of one machine alone, whose table `who` says its name; `written` is for who writes."""
    database = folder / f"{name}.db"
    with contextlib.closing(sqlite3.connect(database)) as made:
        made.execute("create table who (name text)")
        made.execute("insert into who values (?)", [name])
        made.execute("create table written (row integer)")
        made.commit()
    return {"type": "sqlite", "config": {"database": str(database)}}


class Machines:
    """A process on each machine that has one."""

    def __init__(self, folder: pathlib.Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.network = Network(names)
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.stores: list[str] = []
        self._commands: dict[str, list[str]] = {}
        try:
            certificates(folder, list(self.network.addresses.values()))
            self.start()
        except BaseException:
            self.end()
            raise

    def start(self) -> None:
        """Whatever shall run."""

    def run(self, name: str, *command: str) -> None:
        self._commands[name] = self.network.command(name, *command)
        self.again(name)

    def again(self, name: str) -> None:
        """The command of a machine whose process has ended."""
        with (self.folder / f"{name}.log").open("a") as log, (self.folder / f"{name}.out").open("a") as out:
            self.processes[name] = subprocess.Popen(
                self._commands[name], stdin=subprocess.PIPE, stdout=out, stderr=log, text=True
            )

    def say(self, name: str, word: str) -> None:
        """A line to a process."""
        stdin = self.processes[name].stdin
        assert stdin is not None
        stdin.write(word + "\n")
        stdin.flush()

    def kill(self, name: str) -> None:
        """kill -9; waits for the end."""
        self.processes[name].kill()
        self._close(self.processes[name])

    def url(self, store: str) -> str:
        return f"http://{self.network.addresses[store]}:2379"

    def start_store(self, *names: str) -> None:
        """etcd, a member on each of these machines."""
        peers = {name: f"http://{self.network.addresses[name]}:2380" for name in names}
        together = ",".join(f"{name}={peer}" for name, peer in peers.items())
        self.stores += names
        for name, peer in peers.items():
            url = self.url(name)
            self.run(
                name, "etcd", f"--name={name}", f"--data-dir={self.folder}/{name}.etcd", f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster={together}", "--logger=zap", "--log-level=warn",
            )  # fmt: skip

    def store_leader(self) -> str:
        """The machine whose etcd says that it leads; waits until there is one."""
        found: str = eventually(self._leading_store)
        return found

    def _leading_store(self) -> str:
        for name in self.stores:
            asked = self.network.command(name, sys.executable, "-c", ASK, f"{self.url(name)}/v3/maintenance/status")
            done = subprocess.run(asked, capture_output=True, text=True, check=False)
            status = json.loads(done.stdout or "{}")
            if status and status.get("leader") == status["header"]["member_id"]:
                return name
        return ""

    def deployment(self, **more: object) -> dict[str, Any]:
        """What nodes and clients have in common."""
        endpoint = ",".join(self.url(name) for name in self.stores)
        discovery = {"type": "etcd", "endpoint": endpoint, "cluster": "test"}
        remote = {"username": USER, "password": PASSWORD, "ca": str(self.folder / "ca.crt")}
        return {"mode": "distributed", "discovery": discovery, "remote": remote, **more}

    def start_node(self, name: str, shared: dict[str, Any], pool: dict[str, Any]) -> None:
        tls = {"certificate": str(self.folder / "node.crt"), "key": str(self.folder / "node.key")}
        server = {
            "flight": {"listen": f"{self.network.addresses[name]}:8815", "tls": tls},
            "users": [{"name": USER, "password": PASSWORD}],
            "secret": "the same on all nodes of this test",
            "admin": {"listen": "127.0.0.1:8816"},
        }
        node = {"id": name, "state_dir": str(self.folder)}
        deployment = {**shared, "node": node, "pools": [{"id": "main_db", **pool}]}
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"deployment": deployment, "server": server}))
        self.run(name, PROGRAM, "node", "-c", str(path))

    def end(self) -> None:
        """At once: what a process does at its end is tested elsewhere, and takes a node some seconds."""
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            self._close(process)
        self.network.end()

    @staticmethod
    def _close(process: subprocess.Popen[str]) -> None:
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
