"""A cluster whose machines are network namespaces, so that a test can cut them off from one another.

Tests assert what becomes of it; bench/groups/partition.py prints the times.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from processes import PROGRAM, ROOT, eventually

STORE, CLIENT = "store", "client"
NODES = ("n1", "n2", "n3")
PASSWORD = "partition"  # of a user that lives as long as a test


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def why_not() -> str:
    """Why namespaces cannot be had here; empty: they can."""
    for program, package in (("ip", "iproute2"), ("nft", "nftables"), ("etcd", "etcd-server")):
        if shutil.which(program) is None:
            return f"{program} is not installed: apt-get install {package}"
    name = f"cenote-{os.getpid()}-try"
    try:
        run("ip", "netns", "add", name)
        try:
            run("ip", "netns", "exec", name, "nft", "add", "table", "inet", "cut")
        finally:
            run("ip", "netns", "del", name)
    except RuntimeError as error:
        return f"network namespaces are not allowed here: {error}"
    return ""


class Network:
    """Namespaces on one bridge, each with an address of its own."""

    def __init__(self, names: Sequence[str]) -> None:
        self._prefix = f"cenote-{os.getpid()}-"
        self.addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        self._made: list[str] = []
        try:
            self._add("switch")
            self.inside("switch", "ip", "link", "add", "bridge", "type", "bridge")
            self.inside("switch", "ip", "link", "set", "bridge", "up")
            for name in names:
                self._connect(name)
        except BaseException:
            self.end()
            raise

    def _add(self, name: str) -> None:
        run("ip", "netns", "add", self._prefix + name)
        self._made.append(name)
        self.inside(name, "ip", "link", "set", "lo", "up")

    def _connect(self, name: str) -> None:
        self._add(name)
        peer = ("peer", "name", "eth0", "netns", self._prefix + name)
        self.inside("switch", "ip", "link", "add", f"to-{name}", "type", "veth", *peer)
        self.inside("switch", "ip", "link", "set", f"to-{name}", "master", "bridge", "up")
        self.inside(name, "ip", "address", "add", f"{self.addresses[name]}/24", "dev", "eth0")
        self.inside(name, "ip", "link", "set", "eth0", "up")
        self.inside(name, "nft", "add table inet cut; "
                    "add chain inet cut in { type filter hook input priority 0; }; "
                    "add chain inet cut out { type filter hook output priority 0; }")  # fmt: skip

    def command(self, name: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self._prefix + name, *command]

    def inside(self, name: str, *command: str) -> None:
        run(*self.command(name, *command))

    def cut(self, some: Sequence[str]) -> None:
        """Some of them from all the others."""
        others = ", ".join(address for name, address in self.addresses.items() if name not in some)
        for name in some:
            self.inside(name, "nft", f"add rule inet cut out ip daddr {{ {others} }} drop; "
                        f"add rule inet cut in ip saddr {{ {others} }} drop")  # fmt: skip

    def deafen(self, name: str, but: str = "") -> None:
        """It hears nothing, or one alone, and all hear it."""
        kept = f"ip saddr != {self.addresses[but]} " if but else ""
        self.inside(name, "nft", f"add rule inet cut in iifname eth0 {kept}drop")

    def heal(self) -> None:
        for name in self.addresses:
            self.inside(name, "nft", "flush table inet cut")

    def end(self) -> None:
        for name in self._made:
            with contextlib.suppress(RuntimeError):
                run("ip", "netns", "del", self._prefix + name)


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


@dataclass
class Sample:
    """What the client saw at a time, which all namespaces share."""

    at: float
    kind: str  # "state" or "read"
    state: str = ""
    cause: str = ""
    nodes: int = 0
    ok: bool = False
    begun: float = 0.0  # of a read
    node: str = ""
    attempts: int = 1
    stale: bool = False
    source: str = ""
    error: str = ""
    detection: float = 0.0  # sums of the exported histograms
    recovery: float = 0.0


@dataclass
class Cut:
    """When things happened, in seconds of the machine's clock."""

    cut: float
    detected: float
    local: float  # the first read that was served in local mode
    healed: float = 0.0
    connected: float = 0.0
    exported_detection: float = 0.0
    exported_recovery: float = 0.0
    samples: list[Sample] = field(default_factory=list)


class Cluster:
    """etcd, three nodes that each serve a database with their name, and a client, on a machine each."""

    def __init__(self, folder: pathlib.Path, readers: int = 1, **partition: object) -> None:
        self.folder = folder
        self.readers = readers
        self.network = Network([STORE, *NODES, CLIENT])
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._read = 0
        try:
            self._start(partition)
        except BaseException:
            self.end()
            raise

    def _start(self, partition: dict[str, object]) -> None:
        address = self.network.addresses
        certificates(self.folder, list(address.values()))
        url, peer = f"http://{address[STORE]}:2379", f"http://{address[STORE]}:2380"
        self._run(
            STORE, "etcd", "--name=m1", f"--data-dir={self.folder}/etcd", f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=m1={peer}", "--logger=zap", "--log-level=warn",
        )  # fmt: skip
        discovery = {"type": "etcd", "endpoint": url, "cluster": "test"}
        remote = {"username": "app", "password": PASSWORD, "ca": str(self.folder / "ca.crt")}
        shared = {"mode": "distributed", "discovery": discovery, "remote": remote, "partition": partition}
        for name in NODES:
            self._run(name, PROGRAM, "node", "-c", str(self._node_file(name, shared)))
        config = self.folder / "client.yaml"
        own = {"load_balancer": {"algorithm": "round_robin"}, "metrics": {"prometheus": {"listen": "127.0.0.1:9464"}}}
        config.write_text(json.dumps({"deployment": {**shared, **own}}))
        script = str(ROOT / "tests" / "cluster" / "partition_client.py")
        self._run(CLIENT, sys.executable, script, str(config), str(self.readers))
        self.wait(lambda seen: seen.kind == "state" and seen.nodes == len(NODES), "all nodes known")
        self.wait(lambda seen: seen.ok, "a read")

    def _node_file(self, name: str, shared: dict[str, Any]) -> pathlib.Path:
        database = self.folder / f"{name}.db"
        with contextlib.closing(sqlite3.connect(database)) as made:
            made.execute("create table who (name text)")
            made.execute("insert into who values (?)", [name])
            made.commit()
        node = {"id": name, "state_dir": str(self.folder)}
        pools = [{"id": "main_db", "type": "sqlite", "config": {"database": str(database)}}]
        tls = {"certificate": str(self.folder / "node.crt"), "key": str(self.folder / "node.key")}
        server = {
            "flight": {"listen": f"{self.network.addresses[name]}:8815", "tls": tls},
            "users": [{"name": "app", "password": PASSWORD}],
            "secret": "the same on all nodes of this test",
            "admin": {"listen": "127.0.0.1:8816"},
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"deployment": {**shared, "node": node, "pools": pools}, "server": server}))
        return path

    def _run(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log, (self.folder / f"{name}.out").open("a") as out:
            self.processes[name] = subprocess.Popen(
                self.network.command(name, *command), stdin=subprocess.PIPE, stdout=out, stderr=log, text=True
            )

    def samples(self) -> list[Sample]:
        """All that the client said so far."""
        text = (self.folder / f"{CLIENT}.out").read_text()
        return [Sample(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait(self, wanted: Callable[[Sample], bool], what: str, since: float = 0.0, seconds: float = 60) -> Sample:
        """The first such sample that was taken since then."""

        def found() -> Sample | None:
            return next((seen for seen in self.samples() if seen.at >= since and wanted(seen)), None)

        try:
            sample: Sample = eventually(found, seconds)
        except AssertionError:
            logs = {name: (self.folder / f"{name}.log").read_text()[-2000:] for name in self.processes}
            raise AssertionError(f"{what}: not within {seconds} s; {self.samples()[-3:]}; {logs}") from None
        return sample

    def wait_for_state(self, state: str, since: float) -> Sample:
        return self.wait(lambda seen: seen.kind == "state" and seen.state == state, state, since)

    def tell(self, word: str) -> None:
        """A line to the client."""
        stdin = self.processes[CLIENT].stdin
        assert stdin is not None
        stdin.write(word + "\n")
        stdin.flush()

    def cut(self, fault: Callable[[], None]) -> Cut:
        """The fault, until the client serves reads in local mode."""
        before = self.samples()[-1].at
        detection = max(seen.detection for seen in self.samples())
        fault()
        at = time.monotonic()
        detected = self.wait(lambda seen: seen.state in ("partitioned", "local"), "detected", before)
        local = self.wait(lambda seen: seen.kind == "read" and seen.ok and seen.stale, "a local read", before)
        made = Cut(at, detected.at, local.at)
        told = self.wait(lambda seen: seen.kind == "state" and seen.detection > detection, "exported", before)
        made.exported_detection = told.detection - detection
        return made

    def heal(self, made: Cut) -> Cut:
        """Until the client is connected again."""
        recovery = max(seen.recovery for seen in self.samples())
        self.network.heal()
        made.healed = time.monotonic()
        made.connected = self.wait_for_state("connected", made.healed).at
        told = self.wait(lambda seen: seen.kind == "state" and seen.recovery > recovery, "exported", made.healed)
        made.exported_recovery = told.recovery - recovery
        made.samples = self.samples()
        return made

    def end(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        self.network.end()


@contextlib.contextmanager
def cluster(folder: pathlib.Path, readers: int = 1, **partition: object) -> Iterator[Cluster]:
    made = Cluster(folder, readers, **partition)
    try:
        yield made
    finally:
        made.end()
